"""A figure of a paper, reproduced from saved results of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lnn.claims.record import Record

if TYPE_CHECKING:  # a slow import, which the help of the command does without
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PaperFigure:
    """A figure, the claims it is drawn from, what the paper shows, and what we see.

    Attributes:
        source: the reproduced figure, or the text it illustrates.
        paper: what the paper shows or says.
        draw: draws the figure from the records by id, within `plotting.settings`.
        caption: what is drawn, what we see and where it differs, from the records.
    """

    name: str
    source: str
    title: str
    claims: tuple[str, ...]
    paper: str
    draw: Callable[[Mapping[str, Record]], Figure]
    caption: Callable[[Mapping[str, Record]], str]


def paper_figure(**told: Any) -> Callable[[Callable[[Mapping[str, Record]], Figure]], PaperFigure]:
    """Make a figure of the function that draws it; the arguments are those of `PaperFigure`."""
    return lambda draw: PaperFigure(draw=draw, **told)
