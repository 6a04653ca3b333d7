"""The journal of a study: the newest intact checkpoint, off the main thread, whatever the clock."""

from __future__ import annotations

import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnn.core.errors import StoreError
from lnn.execution import checkpoint
from lnn.execution.journal import Journal
from lnn.simulation.stored_runs import Cell
from lnn.simulation.trajectories import Trajectories


def cells(value: float) -> list[Cell]:
    values = np.full((2, 3), value, np.float32)
    runs = Trajectories(
        np.array([0, 1, 2]), values, values, values, values, np.zeros(2, np.int32),
        np.full(2, 2), params=values, state=(values,), layout="one device",
    )  # fmt: skip
    return [Cell("gd", np.array([0, 1]), np.array([0.1, 0.2]), 2, runs)]


def value(journal: Journal, name: str) -> float:
    found = journal.recall(name)
    assert found is not None
    assert found[0].label == "gd"
    return float(found[0].runs.loss[0, 0])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_finished_and_what_is_going_on_are_saved_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path, every=1e9)
    assert journal.recall("one") is None
    journal.finish("one", cells(1.0))
    journal.offer("two", lambda: cells(2.0))
    journal.save()
    again = Journal(tmp_path, every=1e9)
    assert value(again, "one") == 1.0
    assert value(again, "two") == 2.0
    assert again.earlier_seconds > 0


def test_nothing_new_makes_no_checkpoint(tmp_path: Path) -> None:
    journal = Journal(tmp_path, every=1e9)
    journal.save()
    assert names(tmp_path) == []
    journal.finish("one", cells(1.0))
    journal.save()
    journal.save()
    assert names(tmp_path) == ["checkpoint-000001"]


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, every=1e9)
    for number in range(5):
        journal.offer("one", lambda number=number: cells(number))
        journal.save()
    assert names(tmp_path) == ["checkpoint-000004", "checkpoint-000005"]


def test_a_damaged_one_is_named_and_skipped_and_the_intact_one_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, every=1e9)
    for number in (1, 2):
        journal.offer("one", lambda number=number: cells(number))
        journal.save()
    (tmp_path / "checkpoint-000002" / "about.json").write_text("{")
    with pytest.warns(
        UserWarning, match=r"checkpoint-000002: about.json does not match its checksum"
    ):
        again = Journal(tmp_path, every=1e9)
    assert value(again, "one") == 1
    again.offer("one", lambda: cells(3))
    again.save()
    assert names(tmp_path) == ["checkpoint-000001", "checkpoint-000003"]


def test_with_all_of_them_damaged_it_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path, every=1e9)
    journal.finish("one", cells(1))
    journal.save()
    (tmp_path / "checkpoint-000001" / checkpoint.CHECKSUMS).unlink()
    with pytest.warns(UserWarning, match=r"checkpoint-000001: checksums.json"):
        assert Journal(tmp_path, every=1e9).recall("one") is None


def test_numbers_decide_not_clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, every=1e9)
    for number, stamp in ((1, 2e9), (2, 1e9)):  # the clock was set back between them
        monkeypatch.setattr(time, "time", lambda stamp=stamp: stamp)
        journal.offer("one", lambda number=number: cells(number))
        journal.save()
        folder = tmp_path / f"checkpoint-00000{number}"
        for path in [*folder.rglob("*"), folder]:
            os.utime(path, (stamp, stamp))
    assert value(Journal(tmp_path, every=1e9), "one") == 2


def test_saving_goes_on_beside_the_main_thread_which_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, every=0.0)
    went_on, copied, real = threading.Event(), [], checkpoint.write

    def slow(*arguments: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert went_on.wait(10)
        real(*arguments)

    def copy() -> list[Cell]:
        # JAX's arrays may be read by one thread at a time.
        assert threading.current_thread() is threading.main_thread()
        copied.append(1)
        return cells(1)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", slow)
        journal.offer("one", copy)
        assert copied == [1]
        journal.offer("one", lambda: cells(2))  # while the first is still being saved
        assert names(tmp_path) == []
        went_on.set()
        assert journal._thread is not None
        journal._thread.join()
    assert value(Journal(tmp_path, every=1e9), "one") == 1
    journal.save()
    assert value(Journal(tmp_path, every=1e9), "one") == 2


def test_it_is_time_after_so_many_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    journal = Journal(tmp_path, every=60.0)
    journal.offer("one", lambda: cells(1))
    assert names(tmp_path) == []
    now[0] += 61
    journal.offer("one", lambda: cells(2))
    assert journal._thread is not None
    journal._thread.join()
    assert names(tmp_path) == ["checkpoint-000001"]


def test_a_failure_is_told_at_the_next_offer_and_what_is_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, every=0.0)
    journal.finish("one", cells(1))
    journal.save()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "commit", full)
        journal.offer("two", lambda: cells(2))
        assert journal._thread is not None
        journal._thread.join()
        with pytest.raises(StoreError, match="No space left on device"):
            journal.offer("two", lambda: cells(3))
    assert names(tmp_path) == ["checkpoint-000001"]
    journal.offer("two", lambda: cells(4))  # room again
    journal.save()
    assert value(Journal(tmp_path, every=1e9), "two") == 4


def test_copies_are_made_of_every_checkpoint(tmp_path: Path) -> None:
    copied: list[str] = []
    journal = Journal(tmp_path, every=1e9, copied=lambda path: copied.append(path.name))
    for number in (1, 2):
        journal.finish("one", cells(number))
        journal.save()
    assert copied == ["checkpoint-000001", "checkpoint-000002"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert value(Journal(tmp_path, every=1e9), "one") == 2
