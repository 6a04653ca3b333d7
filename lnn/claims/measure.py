"""Small measurements that many claims make."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lnn.results.statistics import BAND, quantile


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Exponent of the power law through y against x, by least squares of logarithms.

    For a handful of points; `lnn.theory.power_law.fit_power_law` tells its uncertainty from more.
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def spread(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest, for the band of a check."""
    return float(values.min()), float(values.max())


class Ratio(NamedTuple):
    """How many times fewer steps one method takes, paired by start: median and band.

    Where a run misses the target, `least` and `most` are what the budget still allows.
    """

    least: tuple[float, float, float]
    most: tuple[float, float, float]

    @property
    def band(self) -> tuple[float, float]:
        """Low and high end that the budget allows."""
        return self.least[1], self.most[2]

    def __str__(self) -> str:
        least, most = self.least[0], self.most[0]
        if least == most:
            return f"{least:.2f}"
        if np.isinf(most):
            return f"at least {least:.2f}" if least else "unknown, as both missed"
        return f"{least:.2f} to {most:.2f}" if least else f"at most {most:.2f}"


def ratio(other: np.ndarray, method: np.ndarray, budget: float) -> Ratio:
    """(steps of the other) / (steps of the method) for paired starts (S,), infinite if missed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(np.isfinite(method), np.minimum(other, budget) / method, 0.0)
        most = np.where(np.isfinite(other), other / np.minimum(method, budget), np.inf)

    def spread(values: np.ndarray) -> tuple[float, float, float]:
        middle, low, high = (float(quantile(values, q, upper_median=False)) for q in (0.5, *BAND))
        return middle, low, high

    return Ratio(spread(least), spread(most))
