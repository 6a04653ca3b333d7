"""One process at a time on a folder name, and who holds it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lnn.core.errors import StoreError
from lnn.execution.lock import FolderLock


def test_a_second_holder_is_told_the_first(tmp_path: Path) -> None:
    path = tmp_path / ".study.lock"
    lock = FolderLock(path, "study")
    with pytest.raises(StoreError, match=rf"study is in use by process {os.getpid()} on .*: wait"):
        FolderLock(path, "study")
    lock.release()
    assert not path.exists()
    again = FolderLock(path, "study")
    assert json.loads(path.read_text())["pid"] == os.getpid()
    again.release()


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00"])
def test_a_holder_that_left_no_name_is_another_process(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".study.lock"
    lock = FolderLock(path, "study")
    path.write_text(content)
    with pytest.raises(StoreError, match="in use by another process"):
        FolderLock(path, "study")
    lock.release()


def test_a_place_without_locks_is_no_obstacle(tmp_path: Path) -> None:
    FolderLock(tmp_path / "missing" / "folder" / ".study.lock", "study").release()
