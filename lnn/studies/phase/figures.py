"""Figure of the map: heat maps of the speed-up, drawn from the dataset.

Nothing is told by colour alone: the colours are as light as the speed-up is large, lines have a
light and a dark part, and marks and hatches are light on dark cells and dark on light ones.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from lnn.results.plotting import INK, blank, settings

COLORS = "cividis"
"""Dark (depth is slower) to light (faster), alike for colour-blind readers and in grey."""

MOST = 3.0
"""Speed-ups beyond 2^3 and below 2^-3 have the colours of these."""

_BLANK = "#FFFFFF"
_LINE = "#D55E00"
_HATCH = "/////"


def main_target(found: xr.Dataset) -> float:
    """Return the target shown in the figure, nearest to 0.1."""
    targets = found["target"].values
    return float(targets[np.argmin(np.abs(np.log(targets / 0.1)))])


def draw(found: xr.Dataset) -> Figure:
    """Draw a panel for each p (rows) and conditioning (columns): start norm against depth."""
    target, found = main_target(found), found.drop_dims("draw")
    rows, columns = found.sizes["p"], found.sizes["decay"]
    with settings(), matplotlib.rc_context({"hatch.linewidth": 0.45}):
        height = 0.95 + rows * (0.3 + 0.17 * found.sizes["depth"])
        fig = blank(height)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        mesh: Any = None
        for i, p in enumerate(found["p"].values):
            for j, decay in enumerate(found["decay"].values):
                cells = found.sel(p=p, decay=decay, target=target)
                mesh = _draw_panel(axes[i, j], cells.transpose("depth", "relative_norm", ...))
                if i == 0:
                    axes[i, j].set_title(f"condition {_power(float(cells['condition']))}")
            axes[i, 0].set_ylabel(f"$\\mathbf{{p = {p:g}}}$\nDepth $N$")
        fig.supxlabel(
            "Frobenius norm of the start $W(0)$ over that of the optimum $W^*$; target: relative "
            f"suboptimality {target:g}", fontsize=8,
        )  # fmt: skip
        bar = fig.colorbar(mesh, ax=axes, aspect=40, pad=0.01, extend="both")
        ticks = np.arange(-MOST, MOST + 1)
        bar.set_ticks(list(ticks), labels=[f"{2.0**tick:g}" for tick in ticks])
        bar.set_label("Times as fast as tuned GD")
        fig.legend(
            handles=_legend(found), loc="outside upper left", ncols=5, frameon=False, fontsize=7,
            handlelength=1.8, columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
        return fig


def _legend(found: xr.Dataset) -> list[Any]:
    limit = found["few_steps"].attrs["limit"]
    cell: Any = {"edgecolor": INK, "linewidth": 0.4}
    mark: Any = {"color": INK, "linestyle": "none", "markersize": 3}
    return [
        Line2D([], [], color=_LINE, linewidth=1.6, label="as fast as GD",
               path_effects=[Stroke(linewidth=3.2, foreground=_BLANK), Normal()]),
        Patch(facecolor="#BBBBBB", hatch=_HATCH, label="not significant", **cell),
        Line2D([], [], marker="o", label=f"GD: at most {limit} steps", **mark),
        Line2D([], [], marker="$>$", label="at least (<: at most)", **mark | {"markersize": 4}),
        Patch(facecolor=_BLANK, label="neither reached it", **cell),
    ]  # fmt: skip


def _draw_panel(ax: Axes, cells: xr.Dataset) -> Any:
    speedup = cells["speedup"].values
    log = np.ma.masked_invalid(np.log2(np.where(speedup > 0, speedup, np.nan)))
    ax.set_facecolor(_BLANK)
    mesh = ax.pcolormesh(log, cmap=COLORS, norm=Normalize(-MOST, MOST), rasterized=False)
    for i, j in np.argwhere(np.isfinite(speedup) & (cells["significant"].values == 0)):
        ax.add_patch(
            Rectangle((j, i), 1, 1, fill=False, hatch=_HATCH, linewidth=0,
                      edgecolor=_ink(speedup[i, j]))
        )  # fmt: skip
    few = np.broadcast_to(cells["few_steps"].values, speedup.shape) != 0
    for i, j in np.argwhere(np.isfinite(speedup) & few):
        ax.plot(j + 0.5, i + 0.5, "o", color=_ink(speedup[i, j]), markersize=1.8)
    ax.add_collection(
        LineCollection(contour(speedup), colors=_LINE, linewidths=1.6, capstyle="round",
                       path_effects=[Stroke(linewidth=3.0, foreground=_BLANK), Normal()])
    )  # fmt: skip
    for i, j in np.argwhere(cells["bound"].values != 0):
        sign = ">" if cells["bound"].values[i, j] > 0 else "<"
        ax.text(j + (0.75 if few[i, j] else 0.5), i + 0.47, sign, ha="center", va="center",
                fontsize=7, weight="bold", color=_ink(speedup[i, j]),
                path_effects=[Stroke(linewidth=1.6, foreground=_paper(speedup[i, j])), Normal()]
                )  # fmt: skip
    norms, depths = cells["relative_norm"].values, cells["depth"].values
    ax.set_xticks(np.arange(norms.size) + 0.5, [_short(n) for n in norms])
    ax.set_yticks(np.arange(depths.size) + 0.5, [_depth(n) for n in depths])
    ax.tick_params(length=0, pad=2)
    for label in ax.get_xticklabels():
        label.set(rotation=90, fontsize=7)
    for spine in ax.spines.values():
        spine.set_visible(True)
    return mesh


def _ink(speedup: float) -> str:
    """Return the colour of marks on a cell."""
    return "#FFFFFF" if speedup < 0.8 else "#000000"


def _paper(speedup: float) -> Any:
    """Return the colour of a cell."""
    return matplotlib.colormaps[COLORS](Normalize(-MOST, MOST)(np.log2(speedup)))


def _short(norm: float) -> str:
    """Return a norm as text, powers of ten below 0.1 by their exponent."""
    exponent = round(float(np.log10(norm)))
    is_power = np.isclose(norm, 10.0**exponent, rtol=1e-9)
    return f"$10^{{{exponent}}}$" if is_power and abs(exponent) > 1 else f"{norm:g}"


def contour(speedup: np.ndarray) -> list[list[tuple[float, float]]]:
    """Return edges between neighbouring cells with a speed-up above 1 and not above 1."""
    rows, columns = speedup.shape
    edges = []
    for i in range(rows):
        for j in range(columns):
            for di, dj in ((0, 1), (1, 0)):
                k, m = i + di, j + dj
                if k < rows and m < columns and _differ(speedup[i, j], speedup[k, m]):
                    start = (float(j + dj), float(i + di))
                    edges.append([start, (float(j + 1), float(i + 1))])
    return edges


def _differ(a: float, b: float) -> bool:
    return bool(np.isfinite(a) and np.isfinite(b) and (a > 1) != (b > 1))


def _depth(depth: float) -> str:
    return "\N{INFINITY}" if np.isinf(depth) else f"{depth:g}"


def _power(value: float) -> str:
    """Return 1, or the value to one digit as text: 5 x 10^9."""
    digit, exponent = f"{value:.0e}".split("e")
    if int(exponent) == 0:
        return digit
    return f"${digit} \\times 10^{{{int(exponent)}}}$"


def caption(found: xr.Dataset) -> str:
    """Return the caption of the figure."""
    draws, steps = found.sizes["draw"], int(found.attrs["steps"])
    limit = found["few_steps"].attrs["limit"]
    rate = 100 * float(found["significant"].attrs["false_discovery_rate"])
    return (
        "Speed-up of the tuned end-to-end rule of a depth-N linear network over tuned gradient "
        f"descent to a relative suboptimality of {main_target(found):g}: ratio of median steps "
        f"over {draws} draws of problem and start, against the norm of the start, relative to that "
        "of the optimum, and the depth, for losses |error|^p and features of different condition "
        f"number. Rates are tuned on {found.attrs['tuning_draws']} other draws, separately for "
        f"every cell ({found.attrs['rates']}). Lighter cells: depth is faster; the orange line is "
        "the contour at 1. Hatched cells are not significant: by a sign test of the paired draws "
        f"and the procedure of Benjamini and Hochberg at a false-discovery rate of {rate:g} % over "
        f"all cells and targets of a p. In cells with a dot tuned GD needs at most {limit} steps, "
        "and ratios are of small whole numbers. > and < mark bounds, where GD or depth missed the "
        f"target within {steps} steps on at least half of the draws; in white cells both did."
    )
