"""Runs go to other processes and come back to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from lnn.simulation.exchange import Exchange
from lnn.simulation.stored_runs import RECORDED, Cell
from lnn.simulation.trajectories import Trajectories


def cell(label: str, seed: int) -> Cell:
    rng = np.random.default_rng(seed)
    records = {name: rng.standard_normal((2, 3)).astype(np.float32) for name in RECORDED}
    runs = Trajectories(
        np.arange(3), **records, status=np.array([1, 3], np.int8), end_step=np.array([2, 2]),
        params=(), state=(rng.standard_normal((2, 1, 4)),), w=rng.standard_normal((2, 3, 1, 4)),
    )  # fmt: skip
    return Cell(label, np.array([0, 1]), np.array([0.1, 1 / 3]), 2, runs)


class Peers:
    """Two processes that have said the same."""

    index, count = 1, 2

    def check(self) -> None:
        raise ConnectionError("process 0 has ended")

    def gather(self, payload: bytes) -> list[bytes]:
        return [payload, payload]


def test_all_runs_of_all_processes_come_back() -> None:
    sent = [cell("gd", 0), cell("adam", 1)]
    exchange = Exchange(Peers())
    assert (exchange.index, exchange.count) == (1, 2)
    found = exchange.gather(sent)
    assert [one.label for one in found] == 2 * ["gd", "adam"]
    for ours, theirs in zip(found, 2 * sent, strict=True):
        assert ours.step == theirs.step
        for name in ("seeds", "rates"):
            assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
        for name in (*RECORDED, "status", "end_step", "w", "steps"):
            assert getattr(ours.runs, name).tobytes() == getattr(theirs.runs, name).tobytes()
        assert ours.runs.state[0].tobytes() == theirs.runs.state[0].tobytes()
    with pytest.raises(ConnectionError, match="process 0"):
        exchange.check()


def test_alone_nothing_is_exchanged() -> None:
    alone, sent = Exchange(), [cell("gd", 0)]
    alone.check()
    assert (alone.index, alone.count) == (0, 1)
    assert alone.gather(sent) is sent
