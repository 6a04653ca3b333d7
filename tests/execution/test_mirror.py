"""Copies in a second place: verified, pruned as the originals, and never a reason to fail."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from lnn.execution import checkpoint, mirror
from lnn.execution.mirror import Mirror


@pytest.fixture
def pair(tmp_path: Path) -> Mirror:
    (tmp_path / "here").mkdir()
    return Mirror(tmp_path / "here", tmp_path / "there")


def save(pair: Mirror, number: int) -> Path:
    path = pair.origin / "runs" / f"checkpoint-{number}"
    path.parent.mkdir(exist_ok=True)
    checkpoint.write(path, {}, {"number": number})
    return path


def test_checkpoints_are_those_of_the_origin(pair: Mirror) -> None:
    for number in (1, 2, 3):
        path = save(pair, number)
        pair.copy(path)
    shutil.rmtree(pair.origin / "runs" / "checkpoint-1")
    pair.copy(save(pair, 4))
    there = pair.place / "runs"
    assert sorted(path.name for path in there.iterdir()) == [f"checkpoint-{i}" for i in (2, 3, 4)]
    assert checkpoint.read(there / "checkpoint-4")[1] == {"number": 4}


def test_what_was_lost_comes_back_and_what_is_there_stays(pair: Mirror) -> None:
    path = save(pair, 1)
    pair.copy(path)
    assert not pair.restore("runs")
    shutil.rmtree(path.parent)
    assert pair.restore("runs")
    assert checkpoint.read(path)[1] == {"number": 1}
    assert not pair.restore("nothing")
    pair.remove("runs")
    assert not (pair.place / "runs").exists()


def test_a_copy_that_differs_is_told_once(pair: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    (pair.origin / "a.txt").write_text("whole")
    monkeypatch.setattr(mirror, "_copy", lambda source, target: target.write_text("ha"))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pair.copy(pair.origin / "a.txt")
        pair.copy(pair.origin / "a.txt")
    (one,) = map(str, (warning.message for warning in told))
    assert one.startswith("a.txt was not copied to the mirror")
    assert one.endswith(f"the copy differs from the original; {pair.origin} is intact")
    assert pair.failures == 2
    assert not (pair.place / "a.txt").exists()
