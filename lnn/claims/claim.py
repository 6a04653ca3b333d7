"""Claims of documents, each with the run that checks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lnn.results.verdict import Check, Findings, Verdict, verdict

if TYPE_CHECKING:
    from lnn.claims.setting import Setting


OWN = "L"
"""Letter of statements that no document makes: this project's own."""


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
