"""Verdicts as tables: claims.csv, claims.json, and the command's output."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from lnn.claims import DOCUMENTS
from lnn.claims.claim import Check, Claim, Document, Relation, Role, Verdict
from lnn.claims.record import Record, to_json
from lnn.results import formulas
from lnn.results.csv_text import csv_text

PIPE_WIDTH = 100
FAILED = "failed"
"""Replaces the verdict of a claim whose run ended with an error."""

_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.CONDITIONAL: "yellow",
    Verdict.MISPRINTED: "magenta",
    Verdict.FALSE: "bold red",
    Verdict.REPORTED: "dim",
    FAILED: "bold red",
}
_CSV = (
    "id", "document", "source", "title", "verdict", "measured", "expected", "relation",
    "tolerance", "seconds", "quick", "data", "words", "error",
)  # fmt: skip


@dataclass(frozen=True)
class ClaimRow:
    """A claim that was run, with its record or the error of the run."""

    claim: Claim
    record: Record | None
    error: str = ""

    @property
    def verdict(self) -> str:
        """The verdict's words, or `FAILED`."""
        return FAILED if self.record is None else str(self.record.verdict)

    @property
    def document(self) -> Document:
        """The document that makes the claim."""
        return next(found for found in DOCUMENTS if self.claim.id.startswith(found.letter))

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


def counts(found: Iterable[ClaimRow]) -> dict[str, int]:
    """Count the claims by verdict, in the order of the verdicts, failed ones last."""
    counted = Counter(row.verdict for row in found)
    return {name: counted[name] for name in (*map(str, Verdict), FAILED) if counted[name]}


def expected(check: Check, number: Callable[[float, int], str], plus_minus: str) -> str:
    """Describe what the check expects: "2 +/- 0.05", "at most 1e-08"; "no gate" for a report."""
    if check.role is Role.REPORT:
        return "no gate"
    if check.relation is not Relation.WITHIN:
        return f"{check.relation} {number(check.expected, 4)}"
    if check.tolerance == 0:
        return f"exactly {number(check.expected, 4)}"
    return f"{number(check.expected, 4)} {plus_minus} {number(check.tolerance, 3)}"


def summary(found: list[ClaimRow]) -> str:
    """Return the number of claims, and of each verdict, as a sentence."""
    if not found:
        return "No claim was run."
    parts = [f"{count} {name}" for name, count in counts(found).items()]
    return f"{len(found)} claim{'s' if len(found) != 1 else ''}: {', '.join(parts)}."


def claims_json(found: list[ClaimRow]) -> str:
    """Return strict JSON, an object for each claim that was run.

    Non-finite numbers become words, missing ones null; `error` is present if the run failed.
    """
    return json.dumps([_object(row) for row in found], indent=1, allow_nan=False) + "\n"


def claims_csv(found: list[ClaimRow]) -> str:
    """Return the same without the checks, a line per claim; missing values are empty cells."""
    return csv_text(list(map(_object, found)), _CSV)


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
            text.highlight_regex(rf"^\S+\s+{name}(?=\s\s|$)", style)
        console.print(text, soft_wrap=True)


def plain_text(
    found: list[ClaimRow], differing: Mapping[str, tuple[str, str]], width: int = PIPE_WIDTH
) -> str:
    """Return the table as aligned ASCII text, titles wrapped to the width."""
    heads = ("Claim", "Verdict", "Measured", "Expected", "Seconds", "Statement")
    cells: list[tuple[str, ...]] = [heads, *map(_line, found)]
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    room = max(20, width - sum(widths) - 2 * len(widths))
    lines: list[str] = []
    for line in cells:
        padded = [
            cell.rjust(size) if i in (2, 4) else cell.ljust(size)
            for i, (cell, size) in enumerate(zip(line[:5], widths, strict=True))
        ]
        first, *rest = textwrap.wrap(line[5], room) or [""]
        lines.append("  ".join([*padded, first]).rstrip())
        lines += [" " * (sum(widths) + 2 * len(widths)) + part for part in rest]
    lines.insert(1, "-" * min(width, max(map(len, lines))))
    lines.append("")
    for row in found:
        if row.record is None:
            lines += textwrap.wrap(f"{row.claim.id} failed: {_ascii(row.error)}", width)
    for claim, (before, now) in differing.items():
        lines += textwrap.wrap(f"{claim} differs: recorded as {before}, found {now}.", width)
    return "\n".join([*lines, *textwrap.wrap(summary(found), width)]) + "\n"


def _line(row: ClaimRow) -> tuple[str, ...]:
    check, title = row.headline, formulas.plain(row.claim.title)
    if row.record is None or check is None:
        return row.claim.id, FAILED, "", "", "", title
    return (
        row.claim.id,
        str(row.record.verdict),
        formulas.number(check.measured),
        expected(check, formulas.number, "+/-"),
        f"{row.record.seconds:.1f}",
        title,
    )


def _object(row: ClaimRow) -> dict[str, Any]:
    claim, document = row.claim, row.document
    texts = {
        "id": claim.id,
        "document": f"{document.authors}: {document.title}",
        "source": claim.source,
        "title": claim.title,
        "statement": claim.statement,
        "printed": claim.printed or None,
    }
    if row.record is None:
        nothing = dict.fromkeys(("measured", "expected", "relation", "tolerance", "seconds"))
        return {**texts, "verdict": FAILED, **nothing, "error": row.error}
    return {**texts, **to_json(row.record)}


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
