"""Decompositions as accelerators do them, here on the CPU, against NumPy's in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow
from spectra import SPECTRA, matrix

from lnn.core.spectral.gram import gram_svd

SHAPES = ((12, 12), (8, 30), (40, 40), (128, 128))


@pytest.mark.parametrize(
    "shape", mostly_slow([(s,) for s in SHAPES], ((12, 12),), ((8, 30),)), ids=str
)
@pytest.mark.parametrize("kind", SPECTRA)
def test_it_is_as_good_as_a_decomposition_of_w(shape: tuple[int, int], kind: str) -> None:
    w = matrix(kind, shape)
    u, s, vt = (np.asarray(part, float) for part in gram_svd(jnp.asarray(w, jnp.float32)))
    true = np.linalg.svd(w, compute_uv=False)
    top = true[0] if true[0] else 1.0
    assert np.all(np.diff(s) <= 0)
    np.testing.assert_allclose(s, true, atol=3e-6 * top)
    np.testing.assert_allclose(u * s @ vt, w, atol=3e-6 * top)
    np.testing.assert_allclose(u.T @ u, np.eye(len(u)), atol=5e-6)


@pytest.mark.slow
def test_a_batch_is_a_loop() -> None:
    ws = jnp.asarray(np.stack([matrix("gaussian", (5, 7), i) for i in range(3)]), jnp.float32)
    together = jax.vmap(gram_svd)(ws)
    for i, w in enumerate(ws):
        for ours, alone in zip(together, gram_svd(w), strict=True):
            np.testing.assert_allclose(np.abs(ours[i]), np.abs(alone), atol=1e-5)


def test_small_singular_values_are_not_lost_in_the_gram_matrix() -> None:
    """Its eigenvalues alone would give 3e-4 instead of values that differ by factors of 10."""
    w = matrix("graded", (12, 12))
    s = gram_svd(jnp.asarray(w, jnp.float32))[1]
    np.testing.assert_allclose(s, np.linalg.svd(w, compute_uv=False), atol=2e-7)
