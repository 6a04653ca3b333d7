"""Stored runs: identity, records and state, for saving and reuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from lnn.core.status import Status
from lnn.simulation.step import Runs
from lnn.simulation.trajectories import RECORDED, Trajectories, mapped


@dataclass(frozen=True)
class Cell:
    """Runs of one method, finished or not.

    Attributes:
        label: of the method.
        seeds, rates: (R,) of the starts, and learning rates.
        step: steps taken by runs that have not ended before.
        runs: records and final state; `runs.steps` are the steps recorded so far. As read from
            disk, the state is a tuple of its leaves.
    """

    label: str
    seeds: np.ndarray
    rates: np.ndarray
    step: int
    runs: Trajectories


def rows(runs: Trajectories, chosen: Sequence[int] | np.ndarray) -> Trajectories:
    """Select runs, in this order."""
    index = np.asarray(chosen, int)
    return mapped(lambda leaf: leaf[index], runs)


def joined(parts: Sequence[Trajectories]) -> Trajectories:
    """Concatenate the runs of all parts."""
    return parts[0] if len(parts) == 1 else mapped(lambda *leaves: np.concatenate(leaves), *parts)


def continued(early: Trajectories, late: Trajectories, made: int) -> Trajectories:
    """Return `late`, resumed runs, with the first `made` records from `early`."""

    def with_early(name: str) -> Any:
        first, values = getattr(early, name), getattr(late, name)
        return None if values is None else np.concatenate([first[:, :made], values[:, made:]], 1)

    after = late.steps[made] if made < late.steps.size else np.inf
    return replace(
        late,
        **{name: with_early(name) for name in (*RECORDED, "w")},
        end_step=np.where(late.end_step >= after, late.end_step, early.end_step),
    )


def structured(runs: Trajectories, like: Runs) -> Trajectories | None:
    """Return runs with their state as a tree like `like`; None if their leaves differ."""
    leaves, (wanted, tree) = jax.tree.leaves(runs.state), jax.tree.flatten(like)
    if [(a.shape[1:], a.dtype) for a in leaves] != [(a.shape[1:], a.dtype) for a in wanted]:
        return None
    state: Runs = jax.tree.unflatten(tree, leaves)
    return replace(runs, params=state.params, state=state)


def pack(cells: Sequence[Cell]) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Convert cells to arrays by name and plain data for JSON, for `unpack`."""
    arrays: dict[str, np.ndarray] = {}
    about: list[dict[str, Any]] = []
    for i, cell in enumerate(cells):
        runs = cell.runs
        leaves = jax.tree.leaves(runs.state)
        named = {name: getattr(runs, name) for name in (*RECORDED, *_PER_RUN, "steps")}
        named |= {"seeds": cell.seeds, "rates": cell.rates}
        named |= {} if runs.w is None else {"w": runs.w}
        named |= {f"state{j}": leaf for j, leaf in enumerate(leaves)}
        arrays |= {f"{i}/{name}": np.asarray(values) for name, values in named.items()}
        said = {"label": cell.label, "step": int(cell.step), "leaves": len(leaves)}
        about.append({**said, "layout": runs.layout})
    return arrays, about


def unpack(arrays: Mapping[str, np.ndarray], about: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """Return the cells, their states as tuples of leaves."""
    cells = []
    for i, said in enumerate(about):
        named = {name: arrays[f"{i}/{name}"] for name in (*RECORDED, *_PER_RUN, "steps")}
        state: Any = tuple(arrays[f"{i}/state{j}"] for j in range(said["leaves"]))
        runs = Trajectories(
            **named, params=(), state=state, w=arrays.get(f"{i}/w"), layout=said["layout"]
        )
        cells.append(
            Cell(said["label"], arrays[f"{i}/seeds"], arrays[f"{i}/rates"], said["step"], runs)
        )
    return cells


_PER_RUN = ("status", "end_step")


class Found(NamedTuple):
    """Stored runs: indices of the runs asked for, and their records on the new grid.

    `begin` are records made and steps taken, to resume from; None if they are finished.
    """

    indices: tuple[int, ...]
    runs: Trajectories
    begin: tuple[int, int] | None


class Known:
    """Cells of earlier studies, or of earlier sessions of this one."""

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
        """Find stored runs of a method by `keys` (seed, rate), each once, at the steps `grid`."""
        index = {key: i for i, key in enumerate(keys)}
        chosen: dict[int, tuple[float, int, int]] = {}  # run asked for -> progress, cell, row
        cells = []
        for cell in self._cells:
            made = _records_of(grid, cell) if cell.label == label else 0
            runs = structured(cell.runs, like) if made else None
            if runs is None or (weights and runs.w is None):
                continue
            runs = _on_grid(runs, grid, made, weights)
            cells.append((runs, (made, cell.step)))
            for row, key in enumerate(zip(cell.seeds.tolist(), cell.rates.tolist(), strict=True)):
                way = _way(runs, row, cell.step, made, grid)
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


def _way(runs: Trajectories, row: int, step: int, made: int, grid: np.ndarray) -> float:
    """Return the steps a run has taken; infinity if it is finished, 0 if it cannot be reused."""
    if runs.state.status[row] in (Status.REACHED, Status.DIVERGED):  # stopped by the program
        # Where it ends is known only if that step is recorded here too.
        return np.inf if runs.end_step[row] in grid else 0.0
    if step == grid[-1] and made == grid.size:
        return np.inf
    return float(step) if step <= grid[-1] else 0.0


def _records_of(grid: np.ndarray, cell: Cell) -> int:
    """Return how many records of this grid the cell's runs have; 0 if one is missing."""
    due = grid[grid <= cell.step]
    if due[-1] == cell.step and cell.step not in cell.runs.steps:
        due = due[:-1]  # stopped right before this record
    return due.size if np.isin(due, cell.runs.steps).all() else 0


def _on_grid(runs: Trajectories, grid: np.ndarray, made: int, weights: bool) -> Trajectories:
    """Return the runs with their records at the first `made` steps of this grid."""
    at = np.searchsorted(runs.steps, grid[:made])

    def moved(values: np.ndarray) -> np.ndarray:
        out = np.full((values.shape[0], grid.size, *values.shape[2:]), np.nan, values.dtype)
        out[:, :made] = values[:, at]
        return out

    fields: dict[str, Any] = {name: moved(getattr(runs, name)) for name in RECORDED}
    w = moved(runs.w) if weights and runs.w is not None else None
    return replace(runs, steps=grid, **fields, w=w)
