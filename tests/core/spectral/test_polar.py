"""The rule of depth 2 by the polar factor, and its polynomials."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spectra import SPECTRA, matrix, true_rule

from lnn.core.spectral import precondition_by_polar
from lnn.core.spectral.polar import LOWEST, POLYNOMIALS


def error(kind: str, shape: tuple[int, int]) -> float:
    """Of the update, relative to the largest singular value of W and the norm of g."""
    w = matrix(kind, shape)
    g = np.random.default_rng(0).standard_normal(shape)
    update = precondition_by_polar(jnp.asarray(w, jnp.float32), jnp.asarray(g, jnp.float32))
    return float(
        np.linalg.norm(np.asarray(update) - true_rule(w, g, 2))
        / (np.linalg.norm(g) * (np.linalg.norm(w, 2) or 1))
    )


@pytest.mark.parametrize("shape", [(7, 9), (9, 7), (24, 24)], ids=str)
@pytest.mark.parametrize("kind", SPECTRA)
def test_the_error_is_below_the_bound_of_any_spectrum(kind: str, shape: tuple[int, int]) -> None:
    assert error(kind, shape) < 2 * 7.3e-5 * min(shape) ** (1 / 8)


@pytest.mark.slow
@given(
    kind=st.sampled_from(SPECTRA),
    shape=st.sampled_from([(1, 4), (3, 5), (5, 3), (4, 4), (2, 9)]),
)
def test_it_holds_for_all_shapes(kind: str, shape: tuple[int, int]) -> None:
    assert error(kind, shape) < 2e-4


def test_every_polynomial_is_the_best_approximation_on_its_interval() -> None:
    """Three coefficients: 1 - p alternates four times between its extremes (Chebyshev)."""
    low, high = LOWEST, 1.0
    for a, b, c in POLYNOMIALS:
        x = np.geomspace(low, high, 200_001)
        off = 1 - (a * x + b * x**3 + c * x**5)
        most = np.abs(off).max()
        close = off[np.abs(off) > most * (1 - 1e-4) - 1e-10]
        signs = np.sign(close)
        assert np.count_nonzero(np.diff(signs)) == 3, (a, b, c)
        low, high = 1 - most, 1 + most
    assert most < 1e-8


def test_the_error_of_the_composition_is_7_3e_5_and_no_better_from_another_lowest() -> None:
    x = np.append(np.geomspace(1e-8, 1, 100_001), 0)
    y = x
    for a, b, c in POLYNOMIALS:
        y = a * y + b * y**3 + c * y**5
    assert 7.2e-5 < np.max(x * np.abs(1 - y)) < 7.3e-5


def test_not_finite_is_nan_and_zero_is_zero() -> None:
    w = jnp.asarray(matrix("gaussian", (3, 4)), jnp.float32)
    update = jax.jit(precondition_by_polar)(w.at[0, 0].set(jnp.inf), jnp.ones((3, 4)))
    assert np.isnan(update).all()
    assert not np.any(precondition_by_polar(0 * w, jnp.ones((3, 4))))


@pytest.mark.parametrize("scale", [1e-24, 1e15])
def test_it_is_homogeneous_at_extreme_norms(scale: float) -> None:
    w, g = jnp.asarray(matrix("gaussian", (3, 4)), jnp.float32), jnp.ones((3, 4))
    np.testing.assert_allclose(
        precondition_by_polar(w * scale, g), scale * precondition_by_polar(w, g), rtol=1e-4
    )
