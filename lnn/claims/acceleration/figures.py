"""Figures of this document, reproduced from the claims' records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lnn.claims.acceleration.depth import COMPARED
from lnn.claims.acceleration.tuned import TARGET
from lnn.claims.figure import paper_figure
from lnn.claims.measure import missed
from lnn.claims.record import Record
from lnn.results.plotting import blank
from lnn.results.statistics import band_curves, band_name, quantile
from lnn.results.verdict import Role
from lnn.studies.compare.report.styles import Style, style
from lnn.transforms.catalogue import CATALOGUE

Records = Mapping[str, Record]

_INK, _BLUE, _GREY = "#222222", "#0072B2", "#9A9A9A"
_GREEN = CATALOGUE["layerwise-gd"]
_WIDTHS = (("#D55E00", 2.6), ("#0072B2", 1.5), ("#000000", 0.7))
"""Colour and line width of hidden widths 1, 10 and 100, nested where they coincide."""
_LOOKS = {
    "depth 1": style("gd"),
    "depth 2": Style(_GREEN.color, (0, _GREEN.dashes), 1.5),
    "depth 3": Style(_GREEN.dark, (0, (3, 1)), 1.5),
    "depth 4": Style(_GREEN.color, (0, _GREEN.dashes), 1.5),
    "depth 8": Style(_GREEN.dark, (0, (3, 1)), 1.5),
    "AdaGrad": style("adagrad"),
    "AdaDelta": style("adadelta"),
    "depth-2 GD": Style(_GREEN.dark, (0, None), 1.5),
    "Adam": style("adam"),
    "depth-2 Adam": Style(CATALOGUE["layerwise-adam"].dark, (0, None), 1.5),
}
_DOTS = (0, (1, 1.6))
_TOP, _ABOVE = 3.0, 1e3
"""Upper end of the axes of races, and a value beyond it."""
_SUBOPTIMALITY = "Relative suboptimality"


def _axes(
    rows: int, columns: int, height: float, sharex: str = "none"
) -> tuple[Figure, np.ndarray]:
    figure = blank(height)
    axes = figure.subplots(rows, columns, squeeze=False, sharey="all", sharex=sharex)  # type: ignore[call-overload]
    for ax in axes.flat:
        ax.set(xscale="log", yscale="log")
    for ax in axes[-1]:
        ax.set_xlabel("Steps")
    return figure, axes


def _curve(
    ax: Axes, steps: np.ndarray, values: np.ndarray, look: Style, label: str, target: float = 0.0
) -> None:
    """Draw median and band over the runs (S, T), until the median reaches the target."""
    shown = steps > 0
    steps, values = steps[shown], missed(values[:, shown])
    low, middle, high = band_curves(values)
    end = int(np.argmax(np.append(middle <= target, True))) + 1
    # A band that holds runs that diverged goes to the top of the axes.
    ax.fill_between(
        steps[:end], low[:end].clip(max=_ABOVE), high[:end].clip(max=_ABOVE), color=look.color,
        alpha=0.2, linewidth=0,
    )  # fmt: skip
    line = np.where(np.isfinite(middle), middle, np.nan)[:end]
    ax.plot(steps[:end], line, label=label, **look.line)


def caption_figure_1(records: Records) -> str:
    """Describe the figure, and how far quadrature and closed form differ."""
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
        "1 and 3 the field is N times as strong as across them, so that their gain exceeds the "
        f"loss along the large arc 4. Right: the integral around the curve, {loops}; "
        f"quadrature and closed form differ by {error:.0e} at most. It is zero at N = 1 and N = 2 "
        "and positive at every depth above, as the theorem says."
    )


@paper_figure(
    name="arora-figure-1",
    source="Arora, Cohen and Hazan (2018), Figure 1",
    title="The curve of Theorem 2 with the field on it",
    claims=("A16",),
    paper="The curve along which the line integral of the transformed gradient does not vanish: "
    "two segments on the line of the gradient at the origin, and two arcs.",
    caption=caption_figure_1,
)
def draw_figure_1(records: Records) -> Figure:
    """Draw the curve of Theorem 2 on its field, and the integral around it against depth."""
    found = records["A16"].arrays
    figure = blank(3.3)
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


def caption_figure_2(records: Records) -> str:
    """Compose the caption from A6 and A12."""
    agreement, widths = records["A6"], records["A12"]
    same = widths.checks[0].measured
    return (
        f"Loss during gradient descent on networks of depth 2 and 3 with hidden widths 1, 10 and "
        f"100 (lines), and by eq. 12 from the same end-to-end matrix (dots; in the upper row one "
        f"for all widths), on {agreement.data}. {agreement.words} Compared with the paper: from a "
        f"balanced start width has no effect; from independent weights, as the paper has them, it "
        f"sets the delay, after which the steps to a tenth differ by a factor of at most "
        f"{same:.2f} between widths."
    )


@paper_figure(
    name="arora-figure-2",
    source="Figure 2",
    title="The end-to-end rule and the networks it describes",
    claims=("A6", "A12"),
    paper="A single layer trained by the end-to-end rule follows networks of depth 2 and 3 "
    "closely, and the hidden width has a negligible effect.",
    caption=caption_figure_2,
)
def draw_figure_2(records: Records) -> Figure:
    """Draw networks and rule, a panel for each loss, depth and start."""
    arrays = records["A6"].arrays
    figure, axes = _axes(2, 4, 3.6)
    for column, (p, depth) in enumerate((p, depth) for p in (2, 4) for depth in (0, 1)):
        steps, curves = arrays[f"steps_{p}"], arrays[f"curves_{p}"]
        shown = steps > 0
        for row in (0, 1):
            ax = axes[row, column]
            for k, (color, width) in enumerate(_WIDTHS):
                network, rule = curves[depth, k, row][:, shown]
                ax.plot(steps[shown], network, color=color, linewidth=width)
                if row == 1:
                    ax.plot(steps[shown], rule, color=color, linewidth=1.3, linestyle=_DOTS)
            if row == 0:
                # All three coincide, and one rule stands for three.
                ax.plot(
                    steps[shown], curves[depth, 0, 0, 1, shown], color="white", linewidth=0.7,
                    linestyle=_DOTS,
                )  # fmt: skip
                ax.set_title(f"l$_{p}$ loss, depth {depth + 2}")
    axes[0, 0].set_ylabel(f"{_SUBOPTIMALITY}\nbalanced start")
    axes[1, 0].set_ylabel(f"{_SUBOPTIMALITY}\nindependent weights")
    handles: list[Artist] = [
        Line2D([], [], color=color, linewidth=width, label=f"network of width {n}")
        for (color, width), n in zip(_WIDTHS, arrays["widths"], strict=True)
    ]
    handles.append(Line2D([], [], color="#555555", linestyle=_DOTS, label="eq. 12, same product"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _race(ax: Axes, record: Record, prefix: str, chosen: Mapping[int, str]) -> None:
    """Draw median curves of a tuned race, with rate and steps of each method in the legend."""
    arrays = record.arrays
    ax.axhline(TARGET, color="#8A8A8A", linewidth=0.5, zorder=0.5)
    for i, name in chosen.items():
        steps = float(quantile(arrays[f"{prefix}_hits"][i], 0.5))
        rate = arrays[f"{prefix}_rates"][i]
        told = f"{np.ceil(steps):.0f} steps" if np.isfinite(steps) else "missed"
        _curve(
            ax, arrays[f"{prefix}_steps"], arrays[f"{prefix}_curves"][i], _LOOKS[name],
            f"{name}, rate {rate:.2g}: {told}", TARGET,
        )  # fmt: skip
    ax.legend(loc="lower left", frameon=False, handlelength=2.8, fontsize=7, borderaxespad=0.1)


def _races(record: Record, panels: Sequence[tuple[str, str, Mapping[int, str]]]) -> Figure:
    """Draw two searches as rows, with panels (prefix, title, methods) as columns."""
    figure, axes = _axes(2, len(panels), 4.4)
    for row, (search, name) in enumerate((("fine", "fine search"), ("coarse", "paper's grid"))):
        for column, (prefix, title, chosen) in enumerate(panels):
            ax = axes[row, column]
            _race(ax, record, f"{prefix}_{search}", chosen)
            ax.set_title(f"{title}: {name}")
            ax.set_ylim(0.012, _TOP)
        axes[row, 0].set_ylabel(_SUBOPTIMALITY)
    return figure


def caption_figure_3(records: Records) -> str:
    """Compose the caption from A25."""
    record = records["A25"]
    middle = quantile(record.arrays["l2_coarse_hits"], 0.5)
    fake = middle[1:].min() < middle[0]
    grid, tuned = record.arrays["l2_coarse_rates"][0], record.arrays["l2_fine_rates"][0]
    against = (
        f"on the paper's grid of rates depth looks faster with the $l_2$ loss too, where the best "
        f"rate of a single layer is {grid:.2g}, against {tuned:.2g} by the fine search"
        if fake
        else "on the paper's grid of rates depth does not look faster with the $l_2$ loss either"
    )
    deep = quantile(record.arrays["l4_fine_hits"], 0.5)
    third = "is faster than" if deep[2] < deep[0] else "is not faster than"
    return (
        f"{_drawn(record, 'l4_fine')} {record.words} Compared with the paper: {against}; and "
        f"depth 3 {third} a single layer with the $l_4$ loss by the fine search, the way out of "
        "the start near zero included."
    )


@paper_figure(
    name="arora-figure-3",
    source="Figure 3",
    title="Gradient descent at depths 1, 2 and 3, tuned",
    claims=("A25",),
    paper="Depth does not help with the $l_2$ loss, and accelerates with the $l_4$ loss.",
    caption=caption_figure_3,
)
def draw_figure_3(records: Records) -> Figure:
    """Draw depths 1, 2 and 3 by both searches, for both losses."""
    depths = {i: f"depth {i + 1}" for i in range(3)}
    return _races(records["A25"], [("l2", "l$_2$ loss", depths), ("l4", "l$_4$ loss", depths)])


def _drawn(record: Record, prefix: str) -> str:
    seeds = record.arrays[f"{prefix}_hits"].shape[1]
    return (
        f"Medians and bands ({band_name(seeds, 'starts')}) from near zero, on {record.data}, "
        "each method at its tuned rate; a run ends at the target, the grey line, and the legend "
        "says after how many steps in the median."
    )


def caption_figure_4(records: Records) -> str:
    """Compose the caption from A26."""
    record = records["A26"]
    gated = [check for check in record.checks if check.passed is not None]
    failed = [check.what.partition(",")[0] for check in gated if not check.passed]
    against = (
        "the order of the methods by the fine search is the paper's"
        if not failed
        else f"unlike in the paper, we do not see the {' and the '.join(failed)}"
    )
    return f"{_drawn(record, 'l4_fine')} {record.words} Compared with the paper: {against}."


@paper_figure(
    name="arora-figure-4",
    source="Figure 4",
    title="Depth and adaptive methods, tuned",
    claims=("A26",),
    paper="With the $l_4$ loss depth-2 gradient descent is faster than AdaGrad and AdaDelta; Adam "
    "is faster than it, and Adam with depth faster still.",
    caption=caption_figure_4,
)
def draw_figure_4(records: Records) -> Figure:
    """Draw AdaGrad and AdaDelta with depth 2, and Adam with and without depth."""
    left = {0: "AdaGrad", 1: "AdaDelta", 3: "depth-2 GD"}
    right = {2: "Adam", 4: "depth-2 Adam"}
    return _races(records["A26"], [("l4", "l$_4$ loss", left), ("l4", "l$_4$ loss", right)])


def caption_figure_5_left(records: Records) -> str:
    """Compose the caption from A28 and A29."""
    zero, identity = records["A28"], records["A29"]
    seeds = zero.arrays["curves"].shape[1]
    many = f"Medians and bands: {band_name(seeds, 'starts')}"
    finely = [check.measured for check in identity.checks if check.role is Role.BEYOND]
    lost = [f"depth {n}" for n, gain in zip(COMPARED[1:], finely, strict=True) if gain < 1]
    depth = f"disappears at {' and '.join(lost)}" if lost else "remains at both depths"
    return (
        f"Gradient descent on the $l_2$ loss, each depth at its best rate of the paper's grid. "
        f"{many}. {zero.words} {identity.words} Compared with the paper: the acceleration from "
        f"near the identity {depth} where all rates are tuned finely."
    )


@paper_figure(
    name="arora-figure-5-left",
    source="Figure 5, left",
    title="Depths 4 and 8 from two kinds of start",
    claims=("A28", "A29"),
    paper="From near zero depth 4 makes progress only after about 65000 steps and depth 8 seems "
    "stuck after 100000; from near the identity both make progress at once and are faster than a "
    "single layer.",
    caption=caption_figure_5_left,
)
def draw_figure_5_left(records: Records) -> Figure:
    """Draw depths 1, 4 and 8, from starts near zero and near the identity."""
    figure, axes = _axes(1, 2, 2.7, sharex="all")
    for ax, claim, title in (
        (axes[0, 0], "A28", "start near zero"),
        (axes[0, 1], "A29", "start near the identity"),
    ):
        arrays = records[claim].arrays
        for depth, rate, curves in zip(
            arrays["depths"], arrays["rates"], arrays["curves"], strict=True
        ):
            # A depth that reaches nothing has no best rate.
            moved = np.nanmin(curves) < 0.9
            label = f"depth {depth}, " + (f"rate {rate:g}" if moved else "every rate")
            _curve(ax, arrays["steps"], curves, _LOOKS[f"depth {depth}"], label)
        ax.set_title(title)
        ax.legend(loc="lower left", frameon=False, handlelength=2.8, fontsize=7)
    axes[0, 0].set_ylabel(_SUBOPTIMALITY)
    axes[0, 0].set_ylim(top=_TOP)
    return figure
