"""Verdicts follow from checks."""

from __future__ import annotations

import math

import pytest

from lnn.results.verdict import Check, Role, Verdict, at_least, at_most, report, verdict, within

GOOD, BAD = at_most("error", 1e-9, 1e-8), at_most("error", 1e-7, 1e-8)
PRINTED = at_most("printed", 1.0, 1e-8, Role.PRINTED)
BEYOND = at_most("beyond", 1.0, 1e-8, Role.BEYOND)
FINE_PRINT = at_most("printed", 0.0, 1e-8, Role.PRINTED)
NUMBER = report("number", 3.0)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ((GOOD,), Verdict.HOLDS),
        ((GOOD, NUMBER, FINE_PRINT), Verdict.HOLDS),
        ((GOOD, BAD), Verdict.FALSE),
        ((GOOD, PRINTED), Verdict.MISPRINTED),
        ((GOOD, PRINTED, BEYOND), Verdict.MISPRINTED),
        ((GOOD, BEYOND), Verdict.CONDITIONAL),
        ((BAD, PRINTED, BEYOND), Verdict.FALSE),
        ((NUMBER,), Verdict.REPORTED),
        ((NUMBER, PRINTED), Verdict.REPORTED),
        ((), Verdict.REPORTED),
    ],
)
def test_verdict(checks: tuple[Check, ...], expected: Verdict) -> None:
    assert verdict(checks) is expected


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (within("x", 1.05, 1.0, 0.1), True),
        (within("x", 0.95, 1.0, 0.1), True),
        (within("x", 1.2, 1.0, 0.1), False),
        (within("x", math.nan, 1.0, 0.1), False),
        (at_most("x", math.nan, 1.0), False),
        (at_least("x", math.nan, 1.0), False),
        (at_least("x", 1.0, 1.0), True),
        (at_most("x", 1.0, 1.0), True),
        (at_most("x", math.inf, 1.0), False),
        (report("x", 1.0), None),
    ],
)
def test_check(check: Check, passed: bool | None) -> None:
    assert check.passed is passed
