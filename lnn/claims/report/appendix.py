r"""appendix.tex: answers to a reproducibility checklist, verdicts, claims and errata.

Compiles on its own with pdflatex. With `\input` after `\appendix` in a paper, it omits its own
preamble and title. For one column; needs amsmath, amssymb, booktabs, graphicx and longtable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from lnn.claims.errata import ERRATA
from lnn.claims.report import tables
from lnn.claims.report.page import (
    BRACKETS,
    FOR_EACH,
    MACHINE_READ,
    MEANINGS,
    NOT_JUDGED,
    TITLE,
    DrawnFigure,
    facts,
    seconds,
    slips,
)
from lnn.claims.report.tables import ClaimRow
from lnn.results.formatting import sentence
from lnn.results.formulas import closed, number_tex, tex
from lnn.results.latex import checksum_prefix, escape

_HEAD = r"""% Made by lnn. Run pdflatex on this file twice, or take it into a paper, in one column:
%   \usepackage{amsmath,amssymb,booktabs,graphicx,longtable}  in the preamble, and
%   \input{appendix}  after \appendix; the folder figures/ belongs beside the paper.
\makeatletter
\ifx\documentclass\@twoclasseserror\else\ifx\documentclass\@notprerr\else
  \documentclass[10pt]{article}
  \usepackage[a4paper,margin=25mm]{geometry}
  \usepackage{amsmath,amssymb,booktabs,graphicx,longtable}
  \title{TITLE}
  \author{}
  \date{}
  \begin{document}
  \maketitle
  \gdef\lnnend{\end{document}}
\fi\fi
\makeatother
\providecommand{\lnnend}{}
"""

# A table's heading starts a new page if there is no room for some rows.
_ROOM = r"\par\vskip 0pt plus 8\baselineskip\penalty-200\vskip 0pt plus -8\baselineskip\relax"


def appendix(
    found: Sequence[ClaimRow], drawn: Sequence[DrawnFigure], provenance: Mapping[str, Any]
) -> str:
    """Return the appendix as LaTeX, in ASCII; figures are in figures/ beside the file."""
    return "\n".join(
        [
            _HEAD.replace("TITLE", escape(TITLE)),
            r"\begingroup\sloppy",
            *_protocol(found, provenance),
            *_verdicts(found),
            *_claims(found),
            *_figures(drawn),
            *_errata(),
            r"\endgroup",
            r"\lnnend",
            "",
        ]
    )


def _protocol(found: Sequence[ClaimRow], provenance: Mapping[str, Any]) -> list[str]:
    meanings = [rf"\emph{{{escape(name)}}}: {escape(text)}" for name, text in MEANINGS.items()]
    answers = _answers(found, provenance)
    return [
        r"\section{Protocol}",
        f"{tables.made_by(found)}. The verdict follows from the measured numbers alone. {FOR_EACH} "
        f"{NOT_JUDGED}",
        r"\begin{itemize}\setlength{\itemsep}{2pt}",
        *(
            rf"\item {tex(document.name)} ({document.letter}): "
            f"{escape(tables.listed(counted))}."
            for document, counted in tables.by_document(found)
        ),
        r"\end{itemize}",
        *map(tex, slips(found)),
        r"\begin{description}\setlength{\itemsep}{2pt}",
        *(rf"\item[{escape(name)}.] {escape(text)}" for name, text in answers.items()),
        rf"\item[Verdicts.] {' '.join(meanings)}",
        r"\end{description}",
        "",
    ]


def _answers(found: Sequence[ClaimRow], provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return answers to reproducibility checklists, as plain texts."""
    told = facts(found, provenance)
    failed = provenance["failed"]
    on_data = ", ".join(row.claim.id for row in found if row.claim.uses_data)
    data = (
        f"Regression data: {told['Data']}, checksum "
        f"{checksum_prefix(provenance['data_checksum'])}, used as a whole, without a split, by "
        f"{on_data or 'none of these claims'}. All other data is generated from seeds fixed in the "
        "code; where a claim needs validation data, its parameters state the split."
    )
    error = (
        f"{BRACKETS} Tolerances are fixed in the code and the same in every run; single "
        "observations are reported without a gate."
    )
    compute = (
        f"{told['Computing time']}, on {told['Machine']}; {told['Elapsed']} elapsed since "
        f"{told['Begun']}. Times of each claim are in the table of verdicts. "
    )
    if failed:
        messages = "; ".join(f"{name} ({message})" for name, message in failed.items())
        compute += f"Failed runs, counted in the time elapsed only: {messages}."
    else:
        compute += "No run failed."
    return {
        "Runs": f"{sentence(told['Runs'])}. Begun {told['Begun']}.",
        "Data and splits": data,
        "Hyper-parameters": "As in the documents where given, and listed with each claim under "
        "parameters. Compared methods choose their learning rates from a grid listed there, all by "
        "the same rule.",
        "Number of runs": "Listed with each claim under parameters: seeds, configurations, draws.",
        "Error bars": error,
        "Seeds": "Every random number comes from a seed fixed in the code. The same code, versions "
        "and kind of machine reproduce the numbers.",
        "Compute": compute,
        "Code": f"{told['Code']}; `python -m lnn.reproduce' repeats everything.",
        "Versions": told["Versions"],
    }


