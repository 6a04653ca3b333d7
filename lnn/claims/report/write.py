"""Writes all output of `python -m lnn.reproduce` from the records of the claims."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

from lnn.claims.claim import Claim
from lnn.claims.figure import PaperFigure
from lnn.claims.record import Record
from lnn.claims.report import appendix, tables
from lnn.claims.report import page as claims_page
from lnn.claims.report.page import DrawnFigure
from lnn.results.plotting import save, settings


def write_report(
    folder: Path,
    records: Mapping[str, Record],
    claims: Mapping[str, Claim],
    figures: Mapping[str, PaperFigure],
    provenance: Mapping[str, Any],
) -> dict[str, str]:
    """Write report.html, appendix.tex, claims.csv, claims.json and figures/NAME.pdf and .png.

    The same records give the same bytes, except for provenance: `versions`, `platform`, `git`
    (`commit` and `dirty`, or None), `started_utc`, `wall_seconds`, `quick`, `data`,
    `data_checksum`, `workers`, `failed` (errors by id) and `differing` (recorded and found verdict
    by id). Claims and figures without records are left out. Returns errors by name of figures that
    could not be drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = tables.rows(records, claims, provenance["failed"])
    drawn, undrawn = _draw(folder / "figures", records, figures)
    page = claims_page.page(found, drawn, undrawn, len(claims), provenance)
    for name, text in {
        "report.html": page,
        "appendix.tex": appendix.appendix(found, drawn, provenance),
        "claims.csv": tables.claims_csv(found),
        "claims.json": tables.claims_json(found),
    }.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return undrawn


def _draw(
    folder: Path, records: Mapping[str, Record], figures: Mapping[str, PaperFigure]
) -> tuple[list[DrawnFigure], dict[str, str]]:
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[DrawnFigure] = []
    undrawn: dict[str, str] = {}
    for figure in figures.values():
        if not set(figure.claims) <= set(records):
            continue
        try:
            with settings():
                picture = figure.draw(records)
                save(picture, folder, figure.name)
                svg = io.BytesIO()
                with matplotlib.rc_context({"svg.hashsalt": figure.name}):
                    picture.savefig(svg, format="svg", metadata={"Date": None})
            drawn.append(DrawnFigure(figure, svg.getvalue(), figure.caption(records)))
        except Exception as error:  # a figure must not lose hours of runs
            undrawn[figure.name] = f"{type(error).__name__}: {error}"
    return drawn, undrawn
