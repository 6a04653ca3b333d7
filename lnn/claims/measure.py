"""Measurements shared by many claims."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lnn.results.statistics import BAND, quantile


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Fit the exponent of a power law of y in x to a few points, by least squares of logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def spread(values: np.ndarray) -> tuple[float, float]:
    """Return minimum and maximum, for the band of a check."""
    return float(values.min()), float(values.max())


class Ratio(NamedTuple):
    """Ratio of steps of two methods, paired by start: median and band.

    If a run misses the target, `least` and `most` are the bounds implied by the budget.
    """

    least: tuple[float, float, float]
    most: tuple[float, float, float]

    @property
    def band(self) -> tuple[float, float]:
        """Lower and upper bound implied by the budget."""
        return self.least[1], self.most[2]

    def __str__(self) -> str:
        least, most = self.least[0], self.most[0]
        if least == most:
            return f"{least:.2f}"
        if np.isinf(most):
            return f"at least {least:.2f}" if least else "unknown, as both missed"
        return f"{least:.2f} to {most:.2f}" if least else f"at most {most:.2f}"


def ratio(other: np.ndarray, method: np.ndarray, budget: float) -> Ratio:
    """Return (steps of the other) / (steps of the method) for paired starts (S,), inf if missed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(np.isfinite(method), np.minimum(other, budget) / method, 0.0)
        most = np.where(np.isfinite(other), other / np.minimum(method, budget), np.inf)

    def spread(values: np.ndarray) -> tuple[float, float, float]:
        middle, low, high = (float(quantile(values, q, upper_median=False)) for q in (0.5, *BAND))
        return middle, low, high

    return Ratio(spread(least), spread(most))
