"""Norm and direction of one row, at all scales."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lnn.core.spectral import row_direction


@pytest.mark.parametrize("size", [1, 128])
@pytest.mark.parametrize(
    ("dtype", "exponents"),
    [("float32", (-30, -24, -9, 0, 9, 24, 36)), ("float64", (-300, -160, 0, 160, 300))],
)
def test_a_row_at_any_scale_against_extended_precision(
    x64: None, dtype: str, exponents: tuple[int, ...], size: int
) -> None:
    """The squares of most of these norms are not numbers of their type."""
    row = np.random.default_rng(0).standard_normal((1, size))
    norm_and_direction = jax.jit(row_direction)
    slope = jax.jit(jax.grad(lambda w: row_direction(w)[0][0, 0]))
    for exponent in exponents:
        w = (row * 10.0**exponent).astype(dtype)
        exact = np.linalg.norm(w.astype(np.longdouble))
        norm, direction = norm_and_direction(jnp.asarray(w))
        rounding = 4 * float(np.finfo(dtype).eps)
        assert float(norm[0, 0]) == pytest.approx(float(exact), rel=rounding)
        for found in (direction, slope(jnp.asarray(w))):
            np.testing.assert_allclose(found, (w / exact).astype(dtype), rtol=0, atol=rounding)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_has_no_direction(bad: float) -> None:
    norm, direction = row_direction(jnp.array([[1.0, bad, 2.0]]))
    assert np.isnan(norm).all()
    assert np.isnan(direction).all()


def test_a_zero_row_has_direction_zero() -> None:
    norm, direction = jax.jit(row_direction)(jnp.zeros((1, 1)))
    assert (norm == 0).all()
    assert (direction == 0).all()
