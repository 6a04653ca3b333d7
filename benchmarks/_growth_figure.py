"""The figure of `growth.py`: log-log panels, one for each quantity that grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from _measure import Spread
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from lnn.results.plotting import WIDTH, save
from lnn.studies.compare.report.styles import MARKERS, style

HEIGHT = 4.2
NAMES = {
    "gd": "gradient descent",
    "end-to-end": "end-to-end rule",
    "layerwise-gd": "layerwise gradient descent",
}
_SETTINGS: Any = {
    "font.size": 7.5,
    "font.family": "DejaVu Sans",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MOST_TICKS = 5


@dataclass(frozen=True)
class Curve:
    """Cost of one rule as one quantity grows."""

    axis: str
    label: str
    rule: str
    sizes: tuple[int, ...]
    costs: tuple[Spread, ...]
    exponent: float


def draw(curves: Sequence[Curve], folder: Path) -> None:
    """Write growth.pdf and growth.png into the folder."""
    axes = list(dict.fromkeys(curve.axis for curve in curves))
    with matplotlib.rc_context(_SETTINGS):
        fig = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        FigureCanvasAgg(fig)
        panels = fig.subplots(2, -(-len(axes) // 2)).flat
        for panel, name in zip(panels, axes, strict=False):
            _panel(panel, [curve for curve in curves if curve.axis == name])
        handles = {line.get_label(): line for panel in fig.axes for line in panel.get_lines()[::-1]}
        shown = {NAMES[rule]: handles[NAMES[rule]] for rule in NAMES if NAMES[rule] in handles}
        fig.legend(
            shown.values(), shown, loc="outside upper center", ncols=len(shown), frameon=False,
            title="Numbers at the curves: fitted exponents", title_fontsize=7,
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save(fig, folder, "growth")


def _panel(ax: Axes, curves: Sequence[Curve]) -> None:
    highest = max(curve.costs[-1].value for curve in curves)
    for curve in curves:
        color, dashes, marker = _look(curve.rule)
        costs = np.array([[cost.value, cost.low, cost.high] for cost in curve.costs]).T
        ax.fill_between(curve.sizes, costs[1], costs[2], color=color, alpha=0.15, linewidth=0)
        ax.plot(
            curve.sizes, costs[0], color=color, linestyle=dashes, linewidth=1.2,
            marker=marker, markersize=3.5, label=NAMES[curve.rule],
        )  # fmt: skip
        # Where curves end together, the number of the higher one stands above, the others below.
        place = "center" if len(curves) == 1 else "bottom" if costs[0][-1] == highest else "top"
        ax.annotate(
            f"{curve.exponent:.2f}", (curve.sizes[-1], costs[0][-1]), color=color,
            xytext=(4, 0), textcoords="offset points", va=place, annotation_clip=False,
        )  # fmt: skip
    sizes = sorted({size for curve in curves for size in curve.sizes})
    ax.set(xscale="log", yscale="log")
    ax.set_xlim(sizes[0] / 1.1, sizes[-1] * (sizes[-1] / sizes[0]) ** 0.22)
    ax.xaxis.set_major_locator(FixedLocator(sizes[:: -(-len(sizes) // _MOST_TICKS)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low = min(cost.low for curve in curves for cost in curve.costs)
    high = max(cost.high for curve in curves for cost in curve.costs)
    if high < 10 * low:  # always a decade: noise shall not look like growth
        middle = (low * high) ** 0.5
        low, high = middle / 10**0.5, middle * 10**0.5
    ax.set_ylim(low / 1.3, high * 1.3)
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    first = curves[0]
    ax.set_xlabel(first.label)
    whole = first.axis == "runs"
    ax.set_ylabel("µs a step, all runs" if whole else "µs a step and run")


def _look(rule: str) -> tuple[str, Any, str]:
    """Colour, dashes and marker: any one of them tells the rules apart."""
    marker = MARKERS[list(NAMES).index(rule)]
    look = style(rule)
    return look.color, look.dashes, marker
