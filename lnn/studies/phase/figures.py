"""Figure of the map: heat maps of the speed-up, drawn from the dataset."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from lnn.results.plotting import INK, blank, settings

COLORS = "cividis"
"""Dark (depth is slower) to light (faster), alike for colour-blind readers and in grey."""

MOST = 3.0
"""Speed-ups beyond 2^3 and below 2^-3 have the colours of these."""

_BLANK = "#FFFFFF"


def main_target(found: xr.Dataset) -> float:
    """Return the target shown in the figure, nearest to 0.1."""
    targets = found["target"].values
    return float(targets[np.argmin(np.abs(np.log(targets / 0.1)))])


def draw(found: xr.Dataset) -> Figure:
    """Draw a panel for each p (rows) and conditioning (columns): start norm against depth."""
    target, found = main_target(found), found.drop_dims("draw")
    rows, columns = found.sizes["p"], found.sizes["decay"]
    with settings():
        height = 0.75 + rows * (0.42 + 0.17 * found.sizes["depth"])
        fig = blank(height)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        mesh: Any = None
        for i, p in enumerate(found["p"].values):
            for j, decay in enumerate(found["decay"].values):
                cells = found.sel(p=p, decay=decay, target=target).transpose("depth", "norm")
                mesh = _draw_panel(axes[i, j], cells)
                if i == 0:
                    axes[i, j].set_title(f"condition {_power(float(cells['condition']))}")
            axes[i, 0].set_ylabel(f"$\\mathbf{{p = {p:g}}}$\nDepth $N$")
        fig.supxlabel(
            f"Frobenius norm of the start $W(0)$; target: relative suboptimality {target:g}",
            fontsize=8,
        )
        bar = fig.colorbar(mesh, ax=axes, aspect=40, pad=0.01, extend="both")
        ticks = np.arange(-MOST, MOST + 1)
        bar.set_ticks(list(ticks), labels=[f"{2.0**tick:g}" for tick in ticks])
        bar.set_label("Times as fast as tuned GD")
        with matplotlib.rc_context({"hatch.linewidth": 0.5}):
            fig.legend(
                handles=[
                    Patch(facecolor="#BBBBBB", edgecolor=INK, hatch="////", linewidth=0.4,
                          label="not significant"),
                    Patch(facecolor=_BLANK, edgecolor=INK, linewidth=0.4,
                          label="neither reached it"),
                ],
                loc="outside upper left", ncols=2, frameon=False, fontsize=7,
            )  # fmt: skip
        return fig


def _draw_panel(ax: Axes, cells: xr.Dataset) -> Any:
    speedup = cells["speedup"].values
    log = np.ma.masked_invalid(np.log2(np.where(speedup > 0, speedup, np.nan)))
    ax.set_facecolor(_BLANK)
    mesh = ax.pcolormesh(log, cmap=COLORS, norm=Normalize(-MOST, MOST), rasterized=False)
    with matplotlib.rc_context({"hatch.linewidth": 0.5}):
        for i, j in np.argwhere(np.isfinite(speedup) & (cells["significant"].values == 0)):
            ax.add_patch(
                Rectangle((j, i), 1, 1, fill=False, hatch="/////", linewidth=0, edgecolor=INK)
            )
    ax.add_collection(LineCollection(contour(speedup), colors="#D55E00", linewidths=1.8))
    for i, j in np.argwhere(cells["bound"].values != 0):
        sign = ">" if cells["bound"].values[i, j] > 0 else "<"
        dark = speedup[i, j] < 1
        ax.text(j + 0.5, i + 0.5, sign, ha="center", va="center", fontsize=7,
                color="#FFFFFF" if dark else "#000000")  # fmt: skip
    ax.set_xticks(np.arange(cells.sizes["norm"]) + 0.5, [f"{n:g}" for n in cells["norm"].values])
    ax.set_yticks(np.arange(cells.sizes["depth"]) + 0.5, [_depth(n) for n in cells["depth"].values])
    ax.tick_params(length=0, pad=2)
    for label in ax.get_xticklabels():
        label.set(rotation=90, fontsize=7)
    for spine in ax.spines.values():
        spine.set_visible(True)
    return mesh


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
    """Return 1 or the nearest power of ten as text."""
    exponent = round(float(np.log10(value)))
    return "1" if exponent == 0 else f"$10^{{{exponent}}}$"


def caption(found: xr.Dataset) -> str:
    """Return the caption of the figure."""
    draws, steps = found.sizes["draw"], int(found.attrs["steps"])
    return (
        "Speed-up of the tuned end-to-end rule of a depth-N linear network over tuned gradient "
        f"descent to a relative suboptimality of {main_target(found):g}: ratio of median steps "
        f"over {draws} draws of problem and start, against the norm of the start and the depth, "
        "for losses |error|^p and features of different condition number. Rates are tuned on "
        f"{found.attrs['tuning_draws']} other draws, separately for every cell "
        f"({found.attrs['rates']}). The orange line is the contour at 1. Hatched cells are not "
        "significant: the band of the median of the paired ratios contains 1 ("
        f"{found['low'].attrs['description'].partition(': ')[2]}). > and < mark bounds, where GD "
        f"or depth missed the target within {steps} steps on half of the draws; in white cells "
        "both did."
    )
