"""Colour, dash and letter of each method: told apart by colour-blind readers and in grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb

from lnn.studies.compare.rows import MethodSummary

SOLID: tuple[float, Any] = (0, None)
BASELINES: dict[str, tuple[str, tuple[float, Any], float]] = {
    "gd": ("#000000", SOLID, 1.5),
    "momentum": ("#7F7F7F", (0, (3, 1.2)), 1.1),
    "adagrad": ("#E69F00", (0, (6, 1.5, 1, 1.5)), 1.2),
    "adadelta": ("#CC79A7", (0, (1, 1.2)), 1.5),
    "adam": ("#D55E00", (0, (10, 2)), 1.2),
}
"""Okabe and Ito's colours; colour, dashes and width of line of the methods without depth."""

FAMILIES: dict[str, tuple[str, str, tuple[float, Any]]] = {
    "end-to-end": ("#6DB7EE", "#08306B", SOLID),
    "single-output": ("#4FC3C7", "#0B5A5E", (0, (3, 1))),
    "norm-factor": ("#B79AD6", "#3F1F69", (0, (6, 1, 1, 1))),
    "projection": ("#D8B365", "#6B4A0F", (0, (2, 0.8))),
    "momentum-all": ("#E89AC7", "#7A1F57", (0, (9, 1.5))),
    "momentum-100": ("#C48FB5", "#5E2A50", (0, (5, 1.5))),
    "momentum-10": ("#A6849F", "#44303F", (0, (1.5, 1))),
    "layerwise-gd": ("#3CC79A", "#00553B", (0, (7, 1.5, 1.5, 1.5))),
    "layerwise-adam": ("#F0A080", "#7A2500", (0, (4, 1.2, 1, 1.2, 1, 1.2))),
}
"""A hue for each deep rule, from light to dark as depth grows, and its dashes."""

OTHER = ("#5E3C99", "#8C6BB1", "#4D4D4D")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p")
"""One shape per target, easiest first."""


@dataclass(frozen=True)
class Style:
    """How one method is drawn."""

    color: str
    dashes: tuple[float, Any]
    width: float
    letter: str

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a matplotlib line."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": self.width}


def styles(rows: Sequence[MethodSummary]) -> list[Style]:
    """A style for each method, in order."""
    found = []
    unknown = 0
    for i, row in enumerate(rows):
        letter = _letter(i)
        if row.rule in BASELINES:
            found.append(Style(*BASELINES[row.rule], letter))
        elif row.rule in FAMILIES:
            depths = sorted({other.depth for other in rows if other.rule == row.rule})
            found.append(_deep_style(row, depths, letter))
        else:
            color = OTHER[unknown % len(OTHER)]
            found.append(Style(color, (0, (2 + 2 * unknown, 1.5)), 1.2, letter))
            unknown += 1
    return found


def _deep_style(row: MethodSummary, depths: list[float], letter: str) -> Style:
    light, dark, dashes = FAMILIES[row.rule]
    # One depth alone gets the middle of its family's range, where the hue is clearest.
    part = depths.index(row.depth) / (len(depths) - 1) if len(depths) > 1 else 0.5
    ends = zip(to_rgb(light), to_rgb(dark), strict=True)
    red, green, blue = ((1 - part) * start + part * end for start, end in ends)
    return Style(to_hex((red, green, blue)), dashes, 1.2 + 0.3 * part, letter)


def _letter(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
