r"""LaTeX appendix with figure and table, whose captions describe the protocol.

For `\input`; it needs the packages booktabs and graphicx, and figure.pdf in the same folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from lnn.results.latex import checksum_prefix, escape
from lnn.studies.compare.report import table
from lnn.studies.compare.report.wording import band_note, caption, header, start_note
from lnn.studies.compare.rows import Comparison
from lnn.studies.search import judge

_HEAD = r"""% Made by lnn {version}. In your preamble: \usepackage{{booktabs,graphicx}}
% Then: \input{{appendix}} with figure.pdf in the same folder.
"""

_FORMULAS = {
    "(L - L*) / (L_0 - L*)": "$(L - L^*) / (L_0 - L^*)$",
    "where L* is": "where $L^*$ is",
    "and L_0 the": "and $L_0$ the",
    "l_p": r"$\ell_p$",
}
"""Formulas in our own sentences; text of the user is only escaped."""


def write(
    path: str | PathLike[str],
    dataset: xr.Dataset,
    summary: Comparison,
    manifest: Mapping[str, Any] | None = None,
) -> None:
    """Write `appendix(...)` to a file."""
    text = appendix(dataset, summary, manifest)
    Path(path).write_text(text, encoding="ascii", newline="\n")


def appendix(
    dataset: xr.Dataset, summary: Comparison, manifest: Mapping[str, Any] | None = None
) -> str:
    """Return the appendix as LaTeX; the manifest adds versions and wall time."""
    tables = "\n\\par\\medskip\n".join(_tabular(block) for block in table.blocks(summary))
    return "\n".join(
        [
            _HEAD.format(version=escape(str(summary.facts.get("lnn_version", "?")))),
            r"\begin{figure*}[tp]",
            r"\centering",
            r"\includegraphics[width=\textwidth]{figure.pdf}",
            rf"\caption{{{_prose(caption(summary))}}}",
            r"\label{fig:lnn-study}",
            r"\end{figure*}",
            "",
            r"\begin{table*}[tp]",
            r"\centering\footnotesize",
            rf"\caption{{{_prose(protocol(dataset, summary, manifest or {}))}}}",
            r"\label{tab:lnn-study}",
            r"\medskip",
            tables,
            r"\end{table*}",
            "",
        ]
    )


def protocol(dataset: xr.Dataset, summary: Comparison, manifest: Mapping[str, Any]) -> str:
    """Return the table's caption as plain text: protocol, seeds, bands, data, compute, versions."""
    facts = header(summary)
    targets = ", ".join(f"{target:g}" for target in summary.targets)
    sentences = [
        "Steps to each relative suboptimality (L - L*) / (L_0 - L*), speed-up over tuned GD, and "
        "how the runs ended",
        "Steps are the first whole step at or below a target, interpolated between recorded steps "
        "and rounded up",
        f"Targets {targets} were fixed beforehand, where L* is the loss of a convex solver in "
        "float64, and L_0 the loss at W = 0",
        f"Learning rates: {facts['Rates']}; {facts['Seeds']}; the chosen rate reaches the hardest "
        "target first or, if none does, ends at the lowest loss, judged by "
        f"{judge(dataset.sizes['tuning_seed'])}",
        band_note(summary).rstrip("."),
        start_note(summary).rstrip("."),
        f"Data: {facts['Data']}; checksum {checksum_prefix(dataset.attrs.get('data_checksum'))}",
        f"Loss: {facts['Loss']}",
        f"Start: {facts['Start']}",
        f"Compute: {facts['Runs']}{_wall_time(manifest)}",
    ]
    if "Targets" in facts:
        sentences.append(f"Targets: {facts['Targets']}")
    if "Constants" in facts:
        sentences.append(f"Constants: {facts['Constants']}")
    sentences.append(f"Versions: {_versions(summary, manifest)}")
    return ". ".join(sentences) + ". " + " ".join(table.notes(summary)[:-1])


def _wall_time(manifest: Mapping[str, Any]) -> str:
    seconds = manifest.get("wall_seconds")
    return "" if seconds is None else f", {float(seconds):.0f} s of wall time"


def _versions(summary: Comparison, manifest: Mapping[str, Any]) -> str:
    versions = {"lnn": summary.facts.get("lnn_version", "?"), **manifest.get("versions", {})}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def _prose(text: str) -> str:
    """Escape text and typeset our formulas."""
    pattern = "|".join(re.escape(plain) for plain in _FORMULAS)
    pieces = re.split(f"({pattern})", text)
    return "".join(_FORMULAS.get(piece) or escape(piece) for piece in pieces)


def _tabular(block: table.Block) -> str:
    """Return a booktabs table, scaled down only if it is wider than the text."""
    columns = "l" + "r" * (len(block.heads) - 1)
    lines = [" & ".join(map(escape, block.heads)) + r" \\"]
    body = [" & ".join(_cell(cell) for cell in row) + r" \\" for row in block.rows]
    return "\n".join(
        [
            rf"\parbox{{\textwidth}}{{{_prose(block.title)}}}\\[2pt]",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
        ]
    )


def _cell(parts: tuple[str, ...]) -> str:
    """Escape a cell; a bracket at the start of a row would be read as an optional argument."""
    text = escape(" ".join(parts)).replace("[", "{[}").replace("inf", r"$\infty$")
    return re.sub(r"^x(?=\d)", r"$\\times$", text)
