"""Figures of this document, reproduced from the claims' records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from lnn.claims.expansions.cases import KINDS, MEAN, RADIUS, RATIO, case
from lnn.claims.expansions.speed import PARTS
from lnn.claims.figure import paper_figure
from lnn.claims.record import Record
from lnn.results.plotting import GREY, INK, blank, plain_ticks
from lnn.theory import noisy_quadratic as nq

BLUE, RED = "#0072B2", "#D55E00"
COLORS = {"N1": BLUE, "N2": RED}
NAMES = {"N1": "single non-zero eigenvalue", "N2": "equal eigenvalues"}
DASHES: dict[str, Any] = {"N1": "-", "N2": (0, (5, 2))}
MARKERS = "o^sD"
SPEEDS = {"N1": "B4", "N2": "B5"}
ENDS = {"N1": "B12", "N2": "B14"}
MEANS = (0.25, 1.5, 9.0)
"""Average eigenvalues for which the best speed is drawn."""
LABELS = {"N1": ((24, 0.62), (3.4, 0.86), (2.2, 1.03)), "N2": ((5, 0.05), (2.7, 0.5), (34, 0.88))}
"""Label positions of the curves of the best speed."""


def _ticks(ax: Axes, values: tuple[float, ...]) -> None:
    """Set a logarithmic horizontal axis with plain numbers at these values."""
    ax.set(xscale="log")
    plain_ticks(ax.xaxis, FixedLocator(list(values)), NullLocator())


def _points(ax: Axes, x: np.ndarray, mean: np.ndarray, error: np.ndarray, marker: int) -> None:
    """Draw sampled means with bars of two standard errors."""
    ax.errorbar(
        x, mean, 2 * error, fmt=MARKERS[marker], markersize=3.6, color=INK,
        markerfacecolor="white", markeredgewidth=0.7, elinewidth=0.7, capsize=1.5, capthick=0.7,
        zorder=3,
    )  # fmt: skip


def _draw_speed(ax: Axes, kind: str, record: Record) -> None:
    """Draw expected speed against step: exact curves, sampled points."""
    found = record.arrays
    ax.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    for i, n in enumerate(map(int, found["dimensions"])):
        eigenvalues, w = case(kind, n)
        best = nq.optimal_step(eigenvalues, w, RATIO)
        grid = best * np.geomspace(0.02, 3, 200)
        speed = [nq.expected_speed(eigenvalues, w, g, g / RATIO) for g in grid]
        ax.plot(grid, speed, color=COLORS[kind], linewidth=0.7 + 0.35 * i, zorder=1)
        _points(ax, found["steps"][i], found["speed"][i], found["error"][i], i)
    ax.set(xlabel=r"Learning step $\gamma$", ylabel=r"Expected speed $\mathrm{E}[\nu]$")
    handles = [
        Line2D([], [], color=COLORS[kind], linewidth=0.7 + 0.35 * i, marker=MARKERS[i],
               markersize=3.6, markeredgecolor=INK, markerfacecolor="white", markeredgewidth=0.7,
               label=f"$N = {n}$")
        for i, n in enumerate(map(int, found["dimensions"]))
    ]  # fmt: skip
    ax.legend(handles=handles, frameon=False, fontsize=7, loc="upper left", borderaxespad=0.1)


def _draw_shares(ax: Axes) -> None:
    """Draw the fraction of the loss removed by one step at the best rate, against N."""
    n = np.unique(np.rint(np.geomspace(1, 64, 40)).astype(int))
    ax.axhline(1, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    for kind, expansion in KINDS.items():
        for i, mean in enumerate(MEANS):
            share = [
                nq.optimal_speed(expansion(mean, int(k)), nq.on_the_diagonal(RADIUS, int(k)), RATIO)
                / (mean * RADIUS**2 / 2)
                for k in n
            ]
            ax.plot(n, share, color=COLORS[kind], linestyle=DASHES[kind], linewidth=0.8 + 0.5 * i)
            ax.annotate(
                rf"$\rho = {mean:g}$", LABELS[kind][i], color=COLORS[kind], fontsize=7, ha="center"
            )
    _ticks(ax, (1, 2, 5, 20, 64))
    ax.set(xlabel="Parameters $N$", ylabel="Best speed, share of the loss", ylim=(-0.03, 1.1))


def _draw_samples(ax: Axes, record: Record) -> None:
    """Draw sampled speeds at the best step, on the curves of the default mean."""
    found = record.arrays
    at_best = PARTS.index(1.0)
    unit = MEAN * RADIUS**2 / 2
    for i, n in enumerate(found["dimensions"]):
        _points(ax, n, found["speed"][i, at_best] / unit, found["error"][i, at_best] / unit, i)


def _caption(records: Mapping[str, Record]) -> str:
    single, equal = (records[name].arrays for name in ("B12", "B14"))
    unit = MEAN * RADIUS**2 / 2
    return (
        "(a, b) Expected fall of the loss in one noisy step, exact (lines, thicker for larger N) "
        "and sampled (points, with bars of two standard errors where these are larger than the "
        rf"points), at $\rho$ = {MEAN:g}, $w_0$ = {RADIUS:g}, $\sigma$ = {RATIO:g}. (c) The "
        "highest expected speed over the step, as a share of the loss, for $\\rho$ = "
        f"{', '.join(f'{m:g}' for m in MEANS)} (thin to thick), points at {MEAN:g}: it rises from "
        f"{single['speed'][0] / unit:.2f} to {single['speed'][-1] / unit:.3f} with a single "
        f"non-zero eigenvalue and falls to {equal['speed'][-1] / unit:.3f} with equal ones "
        "(dashed). (d) The steady-state loss at that step, exact and by chains: "
        f"{single['steady'][0]:.2f} to {single['steady'][-1]:.3f}, and to "
        f"{equal['steady'][-1]:.2f}. The shapes are those the document describes; its printed "
        "formulas have the best step and the best speed at half the values drawn here, since the "
        "second order of eq. 6 lacks its factor 1/2."
    )


@paper_figure(
    name="expansions-learning-speed",
    source="Text after eqs. 43, 67 and 74",
    title="Learning speed and steady-state loss of the two expansions",
    claims=("B4", "B5", "B12", "B14"),
    paper="The speed against the learning step for networks of different size, and the optimal "
    "speed against N for different average curvatures; the figures are referred to but not "
    "in the text that we have.",
    caption=_caption,
)
def _draw(records: Mapping[str, Record]) -> Figure:
    fig = blank(4.7)
    axes = fig.subplots(2, 2)
    single, equal, best, steady = axes.flat
    for ax, kind in ((single, "N1"), (equal, "N2")):
        _draw_speed(ax, kind, records[SPEEDS[kind]])
    _ticks(single, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1))
    _ticks(equal, (0.003, 0.01, 0.03, 0.1, 0.3, 1))
    for ax in (single, equal):
        ax.set(ylim=(-0.35, 3.2))
    _draw_shares(best)
    for name in SPEEDS.values():
        _draw_samples(best, records[name])
    for kind, name in ENDS.items():
        found = records[name].arrays
        steady.plot(
            found["dimensions"], found["steady"], color=COLORS[kind], linestyle=DASHES[kind],
            linewidth=1.3,
        )  # fmt: skip
        _points(steady, found["simulated"], found["sampled"], found["error"], 0)
    _ticks(steady, (1, 4, 16, 64))
    steady.set(yscale="log", xlabel="Parameters $N$", ylabel="Steady-state loss")
    steady.legend(
        handles=[
            Line2D([], [], color=COLORS[kind], linestyle=DASHES[kind], linewidth=1.3,
                   label=NAMES[kind])
            for kind in KINDS
        ],
        frameon=False, fontsize=7, loc="lower left",
    )  # fmt: skip
    for ax, letter, title in zip(
        axes.flat, "abcd", (*NAMES.values(), "at the best step", "at the best step"), strict=True
    ):
        ax.set_title(f"({letter}) {title}", loc="left")
    return fig
