"""All statements, and those that a study can judge."""

from __future__ import annotations

import xarray as xr

from lnn.studies.width.conclusion import geometry, own, steps, structure
from lnn.studies.width.conclusion.statement import JudgedStatement, Statement

STATEMENTS: tuple[Statement, ...] = (
    *steps.STATEMENTS, *structure.STATEMENTS, *geometry.STATEMENTS, *own.STATEMENTS,
)  # fmt: skip


def judged_all(found: xr.Dataset) -> list[JudgedStatement]:
    """Return every statement that the runs of a study can judge, in order."""
    pairs = [(each, each.judge(found)) for each in STATEMENTS]
    return [JudgedStatement(each, findings) for each, findings in pairs if findings is not None]
