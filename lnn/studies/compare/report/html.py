"""The summary in a notebook: one self-contained piece of HTML, light or dark as the page is."""

from __future__ import annotations

from html import escape

from lnn.results import formatting
from lnn.studies.compare.report import table
from lnn.studies.compare.summary import Summary

# Colours come from the page, so that the same text is readable on light and on dark.
_CSS = (
    "color:inherit;background:transparent;font-family:system-ui,sans-serif;font-size:13px;"
    "line-height:1.4;max-width:72em"
)
_CELL = "padding:2px 10px 2px 0;text-align:{};border:0;white-space:nowrap;background:transparent"
_RULE = "border-bottom:1px solid rgba(128,128,128,.6)"


def html(summary: Summary) -> str:
    """Conclusion first, then the tables, the notes, and what was run."""
    parts = [f'<div style="{_CSS}">', f"<p><b>{escape(summary.conclusion)}</b></p>"]
    for block in table.blocks(summary):
        parts.append(_table(block))
    parts += [f'<p style="opacity:.75;margin:2px 0">{escape(n)}</p>' for n in table.notes(summary)]
    facts = "".join(
        f'<tr style="background:transparent"><th scope="row" style="{_CELL.format("left")};'
        f'vertical-align:top">{escape(name)}</th><td style="{_CELL.format("left")};'
        f'white-space:normal">{escape(text)}</td></tr>'
        for name, text in formatting.header(summary)
    )
    parts.append(
        f"<details open><summary>What was run</summary>"
        f'<table style="border-collapse:collapse;color:inherit">{facts}</table></details></div>'
    )
    return "".join(parts)


def _table(block: table.Block) -> str:
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
