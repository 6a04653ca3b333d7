from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lnn.execution.earlier import set_aside

NAMES = ("a.csv", "a.png")
MANIFEST: dict[str, Any] = {"config": {"p": (2.0, 4.0)}, "key": "k", "started_utc": "now"}


def write(out: Path, manifest: str | None) -> None:
    for name in (*NAMES, "mine.txt"):
        (out / name).write_text(name)
    if manifest is not None:
        (out / "manifest.json").write_text(manifest)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_the_same_results_are_written_over(tmp_path: Path) -> None:
    assert set_aside(tmp_path, NAMES, MANIFEST, quiet=True) is None
    write(tmp_path, json.dumps({**MANIFEST, "started_utc": "before"}))
    assert set_aside(tmp_path, NAMES, MANIFEST, quiet=True) is None
    assert names(tmp_path) == {*NAMES, "mine.txt", "manifest.json"}


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "{damaged",
        "[]",
        "{}",
        json.dumps({**MANIFEST, "key": "other"}),
        json.dumps({**MANIFEST, "config": {"p": [2.0]}}),
    ],
)
def test_others_are_moved_and_nothing_but_them(
    manifest: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        write(tmp_path, manifest)
        folder = set_aside(tmp_path, NAMES, MANIFEST, quiet=False)
        assert folder == tmp_path / f"earlier-{number}"
        assert names(folder) == {*NAMES} | ({"manifest.json"} if manifest is not None else set())
        assert names(tmp_path) == {"mine.txt"}
        assert str(folder) in capsys.readouterr().err
        if manifest is not None:
            assert (folder / "manifest.json").read_text() == manifest


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, None)
    assert set_aside(tmp_path, NAMES, MANIFEST, quiet=True) is not None
    assert capsys.readouterr().err == ""
