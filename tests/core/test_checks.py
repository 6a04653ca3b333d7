"""Checks of what a user gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnn.core.checks import results_folder
from lnn.core.errors import StoreError


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_must_be_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="give a plain folder name"):
        results_folder(tmp_path, name)


def test_a_folder_may_be_there_or_not(tmp_path: Path) -> None:
    assert results_folder(tmp_path, "new") == tmp_path / "new"
    assert results_folder(tmp_path / "made" / "later", "new") == tmp_path / "made" / "later" / "new"
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file is not a folder you can write to: choose another"):
        results_folder(tmp_path / "file", "new")
