"""Figures of the study, drawn from its dataset: one for steps, one each for geometry and structure.

Every seed is an open point, and medians are joined; a triangle that points up is a censored run, at
its last step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from lnn.results.formatting import short
from lnn.results.plotting import INK, blank, note, plain_ticks, settings
from lnn.studies.width.conclusion.steps import data_exponents
from lnn.studies.width.conclusion.structure import at_depth
from lnn.studies.width.config import Setup
from lnn.studies.width.runs import GROUPS
from lnn.studies.width.selection import Sweep, bands, select, setups, slope, tuned_rates

TITLES = {
    "characters": ("Characters", "recurrent highway network"),
    "words": ("Words", "LSTM"),
    "speech": ("Speech", "Deep Speech 2"),
}
UNITS = {"characters": "characters", "words": "words", "speech": "utterances"}


class Look(NamedTuple):
    """Colour, marker and dashes, told apart in grey too."""

    color: str
    marker: str
    line: Any


LOOKS = (
    Look("#56B4E9", "o", (0, (1, 1))),
    Look("#0072B2", "s", "-"),
    Look("#222222", "^", (0, (4, 1.5))),
    Look("#D55E00", "D", (0, (6, 1, 1, 1))),
)


def draw_all(found: xr.Dataset) -> dict[str, Figure]:
    """Return the figures by file name."""
    drawn = {"width": draw_steps(found)}
    for setup in setups(found):
        drawn[f"geometry-{setup.system}"] = draw_geometry(found, setup)
        if len(setup.sizes) > 1 or compared(setup):
            drawn[f"structure-{setup.system}"] = draw_structure(found, setup)
    return drawn


def compared(setup: Setup) -> bool:
    """Return whether further rates, optimizers or depths, or tuned rates, are compared."""
    return bool(setup.tuned) or any(
        len(each) > 1 for each in (setup.rates, setup.optimizers, setup.depths)
    )


def draw_steps(found: xr.Dataset) -> Figure:
    """Draw steps against parameters, a panel for each system, with fitted power laws."""
    systems = setups(found)
    with settings():
        fig = blank(2.7, width=max(2.4 * len(systems) + 0.2, 3.4))
        for ax, setup in zip(np.ravel(fig.subplots(1, len(systems))), systems, strict=True):
            for look, size in zip(_spread(LOOKS[:3], len(setup.sizes)), setup.sizes, strict=False):
                sweep = select(found, setup, size)
                fit = slope(sweep.parameters, sweep.steps)
                exponent = f"{fit.exponent:.2f}" if fit.seeds else "unknown"
                label = f"{short(size)} {UNITS[setup.system]}: {exponent}"
                _draw(ax, sweep.parameters, sweep.steps, look, label, sweep)
                _fitted(ax, sweep, look)
            _log(ax, "Parameters", "Steps to halt" if ax.get_subplotspec().is_first_col() else "")
            ax.set_title(_title(found, setup), fontsize=8)
            ax.legend(
                frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.24),
                title="Training data: exponent", title_fontsize=7, handlelength=2.6,
            )  # fmt: skip
        return fig


def _title(found: xr.Dataset, setup: Setup) -> str:
    """Return the system, and the network below it; speech that nobody spoke is called synthetic."""
    what, network = TITLES[setup.system]
    synthetic = "synthetic" in found.attrs[f"{setup.system}_data"]
    return f"{f'Synthetic {what.lower()}' if synthetic else what}\n({network})"


def _spread(looks: Sequence[Look], count: int) -> list[Look]:
    return [looks[1]] if count == 1 else list(looks[:count])


def _draw(
    ax: Axes, x: np.ndarray, values: np.ndarray, look: Look, label: str, sweep: Sweep | None = None,
    line: bool = False,
) -> None:  # fmt: skip
    """Draw a point per seed of values (W, S), and medians."""
    shifts = np.exp(np.linspace(-0.06, 0.06, values.shape[1])) if values.shape[1] > 1 else [1.0]
    for i, shift in enumerate(shifts):
        style: Any = {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 0.5,
                      "markeredgecolor": look.color, "zorder": 2}  # fmt: skip
        ax.plot(x * shift, values[:, i], marker=look.marker, markersize=2.4, alpha=0.8, **style)
        if sweep is not None:
            lost = sweep.censored[:, i]
            ax.plot(x[lost] * shift, sweep.taken[lost, i], marker=6, markersize=4, **style)
    medians = np.array([band.median for band in bands(values)])
    ax.plot(
        x, np.where(np.isfinite(medians), medians, np.nan), color=look.color, marker=look.marker,
        markersize=3.6, linewidth=1.1, linestyle=look.line if sweep is None or line else "none",
        label=label, zorder=3,
    )  # fmt: skip


def _fitted(ax: Axes, sweep: Sweep, look: Look) -> None:
    """Draw the mean power law of the seeds through the mean of log steps."""
    fit = slope(sweep.parameters, sweep.steps)
    known = np.isfinite(sweep.steps)
    if not fit.seeds or not known.any():
        return
    x = np.log(sweep.parameters)[:, None] * np.ones_like(sweep.steps)
    level = np.mean(np.log(sweep.steps[known])) - fit.exponent * np.mean(x[known])
    grid = np.geomspace(sweep.parameters[0], sweep.parameters[-1], 20)
    ax.plot(
        grid, np.exp(level) * grid**fit.exponent, color=look.color, linewidth=1.0,
        linestyle=look.line, alpha=0.8, zorder=1,
    )  # fmt: skip


def _log(ax: Axes, x: str, y: str, ticks: Sequence[float] | np.ndarray = ()) -> None:
    """Label logarithmic axes with plain numbers."""
    ax.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    if not np.isfinite(ax.dataLim.get_points()).all():  # all runs are censored
        ax.set(xlim=(1, 10), ylim=(1, 10))
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        subs = (1, 2, 5) if high < 60 * low else (1, 3) if high < 300 * low else (1,)
        plain_ticks(axis, LogLocator(subs=subs, numticks=12), NullLocator())
        axis.set_major_formatter(lambda value, _: short(value))
    if len(ticks):
        plain_ticks(ax.xaxis, FixedLocator(list(ticks)), NullLocator())


_GEOMETRY = (
    ("distance", "Direct distance"),
    ("path", "Path length"),
    ("step", "Mean step"),
    ("straightness", "Distance / path"),
    ("to_start", "Angle to the start\n(degrees)"),
    ("to_end", "Angle to the end\n(degrees)"),
)


def named(setup: Setup, group: str) -> str:
    """Return the name of a group of parameters."""
    first = "convolutions" if setup.system == "speech" else "embedding"
    return {"input": first, "output": "softmax"}.get(group, group)


def draw_geometry(found: xr.Dataset, setup: Setup) -> Figure:
    """Draw lengths and angles up to the halting time against width, a line for each group."""
    sweep = select(found, setup)
    values = {
        **sweep.lengths,
        "step": sweep.lengths["path"] / sweep.steps[:, :, None],
        "straightness": sweep.lengths["distance"] / sweep.lengths["path"],
    }
    with settings():
        fig = blank(4.2)
        axes = np.ravel(fig.subplots(2, 3))
        for ax, (name, label), letter in zip(axes, _GEOMETRY, "abcdef", strict=True):
            for i, group in enumerate(GROUPS):
                _draw(ax, sweep.widths, values[name][:, :, i], LOOKS[i], named(setup, group))
            _log(ax, "Width", label, sweep.widths)
            if name.startswith("to_"):
                ax.axhline(90, color=INK, linewidth=0.6, linestyle=":", zorder=0)
                ax.set_yscale("linear")
            ax.set_title(f"({letter})", loc="left", fontsize=8, fontweight="bold")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=7,
                   handlelength=2.8)  # fmt: skip
        return fig


def draw_structure(found: xr.Dataset, setup: Setup) -> Figure:
    """Draw steps at several rates, optimizers, depths and sizes, and the losses reached."""
    panels = [panel for panel in _PANELS if panel[0](setup)]
    rows = -(-len(panels) // 3)
    with settings():
        fig = blank(2.3 * rows, width=7.0 if len(panels) > 2 else 2.4 * len(panels) + 0.4)
        axes = np.ravel(fig.subplots(rows, min(3, len(panels))))
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax, (_, draw), letter in zip(axes, panels, "abcdef", strict=False):
            draw(ax, found, setup)
            ax.set_title(f"({letter})", loc="left", fontsize=8, fontweight="bold")
            handles, labels = ax.get_legend_handles_labels()
            if labels:
                low, high = ax.get_ylim()
                ax.set_ylim(low, high * (high / low) ** (0.12 * len(labels)))  # room for it
                place = "upper left" if draw is _data else "upper right"
                ax.legend(handles, labels, frameon=False, fontsize=7, handlelength=2.4, loc=place)
        return fig


def _rates(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    for look, rate in zip(LOOKS[1:], setup.rates, strict=False):
        sweep = select(found, setup, rate=rate)
        _draw(ax, sweep.parameters, sweep.steps, look, f"rate {rate:g}", sweep, line=True)
    _log(ax, "Parameters", "Steps to halt")


def _optimizers(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    for look, name in zip(LOOKS[1:], setup.optimizers, strict=False):
        sweep = select(found, setup, optimizer=name)
        label = f"{name.upper() if name == 'sgd' else 'Adam'}, rate {setup.rate_of(name):g}"
        _draw(ax, sweep.parameters, sweep.steps, look, label, sweep, line=True)
    _log(ax, "Parameters", "Steps to halt")


def _depths(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    depths = sorted(setup.depths)
    each = [at_depth(found, setup, depth) for depth in depths]
    steps = np.concatenate([sweep.steps for sweep in each])
    _draw(ax, np.array(depths, np.float64), steps, LOOKS[1], "")
    _log(ax, "Depth of a step" if setup.system == "characters" else "Layers", "Steps to halt",
         depths)  # fmt: skip


def _data(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    shown = sorted({setup.widths[0], setup.middle_width, setup.widths[-1]})
    each = [select(found, setup, size) for size in setup.sizes]
    for look, width in zip(LOOKS, shown, strict=False):
        at = setup.widths.index(width)
        steps = np.stack([sweep.steps[at] for sweep in each])
        _draw(ax, np.array(setup.sizes, np.float64), steps, look, f"width {width}")
    _log(ax, f"Training {UNITS[setup.system]}", "Steps to halt", setup.sizes)
    ax.xaxis.set_major_formatter(lambda value, _: short(value))
    exponent = data_exponents(found, setup)
    if exponent is not None and exponent.seeds:
        note(ax, f"exponent {exponent.exponent:.2f}", (0.97, 0.04), (0, 0),
             xycoords="axes fraction", ha="right")  # fmt: skip


def _tuned(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    for look, label, how in (
        (LOOKS[1], f"rate {setup.rates[0]:g}", {}),
        (LOOKS[3], "tuned rates", {"rate": "tuned"}),
        (LOOKS[2], "maximal update", {"base": setup.middle_width}),
    ):
        sweep = select(found, setup, **how)
        goal = np.where(np.isinf(sweep.goal), np.nan, sweep.goal)
        _draw(ax, sweep.parameters, goal, look, label)
    _log(ax, "Parameters", "Steps to a common loss")
    ax.set_ylim(0.7 * ax.get_ylim()[0])
    rates = tuned_rates(found, setup)
    top = bands(select(found, setup, rate="tuned").goal)
    for width, parameters, band in zip(setup.widths, sweep.parameters, top, strict=True):
        note(ax, f"{rates[width]:.2g}", (parameters, band.median), (0, -9), ha="center",
             color=LOOKS[3].color)  # fmt: skip


def _losses(ax: Axes, found: xr.Dataset, setup: Setup) -> None:
    for look, size in zip(_spread(LOOKS[:3], len(setup.sizes)), setup.sizes, strict=False):
        sweep = select(found, setup, size)
        _draw(ax, sweep.parameters, sweep.least, look, f"{short(size)} {UNITS[setup.system]}")
    _log(ax, "Parameters", "Least validation loss\n(nats per symbol)")


_PANELS: Any = (
    (lambda setup: len(setup.rates) > 1, _rates),
    (lambda setup: len(setup.optimizers) > 1, _optimizers),
    (lambda setup: len(setup.depths) > 1, _depths),
    (lambda setup: len(setup.sizes) > 1, _data),
    (lambda setup: bool(setup.tuned), _tuned),
    (lambda setup: True, _losses),
)
