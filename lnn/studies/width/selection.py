"""Selections of a study's runs from its dataset, and power laws fitted to them.

A censored run has no halting time: it is left out of fits, and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from lnn.results.statistics import Band, band_over
from lnn.studies.width.config import Setup
from lnn.theory.power_law import OffsetFit, fit_power_law_with_offset

CONFIDENCE = 0.95


def setups(found: xr.Dataset) -> list[Setup]:
    """Return the systems of a study."""

    def read(each: dict[str, Any]) -> Setup:
        plain: Any = {n: tuple(v) if isinstance(v, list) else v for n, v in each.items()}
        return Setup(**plain)

    return [read(each) for each in json.loads(found.attrs["setups"])]


def lengths(found: xr.Dataset) -> list[str]:
    """Return the names of what is known of every group of parameters: lengths and angles."""
    return [str(name) for name, each in found.data_vars.items() if each.dims == ("run", "group")]


class Sweep(NamedTuple):
    """Runs by width and seed, (W, S). `steps` and lengths are NaN where a run is censored.

    Lengths and angles are (W, S, 4) by group.
    """

    widths: np.ndarray
    parameters: np.ndarray
    steps: np.ndarray
    goal: np.ndarray
    least: np.ndarray
    taken: np.ndarray
    censored: np.ndarray
    lengths: dict[str, np.ndarray]


def select(
    found: xr.Dataset, setup: Setup, size: int = 0, widths: Sequence[int] = (), **other: Any
) -> Sweep:
    """Return evaluation runs of every width; what is left out of `other` is that of the sweep.

    Args:
        found: the dataset.
        setup: the system.
        size: of the training set; 0 for the middle one.
        widths: those wanted; none for all.
        other: depth, optimizer, rate, base, or "tuned" for rate: the chosen rate of each width.
    """
    optimizer = other.get("optimizer", setup.optimizers[0])
    wanted = {
        "system": setup.system, "size": size or setup.middle_size, "optimizer": optimizer,
        "depth": setup.depths[0], "rate": setup.rate_of(optimizer), "base": 0, **other,
    }  # fmt: skip
    rate = wanted.pop("rate")
    fits = np.logical_and.reduce([found[name].values == value for name, value in wanted.items()])
    axes = (found[name].values[fits] for name in ("width", "rate", "seed"))
    table = dict(zip(zip(*axes, strict=True), np.flatnonzero(fits), strict=True))
    rates = tuned_rates(found, setup) if rate == "tuned" else {}
    rows = [
        (w, [table.get((w, rates.get(w, rate), seed)) for seed in range(setup.seeds)])
        for w in widths or setup.widths
    ]
    rows = [(w, row) for w, row in rows if None not in row]
    widths = [w for w, _ in rows]
    place = np.array([row for _, row in rows], np.int64).reshape(len(rows), setup.seeds)
    censored = found["censored"].values[place].astype(bool)

    def values(name: str) -> np.ndarray:
        numbers = found[name].values[place].astype(np.float64)
        numbers[censored] = np.nan
        return numbers

    return Sweep(
        np.array(widths), found["parameters"].values[place[:, 0]], values("steps"),
        found["steps_to_goal"].values[place], found["least"].values[place],
        found["taken"].values[place], censored,
        {name: values(name) for name in lengths(found)},
    )  # fmt: skip


def tuned_rates(found: xr.Dataset, setup: Setup) -> dict[int, float]:
    """Return the chosen rate of every width of a system; none where none is searched."""
    if "tuned_rate" not in found:
        return {}
    own = found.isel(search=found["tuned_system"].values == setup.system)
    return dict(zip(map(int, own["tuned_width"].values), own["tuned_rate"].values, strict=True))


@dataclass(frozen=True)
class Slope:
    """A power law fitted to each seed: mean exponent, and its 95 % interval over seeds.

    Student's t with one degree of freedom less than seeds; infinite from a single one.
    """

    exponent: float
    low: float
    high: float
    seeds: int

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the interval."""
        return self.low, self.high

    def __str__(self) -> str:
        if self.seeds < 2:
            return f"{self.exponent:.2f} (one seed)" if self.seeds else "unknown"
        return f"{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"


def slopes(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the exponent of values (W, S) in x (W,) of each seed, by least squares of logarithms.

    Seeds with fewer than two values are left out.
    """
    found = []
    for column in values.T:
        known = np.isfinite(column) & (column > 0)
        if known.sum() > 1:
            found.append(np.polyfit(np.log(x[known]), np.log(column[known]), 1)[0])
    return np.array(found)


def interval(values: np.ndarray) -> Slope:
    """Return mean and 95 % interval of one number per seed."""
    if not values.size:
        return Slope(math.nan, math.nan, math.nan, 0)
    mean = float(values.mean())
    if values.size == 1:
        return Slope(mean, -math.inf, math.inf, 1)
    reach = stats.t.ppf(0.5 + CONFIDENCE / 2, values.size - 1) * stats.sem(values)
    return Slope(mean, mean - float(reach), mean + float(reach), values.size)


def slope(x: np.ndarray, values: np.ndarray) -> Slope:
    """Return the exponent of values (W, S) in x (W,)."""
    return interval(slopes(x, values))


def local_slope(sweep: Sweep, at: int) -> Slope:
    """Return the exponent of the steps in the parameters between a width and the next one."""
    pair = np.array([at, at + 1])
    return slope(sweep.parameters[pair], sweep.steps[pair])


def residual(
    x: np.ndarray, values: np.ndarray, law: Callable[[np.ndarray], np.ndarray] | None = None
) -> float:
    """Return the largest relative deviation of each width's geometric mean from a law.

    By default from the power law fitted to the means. Widths of which every seed is censored are
    left out; NaN for fewer than three others.
    """
    known = np.isfinite(values).any(axis=1)
    if known.sum() < 3:
        return math.nan
    logs, at = np.nanmean(np.log(values[known]), axis=1), np.log(x[known])
    expected = np.polyval(np.polyfit(at, logs, 1), at) if law is None else np.log(law(x[known]))
    return float(np.exp(np.abs(logs - expected).max()) - 1)


def offset_fit(sweep: Sweep) -> OffsetFit | None:
    """Fit a M^k + b to steps against parameters, a point per run; None with under four widths.

    The scatter of log steps is that of each width's seeds, in units of their median.
    """
    known = [width for width in range(len(sweep.widths)) if np.isfinite(sweep.steps[width]).any()]
    if len(known) < 4:
        return None
    x, y, sigma = [], [], []
    for i in known:
        steps = sweep.steps[i][np.isfinite(sweep.steps[i])]
        spread = max(float(np.std(np.log(steps), ddof=1)) if steps.size > 1 else 0.1, 0.02)
        x += [float(sweep.parameters[i])] * steps.size
        y += list(steps)
        sigma += [spread * float(np.median(steps))] * steps.size
    return fit_power_law_with_offset(np.array(x), np.array(y), np.array(sigma))


def bands(values: np.ndarray) -> list[Band]:
    """Return median and band of each width's seeds (W, S), without censored ones; NaN if none."""
    nothing = Band(math.nan, math.nan, math.nan)
    known = [row[~np.isnan(row)] for row in values]
    return [band_over(row) if row.size else nothing for row in known]
