"""Sweeps over grids of runs, learning rates x seeds of every method, in batches of bounded size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from lnn.core.problem import Problem
from lnn.simulation.exchange import Exchange
from lnn.simulation.placement import Placed, place
from lnn.simulation.simulate import Group, blank_state, simulate_groups
from lnn.simulation.step import Runs
from lnn.simulation.stored_runs import Cell, Found, Known, continued, joined, rows, structured
from lnn.simulation.trajectories import Trajectories, record_steps
from lnn.transforms.methods import Method

BATCH_COLUMNS = 2048
"""Maximal number of outputs of the runs of a batch, over all methods."""


class Grid(NamedTuple):
    """All rates (Q,) from all S starts of a method: run s * Q + q.

    `seeds` (S,) identify the starts, for reuse of runs; optional.
    """

    method: Method
    starts: Sequence[Any]
    rates: np.ndarray
    seeds: Sequence[int] | None = None

    @property
    def runs(self) -> int:
        """S * Q."""
        return len(self.starts) * len(self.rates)

    def keys(self) -> list[tuple[int, float]]:
        """Return seed and learning rate of every run."""
        seeds = range(len(self.starts)) if self.seeds is None else self.seeds
        return [(int(seed), float(rate)) for seed in seeds for rate in self.rates]


class BatchLog(Protocol):
    """Saves the progress of batches by a name that identifies their content."""

    def recall(self, name: str) -> list[Cell] | None:
        """Return the saved progress of this batch; None if there is none."""

    def offer(self, name: str, cells: Callable[[], list[Cell]]) -> None:
        """Record progress; `cells` may be called later, in the same thread."""

    def finish(self, name: str, cells: list[Cell]) -> None:
        """Record the final result."""


class _Batch(NamedTuple):
    """Runs computed together: indices into every grid, all equally advanced."""

    begin: tuple[int, int]
    indices: tuple[tuple[int, ...], ...]

    @property
    def runs(self) -> int:
        return sum(map(len, self.indices))


def sweep(
    problem: Problem | Placed,
    grids: Sequence[Grid],
    steps: int,
    *,
    weight_decay: float = 0.0,
    slots: Sequence[int] | None = None,
    dtype: str = "float32",
    compensation: bool = True,
    save_weights: bool = False,
    known: Known | None = None,
    journal: BatchLog | None = None,
    exchange: Exchange | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> list[Trajectories]:
    """Run grids of several methods together, and return the `Trajectories` of every grid.

    Options not listed are those of `simulate` and `simulate_groups`.

    - grids: every grid needs a start, but may have no rate.
    - slots: capacity for each method, at least its number of runs and that by default. Sweeps with
      the same methods and slots share one program.
    - known: stored runs to reuse or resume.
    - journal: saves the progress of batches; resumed batches give the same bits.
    - exchange: processes that divide the batches; each returns all runs.
    - progress: called with the number of run-steps done.

    Raises:
        ValueError: no runs at all, or more runs of a grid than slots.
    """
    room = [grid.runs for grid in grids] if slots is None else list(slots)
    if not any(grid.runs for grid in grids):
        raise ValueError("no grid has a run: give at least one start and one learning rate")
    if any(grid.runs > most for grid, most in zip(grids, room, strict=True)):
        raise ValueError(f"{[grid.runs for grid in grids]} runs do not fit into {room} slots")
    placed = problem if isinstance(problem, Placed) else place(problem, dtype, sum(room))
    exchange = exchange or Exchange()
    batches = max(exchange.count, -(-sum(room) * placed.outputs // BATCH_COLUMNS))
    # Every batch has a share of every grid, so that all batches share one program.
    share = [-(-count // batches) for count in room]
    like = [
        blank_state(_group(grid, (), None, weight_decay), dtype, compensation) for grid in grids
    ]
    recorded = record_steps(steps)
    found = [
        known.find(grid.method.label, grid.keys(), recorded, state, save_weights) if known else []
        for grid, state in zip(grids, like, strict=True)
    ]
    plan = _plan(grids, found, share, exchange.count)
    shared = _Shared(
        placed, grids, share, like, steps, recorded.size, weight_decay, journal,
        {"dtype": dtype, "compensation": compensation, "save_weights": save_weights, **options},
    )  # fmt: skip
    total = sum(grid.runs for grid in grids) * steps

    def told(left: int) -> None:
        exchange.check()
        if progress is not None:
            progress(max(0, total - left * exchange.count))

    mine = plan[exchange.index :: exchange.count]
    left = sum(batch.runs for batch in mine) * steps
    cells: list[Cell] = []
    for batch in mine:
        early = [
            _known(some, finds, batch.begin)
            for some, finds in zip(batch.indices, found, strict=True)
        ]
        done = shared.run(batch, early, partial(_tell, told, left, batch.runs))
        left -= batch.runs * steps
        told(left)
        whole = [
            late if first is None else continued(first, late, batch.begin[0])
            for first, late in zip(early, done, strict=True)
        ]
        cells += _cells(grids, batch, steps, whole)
    gathered = exchange.gather(cells)
    order = [batch for first in range(exchange.count) for batch in plan[first :: exchange.count]]
    return [
        _in_order(
            [batch.indices[i] for batch in order], gathered[i :: len(grids)], found[i], like[i]
        )
        for i in range(len(grids))
    ]


@dataclass(frozen=True)
class _Shared:
    """Settings shared by the batches of a sweep; `options` go to `simulate_groups`."""

    placed: Placed
    grids: Sequence[Grid]
    share: Sequence[int]
    like: Sequence[Runs]
    steps: int
    records: int
    weight_decay: float
    journal: BatchLog | None
    options: Mapping[str, Any]

    def run(
        self, batch: _Batch, early: Sequence[Trajectories | None], progress: Callable[[int], None]
    ) -> list[Trajectories]:
        """Compute the runs of a batch from where `early`, or the journal, left them."""
        journal, name = self.journal, _name(self.grids, batch, self.share, self.placed)
        begin, done = batch.begin, None
        if journal is not None and (remembered := journal.recall(name)) is not None:
            done = _structured(remembered, self.like)
            if done is not None:
                begin = (len(remembered[0].runs.steps), remembered[0].step)
        if begin == (self.records, self.steps):
            assert done is not None
            return done

        def so_far(runs: list[Trajectories]) -> list[Trajectories]:
            """Return all records of the batch, including those recalled."""
            if done is None:
                return runs
            return [continued(*two, begin[0]) for two in zip(done, runs, strict=True)]

        states = [None if runs is None else runs.state for runs in done or early]
        groups = [
            _group(*parts, self.weight_decay)
            for parts in zip(self.grids, batch.indices, states, strict=True)
        ]
        offer = None if journal is None else _offers(journal, name, self.grids, batch, so_far)
        out = simulate_groups(
            self.placed, groups, self.steps, slots=self.share, begin=begin, offer=offer,
            progress=progress, **self.options,
        )  # fmt: skip
        found = so_far(out)
        if journal is not None:
            journal.finish(name, _cells(self.grids, batch, self.steps, found))
        return found


def _tell(told: Callable[[int], None], left: int, runs: int, step: int) -> None:
    told(left - runs * step)


def _plan(
    grids: Sequence[Grid], found: Sequence[Sequence[Found]], share: Sequence[int], processes: int
) -> list[_Batch]:
    """Return batches of all unfinished runs, grouped by progress.

    Every process gets a share of every grid, which balances the load.
    """
    ways: dict[tuple[int, int], list[list[int]]] = {}
    for i, grid in enumerate(grids):
        where = {run: find.begin for find in found[i] for run in find.indices}
        for run in range(grid.runs):
            begin = where.get(run, (0, 0))
            if begin is not None:
                ways.setdefault(begin, [[] for _ in grids])[i].append(run)
    plan = []
    for begin in sorted(ways):
        parts = [-(-len(runs) // processes) for runs in ways[begin]]
        while any(ways[begin]):
            waiting = list(zip(ways[begin], map(min, share, parts), strict=True))
            plan.append(_Batch(begin, tuple(tuple(runs[:most]) for runs, most in waiting)))
            ways[begin] = [runs[most:] for runs, most in waiting]
    return plan


def _name(grids: Sequence[Grid], batch: _Batch, share: Sequence[int], placed: Placed) -> str:
    """Return a name that identifies runs, their placement and where they resume from."""
    text = [repr((batch.begin, list(share), placed.mesh.devices.shape))]
    for grid, indices in zip(grids, batch.indices, strict=True):
        keys = grid.keys()
        text.append(repr((grid.method.label, [keys[i] for i in indices])))
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:24]


def _offers(
    journal: BatchLog, name: str, grids: Sequence[Grid], batch: _Batch, so_far: Any
) -> Callable[[Callable[[], tuple[int, list[Trajectories]]]], None]:
    def offer(now: Callable[[], tuple[int, list[Trajectories]]]) -> None:
        def cells() -> list[Cell]:
            step, runs = now()
            return _cells(grids, batch, step, so_far(runs))

        journal.offer(name, cells)

    return offer


def _cells(
    grids: Sequence[Grid], batch: _Batch, step: int, runs: Sequence[Trajectories]
) -> list[Cell]:
    cells = []
    for grid, indices, out in zip(grids, batch.indices, runs, strict=True):
        keys = grid.keys()
        seeds = np.array([keys[i][0] for i in indices], np.int64)
        rates = np.array([keys[i][1] for i in indices], np.float64)
        cells.append(Cell(grid.method.label, seeds, rates, step, out))
    return cells


def _group(grid: Grid, indices: Sequence[int], state: Runs | None, weight_decay: float) -> Group:
    """Return runs of a grid; if there are none, a start that shows their shapes."""
    chosen = np.asarray(indices, int)
    # Rates vary fastest: neighbours differ in their rate.
    rates = np.asarray(grid.rates, np.float64)[chosen % max(len(grid.rates), 1)]
    seeds = chosen // max(len(grid.rates), 1) if chosen.size else np.zeros(1, int)
    params = jax.tree.map(lambda *leaves: np.stack(leaves)[seeds], *grid.starts)
    return Group(grid.method, params, rates, np.full(chosen.size, float(weight_decay)), state)


def _known(
    indices: Sequence[int], found: Sequence[Found], begin: tuple[int, int]
) -> Trajectories | None:
    """Return the stored runs that resume from `begin`; None if there are none."""
    if not indices or begin == (0, 0):
        return None
    of = [find for find in found if find.begin == begin]
    there = [run for find in of for run in find.indices]
    return rows(joined([find.runs for find in of]), [there.index(run) for run in indices])


def _structured(cells: Sequence[Cell], like: Sequence[Runs]) -> list[Trajectories] | None:
    runs = [structured(cell.runs, state) for cell, state in zip(cells, like, strict=True)]
    return None if any(some is None for some in runs) else runs  # type: ignore[return-value]


def _in_order(
    indices: Sequence[Sequence[int]], cells: Sequence[Cell], found: Sequence[Found], like: Runs
) -> Trajectories:
    """Return the runs of a grid in order, from all batches and from finished stored runs."""
    parts = [structured(cell.runs, like) for cell in cells]
    parts += [find.runs for find in found if find.begin is None]
    runs = [*indices, *(find.indices for find in found if find.begin is None)]
    at = np.concatenate([np.asarray(some, int) for some in runs])
    whole = joined([part for part in parts if part is not None])
    return rows(whole, np.argsort(at, kind="stable"))
