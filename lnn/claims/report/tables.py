"""Verdicts as tables: claims.csv, claims.json, and the command's output."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from lnn.claims import DOCUMENTS
from lnn.claims.claim import OWN, Claim, Document, verdicts
from lnn.claims.record import Record, to_json
from lnn.claims.recorded import by_verdict
from lnn.results import formulas
from lnn.results.csv_text import csv_text
from lnn.results.formatting import count
from lnn.results.verdict import Check, Relation, Role, Verdict, verdict

PIPE_WIDTH = 100
DOCUMENT = {document.letter: document for document in DOCUMENTS}
FAILED = "failed"
"""Replaces the verdict of a claim whose run ended with an error."""

_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.CONDITIONAL: "yellow",
    Verdict.MISPRINTED: "magenta",
    Verdict.FALSE: "bold red",
    Verdict.REPORTED: "dim",
    Verdict.ANALOGUE: "cyan",
    FAILED: "bold red",
}
_CSV = (
    "id", "document", "source", "title", "verdict", "outcome", "measured", "expected", "relation",
    "tolerance", "seconds", "quick", "data", "words", "error",
)  # fmt: skip


@dataclass(frozen=True)
class ClaimRow:
    """A claim that was run, with its record or the error of the run."""

    claim: Claim
    record: Record | None
    error: str = ""

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict's words, or `FAILED`, by letter of the documents that make the claim."""
        if self.record is None:
            return dict.fromkeys(self.claim.documents, FAILED)
        return {k: str(v) for k, v in verdicts(self.claim, self.record.checks).items()}

    @property
    def outcome(self) -> str:
        """Of an analogue: what its checks say of linear networks; else empty."""
        if self.record is None or not self.claim.analogue:
            return ""
        return str(verdict(self.record.checks))

    @property
    def analogue(self) -> str:
        """Of an analogue: what the document ran, and the outcome here, in words; else empty."""
        if not self.outcome:
            return ""
        told = f"The outcome for linear networks, measured here: {self.outcome}."
        if self.outcome == Verdict.REPORTED:
            told = "For linear networks numbers are reported, without a verdict."
        return f"The document ran {self.claim.analogue}. {told}"

    @property
    def judged(self) -> list[tuple[str, str]]:
        """Verdicts with the names of the documents, empty if only that of the list makes it."""
        alone = self.claim.documents == self.document.letter
        return [
            (value, "" if alone else ", ".join(DOCUMENT[letter].name for letter in letters))
            for value, letters in by_verdict(self.verdicts).items()
        ]

    @property
    def document(self) -> Document:
        """The document under which the claim is listed."""
        return DOCUMENT[self.claim.id[0]]

    @property
    def headline(self) -> Check | None:
        """The most important check."""
        return None if self.record is None else self.record.checks[0]


def rows(
    records: Mapping[str, Record], claims: Mapping[str, Claim], failed: Mapping[str, str]
) -> list[ClaimRow]:
    """Return the claims that were run, in the order of `claims`."""
    return [
        ClaimRow(claim, records.get(claim.id), str(failed.get(claim.id, "")))
        for claim in claims.values()
        if claim.id in records or claim.id in failed
    ]


def counts(found: Iterable[ClaimRow], letters: str = "") -> dict[str, int]:
    """Count verdicts, one for each claim and document that makes it, or for some documents only.

    In the order of the verdicts, failed ones last.
    """
    counted = Counter(
        value
        for row in found
        for letter, value in row.verdicts.items()
        if not letters or letter in letters
    )
    return {name: counted[name] for name in (*map(str, Verdict), FAILED) if counted[name]}


def by_document(found: Sequence[ClaimRow]) -> list[tuple[Document, dict[str, int]]]:
    """Return documents that make any of the claims, with their verdicts counted."""
    counted = [(document, counts(found, document.letter)) for document in DOCUMENTS]
    return [(document, number) for document, number in counted if number]


def expected(check: Check, number: Callable[[float, int], str], plus_minus: str) -> str:
    """Describe what the check expects: "2 +/- 0.05", "at most 1e-08"; "no gate" for a report."""
    if check.role is Role.REPORT:
        return "no gate"
    if check.relation is not Relation.WITHIN:
        return f"{check.relation} {number(check.expected, 4)}"
    if check.tolerance == 0:
        return f"exactly {number(check.expected, 4)}"
    return f"{number(check.expected, 4)} {plus_minus} {number(check.tolerance, 3)}"


def made_by(found: Sequence[ClaimRow]) -> str:
    """Return "69 claims: 60 made by documents, 9 by this project alone"."""
    own = sum(row.claim.documents == OWN for row in found)
    return (
        f"{count(len(found), 'claim')}: {len(found) - own} made by documents, {own} by this "
        "project alone"
    )


