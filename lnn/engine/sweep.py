"""Grids of runs: learning rates x seeds of every method, in batches of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lnn.engine.data import Placed, place
from lnn.engine.simulate import Group, Trajectories, simulate_groups
from lnn.problem import Problem
from lnn.rules import Method

BATCH_COLUMNS = 2048
"""A batch holds as many runs, of all methods together, as have this many outputs."""


class Grid(NamedTuple):
    """Every rate (Q,) from every start of a method, S of them: run s * Q + q."""

    method: Method
    starts: Sequence[Any]
    rates: np.ndarray

    @property
    def runs(self) -> int:
        """S * Q."""
        return len(self.starts) * len(self.rates)


def sweep(
    problem: Problem | Placed,
    grids: Sequence[Grid],
    steps: int,
    *,
    weight_decay: float = 0.0,
    slots: Sequence[int] | None = None,
    dtype: str = "float32",
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> list[Trajectories]:
    """Run grids of several methods side by side.

    Args:
        problem: the regression problem, or one placed on the devices in this dtype.
        grids: what runs; every grid needs a start, but may have no rate.
        steps: number of steps.
        weight_decay: on every trained parameter of every run.
        slots: room for so many runs of each method, at least as many as its grid has: sweeps with
            the same methods and slots share one program. The default is no more than needed.
        dtype: "float32" or "float64".
        progress: called with the number of run-steps done.
        options: passed on to `simulate_groups`.

    Returns:
        The `Trajectories` of every grid.

    Raises:
        ValueError: no run at all, or more runs of a grid than slots.
    """
    room = [grid.runs for grid in grids] if slots is None else list(slots)
    if not any(grid.runs for grid in grids):
        raise ValueError("no grid has a run: give at least one start and one learning rate")
    if any(grid.runs > most for grid, most in zip(grids, room, strict=True)):
        raise ValueError(f"{[grid.runs for grid in grids]} runs do not fit into {room} slots")
    placed = problem if isinstance(problem, Placed) else place(problem, dtype, sum(room))
    batches = max(1, -(-sum(room) * placed.outputs // BATCH_COLUMNS))
    # Every batch takes its share of every grid, so that one program does for all of them.
    share = [-(-count // batches) for count in room]
    done = 0
    parts: list[list[Trajectories]] = []
    for batch in range(batches):
        groups = [
            _group(grid, batch * size, (batch + 1) * size, weight_decay)
            for grid, size in zip(grids, share, strict=True)
        ]
        count = sum(len(group.learning_rate) for group in groups)
        if count == 0:
            break  # less runs than there is room for

        def report(step: int, done: int = done, count: int = count) -> None:
            if progress is not None:
                progress(done * steps + count * step)

        parts.append(
            simulate_groups(
                placed, groups, steps, slots=share, dtype=dtype, progress=report, **options
            )
        )
        done += count
    return [_joined(list(group)) for group in zip(*parts, strict=True)]


def _group(grid: Grid, first: int, last: int, weight_decay: float) -> Group:
    """Runs first to last of a grid; with none left, a start that shows their shapes."""
    chosen = np.arange(first, min(last, grid.runs))
    # Seeds outside, rates inside: neighbours differ in their rate.
    rates = np.asarray(grid.rates, np.float64)[chosen % max(len(grid.rates), 1)]
    seeds = chosen // max(len(grid.rates), 1) if chosen.size else np.zeros(1, int)
    params = jax.tree.map(lambda *leaves: np.stack(leaves)[seeds], *grid.starts)
    return Group(grid.method, params, rates, np.full(chosen.size, float(weight_decay)))


def _joined(parts: list[Trajectories]) -> Trajectories:
    if len(parts) == 1:
        return parts[0]
    alike: dict[str, Any] = {"steps": parts[0].steps, "layout": parts[0].layout}
    fields = [
        {name: value for name, value in vars(part).items() if name not in alike} for part in parts
    ]
    return Trajectories(**alike, **jax.tree.map(lambda *leaves: np.concatenate(leaves), *fields))
