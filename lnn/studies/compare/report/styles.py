"""Colour, dash and letter of each method, distinguishable by colour-blind readers and in grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb

from lnn.studies.compare.rows import MethodSummary
from lnn.transforms.catalogue import CATALOGUE

OTHER = ("#5E3C99", "#8C6BB1", "#4D4D4D")
"""Colours of methods outside the catalogue."""

MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p")
"""One marker per target, easiest first."""


@dataclass(frozen=True)
class Style:
    """Line style of one method."""

    color: str
    dashes: tuple[float, Any]
    width: float
    letter: str = ""

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a matplotlib line."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": self.width}


def style(rule: str, part: float = 0.5, letter: str = "") -> Style:
    """Return the style of a catalogued method; `part` is 0 at lowest depth, 1 at highest."""
    entry = CATALOGUE[rule]
    dashes = (0, entry.dashes or None)
    if not entry.dark:
        return Style(entry.color, dashes, entry.width, letter)
    ends = zip(to_rgb(entry.color), to_rgb(entry.dark), strict=True)
    red, green, blue = ((1 - part) * start + part * end for start, end in ends)
    return Style(to_hex((red, green, blue)), dashes, entry.width + 0.3 * part, letter)


def styles(rows: Sequence[MethodSummary]) -> list[Style]:
    """Return a style for each method, in order."""
    found = []
    unknown = 0
    for i, row in enumerate(rows):
        if row.rule in CATALOGUE:
            depths = sorted({other.depth for other in rows if other.rule == row.rule})
            # A single depth gets the middle of the range, where the hue is clearest.
            part = depths.index(row.depth) / (len(depths) - 1) if len(depths) > 1 else 0.5
            found.append(style(row.rule, part, _letter(i)))
        else:
            color = OTHER[unknown % len(OTHER)]
            found.append(Style(color, (0, (2 + 2 * unknown, 1.5)), 1.2, _letter(i)))
            unknown += 1
    return found


def _letter(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
