"""Convolution as matrix products beside SciPy, and its gradient beside XLA's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import network_checks as checks
import numpy as np
import pytest
from scipy.signal import correlate2d

from lnn.studies.width.systems.convolution import convolve

pytestmark = pytest.mark.slow  # programs are compiled

SHAPES = [
    ((9, 2, 81, 1), (11, 21, 1, 3), (2, 2)),
    ((8, 2, 31, 2), (5, 11, 2, 3), (1, 2)),
    ((4, 1, 7, 2), (3, 7, 2, 2), (1, 1)),
    ((5, 3, 22, 1), (1, 4, 1, 2), (2, 1)),
]
"""Of x, of the kernel, and strides: as in Deep Speech, a single window, and several groups."""


def arrays(x: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(x), rng.standard_normal(kernel)


@pytest.mark.parametrize(("shape", "size", "strides"), SHAPES)
def test_values_are_scipys(
    shape: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, int], x64: None
) -> None:
    x, kernel = arrays(shape, size)
    found = np.asarray(jax.jit(convolve, static_argnums=2)(x, kernel, strides))
    padding = (size[0] // 2, size[0] // 2)
    for b in range(shape[1]):
        for o in range(size[3]):
            true = sum(
                correlate2d(np.pad(x[:, b, :, c], (padding, (0, 0))), kernel[:, :, c, o], "valid")
                for c in range(shape[3])
            )[:: strides[0], :: strides[1]]
            # Of an odd number of frames the last is no output's centre.
            np.testing.assert_allclose(
                found[:, b, :, o], true[: shape[0] // strides[0]], atol=1e-12
            )


@pytest.mark.parametrize(("shape", "size", "strides"), SHAPES[:2])
def test_gradients_are_those_of_xlas_convolution(
    shape: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, int], x64: None
) -> None:
    x, kernel = map(jnp.asarray, arrays(shape, size))
    padding = [(size[0] // 2, size[0] // 2), (0, 0)]

    def xlas(x: jax.Array, kernel: jax.Array) -> jax.Array:
        y = jax.lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=("HNWC", "HWIO", "HNWC")
        )
        return jnp.sum(jnp.sin(y[: shape[0] // strides[0]]))

    def ours(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(convolve(x, kernel, strides)))

    found, true = (jax.jit(jax.grad(f, (0, 1)))(x, kernel) for f in (ours, xlas))
    checks.close_gradients(found, true, 1e-12)
