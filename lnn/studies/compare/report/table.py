"""Tables of a summary: rich in a terminal, aligned plain text in a pipe, HTML in a notebook."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import IO

from rich.console import Console
from rich.text import Text

from lnn.results.formatting import compact, final_parts, short, speedup_parts, steps_parts
from lnn.studies.compare.conclusion import conclusion
from lnn.studies.compare.report.wording import (
    band_heading,
    band_note,
    header,
    own_rates_note,
    start_note,
    untouched_note,
)
from lnn.studies.compare.rows import Comparison, MethodSummary, TargetResult
from lnn.transforms.catalogue import has_depth, rule_name

Cell = tuple[str, ...]
"""Parts written on one line, or below each other if space is short."""

PIPE_WIDTH = 100
_GAP = 2


@dataclass(frozen=True)
class Block:
    """A table: title, column heads (the first two are method and depth) and rows of cells."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def print_summary(
    summary: Comparison, file: IO[str] | None = None, width: int | None = None
) -> None:
    """Print header, tables and conclusion: rich in a terminal, else plain ASCII text."""
    out = sys.stdout if file is None else file
    if out.isatty():
        console = Console(file=out, width=width, highlight=False)
        for line in _styled(summary, console.width, "\N{BOX DRAWINGS LIGHT HORIZONTAL}"):
            console.print(line, soft_wrap=True)
    else:
        out.write(plain_text(summary, width or PIPE_WIDTH))


def plain_text(summary: Comparison, width: int = PIPE_WIDTH) -> str:
    """Return the summary as aligned ASCII text, within the width if possible."""
    lines = [line.plain for line in _styled(summary, width, "-")]
    return "\n".join(lines).encode("ascii", "replace").decode() + "\n"


def _styled(summary: Comparison, width: int, rule: str) -> Iterator[Text]:
    """Yield all lines with weight and colour; Rich's own tables may truncate numbers."""

    def paragraph(text: str, style: str) -> Iterator[Text]:
        yield from (Text(line, style) for line in _paragraph(text, width))

    for name, text in header(summary).items():
        label = f"{name:<10} "
        for line in _paragraph(text, width, label):
            yield Text.assemble((line[: len(label)], "bold"), line[len(label) :])
    for block in layout(summary, width):
        head, *rows = _aligned(block)
        yield Text()
        yield from paragraph(block.title, "italic")
        yield Text(head, "bold cyan")
        yield Text(rule * _width(block), "dim")
        for row in rows:
            cells = Text(row)
            cells.highlight_regex(_DIMMED, "dim")
            yield cells
    yield Text()
    for note in notes(summary):
        yield from paragraph(note, "dim")
    yield Text()
    yield from paragraph(conclusion(summary), "bold")


def layout(summary: Comparison, width: int) -> list[Block]:
    """Return the tables fitted to a width: bands below medians, and column groups, if needed."""
    fitted: list[Block] = []
    for block in blocks(summary):
        narrow = block if _width(block) <= width else _stacked(block)
        fitted += _column_groups(narrow, width)
    return fitted


def blocks(summary: Comparison) -> list[Block]:
    """Return the tables: steps to each target, speed-ups over GD if it was run, final states."""
    heads = tuple(f"{target:g}" for target in summary.targets)

    def per_target(cell: Callable[[TargetResult], Cell]) -> Iterator[tuple[Cell, ...]]:
        for row in summary.rows:
            yield tuple(cell(result) for result in row.targets)

    def reached(result: TargetResult) -> Cell:
        parts = steps_parts(result.steps, summary.steps)
        count = "" if result.reached == summary.seeds else f"{result.reached}/{summary.seeds}"
        return (*parts, count)

    of_n = ", number of seeds that reached it if not all did"
    found = [
        _block(
            summary,
            "First step at or below each relative suboptimality (L - L*) / (L_0 - L*): "
            f"{band_heading(summary)}{of_n if summary.seeds > 1 else ''}",
            heads,
            per_target(reached),
        )
    ]
    if any(row.label == "gd" for row in summary.rows):
        found.append(
            _block(
                summary,
                f"Speed-up over tuned GD to each target, paired by seed: {band_heading(summary)}",
                heads,
                per_target(lambda r: speedup_parts(r.speedup, r.at_least, r.at_most)),
            )
        )
    found.append(
        _block(
            summary,
            "Tuned learning rate, factor to the nearest other rate tried, final relative "
            "suboptimality, and numbers of runs that reached all targets, diverged or ran out of "
            "steps",
            ("Rate", "Spacing", "Final", "Reached", "Diverged", "Unfinished"),
            map(_ending, summary.rows),
        )
    )
    return found


def notes(summary: Comparison) -> list[str]:
    """Return notes on marks, bounds and bands in the tables."""
    found = []
    if any(result.reached < summary.seeds for row in summary.rows for result in row.targets):
        text = f">{short(summary.steps)}: not reached within {summary.steps} steps."
        if any(row.label == "gd" for row in summary.rows):
            text += " Speed-ups with > or < are bounds; -: neither reached it."
        found.append(text)
    for edge, name in ((-1, "lowest"), (1, "highest")):
        if any(row.edge == edge for row in summary.rows):
            mark = _EDGES[edge]
            found.append(
                f"{mark.strip()}: the tuned rate is the {name} tried; a better one may lie beyond."
            )
    found += filter(None, (untouched_note(summary), own_rates_note(summary)))
    found.append(f"{band_note(summary)} {start_note(summary)}")
    return found


