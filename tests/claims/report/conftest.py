"""The report of made-up claims."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_claims import CLAIMS, FIGURES, Page, provenance, records

from lnn.claims.report.write import write_report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("report")
    assert write_report(found, records(), CLAIMS, FIGURES, provenance()) == {}
    return found


@pytest.fixture(scope="session")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))
