"""Checks of a statement against measured numbers, and the verdict that follows. No JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np


class Verdict(StrEnum):
    """Outcome of a claim, for one of the documents that make it."""

    HOLDS = "holds"
    CONDITIONAL = "holds under a condition"
    MISPRINTED = "false as printed"
    FALSE = "false"
    REPORTED = "reported"
    ANALOGUE = "analogue"


class Role(StrEnum):
    """What a check tests.

    CLAIM: the statement, corrected if misprinted, and under its condition if it needs one. PRINTED:
    the formula as printed. BEYOND: the statement without the condition. REPORT: a number without a
    gate.
    """

    CLAIM = "claim"
    PRINTED = "as printed"
    BEYOND = "without the condition"
    REPORT = "reported"


class Relation(StrEnum):
    """How a measured number is compared with the expected one."""

    WITHIN = "within"
    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True)
class Check:
    """One measured number compared with its expected value.

    Attributes:
        what: what was measured, in words; formulas between dollar signs, in LaTeX.
        measured, expected: the numbers; expected is NaN for a report.
        relation: WITHIN: |measured - expected| <= tolerance; AT_MOST and AT_LEAST: a bound.
        tolerance: absolute, of WITHIN.
        role: what it tests.
        band: range of repeated measurements.
        document: letter of the only document that it concerns, such as the one with a misprint;
            empty: all that make the claim.
    """

    what: str
    measured: float
    expected: float = math.nan
    relation: Relation = Relation.WITHIN
    tolerance: float = math.nan
    role: Role = Role.CLAIM
    band: tuple[float, float] | None = None
    document: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the number is as expected (never if NaN); None for a report."""
        if self.role is Role.REPORT:
            return None
        match self.relation:
            case Relation.WITHIN:
                return bool(abs(self.measured - self.expected) <= self.tolerance)
            case Relation.AT_MOST:
                return bool(self.measured <= self.expected)
            case Relation.AT_LEAST:
                return bool(self.measured >= self.expected)


def within(
    what: str, measured: float, expected: float, tolerance: float, role: Role = Role.CLAIM,
    band: tuple[float, float] | None = None, document: str = "",
) -> Check:  # fmt: skip
    """|measured - expected| <= tolerance."""
    return Check(
        what, float(measured), float(expected), Relation.WITHIN, tolerance, role, band, document
    )


def at_most(
    what: str, measured: float, bound: float, role: Role = Role.CLAIM,
    band: tuple[float, float] | None = None, document: str = "",
) -> Check:  # fmt: skip
    """measured <= bound, such as an error and its tolerance."""
    return Check(
        what, float(measured), float(bound), Relation.AT_MOST, math.nan, role, band, document
    )


def at_least(
    what: str, measured: float, bound: float, role: Role = Role.CLAIM,
    band: tuple[float, float] | None = None, document: str = "",
) -> Check:  # fmt: skip
    """measured >= bound."""
    return Check(
        what, float(measured), float(bound), Relation.AT_LEAST, math.nan, role, band, document
    )


def report(what: str, measured: float, band: tuple[float, float] | None = None) -> Check:
    """A number without a gate."""
    return Check(what, float(measured), role=Role.REPORT, band=band)


def verdict(checks: Sequence[Check]) -> Verdict:
    """Derive the verdict from the checks.

    A statement whose own check fails is false. Otherwise it is false as printed if the printed
    formula fails, and holds under a condition if it fails without the condition. Without any check
    of the statement it is only reported.
    """

    def fails(role: Role) -> bool:
        return any(check.role is role and check.passed is False for check in checks)

    if not any(check.role is Role.CLAIM for check in checks):
        return Verdict.REPORTED
    if fails(Role.CLAIM):
        return Verdict.FALSE
    if fails(Role.PRINTED):
        return Verdict.MISPRINTED
    return Verdict.CONDITIONAL if fails(Role.BEYOND) else Verdict.HOLDS


@dataclass(frozen=True)
class Findings:
    """Checks of a statement, with words and data of figures.

    Attributes:
        checks: the numbers, most important first.
        words: one to three sentences composed from the numbers.
        arrays: data of figures.
    """

    checks: tuple[Check, ...]
    words: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def findings(words: str, /, *checks: Check, **arrays: np.ndarray) -> Findings:
    """Return findings from words, checks and arrays of figures."""
    return Findings(checks, words, arrays)