_DIMMED = r"\[[^\]]*\]|\b\d+/\d+\b"
"""Bands and counts, dimmed so that medians stand out."""

_EDGES = {-1: " v", 0: "", 1: " ^"}


def _ending(row: MethodSummary) -> tuple[Cell, ...]:
    spacing = compact(row.rate_spacing)
    counts = (row.reached_all, row.diverged, row.budget_spent)
    return (
        (f"{compact(row.learning_rate)}{_EDGES[row.edge]}",),
        (spacing if spacing == "-" else f"x{spacing}",),
        final_parts(row.final),
        *((str(number),) for number in counts),
    )


def _block(
    summary: Comparison, title: str, heads: tuple[str, ...], cells: Iterator[tuple[Cell, ...]]
) -> Block:
    rows = []
    for row, rest in zip(summary.rows, cells, strict=True):
        depth = f"{row.depth:g}" if has_depth(row.rule, row.depth) else ""
        filled = tuple(tuple(part for part in cell if part) for cell in rest)
        rows.append(((rule_name(row.rule),), (depth,), *filled))
    return Block(title, ("Method", "Depth", *heads), tuple(rows))


def _stacked(block: Block) -> Block:
    rows = tuple(tuple(("\n".join(cell),) for cell in row) for row in block.rows)
    return Block(block.title, block.heads, rows)


def _column_groups(block: Block, width: int) -> list[Block]:
    """Split the block into several with fewer columns each that fit the width."""
    widths = _widths(block)
    fixed = sum(widths[:2]) + _GAP
    groups: list[list[int]] = [[]]
    for column in range(2, len(widths)):
        taken = fixed + sum(widths[i] + _GAP for i in (*groups[-1], column))
        if groups[-1] and taken > width:
            groups.append([])
        groups[-1].append(column)
    return [
        Block(
            block.title if number == 0 else f"{block.title.split(':')[0]} (continued)",
            tuple(block.heads[i] for i in (0, 1, *group)),
            tuple(tuple(row[i] for i in (0, 1, *group)) for row in block.rows),
        )
        for number, group in enumerate(groups)
    ]


def _lines(cell: Cell) -> list[str]:
    return " ".join(cell).split("\n")


def _widths(block: Block) -> list[int]:
    columns = zip(block.heads, *block.rows, strict=True)
    return [
        max(len(head), *(len(line) for cell in cells for line in _lines(cell)))
        for head, *cells in columns
    ]


def _width(block: Block) -> int:
    widths = _widths(block)
    return sum(widths) + _GAP * (len(widths) - 1)


def _aligned(block: Block) -> list[str]:
    widths = _widths(block)

    def joined(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return (" " * _GAP).join(padded).rstrip()

    lines = [joined(list(block.heads))]
    for row in block.rows:
        cells = [_lines(cell) for cell in row]
        for i in range(max(map(len, cells))):
            lines.append(joined([cell[i] if i < len(cell) else "" for cell in cells]))
    return lines


def _paragraph(text: str, width: int, label: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(label) + 20),
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )


# Colours are inherited from the page, so that text is readable on light and dark backgrounds.
_CSS = (
    "color:inherit;background:transparent;font-family:system-ui,sans-serif;font-size:13px;"
    "line-height:1.4;max-width:72em"
)
_CELL = "padding:2px 10px 2px 0;text-align:{};border:0;white-space:nowrap;background:transparent"
_RULE = "border-bottom:1px solid rgba(128,128,128,.6)"


def html(summary: Comparison) -> str:
    """Return the summary as HTML: conclusion, tables, notes and header."""
    parts = [f'<div style="{_CSS}">', f"<p><b>{escape(conclusion(summary))}</b></p>"]
    for block in blocks(summary):
        parts.append(_table(block))
    parts += [f'<p style="opacity:.75;margin:2px 0">{escape(n)}</p>' for n in notes(summary)]
    facts = "".join(
        f'<tr style="background:transparent"><th scope="row" style="{_CELL.format("left")};'
        f'vertical-align:top">{escape(name)}</th><td style="{_CELL.format("left")};'
        f'white-space:normal">{escape(text)}</td></tr>'
        for name, text in header(summary).items()
    )
    parts.append(
        f"<details open><summary>Setup</summary>"
        f'<table style="border-collapse:collapse;color:inherit">{facts}</table></details></div>'
    )
    return "".join(parts)


def _table(block: Block) -> str:
    def cell(tag: str, column: int, text: str) -> str:
        style = _CELL.format("left" if column == 0 else "right")
        return f'<{tag} style="{style}">{text}</{tag}>'

    heads = "".join(cell("th", i, escape(head)) for i, head in enumerate(block.heads))
    rows = []
    for row in block.rows:
        cells = []
        for i, parts in enumerate(row):
            first, rest = " ".join(parts[:1]), " ".join(parts[1:])
            dim = f' <span style="opacity:.7">{escape(rest)}</span>' if rest else ""
            cells.append(cell("td", i, escape(first) + dim))
        rows.append(f'<tr style="background:transparent">{"".join(cells)}</tr>')
    return (
        f'<table style="border-collapse:collapse;color:inherit;margin:10px 0">'
        f'<caption style="text-align:left;color:inherit;opacity:.85;padding-bottom:4px">'
        f"{escape(block.title)}</caption>"
        f'<thead><tr style="{_RULE};background:transparent">{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
