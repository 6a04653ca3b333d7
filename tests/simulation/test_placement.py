"""Data on the devices: shortened at p = 2, dealt out by runs or by rows, never copied twice."""

from __future__ import annotations

import importlib
import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow

import lnn
from lnn.core.problem import Problem
from lnn.simulation import place
from lnn.simulation.placement import compressed
from lnn.transforms.methods import make_method


def problem_of(m: int, d: int, k: int, p: float, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, d))
    return Problem(x, x @ rng.standard_normal((d, k)) / d + rng.standard_normal((m, k)), p)


@pytest.mark.parametrize("k", [1, 3])
def test_second_moments_stand_for_all_examples_at_p_2(x64: None, k: int) -> None:
    problem = problem_of(200, 6, k, 2.0)
    short = compressed(problem)
    assert short.m == 6 + k
    np.testing.assert_allclose(
        short.x.T @ short.x / short.m, problem.x.T @ problem.x / problem.m, rtol=1e-12, atol=1e-14
    )
    w = np.random.default_rng(3).standard_normal((4, k, 6))
    np.testing.assert_allclose(short.loss(w), problem.loss(w), rtol=1e-13)
    np.testing.assert_allclose(short.gradient(w), problem.gradient(w), rtol=1e-11, atol=1e-13)


def test_only_long_problems_at_p_2_are_shortened() -> None:
    for problem in (problem_of(200, 6, 1, 4.0), problem_of(7, 6, 1, 2.0)):
        assert compressed(problem) is problem


def test_losses_near_the_optimum_keep_float32_accuracy_at_p_2() -> None:
    """The quadratic form of the moments would lose them: |w|^2 terms cancel to a small rest."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 8))
    best = rng.standard_normal((1, 8))
    problem = Problem(x, x @ best.T + 1e-3 * rng.standard_normal((500, 1)), 2.0)
    out = lnn.simulate(problem, make_method("gd"), best, 1e-9, 1)
    assert float(problem.loss(best.astype(np.float32))) < 1e-6
    exact = np.mean((x @ best.T - problem.y) ** 2) / 2
    assert out.loss[0] == pytest.approx(exact, rel=1e-3)


@pytest.mark.usefixtures("two_devices")
def test_rows_are_shared_out_when_runs_are_few_and_data_is_large() -> None:
    large, small = problem_of(200_000, 50, 1, 4.0), problem_of(100, 5, 1, 4.0)
    assert place(large, "float32", 1).layout == "rows of the data shared out"
    assert place(large, "float32", 3).layout == "rows of the data shared out"
    assert place(small, "float32", 64).layout == "runs shared out"
    assert place(small, "float32", 1).layout == "one device"


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize(("m", "p"), mostly_slow([(60, 4.0), (61, 2.5)], (61, 2.5)))
@pytest.mark.parametrize("name", mostly_slow(["gd", "end-to-end", "layerwise-adam"], "end-to-end"))
def test_sharing_rows_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, m: int, p: float, name: str
) -> None:
    problem, method = problem_of(m, 5, 2, p), make_method(name, 2.0, (2,))
    start: Any = lnn.core.network.init_factors(jax.random.key(0), (5, 2, 2), "near-zero", 0.4)
    if name != "layerwise-adam":
        start = start[1] @ start[0]
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 3), start)
    rates = np.array([1e-3, 1e-2, 1e9])
    placement = importlib.import_module("lnn.simulation.placement")
    outs = []
    for cost in (1e30, -1e30):  # of adding up gradients: runs shared out, then rows
        monkeypatch.setattr(placement, "_FLOP_PER_SUM", cost)
        assert ("rows" in place(problem, "float64", 3).layout) == (cost < 0)
        outs.append(lnn.simulate(problem, method, batch, rates, 100, dtype="float64"))
    assert np.array_equal(outs[0].status, outs[1].status)
    for field in ("loss", "norm", "gradient_norm"):
        np.testing.assert_allclose(
            getattr(outs[0], field)[:2], getattr(outs[1], field)[:2], rtol=1e-9
        )


@pytest.mark.usefixtures("two_devices")
def test_data_on_the_devices_is_not_copied() -> None:
    problem = problem_of(200_000, 64, 1, 4.0)
    x = jnp.asarray(problem.x, jnp.float32)
    y = jnp.asarray(problem.y, jnp.float32)
    placed = place(Problem(x, y, 4.0), "float32", 1)
    assert "rows" in placed.layout
    first = x.unsafe_buffer_pointer()
    shares = sorted(
        shard.data.unsafe_buffer_pointer() for shard in placed.data.x.addressable_shards
    )
    assert shares == [first, first + x.nbytes // 2]
    again = place(Problem(placed.data.x, placed.data.y, 4.0), "float32", 1)
    assert again.data.x is placed.data.x


@pytest.mark.usefixtures("two_devices")
def test_an_odd_row_is_padded_without_a_copy_in_another_precision() -> None:
    problem = problem_of(250_001, 48, 1, 4.0)
    x = jnp.asarray(problem.x, jnp.float32)
    tracemalloc.start()
    placed = place(Problem(x, jnp.asarray(problem.y, jnp.float32), 4.0), "float32", 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert placed.data.x.shape == (250_002, 48)
    assert not np.asarray(placed.data.x)[-1].any()
    assert peak < 0.6 * x.nbytes  # the padded half, once
