"""Figure of a comparison: suboptimality against steps, and steps to each target."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import blended_transform_factory

from lnn.results.plotting import GREY, INK, WIDTH, blank, log_ticks, settings
from lnn.results.statistics import Band, band_curves
from lnn.studies.compare.report.styles import MARKERS, Style, styles
from lnn.studies.compare.rows import Comparison, MethodSummary, carried_forward
from lnn.transforms.catalogue import method_name


def figure(dataset: xr.Dataset, summary: Comparison) -> Figure:
    """Draw curves on the left and steps to each target on the right, one row per method.

    Row names with line samples and letters are the legend of both; bands and marks are explained by
    `lnn.studies.compare.report.wording.caption`.
    """
    with settings():
        looks = styles(summary.rows)
        rows = len(looks)
        height = max(2.9, 1.1 + 0.24 * rows)
        fig = blank(height, layout=None)
        names = [_name(row) for row in summary.rows]
        label = max(_text_width(fig, name) for name in names) + 0.57
        cells = max(0.19, 0.03 + _text_width(fig, str(summary.seeds)))
        counts = max(cells * len(summary.targets), _text_width(fig, "that reached"))
        left, gap, right = 0.52, 0.42, 0.06
        room = WIDTH - left - gap - label - counts - 0.1 - right
        curves_width = 0.53 * room
        # Where rows fill the height, the heads of the counts need room above the first row.
        above = 0.47 if height - 0.57 < 0.42 * rows + 0.8 else 0.12
        bottom, tall = 0.45 / height, (height - 0.45 - above) / height

        def place(start: float, width: float, **options: Any) -> Axes:
            return fig.add_axes((start / WIDTH, bottom, width / WIDTH, tall), **options)

        curves = place(left, curves_width)
        start = left + curves_width + gap + label
        dots = place(start, room - curves_width)
        tally = place(start + room - curves_width + 0.1, counts, sharey=dots)
        _draw_curves(curves, dataset, summary, looks)
        _draw_dots(dots, summary, looks, inch=1 / (tall * height))
        _draw_counts(tally, summary, inch=1 / (tall * height))
        _name_rows(dots, names, looks, label)
        return fig


def _name(row: MethodSummary) -> str:
    return method_name(row.rule, row.depth).replace("depth inf", "depth \N{INFINITY}")


def _text_width(fig: Figure, text: str) -> float:
    artist = fig.text(0, 0, text, fontsize=7.5)
    width = artist.get_window_extent().width / fig.dpi
    artist.remove()
    return float(width)


def _draw_curves(ax: Axes, dataset: xr.Dataset, summary: Comparison, looks: list[Style]) -> None:
    steps = dataset["step"].values.astype(np.float64)
    shown = steps > 0
    steps, values = steps[shown], carried_forward(dataset)[..., shown]
    low, middle, high = band_curves(values, axis=1)
    floor, top = _limits(low, middle, summary.targets)
    ax.set(xscale="log", yscale="log", xlim=(1, max(summary.steps, 2)), ylim=(floor, top))
    for target in summary.targets:
        ax.axhline(target, color=GREY, linewidth=0.5, zorder=0.5)
    lines = []
    for i, (row, look) in enumerate(zip(summary.rows, looks, strict=True)):
        until = _last_change(low[i], high[i]) + 1
        ax.fill_between(
            steps[:until], np.maximum(low[i], floor / 10)[:until], high[i][:until],
            where=np.isfinite(high[i][:until]), color=look.color, alpha=0.16, linewidth=0, zorder=1,
        )  # fmt: skip
        until = _last_change(middle[i]) + 1
        line = np.where(np.isfinite(middle[i]) & (middle[i] > 0), middle[i], np.nan)[:until]
        ax.plot(steps[:until], line, **look.line, zorder=3 if row.rule == "gd" else 2)
        lines.append((steps[:until], line))
        _draw_ends(ax, steps, values[i], top, look)
    margin = blended_transform_factory(ax.transAxes, ax.transData)
    for target, marker in zip(summary.targets, _markers(summary), strict=True):
        if floor < target < top:
            ax.plot(
                [1.035], [target], marker=marker, markersize=3.2, color=INK,
                transform=margin, clip_on=False, linestyle="none",
            )  # fmt: skip
            ax.text(
                1.065,
                target,
                f"{target:g}".replace("e-0", "e-"),
                transform=margin,
                va="center",
                fontsize=7,
            )
    _letters(ax, lines, looks)
    ax.set(xlabel="Steps", ylabel="Relative suboptimality")
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)


def _draw_ends(ax: Axes, steps: np.ndarray, values: np.ndarray, top: float, look: Style) -> None:
    """Mark the last record of each diverged run by a cross."""
    for run in values[np.isinf(values).any(axis=1)]:
        seen = int(np.argmax(np.isinf(run))) - 1
        if seen >= 0:
            ax.plot(
                [steps[seen]], [min(run[seen], top / 1.15)], marker="x", markersize=3.6,
                markeredgewidth=0.9, color=look.color, clip_on=False, zorder=4,
            )  # fmt: skip


def _limits(low: np.ndarray, middle: np.ndarray, targets: tuple[float, ...]) -> tuple[float, float]:
    """Return the vertical range of the medians, limited to ten times the start."""
    values = np.concatenate([low.ravel(), middle.ravel()])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return min(targets) / 1.5, 2.0
    start = middle[:, 0][np.isfinite(middle[:, 0])].max(initial=1.0)
    least = min(values.min(), min(targets))
    return float(least) / 1.5, float(min(max(values.max(), start), 10 * start)) * 1.3


def _last_change(*curves: np.ndarray) -> int:
    """Return the index after which the curves only carry their last values."""
    last = 0
    for curve in curves:
        moving = np.flatnonzero(curve[1:] != curve[:-1])
        last = max(last, int(moving[-1]) + 1 if moving.size else 0)
    return last


def _letters(ax: Axes, lines: list[tuple[np.ndarray, np.ndarray]], looks: list[Style]) -> None:
    """Put each curve's letter where it is farthest from other curves and letters."""
    points = [_dense(ax.transData.transform(np.column_stack(line))) for line in lines]
    box = ax.get_window_extent().padded(-5)
    taken = np.empty((0, 2))
    for i, (look, path) in enumerate(zip(looks, points, strict=True)):
        own = path[(path > box.min).all(axis=1) & (path < box.max).all(axis=1)]
        if not own.size:
            continue
        others = np.concatenate([*points[:i], *points[i + 1 :], np.empty((0, 2))])
        # Overlapping letters are illegible; a letter near another curve is not.
        apart = 3 * np.minimum(_distance(own, taken), 15)
        central = np.abs(np.linspace(-1, 1, len(own)))
        best = own[np.argmax(apart + np.minimum(_distance(own, others), 12) - central)]
        taken = np.concatenate([taken, best[None]])
        x, y = ax.transData.inverted().transform(best)
        ax.text(
            x, y, look.letter, fontsize=7, fontweight="bold",
            color=_darker(look.color), ha="center", va="center", zorder=5,
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )  # fmt: skip


