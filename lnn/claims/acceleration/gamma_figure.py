"""The curve of Theorem 2 with the field on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lnn.claims.figure import PaperFigure
from lnn.claims.record import Record
from lnn.studies.compare.report.figures import WIDTH

_INK, _BLUE, _GREY = "#222222", "#0072B2", "#9A9A9A"


def _draw(records: Mapping[str, Record]) -> Figure:
    found = records["A16"].arrays
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    points, field, curve = found["points"], found["field"], found["curve"]
    inside = np.hypot(*points.T) > 0.05
    left.quiver(
        *points[inside].T, *field[inside].T, color=_GREY, angles="xy", scale=45, width=0.003
    )
    left.plot(*curve.T, color=_BLUE, linewidth=1.8)
    pieces = np.split(curve, 4)
    for piece, name, offset in zip(
        pieces, ("1", "2", "3", "4"), ((0, -9), (0, 6), (0, -9), (0, 6)), strict=True
    ):
        middle = len(piece) // 2
        start, end = piece[middle - 2], piece[middle + 2]
        left.annotate(
            "", end, start, arrowprops={"arrowstyle": "-|>", "color": _BLUE, "mutation_scale": 12}
        )
        left.annotate(
            rf"$\Gamma^{name}$", piece[middle], offset, textcoords="offset points",
            ha="center", va="center", color=_INK,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    left.plot(0, 0, "+", color=_INK, markersize=6)
    left.set(xlabel="Component of $w$ along $e$", ylabel="Component of $w$ across $e$")
    left.set_aspect("equal")
    left.set(xlim=(-1.4, 1.6), ylim=(-0.6, 1.4))
    depths = np.linspace(1, 8, 200)
    inner, outer = 0.5, 1.0
    power = 3 - 2 / depths
    exact = (2 * depths / power - 2) * (outer**power - inner**power)
    right.axhline(0, color=_GREY, linewidth=0.6)
    right.plot(depths, exact, color=_BLUE, linewidth=1.4, label="closed form")
    right.plot(found["depths"], found["loops"], "o", color=_INK, markersize=4.5, label="quadrature")
    right.set(xlabel="Depth $N$", ylabel="Integral around the curve, $r = 1/2$, $R = 1$")
    right.legend(frameon=False, loc="upper left")
    return figure


def _caption(records: Mapping[str, Record]) -> str:
    found = records["A16"]
    loops = ", ".join(
        f"{loop:.3f} at N = {depth:g}"
        for depth, loop in zip(found.arrays["depths"], found.arrays["loops"], strict=True)
        if depth > 2
    )
    error = found.checks[0].measured
    return (
        "Left: the closed curve $\\Gamma_{r,R}$ (r = 0.4, R = 1) and, as arrows, the field of "
        "depth 4 for a constant gradient $e$ that points to the right. Along the straight pieces "
        "1 and 3 the field is N times as strong as across them, so that what they gain exceeds "
        f"what the large arc 4 takes back. Right: the integral around the curve, {loops}; "
        f"quadrature and closed form differ by {error:.0e} at most. It is zero at N = 1 and N = 2 "
        "and positive at every depth above, as the theorem says."
    )


GAMMA = PaperFigure(
    name="arora-figure-1",
    source="Arora, Cohen and Hazan (2018), Figure 1",
    title="The curve of Theorem 2 with the field on it",
    claims=("A16",),
    paper=(
        "The curve along which the line integral of the transformed gradient does not vanish: two "
        "segments on the line of the gradient at the origin, and two arcs."
    ),
    draw=_draw,
    caption=_caption,
)
