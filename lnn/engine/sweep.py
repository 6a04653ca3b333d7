"""The grid of runs of one method: learning rates x seeds, in batches that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from lnn.engine.simulate import Trajectories, simulate
from lnn.problem import Problem
from lnn.rules import Method

RESIDUAL_BYTES = 2**29
"""A batch holds as many runs as keep its residuals (runs, k, m) under this size."""


def sweep(
    problem: Problem,
    method: Method,
    starts: Sequence[Any],
    rates: np.ndarray,
    steps: int,
    *,
    dtype: str = "float32",
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Trajectories:
    """Every rate from every start: the run of seed s and rate q is run s * Q + q of the result.

    Args:
        problem: the regression problem.
        method: what runs.
        starts: initial parameters of each seed, S of them.
        rates: (Q,) learning rates.
        steps: number of steps.
        dtype: "float32" or "float64".
        progress: called with the number of run-steps done.
        options: passed on to `simulate`.

    Returns:
        `Trajectories` of S * Q runs.
    """
    # Seeds outside, rates inside: devices get equal shares of the rates that diverge early.
    grid = np.tile(np.asarray(rates, np.float64), len(starts))
    seed_of = np.repeat(np.arange(len(starts)), len(rates))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    per_run = problem.m * problem.k * np.dtype(dtype).itemsize
    # Whole multiples of the devices: only the last batch may need padding.
    devices = jax.local_device_count()
    most = max(1, RESIDUAL_BYTES // (per_run * devices)) * devices
    parts: list[Trajectories] = []
    for first in range(0, grid.size, most):
        chosen = slice(first, min(first + most, grid.size))
        count = chosen.stop - first

        def report(done: int, first: int = first, count: int = count) -> None:
            if progress is not None:
                progress(first * steps + count * done)

        start = jax.tree.map(lambda leaf, chosen=chosen: leaf[seed_of[chosen]], stacked)
        part = simulate(
            problem, method, start, grid[chosen], steps, dtype=dtype, progress=report, **options
        )
        parts.append(part)
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[Trajectories]) -> Trajectories:
    fields = [
        {name: value for name, value in vars(part).items() if name != "steps"} for part in parts
    ]
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *fields)
    return Trajectories(steps=parts[0].steps, **joined)
