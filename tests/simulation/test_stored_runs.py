"""Sweeps that were stopped go on with the same bits; runs that are known are not made again."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from cases import mostly_slow

import lnn
from lnn.core.network import init_factors
from lnn.simulation import Cell, Grid, Known, Status, Trajectories, record_steps, sweep
from lnn.simulation.stored_runs import pack, unpack
from lnn.simulation.trajectories import RECORDED
from lnn.transforms.methods import make_method

STEPS, RATES = 500, np.array([0.01, 0.1, 1.0, 5.0])
OPTIONS: dict[str, Any] = {"slots": [12] * 4, "stop_loss": 0.05}


class Memory:
    """A journal that keeps what it is told as it would be kept on disk, and stops when asked to."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.batches: dict[str, list[Cell]] = {}
        self.offers = 0
        self.stop_after = stop_after

    def recall(self, name: str) -> list[Cell] | None:
        return self.batches.get(name)

    def offer(self, name: str, cells: Callable[[], list[Cell]]) -> None:
        self.finish(name, cells())
        self.offers += 1
        if self.offers == self.stop_after:
            raise KeyboardInterrupt

    def finish(self, name: str, cells: list[Cell]) -> None:
        self.batches[name] = unpack(*pack(cells))

    def cells(self) -> list[Cell]:
        return [cell for cells in self.batches.values() for cell in cells]


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of a few steps, which split the gaps between records, and of few records."""
    module = importlib.import_module("lnn.simulation.simulate")
    monkeypatch.setattr(module, "_SEGMENTS_PER_CALL", 8)
    monkeypatch.setattr(module, "_FLOP_PER_CALL", {"cpu": 2e7, "gpu": 2e7})
    monkeypatch.setattr(module, "_FLOP_PER_LEAF", 1e5)


@pytest.fixture(scope="module")
def problem() -> lnn.Problem:
    return lnn.datasets.gaussian(p=4, m=300, d=16, outputs=2)


@pytest.fixture(scope="module")
def grids() -> list[Grid]:
    factors = [init_factors(jax.random.key(seed), (16, 2, 2)) for seed in range(3)]
    matrices = [second @ first for first, second in factors]
    return [
        Grid(make_method("gd"), matrices, RATES, range(3)),
        Grid(make_method("adam"), matrices, RATES[:2], range(3)),
        Grid(make_method("end-to-end", 2.0), matrices, RATES, range(3)),
        Grid(make_method("layerwise-adam", 2.0, (2,)), factors, RATES[:0], range(3)),
    ]


@pytest.fixture(scope="module")
def calm(problem: lnn.Problem, grids: list[Grid]) -> list[Trajectories]:
    module = importlib.import_module("lnn.simulation.simulate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FLOP_PER_CALL", {"cpu": 2e7, "gpu": 2e7})
        patch.setattr(module, "_FLOP_PER_LEAF", 1e5)
        patch.setattr(module, "_SEGMENTS_PER_CALL", 8)
        return sweep(problem, grids, STEPS, **OPTIONS)


def assert_same_bits(ours: Sequence[Trajectories], theirs: Sequence[Trajectories]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.layout == other.layout
        for name in vars(one).keys() - {"layout"}:
            leaves = jax.tree.leaves(getattr(one, name)), jax.tree.leaves(getattr(other, name))
            for a, b in zip(*leaves, strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape), name
                assert a.tobytes() == b.tobytes(), name


def assert_equal_to_rounding(ours: Sequence[Trajectories], theirs: Sequence[Trajectories]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.steps, other.steps)
        np.testing.assert_array_equal(one.status, other.status)
        np.testing.assert_array_equal(one.end_step, other.end_step)
        for name in ("loss", "norm", "gradient_norm"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3)


def stopped(problem: lnn.Problem, grids: list[Grid], after: int, **options: Any) -> Memory:
    memory = Memory(after)
    with pytest.raises(KeyboardInterrupt):
        sweep(problem, grids, STEPS, journal=memory, **OPTIONS, **options)
    memory.stop_after = 10**9
    return memory


def test_a_journal_changes_no_bit(
    problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    assert {int(s) for out in calm for s in out.status} == {Status.BUDGET_SPENT, Status.DIVERGED}
    memory = Memory()
    assert_same_bits(sweep(problem, grids, STEPS, journal=memory, **OPTIONS), calm)
    assert memory.offers > 10
    # What is finished is not run again.
    memory.offers = 0
    assert_same_bits(sweep(problem, grids, STEPS, journal=memory, **OPTIONS), calm)
    assert memory.offers == 0


@pytest.mark.parametrize("after", [1, 2, 5, 9, 12, 14, 16, 17])
def test_a_sweep_goes_on_with_the_same_bits_from_wherever_it_was_stopped(
    after: int, problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    memory = stopped(problem, grids, after)
    assert_same_bits(sweep(problem, grids, STEPS, journal=memory, **OPTIONS), calm)


def test_a_sweep_stopped_again_and_again_gives_the_same_bits(
    problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    memory = Memory(2)
    for _ in range(30):
        memory.offers = 0
        try:
            out = sweep(problem, grids, STEPS, journal=memory, **OPTIONS)
            break
        except KeyboardInterrupt:
            continue
    assert_same_bits(out, calm)


@pytest.mark.parametrize("most", [8, 30])
@pytest.mark.slow
def test_batches_that_are_done_stay_done(
    most: int, problem: lnn.Problem, grids: list[Grid], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("lnn.simulation.sweep"), "BATCH_COLUMNS", most)
    whole = Memory()
    calm = sweep(problem, grids, STEPS, journal=whole, **OPTIONS)
    assert len(whole.batches) > 2
    memory = stopped(problem, grids, whole.offers * 2 // 3)
    assert 1 < len(memory.batches) < len(whole.batches)
    assert_same_bits(sweep(problem, grids, STEPS, journal=memory, **OPTIONS), calm)


@pytest.mark.slow
def test_float64_and_weights_go_on_too(problem: lnn.Problem, grids: list[Grid]) -> None:
    options: dict[str, Any] = {"dtype": "float64", "save_weights": True}
    calm = sweep(problem, grids, STEPS, **OPTIONS, **options)
    assert calm[0].w is not None
    memory = stopped(problem, grids, 6, **options)
    assert_same_bits(sweep(problem, grids, STEPS, journal=memory, **OPTIONS, **options), calm)


def test_gaps_between_records_are_split_and_every_record_is_made(
    problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    module = importlib.import_module("lnn.simulation.simulate")
    grid, made, step, calls = record_steps(STEPS), 0, 0, []
    while made < grid.size:
        gaps, recorded, made, step = module._next_call(grid, made, step, 7)
        calls.append((gaps, recorded))
    gaps, recorded = map(np.concatenate, zip(*calls, strict=True))
    assert gaps[gaps >= 0].sum() == STEPS
    assert gaps.max() == 7
    at = np.concatenate([[0], np.cumsum(np.maximum(gaps, 0))[:-1]])
    np.testing.assert_array_equal(at[recorded], grid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FLOP_PER_CALL", {"cpu": 2e11, "gpu": 2e11})
        assert_equal_to_rounding(sweep(problem, grids, STEPS, **OPTIONS), calm)


def test_a_longer_budget_goes_on_from_the_shorter_one(
    problem: lnn.Problem, grids: list[Grid]
) -> None:
    memory = Memory()
    sweep(problem, grids, STEPS, journal=memory, **OPTIONS)
    more = Memory()
    out = sweep(problem, grids, 4 * STEPS, known=Known(memory.cells()), journal=more, **OPTIONS)
    assert_equal_to_rounding(out, sweep(problem, grids, 4 * STEPS, **OPTIONS))
    (cells,) = more.batches.values()
    # Only runs that had not diverged went on, and from step 500.
    assert [cell.seeds.size for cell in cells] == [3, 6, 3, 0]
    assert np.isnan(cells[0].runs.loss[:, record_steps(4 * STEPS) < STEPS]).all()


@pytest.mark.slow
def test_more_seeds_and_another_method_make_only_what_is_missing(
    problem: lnn.Problem, grids: list[Grid]
) -> None:
    memory = Memory()
    sweep(problem, grids[:2], STEPS, journal=memory, stop_loss=0.05)
    wider = [
        grid._replace(starts=[*grid.starts, grid.starts[0]], seeds=[0, 1, 2, 7])
        for grid in grids[:3]
    ]
    more = Memory()
    known = Known(unpack(*pack(memory.cells())))
    out = sweep(problem, wider, STEPS, known=known, journal=more, stop_loss=0.05)
    assert_equal_to_rounding(out, sweep(problem, wider, STEPS, stop_loss=0.05))
    made = [[cell.seeds.size for cell in cells] for cells in more.batches.values()]
    assert np.sum(made, axis=0).tolist() == [4, 2, 16]
    # And with everything known nothing is run at all.
    none = Memory()
    known = Known([*memory.cells(), *more.cells()])
    again = sweep(problem, wider, STEPS, known=known, journal=none, stop_loss=0.05)
    assert_same_bits(again, out)
    assert none.batches == {}


@pytest.mark.slow
def test_runs_stopped_in_another_layout_go_on_to_rounding(
    problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    memory = stopped(problem, grids, 7)
    (cells,) = memory.batches.values()
    assert 0 < cells[0].step < STEPS
    more = Memory()
    out = sweep(problem, grids, STEPS, known=Known(memory.cells()), journal=more, slots=[40] * 4,
                stop_loss=0.05)  # fmt: skip
    assert_equal_to_rounding(out, calm)
    assert all(cells[0].runs.steps.size == calm[0].steps.size for cells in more.batches.values())


def test_a_run_stopped_right_before_its_last_record_is_not_finished(
    problem: lnn.Problem, grids: list[Grid]
) -> None:
    memory = Memory()
    (whole,) = sweep(problem, grids[1:2], 20, journal=memory)
    (cell,) = memory.cells()
    early = {name: getattr(cell.runs, name)[:, :-1] for name in RECORDED}
    cut = replace(cell, runs=replace(cell.runs, steps=cell.runs.steps[:-1], **early))
    again = Memory()
    (out,) = sweep(problem, grids[1:2], 20, known=Known([cut]), journal=again)
    assert again.batches
    assert_same_bits([out], [whole])


@pytest.mark.slow
def test_what_does_not_fit_is_made_again(problem: lnn.Problem, grids: list[Grid]) -> None:
    memory = Memory()
    sweep(problem, grids[:1], 333, journal=memory)  # ends between two powers of 10^(1/60)
    known = memory.cells()

    def runs_made(grids: list[Grid], steps: int, **options: Any) -> int:
        more = Memory()
        sweep(problem, grids, steps, known=Known(known), journal=more, **options)
        return sum(cell.seeds.size for cells in more.batches.values() for cell in cells)

    # Of runs that took all steps and end high, more steps may be taken.
    ended = int((known[0].runs.end_step < 333).sum())
    assert 0 < ended < 12
    assert runs_made(grids[:1], 333) == 0
    assert runs_made(grids[:1], 1000) == 12 - ended
    assert runs_made(grids[:1], 100) == 12 - ended  # the budget is shorter
    assert runs_made(grids[:1], 333, save_weights=True) == 12  # none were kept
    assert runs_made(grids[:1], 333, dtype="float64") == 12  # another state
    assert runs_made(grids[:1], 333, compensation=False) == 12
    assert runs_made([grids[0]._replace(seeds=[5, 6, 7])], 333) == 12
    assert runs_made([grids[0]._replace(method=make_method("momentum"))], 333) == 12


class Share:
    """One of several processes that run one after the other in this test."""

    def __init__(self, index: int, count: int, said: dict[int, list[Cell]]) -> None:
        self.index, self.count, self.said = index, count, said

    def check(self) -> None:
        pass

    def gather(self, cells: list[Cell]) -> list[Cell]:
        self.said[self.index] = unpack(*pack(cells))
        return [cell for i in range(self.count) for cell in self.said.get(i, self.said[self.index])]


@pytest.mark.slow
@pytest.mark.parametrize("count", mostly_slow([2, 3], 2))
def test_processes_share_out_the_runs(
    count: int, problem: lnn.Problem, grids: list[Grid], calm: list[Trajectories]
) -> None:
    said: dict[int, list[Cell]] = {}
    done: list[int] = []
    for index in range(count):
        journal = Memory()
        out = sweep(
            problem, grids, STEPS, exchange=Share(index, count, said), journal=journal,
            progress=done.append, **OPTIONS,
        )  # fmt: skip
        runs = sum(cell.seeds.size for cells in journal.batches.values() for cell in cells)
        assert runs == 30 / count
        assert done[-1] == 30 * STEPS
    assert_equal_to_rounding(out, calm)
