"""Small measurements that many claims make."""

from __future__ import annotations

import numpy as np


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Exponent of the power law through y against x, by least squares of logarithms.

    For a handful of points; `lnn.theory.power_law.fit_power_law` tells its uncertainty from more.
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def spread(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest, for the band of a check."""
    return float(values.min()), float(values.max())
