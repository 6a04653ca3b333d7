"""Figure and sentences of an attribution: speed relative to tuned GD at equal loss, by factors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lnn.results.csv_text import csv_text, flat
from lnn.results.formatting import banded, compact
from lnn.results.plotting import GREY, INK, WIDTH, blank, plain_ticks, save, settings
from lnn.results.statistics import band_curves, band_name, band_over, quantile
from lnn.studies.compare.attribution import FACTORS, Advantage
from lnn.transforms.catalogue import inline_name, method_name

_LOOKS: dict[str, tuple[str, Any]] = {
    "step size": ("#0072B2", (0, (6, 1.5))),
    "projection": ("#D55E00", (0, (1.5, 1))),
    "gradient": ("#009E73", (0, (6, 1.5, 1, 1.5))),
    "curvature": (GREY, (0, (3, 1))),
}
"""Colours of Okabe and Ito, and dashes that distinguish the factors in grey."""

MOST = 4


def draw(advantages: Sequence[Advantage]) -> Figure:
    """Draw speed relative to GD and its factors, a panel per method, up to four; see `caption`."""
    shown = advantages[:MOST]
    with settings():
        fig = blank(2.9, WIDTH if len(shown) > 1 else 5.0)
        axes = fig.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for ax, advantage in zip(axes, shown, strict=True):
            _draw_panel(ax, advantage)
            ax.set_xlabel("Relative suboptimality (time runs to the right)")
        axes[0].set_ylabel("Speed over tuned GD's at equal loss")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(
            handles, labels, loc="outside right center", frameon=False, fontsize=7,
            handlelength=2.8,
        )  # fmt: skip
        return fig


def _draw_panel(ax: Axes, advantage: Advantage) -> None:
    level = advantage.level
    low, middle, high = band_curves(advantage.ratio)
    stretch = advantage.faster()
    if stretch is not None:
        ax.axvspan(level[stretch.start], level[stretch.stop - 1], color="#F0F0F0", linewidth=0)
    ax.axhline(1, color=INK, linewidth=0.6)
    for name, values in zip(FACTORS, advantage.factors, strict=True):
        color, dashes = _LOOKS[name]
        ax.plot(
            level, quantile(values, 0.5, axis=0), color=color, linestyle=dashes, linewidth=1.1,
            label=name,
        )  # fmt: skip
    ax.fill_between(level, low, high, color=INK, alpha=0.25, linewidth=0)
    ax.plot(level, middle, color="#000000", linewidth=1.7, label="speed (product)")
    ax.set(
        xscale="log", yscale="log", xlim=(level[0], level[-1]),
        title=method_name(advantage.rule, advantage.depth),
    )  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        plain_ticks(axis, LogLocator(subs=(1, 2, 5), numticks=20))


def caption(advantages: Sequence[Advantage]) -> str:
    """Return the caption of the figure."""
    seeds = sorted({advantage.factors.shape[1] for advantage in advantages}, reverse=True)
    bands = " or ".join(map(band_name, seeds))
    lines = "Lines are of one seed" if seeds == [1] else f"Lines are medians; band: {bands}"
    most = max(advantage.left_out for advantage in advantages)
    left_out = f"up to {most}" if len(seeds) > 1 else most
    return (
        "Decrease of the loss per step relative to tuned GD at equal loss (black), against "
        "relative suboptimality, which decreases to the right; time runs to the right. It is the "
        "product of four factors: the step size eta |W|^(2-2/N) relative to GD's learning rate, "
        "which grows with W; the projection, <g, P g>/|g|^2 at |W| = 1; the squared gradient "
        "relative to GD's, since the two are at different W; and the curvature factor, what "
        f"finite steps lose. {lines}"
        + (f" ({left_out} diverged and are excluded)" if left_out else "")
        + "; in the grey region the median is above 1. "
        + " ".join(map(sentences, advantages))
    )


def write(advantages: Sequence[Advantage], folder: Path) -> None:
    """Write `decomposition.csv`, `.pdf`, `.png` and the caption to a folder."""
    save(draw(advantages), folder, "decomposition")
    (folder / "decomposition.txt").write_text(caption(advantages) + "\n", encoding="utf-8")
    text = csv_text(_rows(advantages))
    (folder / "decomposition.csv").write_text(text, encoding="utf-8", newline="\n")


def _rows(advantages: Sequence[Advantage]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for advantage in advantages:
        values = {"speed_over_gd": advantage.ratio, "steps": advantage.steps,
                  "gd_steps": advantage.gd_steps}  # fmt: skip
        values |= {
            f"{name.replace(' ', '_')}_factor": factor
            for name, factor in zip(FACTORS, advantage.factors, strict=True)
        }
        for j, level in enumerate(advantage.level):
            bands = {name: band_over(of_seeds[:, j]) for name, of_seeds in values.items()}
            row = {"method": advantage.label, "suboptimality": float(level), **bands}
            rows.append(flat(row))
    return rows


def sentences(advantage: Advantage) -> str:
    """Describe when the method is faster and which factors cause it; medians with bands."""
    name = inline_name(advantage.rule, advantage.depth)
    stretch, ratio = advantage.faster(), quantile(advantage.ratio, 0.5, axis=0)
    if stretch is None:
        best = int(np.argmax(ratio))
        return (
            f"At equal loss, {name} is nowhere faster than tuned GD: at best "
            f"{banded(band_over(advantage.ratio[:, best]))} times as fast, at "
            f"{_point(advantage, best)}."
        )
    begin, end = stretch.start, stretch.stop - 1
    peak = begin + int(np.argmax(ratio[stretch]))
    start = (
        "from the start"
        if begin == 0
        else f"from {_point(advantage, begin)} on, {_cause(advantage, 0, begin)}"
        f"{_beside(advantage, 0, begin)}"
    )
    last = end == ratio.size - 1
    until = (
        f"and to the lowest loss that both reach, {_point(advantage, end)}"
        if last
        else f"until {_point(advantage, end)}"
    )
    decline = "" if peak == end else f"; from there on {_cause(advantage, peak, end)}"
    factors = [
        f"{factor} {banded(band_over(values[:, peak]))}"
        for factor, values in zip(FACTORS, advantage.factors, strict=True)
    ]
    return (
        f"At equal loss, {name} is faster than tuned GD {start}, {until}. The advantage is largest "
        f"at {_point(advantage, peak)}, {banded(band_over(advantage.ratio[:, peak]))} times the "
        f"speed of GD, as the product of {', '.join(factors[:-1])} and {factors[-1]}{decline}."
    )


def _most(advantage: Advantage, before: int, after: int) -> int:
    """Return the factor that changed most in the direction of the speed between two levels."""
    log = np.log(quantile(advantage.factors, 0.5, axis=1))
    total = np.log(quantile(advantage.ratio, 0.5, axis=0))
    sign = np.sign(total[after] - total[before])
    return int(np.argmax(sign * (log[:, after] - log[:, before])))


def _beside(advantage: Advantage, before: int, after: int) -> str:
    """Name the largest factor at the second level if it is not the one that changed."""
    there = quantile(advantage.factors[:, :, after], 0.5, axis=1)
    largest = int(np.argmax(there))
    if largest == _most(advantage, before, after):
        return ""
    return f" beside a {FACTORS[largest]} factor of {compact(float(there[largest]))}"


def _cause(advantage: Advantage, before: int, after: int) -> str:
    most = _most(advantage, before, after)
    first, then = quantile(advantage.factors[most][:, [before, after]], 0.5, axis=0)
    verb = "rises" if then > first else "falls"
    return f"as the {FACTORS[most]} factor {verb} from {compact(first)} to {compact(then)}"


def _point(advantage: Advantage, j: int) -> str:
    steps = float(quantile(advantage.steps[:, j], 0.5))
    steps_text = str(round(steps)) if steps < 1000 else compact(steps)
    return f"a suboptimality of {compact(float(advantage.level[j]))} (step {steps_text})"
