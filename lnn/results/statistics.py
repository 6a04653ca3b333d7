"""Steps to targets, quantiles, bands and speed ratios. No JAX.

Medians and bands are order statistics over seeds, never interpolated: runs that missed a target
count as infinity, which must not produce NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import comb

import numpy as np

BAND = (0.2, 0.8)
"""Quantiles that bound the band over seeds; `band_name` says which of the values these are."""


def steps_to_target(
    steps: np.ndarray,
    suboptimality: np.ndarray,
    targets: np.ndarray,
    diverged: np.ndarray | bool = False,
) -> np.ndarray:
    """Return the first whole step at which each run is at or below each target, at least 1.

    Between recorded steps it is the crossing, rounded up, interpolated in log(steps) and
    log(suboptimality), exact for power laws; from step 0, which has no logarithm, linearly in the
    steps; to values at or below zero, linearly in the suboptimality.

    Args:
        steps: (T,) recorded steps, ascending, from 0 or later.
        suboptimality: (..., T); NaN after a run has ended.
        targets: (K,), positive.
        diverged: (...), runs that ended diverged, which count as having reached nothing even if
            they passed a target before: their rate is unusable.

    Returns:
        (..., K) whole steps; infinity for targets never reached.
    """
    steps = np.asarray(steps, np.float64)
    values = np.asarray(suboptimality, np.float64)
    targets = np.asarray(targets, np.float64)
    below = values[..., None] <= targets
    first = np.argmax(below, axis=-2)
    before = np.maximum(first - 1, 0)
    high = np.take_along_axis(values, before, axis=-1)
    low = np.take_along_axis(values, first, axis=-1)
    start, end = steps[before], steps[first]
    with np.errstate(all="ignore"):
        part = np.log(high / targets) / np.log(high / low)
        part = np.where(low > 0, part, (high - targets) / (high - low))
        part = np.where(np.isfinite(high), part, 1.0)
        crossing = np.where(start > 0, start * (end / start) ** part, start + part * (end - start))
    crossing = np.where(first == 0, steps[0], np.clip(crossing, start, end))
    reached = below.any(axis=-2) & ~np.asarray(diverged)[..., None]
    # Rounding of logarithms must not turn an exact step into the next one.
    whole = np.maximum(np.ceil(crossing * (1 - 1e-12)), 1.0)
    return np.where(reached, whole, np.inf)


def final_suboptimality(suboptimality: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return the last recorded value of each run (..., T); infinity if it diverged."""
    final = last_value(suboptimality)
    return np.where(diverged | ~np.isfinite(final), np.inf, final)


def quantile(values: np.ndarray, q: float, axis: int = -1, upper_median: bool = True) -> np.ndarray:
    """Return a quantile as one of the values, so that infinity is never interpolated.

    Of the two values around the quantile the lower one is taken for q < 1/2, the higher one
    otherwise: bands are never too narrow and medians of steps never too good. Where large values
    are better, `upper_median=False` takes the lower one for q = 1/2.

    Raises:
        ValueError: a value is NaN, or there are none.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or np.isnan(values).any():
        raise ValueError("quantiles need at least one value and no NaN")
    place = quantile_place(q, values.shape[axis], upper_median)
    return np.take(np.sort(values, axis=axis), place, axis=axis)


def quantile_place(q: float, count: int, upper_median: bool = True) -> int:
    """Return the place, from 0, of the one that `quantile` takes of so many ascending values."""
    position = round(q * (count - 1), 9)  # 0.7 * 10 must not count as above 7
    lower = q < 0.5 or (q == 0.5 and not upper_median)
    return math.floor(position) if lower else math.ceil(position)


@dataclass(frozen=True)
class Band:
    """Median and band over seeds."""

    median: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.low, self.high


def last_value(values: np.ndarray) -> np.ndarray:
    """Return the last value of each run (..., T) that is not NaN; NaN if there is none."""
    last = values.shape[-1] - 1 - np.argmax(~np.isnan(values)[..., ::-1], axis=-1)
    return np.take_along_axis(values, last[..., None], axis=-1)[..., 0]


def band_over(values: np.ndarray, upper_median: bool = True) -> Band:
    """Return median and band of the seeds' values (S,); `upper_median` as in `quantile`."""
    quantiles = (quantile(values, q, upper_median=upper_median) for q in (0.5, *BAND))
    return Band(*map(float, quantiles))


def band_curves(values: np.ndarray, axis: int = 0) -> list[np.ndarray]:
    """Return lower end, median and upper end of the band along an axis."""
    return [quantile(values, q, axis=axis) for q in (BAND[0], 0.5, BAND[1])]


def speed_ratio(gd: np.ndarray, method: np.ndarray) -> np.ndarray:
    """Return gd / method, from steps of at least 1; NaN if both are infinite."""
    with np.errstate(invalid="ignore"):
        return gd / method


def speed_bounds(
    gd: np.ndarray, method: np.ndarray, budget: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest speed ratio that the budget allows where a run missed."""
    least = np.where(np.isfinite(method), speed_ratio(np.minimum(gd, budget), method), 0.0)
    most = np.where(np.isfinite(gd), speed_ratio(gd, np.minimum(method, budget)), np.inf)
    return least, most


CONFIDENCE = 0.95


def coverage(count: int, order: int) -> float:
    """Return the confidence of the band from order-th smallest to order-th largest of `count`
    values.

    For the median of any continuous distribution: 1 - 2 P(Binomial(count, 1/2) < order). Source:
    H. A. David and H. N. Nagaraja, Order Statistics (2003), Section 7.1.
    """
    return 1 - 2 * sum(comb(count, i) for i in range(order)) / 2**count


def band_name(count: int, values: str = "seeds") -> str:
    """Return what the ends of a band over so many values are: order statistics, by rank.

    With the confidence for the median, where it is not the whole range: "3rd and 9th of 11 seeds,
    93.5 % for the median".
    """
    if count == 1:
        return "no band, one value"
    order = quantile_place(BAND[0], count) + 1
    if order == 1:
        return f"least and most of {count} {values}"
    return f"{ranks(order, count, values)} for the median"


def ranks(order: int, count: int, values: str) -> str:
    """Return two order statistics and their confidence: "3rd and 9th of 11 seeds, 93.5 %"."""
    ends = f"{ordinal(order)} and {ordinal(count + 1 - order)} of {count} {values}"
    return f"{ends}, {100 * coverage(count, order):.1f} %"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, ..., 11th, ..., 21st."""
    teens = 10 < number % 100 < 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def order_statistic(count: int) -> int:
    """Return the order of the narrowest band of at least 95 % confidence, else 1."""
    orders = [k for k in range(1, count // 2 + 1) if coverage(count, k) >= CONFIDENCE]
    return max(orders, default=1)
