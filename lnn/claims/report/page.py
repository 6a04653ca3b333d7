"""report.html: a self-contained page with every claim, figure and erratum."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lnn.claims import DOCUMENTS
from lnn.claims.claim import OWN
from lnn.claims.errata import ERRATA
from lnn.claims.figure import PaperFigure
from lnn.claims.recorded import by_kind
from lnn.claims.report import tables
from lnn.claims.report.tables import FAILED, ClaimRow
from lnn.results import formulas
from lnn.results.formatting import count
from lnn.results.verdict import Check, Role, Verdict

TITLE = "Depth, width and optimization: the claims of five documents, measured"

FOR_EACH = (
    "Every document that makes a claim has its own verdict; statements that no document makes are "
    "counted apart, as this project's."
)
BRACKETS = (
    "Brackets give the least and the most of repeated measurements, over what the check names "
    "(seeds, configurations or draws), or the order statistics that the verdict rule names, with "
    "their confidence for the median."
)
NOT_JUDGED = (
    "Not judged here: what Arora et al. (Figure 5, right) and Hou et al. (Section 3) say of a "
    "convolutional network on MNIST. The command python -m lnn.mnist measures it. Claims D17a to "
    "D17z rest on runs of python -m lnn.width on record, of which some are repeated here."
)
MACHINE_READ = (
    "The documents were read by machine from their printed form: a wrong index, sign or bracket "
    "may be an artefact of that reading and no error of the authors."
)

MEANINGS = {
    str(Verdict.HOLDS): "Every check of the statement passes.",
    str(Verdict.CONDITIONAL): "The statement passes under its condition, and fails without it.",
    str(Verdict.MISPRINTED): "The corrected statement passes; the formula as printed fails.",
    str(Verdict.FALSE): "A check of the statement itself fails.",
    str(Verdict.REPORTED): "A number without a gate: nothing passes or fails.",
    str(Verdict.ANALOGUE): "The document ran another system, so that nothing here judges it; what "
    "linear networks do is stated beside it.",
    FAILED: "The run ended with an error, and there is no verdict.",
}
"""Meaning of each verdict."""

_KINDS = {verdict.value: verdict.name.lower() for verdict in Verdict} | {FAILED: FAILED}
"""CSS classes and marks."""


@dataclass(frozen=True)
class DrawnFigure:
    """A figure of the report, with its picture as SVG and its caption."""

    figure: PaperFigure
    svg: bytes
    caption: str


def page(
    found: Sequence[ClaimRow],
    drawn: Sequence[DrawnFigure],
    undrawn: Mapping[str, str],
    total: int,
    provenance: Mapping[str, Any],
) -> str:
    """Return the page as HTML; `undrawn` are errors by figure, `total` counts all claims."""
    environment = Environment(
        loader=PackageLoader("lnn.claims.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        sentence=lambda text: text[:1].upper() + text[1:],
        closed=formulas.closed,
        formulas=lambda text: Markup(formulas.html(text)),
        number=lambda value: Markup(formulas.number_html(value)),
        seconds=seconds,
        expected=_expected,
        outcome=_outcome,
        kind=_KINDS.__getitem__,
        base64=lambda data: base64.b64encode(data).decode(),
    )
    return environment.get_template("claims.html.j2").render(
        title=TITLE,
        rows=found,
        groups=_groups(found),
        counts=tables.counts(found),
        tally=tables.counts(found, "".join(d.letter for d in DOCUMENTS if d.letter != OWN)),
        matrix=tables.by_document(found),
        slips=slips(found),
        by_kind=by_kind,
        machine_read=MACHINE_READ,
        for_each=FOR_EACH,
        brackets=BRACKETS,
        not_judged=NOT_JUDGED,
        made_by=tables.made_by(found),
        names={document.letter: document.name for document in DOCUMENTS},
        meanings=MEANINGS,
        total=total,
        drawn=drawn,
        undrawn=undrawn,
        appearances=appearances(found, drawn),
        errata=_errata(),
        run={row.claim.id for row in found},
        provenance=provenance,
        facts=facts(found, provenance),
        REPORT=Role.REPORT,
    )


def appearances(
    found: Sequence[ClaimRow], drawn: Sequence[DrawnFigure]
) -> dict[str, list[tuple[int, PaperFigure]]]:
    """Return the figures of each claim by id, with their numbers."""
    return {
        row.claim.id: [
            (number, one.figure)
            for number, one in enumerate(drawn, 1)
            if row.claim.id in one.figure.claims
        ]
        for row in found
    }


def facts(found: Sequence[ClaimRow], provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return provenance as pairs of name and text."""
    runs = [row.record for row in found if row.record is not None]
    git = provenance.get("git")
    machine = provenance["platform"]
    failed = len(provenance["failed"])
    return {
        "Runs": "quick: fewer seeds and shorter runs, the same checks"
        if provenance["quick"]
        else "full",
        "Begun": str(provenance["started_utc"]),
        "Elapsed": seconds(provenance["wall_seconds"]),
        "Computing time": f"{seconds(sum(run.seconds for run in runs))} for the {len(runs)} claims "
        f"with a verdict, by {count(provenance['workers'], 'worker')}",
        "Failed runs": str(failed) if failed else "none",
        "Data": str(provenance["data"]),
        "Checksum of the data": str(provenance["data_checksum"]),
        "Code": "not under version control"
        if git is None
        else f"commit {git['commit']}{', with uncommitted changes' if git['dirty'] else ''}",
        "Machine": _list({name.replace("_", " "): value for name, value in machine.items()}),
        "Versions": _list(provenance["versions"]),
    }


def _list(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())


def seconds(value: float) -> str:
    """Format a duration in the most readable unit."""
    if value < 60:
        return f"{value:.1f} s" if value >= 0.05 else "< 0.1 s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _groups(found: Sequence[ClaimRow]) -> list[tuple[Any, list[ClaimRow]]]:
    return [(document, list(rows)) for document, rows in groupby(found, lambda row: row.document)]


def slips(found: Sequence[ClaimRow]) -> list[str]:
    """Say in how many misprinted claims of a document one slip is a cause."""
    misprinted = [
        (letter, row.claim.slip)
        for row in found
        for letter, value in row.verdicts.items()
        if value == Verdict.MISPRINTED
    ]
    of = Counter(letter for letter, _ in misprinted)
    return [
        f"In {'all ' if number == of[letter] else f'{number} of the '}{of[letter]} claims of "
        f"document {letter} that are false as printed one slip is a cause: {slip}."
        for (letter, slip), number in Counter(misprinted).items()
        if slip and number > 1
    ]


def _errata() -> list[tuple[str, list[Any]]]:
    return [
        (tables.DOCUMENT[letter].cited, list(errata))
        for letter, errata in groupby(ERRATA, lambda one: one.document)
    ]


def _expected(check: Check) -> Markup:
    return Markup(tables.expected(check, formulas.number_html, "\u00b1"))


def _outcome(check: Check) -> str:
    if check.passed is None:
        return "none"
    return "passes" if check.passed else "fails"
