"""Measurements shared by many claims."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lnn.results.statistics import Band, band_name, band_over, quantile, speed_bounds


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Fit the exponent of a power law of y in x to a few points, by least squares of logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def spread(values: np.ndarray) -> tuple[float, float]:
    """Return minimum and maximum, for the band of a check."""
    return float(values.min()), float(values.max())


def missed(values: np.ndarray) -> np.ndarray:
    """Return the values with infinity for NaN: what a run that diverged did not reach."""
    return np.where(np.isnan(values), np.inf, values)


def bands(full: int, quick: int) -> str:
    """Say what bands over so many starts are, in a full run and in a quick one."""
    return f"Bands: {band_name(full, 'starts')} (quick: {band_name(quick, 'starts')})."


def soonest(steps: np.ndarray, *then: np.ndarray) -> int:
    """Return the index of the learning rate that serves the worst of the starts best.

    Of rates that do so equally, as where none reaches the target from every start, the one that
    serves the middle start best.

    Args:
        steps: (rates, starts) steps to the target, on starts that are not reported.
        then: (rates,) what decides between rates that are equal in both, smaller is better.
    """
    keys = steps.max(axis=1), quantile(steps, 0.5, axis=1), *then
    return int(np.lexsort(keys[::-1])[0])


class Ratio(NamedTuple):
    """Ratio of steps of two methods, paired by start: median and band of order statistics.

    If a run misses the target, `least` and `most` are the bounds implied by the budget.
    """

    least: Band
    most: Band

    @property
    def band(self) -> tuple[float, float]:
        """Lower and upper bound implied by the budget."""
        return self.least.low, self.most.high

    def __str__(self) -> str:
        least, most = self.least.median, self.most.median
        if least == most:
            return f"{least:.2f}"
        if np.isinf(most):
            return f"at least {least:.2f}" if least else "unknown, as both missed"
        return f"{least:.2f} to {most:.2f}" if least else f"at most {most:.2f}"


def ratio(other: np.ndarray, method: np.ndarray, budget: float) -> Ratio:
    """Return (steps of the other) / (steps of the method) for paired starts (S,), inf if missed."""
    least, most = speed_bounds(other, method, budget)
    return Ratio(band_over(least, upper_median=False), band_over(most, upper_median=False))
