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


OWN = "L"
"""Letter of statements that no document makes: this project's own."""


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
    """A source document, whose letter starts the ids of the claims listed under it.

    Attributes:
        name: a few words, where there is no room for authors and title.
        where: where and when it was published.
    """

    letter: str
    name: str
    authors: str
    title: str
    where: str

    @property
    def cited(self) -> str:
        """The document as cited."""
        return f"{self.authors}, {self.title} ({self.where})"


@dataclass(frozen=True)
class Claim:
    """A checkable statement of a document.

    Texts are plain, with formulas between dollar signs, in LaTeX with amsmath.

    Attributes:
        id: letter of the document under which it is listed, and a number.
        documents: letters of the documents that make it, and `OWN` for what this project adds.
        source: equation, theorem, section or figure of the document.
        title: a few words.
        statement: the claim, corrected if the document is wrong.
        assumptions, parameters: what it assumes, and what is run or computed.
        rule: how the verdict follows from the numbers.
        run: computes it in float64, deterministically.
        printed: the formula as printed, if it is wrong.
        slip: the slip that this and other misprints of the document go back to, if they share one.
        analogue: the system that the document ran, if a linear network is run in its place: the
            outcome is told, and is no verdict on the document.
        uses_data: whether it runs on the user's regression problem.
        varies: why its recorded verdict depends on the length of the run or the data, if it does.
    """

    id: str
    documents: str
    source: str
    title: str
    statement: str
    assumptions: str
    parameters: str
    rule: str
    run: Callable[[Setting], Findings]
    printed: str = ""
    slip: str = ""
    analogue: str = ""
    uses_data: bool = False
    varies: str = ""


def claim(**stated: Any) -> Callable[[Callable[[Setting], Findings]], Claim]:
    """Make a claim of the function that runs it; arguments are the attributes of `Claim`.

    Without `documents` it is made by the one under which it is listed.
    """
    return lambda run: Claim(run=run, **{"documents": stated["id"][0], **stated})


def verdicts(claim: Claim, checks: Sequence[Check]) -> dict[str, Verdict]:
    """Return the verdict for each document that makes the claim, by letter."""
    if claim.analogue:
        return dict.fromkeys(claim.documents, Verdict.ANALOGUE)
    return {
        letter: verdict([check for check in checks if check.document in ("", letter)])
        for letter in claim.documents
    }
