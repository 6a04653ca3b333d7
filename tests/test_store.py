"""A results folder appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnn.engine.store import new_folder


def test_the_folder_appears_at_the_end(tmp_path: Path) -> None:
    with new_folder(tmp_path / "runs" / "a") as partial:
        (partial / "file").write_text("x")
        assert not (tmp_path / "runs" / "a").exists()
    assert (tmp_path / "runs" / "a" / "file").read_text() == "x"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), new_folder(tmp_path / "a") as partial:
        (partial / "file").write_text("x")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(FileExistsError, match="appeared meanwhile"),
        new_folder(tmp_path / "a"),
    ):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "theirs").write_text("y")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "theirs").read_text() == "y"
