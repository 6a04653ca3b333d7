"""Claims, their checks, and the verdict that follows from the measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lnn.claims.setting import Setting


class Verdict(StrEnum):
    """Outcome of a claim."""

    HOLDS = "holds"
    CONDITIONAL = "holds under a condition"
    MISPRINTED = "false as printed"
    FALSE = "false"
    REPORTED = "reported"


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
    """

    what: str
    measured: float
    expected: float = math.nan
    relation: Relation = Relation.WITHIN
    tolerance: float = math.nan
    role: Role = Role.CLAIM
    band: tuple[float, float] | None = None

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
    band: tuple[float, float] | None = None,
) -> Check:  # fmt: skip
    """|measured - expected| <= tolerance."""
    return Check(what, float(measured), float(expected), Relation.WITHIN, tolerance, role, band)


def at_most(
    what: str, measured: float, bound: float, role: Role = Role.CLAIM,
    band: tuple[float, float] | None = None,
) -> Check:  # fmt: skip
    """measured <= bound, such as an error and its tolerance."""
    return Check(what, float(measured), float(bound), Relation.AT_MOST, role=role, band=band)


def at_least(
    what: str, measured: float, bound: float, role: Role = Role.CLAIM,
    band: tuple[float, float] | None = None,
) -> Check:  # fmt: skip
    """measured >= bound."""
    return Check(what, float(measured), float(bound), Relation.AT_LEAST, role=role, band=band)


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
    """Result of a claim's run.

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


@dataclass(frozen=True)
class Document:
    """A source document, whose letter starts the ids of its claims."""

    letter: str
    authors: str
    title: str
    where: str


@dataclass(frozen=True)
class Claim:
    """A checkable statement of a document.

    Texts are plain, with formulas between dollar signs, in LaTeX with amsmath.

    Attributes:
        id: its document's letter and a number.
        source: equation, theorem, section or figure of the document.
        title: a few words.
        statement: the claim, corrected if the document is wrong.
        assumptions, parameters: what it assumes, and what is run or computed.
        rule: how the verdict follows from the numbers.
        run: computes it in float64, deterministically.
        printed: the formula as printed, if it is wrong.
        uses_data: whether it runs on the user's regression problem.
    """

    id: str
    source: str
    title: str
    statement: str
    assumptions: str
    parameters: str
    rule: str
    run: Callable[[Setting], Findings]
    printed: str = ""
    uses_data: bool = False


def claim(**stated: Any) -> Callable[[Callable[[Setting], Findings]], Claim]:
    """Make a claim of the function that runs it; arguments are the attributes of `Claim`."""
    return lambda run: Claim(run=run, **stated)
