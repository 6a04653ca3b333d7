"""Figure of both terms of the loss against steps, drawn from the dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from lnn.results.plotting import blank, plain_ticks, settings
from lnn.results.statistics import band_curves, band_name
from lnn.studies.mnist.config import ARMS, HARD_CODED_RATE
from lnn.studies.mnist.summary import SETTINGS, objective

_LOOKS: dict[str, tuple[str, Any, float]] = {
    "normal": ("#000000", (0, ()), 1.4),
    "factored": ("#0072B2", (0, (7, 1.4)), 1.4),
    "factored-factors": ("#56B4E9", (0, (4, 1, 1, 1)), 1.4),
    "balanced": ("#F0B14A", (0, ()), 3.0),
    "rule": ("#7A1F4D", (0, (2.2, 1.3)), 1.3),
}
"""The rule is drawn as dark dashes on the broad light line of balanced factors: both show."""

_COLUMNS = (
    ("objective", "Cross-entropy + regularizer\non the product (nats)"),
    ("cross_entropy", "Cross-entropy (nats)"),
    ("regularizer_product", "Regularizer\non the product (nats)"),
    ("regularizer_factors", "Regularizer\non the factors (nats)"),
)


def draw(found: xr.Dataset) -> Figure:
    """Draw a row for tuned rates and one for the tutorial's rate, with a column for each term."""
    found = found.assign(objective=objective(found))
    with settings():
        fig = blank(3.9)
        axes = fig.subplots(len(SETTINGS), len(_COLUMNS), sharex=True, sharey="col")
        for i, setting in enumerate(SETTINGS):
            for j, (name, label) in enumerate(_COLUMNS):
                ax = axes[i, j]
                _draw_panel(ax, found.sel(setting=setting), name)
                if i == 0:
                    ax.set_title(label, fontsize=7.5)
                else:
                    ax.set_xlabel("Steps")
            axes[i, 0].set_ylabel(
                "Tuned rates" if setting == "tuned" else f"Rate {HARD_CODED_RATE:g} for all",
                fontweight="bold",
            )
        handles = [
            Line2D([], [], color=color, linestyle=dashes, linewidth=width, label=ARMS[arm].label)
            for arm, (color, dashes, width) in _LOOKS.items()
        ]
        fig.legend(
            handles=handles, loc="outside upper center", ncols=len(handles), frameon=False,
            fontsize=7, handlelength=2.6, columnspacing=1.2,
        )  # fmt: skip
        return fig


def _draw_panel(ax: Axes, found: xr.Dataset, name: str) -> None:
    steps = found["step"].values.astype(np.float64)
    shown = steps >= max(1.0, steps[-1] / 100)  # before, little has changed
    for arm, (color, dashes, width) in _LOOKS.items():
        values = found[name].sel(arm=arm).values[:, shown]
        low, middle, high = band_curves(values)
        finite = np.isfinite(high)
        ax.fill_between(
            steps[shown], low, np.where(finite, high, low), where=finite, color=color, alpha=0.2,
            linewidth=0, zorder=1,
        )  # fmt: skip
        ax.plot(
            steps[shown], np.where(np.isfinite(middle), middle, np.nan), color=color,
            linestyle=dashes, linewidth=width, zorder=3 if arm in ("normal", "rule") else 2,
        )  # fmt: skip
    ax.set(xscale="log", xlim=(steps[shown][0], steps[-1]))
    plain_ticks(ax.xaxis, LogLocator(subs=(1, 2, 5), numticks=12), NullLocator())
    if name.startswith("regularizer"):
        ax.yaxis.set_major_locator(MaxNLocator(4))
        return
    ax.set_yscale("log")
    plain_ticks(ax.yaxis, LogLocator(subs=(1, 2, 5), numticks=12), NullLocator())


def caption(found: xr.Dataset) -> str:
    """Return the caption of the figure."""
    seeds = found.sizes["seed"]
    return (
        "A convolutional network on MNIST, normal, with every dense matrix factored in two, and "
        f"with the drop-in rule on the dense matrices: median and band ({band_name(seeds)}) "
        "against SGD steps. Both terms of the loss are measured on "
        f"{int(found.attrs['evaluation'])} training images without dropout. Upper row: each arm at "
        "its tuned learning rate; lower row: all at the tutorial's. The regularizer is 5e-4 times "
        "half the sum of squares of dense weights and biases; both of its columns agree for the "
        "normal network and the rule, which have no factors. Factored networks are trained with "
        "the regularizer on the product, except where factors are regularized. "
        f"Network: {found.attrs['network']}."
    )