def _verdicts(found: Sequence[ClaimRow]) -> list[str]:
    lines = []
    for row in found:
        check = row.headline
        if row.record is None or check is None:
            numbers = ["--", "--", "--"]
        else:
            numbers = [
                number_tex(check.measured),
                tables.expected(check, number_tex, r"$\pm$"),
                escape(seconds(row.record.seconds)),
            ]
        texts = [tex(row.claim.title), tex(row.claim.source), escape(_judged(row))]
        lines.append([row.claim.id, *texts, *numbers])
    return [
        r"\section{Verdicts}",
        "Measured and expected refer to the first check of each claim; all checks are in "
        r"\texttt{claims.json}.",
        "",
        *_longtable(
            ("Claim", "Statement", "Source", "Verdict", "Measured", "Expected", "Time"),
            ("l", 0.23, 0.16, 0.13, "l", 0.125, "r"),
            lines,
        ),
    ]


def _judged(row: ClaimRow) -> str:
    """Return "holds (Arora et al.), false as printed (review)", or the verdict of the only one."""
    return ", ".join(f"{value} ({names})" if names else value for value, names in row.judged)


def _claims(found: Sequence[ClaimRow]) -> list[str]:
    lines = [r"\section{Claims}"]
    for document, rows in groupby(found, lambda row: row.document):
        lines += [
            rf"\subsection{{{tex(document.title)}}}",
            rf"{tex(document.authors)}, {tex(document.where)}.",
            "",
        ]
        for row in rows:
            lines += [*_claim(row), ""]
    return lines


def _claim(row: ClaimRow) -> list[str]:
    claim = row.claim
    lines = [
        rf"\paragraph{{{claim.id} {tex(claim.title)}}} ({tex(claim.source)}.) "
        rf"{tex(closed(claim.statement))}"
    ]
    if claim.printed:
        lines.append(rf"\emph{{Printed:}} {tex(closed(claim.printed))}")
    lines += [
        rf"\emph{{{name}:}} {tex(closed(text))}"
        for name, text in (
            ("Assumptions", claim.assumptions),
            ("Parameters", claim.parameters),
            ("Rule", claim.rule),
            ("Cause shared with other claims", claim.slip),
            ("Analogue", row.analogue),
            ("Depends on the run", claim.varies),
        )
        if text
    ]
    said = escape(f"The run failed: {row.error}") if row.record is None else tex(row.record.words)
    lines.append(rf"\par\noindent\emph{{Verdict:}} \textbf{{{escape(_judged(row))}}}. {said}")
    return lines


def _figures(drawn: Sequence[DrawnFigure]) -> list[str]:
    if not drawn:
        return []
    lines = [r"\section{Figures}", "Drawn from the records of the claims.", ""]
    for one in drawn:
        name = one.figure.name
        lines += [
            r"\begin{figure}[htp]",
            r"\centering",
            rf"\includegraphics[width=\linewidth]{{figures/{name}.pdf}}",
            rf"\caption{{{tex(one.figure.title)} ({tex(one.figure.source)}). \emph{{The "
            rf"document:}} {tex(one.figure.paper)} \emph{{Findings:}} {tex(one.caption)}}}",
            rf"\label{{fig:lnn-{name}}}",
            r"\end{figure}",
            "",
        ]
    return [*lines, r"\clearpage", ""]


def _errata() -> list[str]:
    lines = [r"\section{Errata of the documents}", MACHINE_READ]
    for letter, errata in groupby(ERRATA, lambda one: one.document):
        body = [
            (tex(one.where), tex(one.printed), tex(one.corrected), ", ".join(one.claims))
            for one in errata
        ]
        lines += [
            _ROOM,
            rf"\subsection{{{tex(tables.DOCUMENT[letter].cited)}}}",
            *_longtable(
                ("Where", "Printed", "Corrected", "Claims"), (0.145, 0.33, 0.345, "l"), body
            ),
        ]
    return lines


def _longtable(
    heads: Sequence[str], widths: Sequence[float | str], body: Sequence[Sequence[str]]
) -> list[str]:
    """Return a multi-page table; widths are fractions of the line for text, or "l" or "r"."""
    text = [not isinstance(width, str) for width in widths]
    columns = "".join(
        rf"p{{{width}\linewidth}}" if wraps else str(width)
        for width, wraps in zip(widths, text, strict=True)
    )
    lines = [
        " & ".join(
            # \hspace allows hyphenation of the first word.
            rf"\raggedright\hspace{{0pt}}{cell}" if wraps else cell
            for cell, wraps in zip(row, text, strict=True)
        )
        + r" \\ \addlinespace[2pt]"
        for row in body
    ]
    return [
        r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(map(escape, heads)) + r" \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *lines,
        r"\end{longtable}",
        r"\endgroup",
        "",
    ]
