"""Runs that were made earlier: which of them a study need not make again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lnn.core.status import Status
from lnn.simulation.step import Runs
from lnn.simulation.stored_runs import RECORDED, Cell, rows, structured
from lnn.simulation.trajectories import Trajectories


class Found(NamedTuple):
    """Runs that are known: which of those asked for, and their records on the new grid.

    `begin`: records made and steps taken, from which they have to go on; None if they are finished.
    """

    indices: tuple[int, ...]
    runs: Trajectories
    begin: tuple[int, int] | None


class Known:
    """Cells of earlier studies, or of earlier attempts at this one."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._cells = list(cells)

    def find(
        self,
        label: str,
        keys: Sequence[tuple[int, float]],
        grid: np.ndarray,
        like: Runs,
        weights: bool,
    ) -> list[Found]:
        """Where runs of a method are known from, each of them once.

        Args:
            label: of the method.
            keys: seed and learning rate of each run asked for.
            grid: the steps that the study records.
            like: a state of the method.
            weights: whether W_e is recorded too.
        """
        index = {key: i for i, key in enumerate(keys)}
        chosen: dict[int, tuple[float, int, int]] = {}  # run asked for -> way, cell, row
        cells = []
        for cell in self._cells:
            made = _records_of(grid, cell) if cell.label == label else 0
            runs = structured(cell.runs, like) if made else None
            if runs is None or (weights and runs.w is None):
                continue
            runs = _on_grid(runs, grid, made, weights)
            cells.append((runs, (made, cell.step)))
            for row, key in enumerate(zip(cell.seeds.tolist(), cell.rates.tolist(), strict=True)):
                way = _way(runs, row, cell.step, grid)
                if key in index and way > chosen.get(index[key], (0.0,))[0]:
                    chosen[index[key]] = (way, len(cells) - 1, row)
        found = []
        for i, (runs, begin) in enumerate(cells):
            for finished in (True, False):
                here = {
                    run: row
                    for run, (way, cell_, row) in sorted(chosen.items())
                    if cell_ == i and (way == np.inf) == finished
                }
                if here:
                    chosen_rows = rows(runs, list(here.values()))
                    found.append(Found(tuple(here), chosen_rows, None if finished else begin))
        return found


def _way(runs: Trajectories, row: int, step: int, grid: np.ndarray) -> float:
    """Steps a run has behind it; infinite if it is finished, 0 if it is of no use."""
    if runs.status[row] in (Status.REACHED, Status.DIVERGED):
        # Judged at a step that is recorded here too, or else who knows when it ends here.
        return np.inf if runs.end_step[row] in grid else 0.0
    if step == grid[-1]:
        return np.inf
    return float(step) if step < grid[-1] else 0.0


def _records_of(grid: np.ndarray, cell: Cell) -> int:
    """How many records of this grid the cell's runs have made; 0 if they have left one out."""
    due = grid[grid <= cell.step]
    if due[-1] == cell.step and cell.step not in cell.runs.steps:
        due = due[:-1]  # stopped right before this record
    return due.size if np.isin(due, cell.runs.steps).all() else 0


def _on_grid(runs: Trajectories, grid: np.ndarray, made: int, weights: bool) -> Trajectories:
    """The runs with their records at the first `made` steps of this grid."""
    at = np.searchsorted(runs.steps, grid[:made])

    def moved(values: np.ndarray) -> np.ndarray:
        out = np.full((values.shape[0], grid.size, *values.shape[2:]), np.nan, values.dtype)
        out[:, :made] = values[:, at]
        return out

    fields: dict[str, Any] = {name: moved(getattr(runs, name)) for name in RECORDED}
    w = moved(runs.w) if weights and runs.w is not None else None
    return replace(runs, steps=grid, **fields, w=w)
