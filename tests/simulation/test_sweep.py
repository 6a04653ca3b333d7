"""Grids of starts and rates in batches: each run as if it were alone."""

from __future__ import annotations

import importlib
from typing import Any

import jax
import numpy as np
import pytest
from small_problems import descend, problem_of, starts_of

from lnn.core.network import init_factors
from lnn.simulation import Grid, Group, Status, simulate, simulate_groups, sweep
from lnn.transforms.methods import make_method

GD = make_method("gd")


@pytest.mark.parametrize("most", [2048, 8, 1])
def test_a_sweep_is_the_product_of_starts_and_rates(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The module, not the function that the package exports under the same name.
    monkeypatch.setattr(importlib.import_module("lnn.simulation.sweep"), "BATCH_COLUMNS", most)
    problem = problem_of()
    starts, rates = starts_of(problem, 3), np.array([0.01, 0.02, 0.04])
    seen: list[int] = []
    (out,) = sweep(
        problem, [Grid(GD, list(starts), rates)], 40, dtype="float64", progress=seen.append
    )
    assert out.loss.shape == (9, out.steps.size)
    assert seen == sorted(seen)
    assert seen[-1] == 9 * 40
    for seed in range(3):
        for q, rate in enumerate(rates):
            path, _, _ = descend(problem, starts[seed], rate, 40, 0.0)
            np.testing.assert_allclose(out.params[seed * 3 + q], path[-1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("most", [2048, 10])
@pytest.mark.slow
def test_methods_side_by_side_are_the_methods_alone(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("lnn.simulation.sweep"), "BATCH_COLUMNS", most)
    problem = problem_of(k=2)
    factors = [init_factors(jax.random.key(seed), (6, 2, 2), "near-zero", 0.4) for seed in (0, 1)]
    matrices = [second @ first for first, second in factors]
    grids = [
        Grid(GD, matrices, np.array([0.01, 0.02, 1e9])),
        Grid(make_method("adam"), matrices, np.empty(0)),
        Grid(make_method("end-to-end", 2.0), matrices, np.array([0.03])),
        Grid(make_method("layerwise-gd", 2.0, (2,)), factors, np.array([0.005, 0.03])),
    ]
    options: Any = {"dtype": "float64", "stop_loss": 0.05, "save_weights": True}
    outs = sweep(problem, grids, 200, slots=[6, 6, 3, 9], **options)
    assert [out.status.size for out in outs] == [6, 0, 2, 4]
    for grid, out in zip(grids, outs, strict=True):
        for run in range(grid.runs):
            start, rate = grid.starts[run // len(grid.rates)], grid.rates[run % len(grid.rates)]
            alone = simulate(problem, grid.method, start, rate, 200, **options)
            assert (alone.status, alone.end_step) == (out.status[run], out.end_step[run])
            for field in ("loss", "norm", "gradient_norm", "balancedness_gap", "w"):
                np.testing.assert_allclose(
                    getattr(out, field)[run], getattr(alone, field), rtol=1e-9, atol=1e-12
                )
    assert list(outs[0].status) == 2 * [*outs[0].status[:2], Status.DIVERGED]


def test_runs_that_fit_nowhere_are_named() -> None:
    problem = problem_of()
    starts = list(starts_of(problem, 2))
    with pytest.raises(ValueError, match="no grid has a run"):
        sweep(problem, [Grid(GD, starts, np.empty(0))], 5)
    with pytest.raises(ValueError, match=r"\[2\] runs do not fit into \[1\] slots"):
        sweep(problem, [Grid(GD, starts, np.array([0.1]))], 5, slots=[1])
    group = Group(GD, np.stack(starts), np.full(2, 0.1), np.zeros(2))
    with pytest.raises(ValueError, match=r"\[2\] runs in \[1\] slots"):
        simulate_groups(problem, [group], 5, slots=[1])
