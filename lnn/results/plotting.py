"""Shared style of all figures, and how they are saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import style as matplotlib_style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, NullFormatter

WIDTH = 7.0
"""Text width of a two-column page in inches. No text is smaller than 7 points there."""
DPI = 300
_SETTINGS: Any = {
    "font.size": 7.5,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure is the same everywhere
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
    "figure.dpi": 100,
    "savefig.bbox": None,
}
GREY = "#8A8A8A"
INK = "#333333"


def blank(height: float, width: float = WIDTH, layout: Any = "constrained") -> Figure:
    """Return an empty figure of this size in inches."""
    fig = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(fig)
    return fig


def save(fig: Figure, folder: str | PathLike[str], name: str = "figure") -> list[Path]:
    """Write NAME.pdf and NAME.png to the folder, reproducibly, and return their paths."""
    pdf, png = Path(folder) / f"{name}.pdf", Path(folder) / f"{name}.png"
    with settings():
        fig.savefig(pdf, metadata={"CreationDate": None})
        fig.savefig(png, dpi=DPI, metadata={"Software": None})
    return [pdf, png]


@contextmanager
def settings() -> Iterator[None]:
    """Use Matplotlib's defaults with our changes; the user's settings are restored afterwards."""
    with matplotlib.rc_context():
        matplotlib_style.use("default")
        matplotlib.rcParams.update(_SETTINGS)
        yield


def note(ax: Axes, text: str, at: tuple[Any, Any], shift: tuple[int, int], **style: Any) -> None:
    """Write a text beside a point, shifted by so many points of type."""
    ax.annotate(
        text, at, shift, **{"color": INK, "fontsize": 7, **style}, textcoords="offset points"
    )


def log_ticks(axis: Any) -> None:
    """Set powers of ten as ticks of an axis, and unlabelled ticks between them."""
    axis.set_major_locator(LogLocator(numticks=12))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=12))
    axis.set_minor_formatter(NullFormatter())


def plain_ticks(axis: Any, major: Locator, minor: Locator | None = None) -> None:
    """Label the major ticks of an axis with plain numbers, the minor ones not at all."""
    axis.set_major_locator(major)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if minor is not None:
        axis.set_minor_locator(minor)
    axis.set_minor_formatter(NullFormatter())
