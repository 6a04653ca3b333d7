"""Figures of the document's three systems, drawn from the runs on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lnn.claims.figure import PaperFigure
from lnn.claims.record import Record
from lnn.claims.width.recurrent import recorded_runs
from lnn.studies.width.figures import draw_all
from lnn.studies.width.report import captions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(
    name: str, drawn: str, source: str, title: str, letters: str, paper: str
) -> PaperFigure:
    def draw(records: Mapping[str, Record]) -> Figure:
        return draw_all(recorded_runs())[drawn]

    def caption(_: Mapping[str, Record]) -> str:
        return captions(recorded_runs())[drawn]

    claims = tuple(f"D17{letter}" for letter in letters)
    return PaperFigure(name, source, title, claims, paper, draw, caption)


STEPS = _figure(
    "width-recurrent-steps", "width", "Figure 1",
    "Steps of three recurrent networks against their size", "abcdefg",
    "Steps to the least validation loss against the number of parameters, for three sizes of the "
    "training set: power laws that end flat.",
)  # fmt: skip
GEOMETRY = _figure(
    "width-recurrent-geometry", "geometry-characters", "Figures 6 to 8",
    "Distance, step and angles of a recurrent character model against width", "mnopqrstuvwxy",
    "Direct distance, step size and angle to the start by layer, as distributions over ten runs.",
)  # fmt: skip
STRUCTURE = _figure(
    "width-recurrent-structure", "structure-characters", "Figures 2, 3 and 5",
    "Rate, optimizer, depth and data of a recurrent character model", "fijklz",
    "Parallel lines at two rates, another slope with Adam, a drop with depth, almost linear growth "
    "with the data, and an accuracy that stops improving.",
)  # fmt: skip
