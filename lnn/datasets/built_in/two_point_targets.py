"""Targets of the two-point problem. Imports no JAX."""

from __future__ import annotations

import math

from lnn.core.checks import SMALLEST

PARTS = (0.5, 0.2, 0.1)
"""Distances from the smaller label, as parts of it."""


def two_point_targets(y1: float, y2: float, p: float) -> tuple[float, ...]:
    """Return relative suboptimalities that put both weights within PARTS of the smaller label.

    The loss of Arora, Cohen and Hazan (2018), Section 7, is at most delta^p / p only if neither
    coordinate is further than delta from its label; at w = 0 it is (|y1|^p + |y2|^p) / p. Rounded
    down to three digits. () if a label is zero or the targets are below the smallest number used.
    """
    small, large = sorted((abs(float(y1)), abs(float(y2))))
    if small == 0:
        return ()
    # log((delta / large)^p / (1 + (small / large)^p)), which neither over- nor underflows.
    ratio = math.log(small) - math.log(large)
    whole = math.log1p(math.exp(p * ratio))
    logs = [p * (math.log(part) + ratio) - whole for part in PARTS]
    return tuple(_down(math.exp(value)) for value in logs if value > math.log(2 * SMALLEST))


def meaning(y1: float, y2: float) -> str:
    """Say what the targets mean."""
    small = min(abs(y1), abs(y2))
    distances = ", ".join(f"{part * small:g}" for part in PARTS)
    return f"both weights are within {distances} of their labels, {y1:g} and {y2:g}"


def _down(value: float) -> float:
    exponent = math.floor(math.log10(value)) - 2
    return float(f"{math.floor(value * 10.0**-exponent)}e{exponent}")
