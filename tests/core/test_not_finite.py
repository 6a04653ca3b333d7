"""Whatever decomposes a matrix: NaN at once where an entry is not finite, and no hanging."""

from __future__ import annotations

import faulthandler
import math
import sys
from collections.abc import Callable, Iterator
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow

import lnn
from lnn.core.spectral import precondition, preconditioner_eigenpairs, psd_power, singular_frame

BAD = (math.inf, -math.inf, math.nan)
SHAPES = ((1, 4), (4, 1), (2, 2), (5, 4), (3, 6))


@pytest.fixture(autouse=True)
def no_longer_than_a_minute() -> Iterator[None]:
    """LAPACK may never return, nor let Python handle a signal: then the process ends."""
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


def spoiled(shape: tuple[int, ...]) -> jax.Array:
    """Return one matrix for every bad value in every position: (3 k d, k, d)."""
    w = np.random.default_rng(0).standard_normal(shape)
    size = w.size
    batch = np.tile(w.ravel(), (len(BAD) * size, 1))
    for i, bad in enumerate(BAD):
        batch[np.arange(i * size, (i + 1) * size), np.arange(size)] = bad
    return jnp.asarray(batch.reshape(-1, *shape))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "dtype"),
    mostly_slow(product(SHAPES, ["float32", "float64"]), ((1, 4), "float64"), ((5, 4), "float32")),
    ids=str,
)
def test_the_rule_is_nan(x64: None, shape: tuple[int, int], dtype: str) -> None:
    batch = spoiled(shape).astype(dtype)
    g = jnp.ones(shape, dtype)
    one = jax.jit(lambda w: [precondition(w, g, depth) for depth in (1.5, 2, math.inf)])
    for w in batch:
        assert all(np.isnan(update).all() for update in one(w))
    together = jax.jit(jax.vmap(one))(jnp.concatenate([batch, jnp.ones((1, *shape), dtype)]))
    for update in together:
        assert np.isnan(update[:-1]).all()
        assert np.isfinite(update[-1]).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda w: singular_frame(w).s,
        lambda w: psd_power(w, 0.5),
        lambda w: preconditioner_eigenpairs(w, 2)[0],
    ],
    ids=["singular_frame", "psd_power", "preconditioner_eigenpairs"],
)
def test_the_tools_of_analysis_are_nan(function: Callable[[jax.Array], jax.Array]) -> None:
    function = jax.jit(function)
    for w in spoiled((4, 4)):
        assert np.isnan(function(w)).all()


@pytest.mark.parametrize("size", [(64, 64), (200, 100)], ids=str)
@pytest.mark.parametrize("bad", mostly_slow(BAD, math.inf))
def test_large_matrices_are_nan(size: tuple[int, int], bad: float) -> None:
    w = jnp.ones(size).at[3, 5].set(bad)
    assert np.isnan(precondition(w, jnp.ones(size), 2)).all()


def test_an_overflow_in_the_engine_is_divergence_beside_runs_that_go_on() -> None:
    rng = np.random.default_rng(0)
    problem = lnn.Problem(rng.standard_normal((30, 4)), rng.standard_normal((30, 3)), 4)
    starts = 0.1 * rng.standard_normal((2, 3, 4))
    method = lnn.make_method("end-to-end", 3)
    out = lnn.simulate(problem, method, starts, np.array([1e12, 1e-3]), 50)
    assert [lnn.Status(int(status)).name for status in out.status] == ["DIVERGED", "BUDGET_SPENT"]
    assert np.isfinite(out.loss[1]).all()