def _dense(points: np.ndarray) -> np.ndarray:
    """Return points at equal distances along a path (P, 2)."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return points
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    places = np.linspace(0, along[-1], max(2, int(along[-1] / 3)))
    return np.column_stack([np.interp(places, along, axis) for axis in points.T])


def _distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance from each point (P, 2) to the nearest of the others (Q, 2)."""
    if not others.size:
        return np.full(len(points), np.inf)
    return np.sqrt(((points[:, None] - others[None]) ** 2).sum(axis=-1)).min(axis=1)


def _darker(color: str) -> tuple[float, ...]:
    rgb = np.array(matplotlib.colors.to_rgb(color))
    grey = float(rgb @ np.array([0.299, 0.587, 0.114]))
    return tuple(rgb * min(1.0, 0.42 / max(grey, 1e-9)))


def _draw_dots(ax: Axes, summary: Comparison, looks: list[Style], inch: float) -> None:
    results = [row.targets for row in summary.rows]
    finite = [r.steps.low for row in results for r in row if 0 < r.steps.low < np.inf]
    first = min([*finite, summary.steps / 10])
    edge = summary.steps
    ax.set(xscale="log", xlim=(first / 1.35, edge), ylim=_row_limits(len(looks), 1 / inch))
    for i in range(0, len(looks), 2):
        ax.axhspan(i - 0.5, i + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
    # Targets of a row are stacked, so that bands and open marks do not overlap.
    reach = 0.36 if len(summary.targets) > 1 else 0.0
    places = np.linspace(-reach, reach, len(summary.targets))
    for i, (row, look) in enumerate(zip(results, looks, strict=True)):
        for result, offset, marker in zip(row, places, _markers(summary), strict=True):
            _draw_dot(ax, result.steps, i + offset, edge, marker, look)
    if any(np.isinf(result.steps.median) for row in results for result in row):
        ax.text(
            1, _top(ax) + 0.05 * inch, "open: not reached", transform=ax.transAxes, ha="right",
            va="bottom", fontsize=7, color=INK,
        )  # fmt: skip
    ax.set(xlabel="Steps to target", yticks=[])
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    log_ticks(ax.xaxis)


def _row_limits(rows: int, inches: float) -> tuple[float, float]:
    """Return the vertical range of the rows; few rows are kept close together in the middle."""
    spare = max(0.0, inches / 0.42 - rows) / 2
    return rows - 0.5 + spare, -0.5 - spare


def _top(ax: Axes) -> float:
    """Return the upper edge of the first row, in axes coordinates."""
    bottom, top = ax.get_ylim()
    return (-0.5 - bottom) / (top - bottom)


def _draw_dot(ax: Axes, band: Band, y: float, edge: float, marker: str, look: Style) -> None:
    """Draw median and band; an open mark on the right edge if the median seed missed."""
    missed = not np.isfinite(band.median)
    if np.isfinite(band.low):
        ax.plot(
            [band.low, min(band.high, edge)], [y, y], color=look.color, linewidth=1.1,
            solid_capstyle="butt", zorder=2,
        )  # fmt: skip
    ax.plot(
        [edge if missed else band.median], [y], marker=marker, markersize=3.6,
        markeredgecolor=look.color, markeredgewidth=0.8, linestyle="none",
        markerfacecolor="white" if missed else look.color, clip_on=False, zorder=4,
    )  # fmt: skip


def _draw_counts(ax: Axes, summary: Comparison, inch: float) -> None:
    """Write how many seeds reached each target; grey if all did."""
    total = summary.seeds
    ax.set(xlim=(-0.5, len(summary.targets) - 0.5), xticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(axis="both", length=0, labelleft=False)
    for i, row in enumerate(summary.rows):
        if i % 2 == 0:
            ax.axhspan(i - 0.5, i + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
        for k, result in enumerate(row.targets):
            short = result.reached < total
            ax.text(
                k, i, str(result.reached), ha="center", va="center", fontsize=7,
                color="black" if short else GREY, fontweight="bold" if short else "normal",
            )  # fmt: skip
    above = blended_transform_factory(ax.transData, ax.transAxes)
    for k, marker in enumerate(_markers(summary)):
        ax.plot(
            [k], [_top(ax) + 0.07 * inch], marker=marker, markersize=3.6, color=INK,
            transform=above, clip_on=False, linestyle="none",
        )  # fmt: skip
    ax.text(
        0.5, _top(ax) + 0.16 * inch, f"Seeds of {total}\nthat reached", transform=ax.transAxes,
        ha="center", va="bottom", fontsize=7, linespacing=1.05,
    )  # fmt: skip


def _name_rows(ax: Axes, names: list[str], looks: list[Style], room: float) -> None:
    """Write letter, line sample and name of each method to the left of its row."""
    at_row = blended_transform_factory(ax.transAxes, ax.transData)
    inch = 1 / (ax.get_position().width * WIDTH)
    for i, (name, look) in enumerate(zip(names, looks, strict=True)):
        ax.text(
            (0.06 - room) * inch, i, look.letter, transform=at_row, fontsize=7, fontweight="bold",
            color=_darker(look.color), ha="center", va="center",
        )  # fmt: skip
        ax.plot(
            [(0.14 - room) * inch, (0.42 - room) * inch], [i, i], transform=at_row, clip_on=False,
            solid_capstyle="butt", dash_capstyle="butt", **look.line,
        )  # fmt: skip
        ax.text((0.46 - room) * inch, i, name, transform=at_row, va="center")


def _markers(summary: Comparison) -> list[str]:
    return [MARKERS[k % len(MARKERS)] for k in range(len(summary.targets))]
