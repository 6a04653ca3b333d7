"""All statements, and those that a study can judge."""

from __future__ import annotations

import math

import xarray as xr

from lnn.results.verdict import Findings, Role
from lnn.studies.width.conclusion import geometry, own, steps, structure
from lnn.studies.width.conclusion.statement import JudgedStatement, Statement

STATEMENTS: tuple[Statement, ...] = (
    *steps.STATEMENTS, *structure.STATEMENTS, *geometry.STATEMENTS, *own.STATEMENTS,
)  # fmt: skip


def judged_all(found: xr.Dataset) -> list[JudgedStatement]:
    """Return every statement that the runs of a study can judge, in order."""
    pairs = [(each, each.judge(found)) for each in STATEMENTS]
    return [
        JudgedStatement(each, findings)
        for each, findings in pairs
        if findings is not None and _is_known(findings)
    ]


def _is_known(findings: Findings) -> bool:
    """Return whether every number is there: not of censored runs only, nor of a single seed."""
    return all(
        math.isfinite(check.measured) and math.isfinite(check.expected)
        for check in findings.checks
        if check.role is not Role.REPORT
    )
