"""What the report of claims writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_claims import CLAIMS, FIGURES, Page, provenance, records
from matplotlib.figure import Figure

from lnn.claims.figure import PaperFigure
from lnn.claims.report.write import write_report


def test_everything_is_written(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "report.html", "appendix.tex", "claims.csv", "claims.json",
        "figures/figure-3.pdf", "figures/figure-3.png",
    }  # fmt: skip


def test_same_records_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, records(), CLAIMS, FIGURES, provenance())
    for path in filter(Path.is_file, folder.rglob("*")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_only_text_of_provenance_depends_on_it(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, records(), CLAIMS, FIGURES, provenance(wall_seconds=9.0, git=None))
    for name in ("claims.csv", "claims.json", "figures/figure-3.pdf", "figures/figure-3.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    for name in ("report.html", "appendix.tex"):
        old, new = ((place / name).read_text().splitlines() for place in (folder, tmp_path))
        assert len(old) == len(new)
        assert 0 < sum(a != b for a, b in zip(old, new, strict=True)) <= 3


def test_subset_and_failures(tmp_path: Path) -> None:
    def broken(_: Any) -> Figure:
        raise KeyError("no <b>array</b>")

    figures = {**FIGURES, "broken": PaperFigure("broken", "", "", ("A1",), "", broken, str)}
    some = {name: found for name, found in records().items() if name == "A1"}
    undrawn = write_report(tmp_path, some, CLAIMS, figures, provenance(failed={}, differing={}))
    assert list(undrawn) == ["broken"]
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "1 of 7 claims run" in " ".join(found.text.split())
    assert "broken: KeyError" in found.text
    assert found.of("img") == []
    assert [one["id"] for one in json.loads((tmp_path / "claims.json").read_text())] == ["A1"]


def test_all_failed(tmp_path: Path) -> None:
    write_report(tmp_path, {}, CLAIMS, FIGURES, provenance(differing={}))
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "1 of 7 claims run" in " ".join(found.text.split())
    assert "The run failed: ValueError" in found.text