def summary(found: list[ClaimRow]) -> list[str]:
    """Return the number of claims, and the verdicts of each document, as sentences."""
    if not found:
        return ["No claim was run."]
    return [f"{made_by(found)}. A claim counts for each document that makes it:"] + [
        f"{document.letter} ({document.name}): {listed(counted)}."
        for document, counted in by_document(found)
    ]


def listed(counted: Mapping[str, int]) -> str:
    """Return numbers with names, such as "3 holds, 1 reported"."""
    return ", ".join(f"{number} {name}" for name, number in counted.items())


def claims_json(found: list[ClaimRow]) -> str:
    """Return strict JSON, an object for each claim that was run.

    Non-finite numbers become words, missing ones null; `error` is present if the run failed.
    """
    return json.dumps([_object(row) for row in found], indent=1, allow_nan=False) + "\n"


def claims_csv(found: list[ClaimRow]) -> str:
    """Return the same without the checks, a line for each claim and document that makes it.

    `outcome` is that of an analogue, whose verdict on the document is none. Missing values are
    empty cells.
    """
    lines = [
        {**_object(row), "document": letter, "verdict": value}
        for row in found
        for letter, value in row.verdicts.items()
    ]
    return csv_text(lines, _CSV)


def print_verdicts(
    found: list[ClaimRow],
    differing: Mapping[str, tuple[str, str]],
    file: IO[str] | None = None,
    width: int | None = None,
) -> None:
    """Print claims, failures, differences and counts: coloured in a terminal, else in ASCII."""
    out = sys.stdout if file is None else file
    if not out.isatty():
        out.write(plain_text(found, differing, width or PIPE_WIDTH))
        return
    console = Console(file=out, width=width, highlight=False)
    for line in plain_text(found, differing, console.width).splitlines():
        text = Text(line)
        for name, style in _STYLES.items():
            text.highlight_regex(rf"(?<=  ){name}(?=\s\s|$)", style)
        console.print(text, soft_wrap=True)


def plain_text(
    found: list[ClaimRow], differing: Mapping[str, tuple[str, str]], width: int = PIPE_WIDTH
) -> str:
    """Return the table as aligned ASCII text, titles wrapped to the width."""
    heads = ("Claim", "By", "Verdict", "Measured", "Expected", "Seconds", "Statement")
    cells: list[tuple[str, ...]] = [heads]
    for row in found:
        judged = by_verdict(row.verdicts).items()
        (one, letters), *others = [(value, "".join(names)) for value, names in judged]
        cells.append(_line(row, one, letters))
        cells += [("", names, value, "", "", "", "") for value, names in others]
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    room = max(20, width - sum(widths) - 2 * len(widths))
    lines: list[str] = []
    for line in cells:
        padded = [
            cell.rjust(size) if i in (3, 5) else cell.ljust(size)
            for i, (cell, size) in enumerate(zip(line[:6], widths, strict=True))
        ]
        first, *rest = textwrap.wrap(line[6], room) or [""]
        lines.append("  ".join([*padded, first]).rstrip())
        lines += [" " * (sum(widths) + 2 * len(widths)) + part for part in rest]
    lines.insert(1, "-" * min(width, max(map(len, lines))))
    lines.append("")
    for row in found:
        if row.record is None:
            lines += textwrap.wrap(f"{row.claim.id} failed: {_ascii(row.error)}", width)
    for claim, (before, now) in differing.items():
        lines += textwrap.wrap(f"{claim} differs: recorded as {before}, found {now}.", width)
    told = [part for sentence in summary(found) for part in textwrap.wrap(sentence, width)]
    return "\n".join([*lines, *told]) + "\n"


def _line(row: ClaimRow, value: str, letters: str) -> tuple[str, ...]:
    check, title = row.headline, formulas.plain(row.claim.title)
    if row.record is None or check is None:
        return row.claim.id, letters, value, "", "", "", title
    return (
        row.claim.id,
        letters,
        value,
        formulas.number(check.measured),
        expected(check, formulas.number, "+/-"),
        f"{row.record.seconds:.1f}",
        title,
    )


def _object(row: ClaimRow) -> dict[str, Any]:
    claim = row.claim
    texts = {
        "id": claim.id,
        "documents": {
            letter: f"{DOCUMENT[letter].authors}: {DOCUMENT[letter].title}"
            for letter in claim.documents
        },
        "verdicts": row.verdicts,
        "outcome": row.outcome or None,
        "analogue": claim.analogue or None,
        "source": claim.source,
        "title": claim.title,
        "statement": claim.statement,
        "printed": claim.printed or None,
    }
    if row.record is None:
        nothing = dict.fromkeys(("measured", "expected", "relation", "tolerance", "seconds"))
        return {**texts, **nothing, "error": row.error}
    return {**texts, **to_json(row.record)}


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
