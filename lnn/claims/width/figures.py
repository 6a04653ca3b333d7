"""Figures of this document, reproduced from the claims' records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from lnn.claims.figure import paper_figure
from lnn.claims.record import Record
from lnn.claims.width.recurrent_figures import GEOMETRY, STEPS, STRUCTURE
from lnn.results.plotting import GREY, blank, note, plain_ticks
from lnn.theory.geometry import mean_distance_from_ball

RECURRENT = (STEPS, STRUCTURE, GEOMETRY)
"""Drawn from other runs, and listed with those of this file."""

BLUE, RED = "#0072B2", "#D55E00"
RANK = 16
MODEL = "two-layer linear networks on a noisy linear teacher of rank 16"


def _axes(height: float, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    fig = blank(height)
    return fig, list(np.ravel(fig.subplots(rows, columns)))


def _letter(axes: Sequence[Axes]) -> None:
    for ax, letter in zip(axes, "abcdefgh", strict=False):
        ax.set_title(f"({letter})", loc="left", fontsize=8, fontweight="bold")


def _ticks(
    ax: Axes, values: Sequence[float] | np.ndarray, axis: str = "x", between: Any = ()
) -> None:
    """Set a logarithmic axis with plain numbers at these values, and minor ticks between them."""
    ax.set(**{f"{axis}scale": "log"})
    which = ax.xaxis if axis == "x" else ax.yaxis
    plain_ticks(which, FixedLocator(list(values)), FixedLocator(list(between)))


def _seeds(
    ax: Axes, x: np.ndarray, values: np.ndarray, color: str, marker: str, label: str = "",
    line: Any = "-", spread: float = 0.12,
) -> None:  # fmt: skip
    """Draw a point per seed, shifted horizontally, and a line through the medians."""
    shifts = np.exp(np.linspace(-spread, spread, len(values)))
    for shift, row in zip(shifts, values, strict=True):
        ax.plot(
            x * shift, row, marker=marker, markersize=2.2, linestyle="none", markerfacecolor="none",
            markeredgecolor=color, markeredgewidth=0.5, alpha=0.75, zorder=2,
        )  # fmt: skip
    ax.plot(
        x, np.median(values, axis=0), color=color, linestyle=line, linewidth=1.2, marker=marker,
        markersize=4, zorder=3, label=label,
    )  # fmt: skip


def _both(
    ax: Axes, x: np.ndarray, names: Sequence[str], values: Iterable[np.ndarray], **how: Any
) -> None:
    """Draw the seeds of two kinds of runs, which differ in colour, marker and dashes."""
    looks = ((BLUE, "o", "-"), (RED, "s", (0, (4, 2))))
    for (color, marker, line), name, rows in zip(looks, names, values, strict=True):
        _seeds(ax, x, rows, color, marker, name, line, **how)


def _toy_caption(records: Mapping[str, Record]) -> str:
    toy, deep = records["D3"].arrays, records["D4"].arrays
    one, two = records["D1"].arrays["measured"], records["D2"].arrays["measured"]
    return (
        "The toy model of Appendix B, $C = 1$. (a) Mean distance of a uniform start in a ball from "
        "the minima, with one hidden unit and with two: closed form (lines), quadrature (points) "
        f"and the printed values (dashed). With one unit it grows from {one[0]:.3f} to "
        f"{one[-1]:.3f} at $R = 2$; with two it starts at {two[0]:.3f}, where the paper has 0.5. "
        "(b) Mean distance that gradient descent travels with the second layer fixed: "
        f"{toy['ball'][-1]:.3f} at $K = {toy['widths'][-1]}$ from a ball within reach, but "
        f"{toy['fixed'][-1]:.3f} from weights of a fixed standard deviation, whose spread sets a "
        "floor (dotted). (c) Median distance with both layers trained: from near zero "
        f"{deep['small'][0]:.3f} at $K = 1$ and {deep['small'][-1]:.3f} at $K = "
        f"{deep['widths'][-1]}$; from standard deviation 1 it goes from {deep['fixed'][0]:.3f} to "
        f"{deep['fixed'][-1]:.3f}."
    )


@paper_figure(
    name="width-toy-distance",
    source="Appendix B, Figures 9 and 10",
    title="Distance to the minima of the toy model against width",
    claims=("D1", "D2", "D3", "D4"),
    paper="Sketches of the toy model with one and two hidden units, from which it derives mean "
    "distances $C$ and $C / 2$.",
    caption=_toy_caption,
)
def _draw_toy(records: Mapping[str, Record]) -> Figure:
    fig, (start, fixed, trained) = _axes(2.6, 1, 3)
    radii = np.linspace(0.02, 2.2, 200)
    for k, name, color, marker, printed, word in (
        (1, "D1", BLUE, "o", 1.0, "C"), (2, "D2", RED, "s", 0.5, "C/2"),
    ):  # fmt: skip
        found = records[name].arrays
        curve = [mean_distance_from_ball(1.0, k, r) for r in radii]
        start.plot(radii, curve, color=color, linewidth=1.2, label=f"$K = {k}$")
        start.plot(
            found["radii"], found["measured"], color=color, marker=marker, markersize=4,
            linestyle="none",
        )  # fmt: skip
        start.axhline(printed, color=color, linewidth=0.9, linestyle=(0, (4, 2)))
        note(start, f"printed: ${word}$", (0.05, printed), (0, -9), color=color)
    start.set(xlabel="Radius of the start, $R / C$", ylabel="Mean distance to the minima, $/ C$")
    start.set(xlim=(0, 2.25), ylim=(0.4, 1.4))
    start.legend(frameon=False, fontsize=7, loc="upper left")

    toy = records["D3"].arrays
    widths = toy["widths"]
    fixed.plot(widths, widths**-0.5, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    fixed.axhline(float(toy["floor"]), color=GREY, linewidth=0.9, linestyle=":")
    for name, label, color, marker in (
        ("fixed", "std. 0.5", RED, "s"),
        ("shrinking", r"std. $0.5/\sqrt{K}$", "#009E73", "^"),
        ("ball", r"ball, $R = C/\sqrt{K}$", BLUE, "o"),
    ):
        fixed.plot(
            widths, toy[name], color=color, marker=marker, label=label, linewidth=1.2,
            linestyle="none" if name == "shrinking" else "-",
            markersize=7 if name == "shrinking" else 4,
            markerfacecolor="none" if name == "shrinking" else color,
        )  # fmt: skip
    note(fixed, r"$C/\sqrt{K}$", (16, 0.25), (-4, -9), ha="right")
    note(fixed, r"$s\sqrt{2/\pi}$", (1, float(toy["floor"])), (0, 2))
    _ticks(fixed, widths)
    _ticks(fixed, (0.1, 0.2, 0.5, 1, 2), "y")
    fixed.set(xlabel="Hidden units $K$", ylabel="Mean distance travelled, $/ C$", ylim=(0.09, 2.4))
    fixed.legend(frameon=False, fontsize=7, loc="upper right", borderaxespad=0)

    deep = records["D4"].arrays
    widths = deep["widths"]
    trained.axhline(float(deep["floor"]), color=GREY, linewidth=0.9, linestyle=":")
    trained.axhline(np.sqrt(2), color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    for name, label, color, marker in (
        ("small", "std. $10^{-4}$", BLUE, "o"), ("fixed", "std. 1", RED, "s"),
    ):  # fmt: skip
        trained.plot(
            widths, deep[name], color=color, marker=marker, markersize=4, linewidth=1.2,
            label=label,
        )  # fmt: skip
    note(trained, r"$\sqrt{2C}$", (1, np.sqrt(2)), (0, 4))
    note(trained, "$0.477 s$", (1, float(deep["floor"])), (0, -9))
    _ticks(trained, widths[::2], between=widths[1::2])
    trained.set(xlabel="Hidden units $K$", ylabel="Median distance travelled", ylim=(0.25, 1.65))
    trained.legend(frameon=False, fontsize=7, loc="center right")
    _letter((start, fixed, trained))
    return fig


def _geometry_caption(records: Mapping[str, Record]) -> str:
    curve, lengths = records["D8"].arrays, records["D10"].arrays
    sizes, angles = records["D11"].arrays, records["D12"].arrays
    wide = int(np.argmax(curve["widths"] >= 2 * RANK))

    def ends(values: np.ndarray, digits: int) -> str:
        middle = np.median(values, axis=0)
        return f"{middle[wide]:.{digits}f} to {middle[-1]:.{digits}f}"

    k, low, high = map(float, curve["exponent"])
    narrow = np.median(curve["steps"], axis=0)[:wide]
    return (
        f"Against hidden width, {MODEL}: {len(curve['steps'])} seeds (open points) and their "
        "medians (lines), up to the first step within 1 % of the least validation loss; full-batch "
        "gradient descent at rate 0.02 from weights of standard deviation 0.05. Shaded: widths up "
        f"to the rank, where (a) steps rise with width ({narrow[0]:.0f} to {narrow[-1]:.0f}) as "
        "(b) ever more is learnt. "
        if narrow[-1] > narrow[0]
        else f"Against hidden width, {MODEL}: {len(curve['steps'])} seeds (open points) and their "
        "medians (lines). Shaded: widths up to the rank. "
    ) + (
        f"From $h = {curve['widths'][wide]}$ to {curve['widths'][-1]} the medians go: (a) steps, "
        f"{ends(curve['steps'], 0)}; (c) direct distance, {ends(lengths['distance'], 2)}; (d) "
        f"path, {ends(lengths['path'], 2)}; (e) mean step, {ends(sizes['mean_step'], 4)}; (f) "
        f"angle of the update to the direction of the start, {ends(angles['to_start'], 0)} "
        f"degrees, and of the end, {ends(angles['to_end'], 0)} degrees. The fit in (a) is of the "
        f"medians in the window it spans, $k = {k:.2f}$ with a 95 % interval from {low:.2f} to "
        f"{high:.2f}. The paper's networks are recurrent and its angles to the start, by the "
        "printed formula, are roughly 90 degrees and open up very slowly."
    )


@paper_figure(
    name="width-geometry",
    source="Figures 5 to 8",
    title="Steps, lengths and angles of training against width",
    claims=("D8", "D10", "D11", "D12"),
    paper="Accuracy, steps, direct distance, step size and angle of a recurrent character "
    "model against its size, as distributions over 10 runs.",
    caption=_geometry_caption,
)
def _draw_geometry(records: Mapping[str, Record]) -> Figure:
    fig, axes = _axes(4.5, 2, 3)
    steps, least, distance, path, step, angle = axes
    curve = records["D8"].arrays
    widths = curve["widths"]
    _seeds(steps, widths, curve["steps"], BLUE, "o")
    steps.plot(
        curve["fit_widths"], curve["fit_steps"], color=RED, linewidth=2.4, alpha=0.75, zorder=4,
        label="$a M^k + b$",
    )  # fmt: skip
    steps.legend(frameon=False, fontsize=7, loc="upper right")
    _ticks(steps, (50, 100, 200, 500, 1000, 2000, 5000), "y")
    steps.set(ylabel="Steps to halt")
    _seeds(least, widths, curve["least"], BLUE, "o")
    _ticks(least, (1.5, 2, 3, 4, 5), "y")
    least.set(ylabel="Least validation loss")
    lengths = records["D10"].arrays
    for ax, name, label, marks in (
        (distance, "distance", "Direct distance", (2, 2.5, 3, 4, 5)),
        (path, "path", "Path length", (2, 3, 4, 6, 8, 10)),
    ):
        _seeds(ax, lengths["widths"], lengths[name], BLUE, "o")
        _ticks(ax, marks, "y")
        ax.set(ylabel=label)
    sizes = records["D11"].arrays
    _seeds(step, sizes["widths"], sizes["mean_step"], BLUE, "o")
    _ticks(step, (0.005, 0.01, 0.02, 0.04), "y")
    step.set(ylabel="Mean step")
    angles = records["D12"].arrays
    names = ("to the start, $A_s$", "to the end, $A_e$")
    _both(angle, angles["widths"], names, (angles["to_start"], angles["to_end"]))
    angle.set(ylabel="Mean angle (degrees)", ylim=(0, 180))
    angle.set_yticks([0, 45, 90, 135, 180])
    angle.legend(frameon=False, fontsize=7, loc="center right", bbox_to_anchor=(1, 0.42))
    for ax in axes:
        _ticks(ax, widths[::2], between=widths[1::2])
        ax.axvspan(widths[0] / 1.3, RANK * 2**0.5, color="#F1F1F1", linewidth=0, zorder=0)
        ax.set(xlim=(widths[0] / 1.3, widths[-1] * 1.3))
    for ax in axes[3:]:
        ax.set(xlabel="Hidden width $h$")
    _letter(axes)
    return fig


def _structure_caption(records: Mapping[str, Record]) -> str:
    rate, depth, data = (records[name].arrays for name in ("D13", "D15", "D16"))
    slow, fast = (np.median(steps, axis=0) for steps in rate["steps"])
    small, unit = (np.median(depth[name], axis=0) for name in ("small", "unit"))
    low, high = (np.median(steps, axis=0) for steps in data["steps"])
    return (
        "Steps to halt, linear networks on a noisy linear teacher of rank 16, with two layers but "
        "for (b); every seed (open points) and the medians (lines). (a) Against "
        f"width, at two learning rates: from {slow[0]:.0f} to {slow[-1]:.0f} steps at rate "
        f"{rate['rates'][0]:g} and from {fast[0]:.0f} to {fast[-1]:.0f} at {rate['rates'][1]:g}; "
        "parallel curves are the same law up to a factor, as in the paper. (b) Against depth, at "
        f"width 64: from {unit[0]:.0f} to {unit[-1]:.0f} steps when weights start with standard "
        r"deviation $1 / \sqrt{\mathrm{inputs}}$, and from "
        f"{small[0]:.0f} to {small[-1]:.0f} from 0.05; in the paper, of other networks, steps drop "
        "with depth. (c) Against the size "
        f"of the training set, every step over all of it: from {low[0]:.0f} to {low[-1]:.0f} at "
        f"noise {data['noises'][0]:g} and from {high[0]:.0f} to {high[-1]:.0f} at "
        f"{data['noises'][1]:g}; the paper's batches are small, and it has almost linear growth "
        "(dotted: linear). Counts below 1 are drawn at 1."
    )


@paper_figure(
    name="width-rate-depth-data",
    source="Figures 2a and 3",
    title="Steps against width at two rates, against depth and against the data",
    claims=("D13", "D15", "D16"),
    paper="Steps of a recurrent character model: parallel lines at two learning rates, a drop "
    "with depth, almost linear growth with the size of the dataset.",
    caption=_structure_caption,
)
def _draw_structure(records: Mapping[str, Record]) -> Figure:
    fig, (rate, depth, data) = _axes(2.5, 1, 3)
    found = records["D13"].arrays
    _both(rate, found["widths"], [f"rate {r:g}" for r in found["rates"]], found["steps"])
    _ticks(rate, found["widths"])
    _ticks(rate, (50, 100, 200, 400, 800), "y")
    rate.set(xlabel="Hidden width $h$", ylabel="Steps to halt")
    found = records["D15"].arrays
    names = ["std. 0.05", r"std. $1/\sqrt{\mathrm{inputs}}$"]
    _both(depth, found["depths"], names, (found["small"], found["unit"]), spread=0.03)
    depth.set_xticks(found["depths"])
    _ticks(depth, (100, 200, 400, 800, 1600), "y")
    depth.set(xlabel="Depth (number of layers)", ylabel="Steps to halt")
    found = records["D16"].arrays
    names = [f"noise {noise:g}" for noise in found["noises"]]
    _both(data, found["samples"], names, np.maximum(found["steps"], 1))
    guide = np.array([found["samples"][0], found["samples"][0] * 40])
    data.plot(guide, 2 * guide / guide[0], color=GREY, linewidth=0.9, linestyle=":")
    note(data, "linear", (guide[0] * 6, 12), (4, -3))
    _ticks(data, found["samples"][::2], between=found["samples"][1::2])
    _ticks(data, (1, 3, 10, 30, 100, 300), "y")
    data.set(xlabel="Training examples", ylabel="Steps to halt")
    rate.legend(frameon=False, fontsize=7, loc="upper right")
    depth.legend(frameon=False, fontsize=7, loc="upper left")
    data.legend(frameon=False, fontsize=7, loc="lower right")
    _letter((rate, depth, data))
    return fig
