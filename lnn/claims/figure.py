"""A figure of a paper, remade from the saved results of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from lnn.claims.record import Record


@dataclass(frozen=True)
class PaperFigure:
    """Attributes:
    name: of its files.
    source: the figure of the paper it remakes, or the text it illustrates.
    title: what it shows, in a few words.
    claims: ids of the claims whose records it is drawn from.
    paper: what the paper shows or says.
    draw: the figure, from the records by id; `settings` of the figures are in force.
    caption: what is drawn, what we see and where it differs, from the records.
    """

    name: str
    source: str
    title: str
    claims: tuple[str, ...]
    paper: str
    draw: Callable[[Mapping[str, Record]], Figure]
    caption: Callable[[Mapping[str, Record]], str]
