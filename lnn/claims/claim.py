"""What a claim is, and how its verdict follows from what was measured."""

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
    """What the measurement says of a claim."""

    HOLDS = "holds"
    CONDITIONAL = "holds under a condition"
    MISPRINTED = "false as printed"
    FALSE = "false"
    REPORTED = "reported"


class Role(StrEnum):
    """What a check speaks for.

    CLAIM: the statement, corrected where it is misprinted and under its condition where it needs
    one. PRINTED: the formula as printed. BEYOND: the statement without the condition. REPORT: a
    number without a gate.
    """

    CLAIM = "claim"
    PRINTED = "as printed"
    BEYOND = "without the condition"
    REPORT = "reported"


class Relation(StrEnum):
    """How a measured number is held against the expected one."""

    WITHIN = "within"
    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True)
class Check:
    """One measured number against what is expected of it.

    Attributes:
        what: what was measured, in words; formulas between dollar signs, in LaTeX.
        measured: the number.
        expected: the number it is held against; NaN for a report.
        relation: WITHIN: |measured - expected| <= tolerance; AT_MOST and AT_LEAST: a bound.
        tolerance: absolute, of WITHIN.
        role: what it speaks for.
        band: where it was measured several times: the low and the high end of their spread.
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
        """Whether the number is as expected, NaN never; None for a report."""
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
    """measured <= bound: errors against a tolerance, for example."""
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
    """The verdict that follows from the checks.

    A statement whose own check fails is false. Where it passes, it is false as printed if the
    printed formula fails, and holds under a condition if it fails without the condition. Without
    any check that gates there is only a report.
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
    """What a claim's run found.

    Attributes:
        checks: the numbers, the most telling one first.
        words: one to three sentences that say what was seen, made from the numbers.
        arrays: what figures are drawn from.
    """

    checks: tuple[Check, ...]
    words: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def findings(words: str, /, *checks: Check, **arrays: np.ndarray) -> Findings:
    """What was seen, the numbers that say so, and what figures are drawn from."""
    return Findings(checks, words, arrays)


@dataclass(frozen=True)
class Document:
    """A source document: its letter begins the ids of its claims."""

    letter: str
    authors: str
    title: str
    where: str


@dataclass(frozen=True)
class Claim:
    """A checkable statement of a document.

    Texts are plain, with formulas between dollar signs, in LaTeX that amsmath knows.

    Attributes:
        id: its document's letter and a number.
        source: where it stands in the document: equation, theorem, section, figure.
        title: a few words.
        statement: what is claimed, corrected where the document has it wrong.
        assumptions: what it rests on.
        parameters: what is run or computed to check it.
        rule: how the verdict follows from the measured numbers.
        run: computes it, in float64; deterministic.
        printed: the formula as printed, where it is wrong.
        uses_data: whether it runs on the regression problem that the user may choose.
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
    """Make a claim of the function that runs it; the arguments are the attributes of `Claim`."""
    return lambda run: Claim(run=run, **stated)
