"""Axes of a map, validated before anything runs. Imports no JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from lnn.core.checks import LARGEST, SMALLEST, check_depth, check_whole

ROWS, FEATURES = 256, 16
"""Examples and features of every problem."""

PER_DECADE = 10
RATES = tuple(10.0 ** (i / PER_DECADE) for i in range(-6 * PER_DECADE, PER_DECADE + 1))
"""Learning rates of every method: 1e-6 to 10, a factor of 1.26 apart."""

COARSE = tuple(i for i in range(len(RATES)) if i % PER_DECADE in (0, 7))
"""Indices of the paper's grid in `RATES`: 1 and 10^0.7 = 5.01 times powers of ten."""

TUNING = 9
"""Problem draws that choose rates; others evaluate them. The median of nine more draws has a lower
stability limit than all of these in one cell of 70; with three tuning draws, in one of six.
"""

FDR = 0.05
"""False-discovery rate of the cells called significant, over the cells of each exponent p."""

FEW = 5
"""Up to so many steps of tuned GD, ratios of steps are ratios of small whole numbers."""

LAYERS, LAYERS_DECAY = (2.0, 3.0, 4.0), 0.5
"""Depths at which the rule is compared with the layers of a network, at one conditioning: that
nearest to this decay.
"""


@dataclass(frozen=True)
class MapConfig:
    """The axes of a map.

    Attributes:
        p: exponents of the loss.
        depths: depths N > 1 of the end-to-end rule, real numbers or inf.
        relative_norms: Frobenius norms of the start W(0), divided by that of the optimum W* of the
            draw. |W*| grows with the conditioning, from 1 to 2000 at the default decays.
        decays: exponents on the spectrum of the features: 0 for equal eigenvalues, 1 as gas drift.
        targets: relative suboptimalities (L - L*) / (L_0 - L*).
        steps: budget of every run.
        seeds: number of evaluation draws. 15 is the least number with which a single cell of the
            default map can be significant: the sign test's least p-value is 2^(1 - seeds), and of
            the 700 cells of an exponent the first needs at most 0.05 / 700.

    Raises:
        ValueError: for a value out of range; the message says what is allowed.
    """

    p: tuple[float, ...] = (2.0, 3.0, 4.0, 6.0)
    depths: tuple[float, ...] = (1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)
    relative_norms: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1, 1.0)
    decays: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    targets: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01)
    steps: int = 10_000
    seeds: int = 15

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.name not in ("steps", "seeds"):
                object.__setattr__(self, item.name, _axis(item.name, getattr(self, item.name)))
        object.__setattr__(self, "targets", self.targets[::-1])
        _within("p", self.p, 1, 100, "real numbers above 1", open_low=True)
        for depth in self.depths:
            if check_depth(depth) == 1:
                raise ValueError("depth = 1 is plain gradient descent: give depths above 1")
        _within("relative norm", self.relative_norms, SMALLEST, LARGEST, "positive numbers")
        _within("decay", self.decays, 0, 2, "numbers from 0 (all eigenvalues equal) to 2")
        _within("target", self.targets, 0, 1, "numbers between 0 and 1", open_low=True)
        for name, most in (("steps", 2**31 - 1), ("seeds", 1000)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, most))

    @property
    def studies(self) -> int:
        """Number of tuned studies: one for each cell and target."""
        axes = (self.p, self.depths, self.relative_norms, self.decays, self.targets)
        return math.prod(map(len, axes))

    @property
    def network_depths(self) -> tuple[float, ...]:
        """Depths at which the rule is compared with the layers of a network; none if none fits."""
        return tuple(depth for depth in self.depths if depth in LAYERS)

    @property
    def network_decay(self) -> float:
        """The conditioning at which that is done."""
        return min(self.decays, key=lambda decay: abs(decay - LAYERS_DECAY))


QUICK: dict[str, Any] = {
    "p": (2.0, 4.0),
    "depths": (2.0, 4.0),
    "relative_norms": (0.001, 0.01, 0.1),
    "decays": (0.5, 0.75),
    "targets": (0.3, 0.1),
    "steps": 1000,
    "seeds": 10,
}


def _axis(name: str, values: Any) -> tuple[float, ...]:
    given = values if isinstance(values, Sequence) and not isinstance(values, str) else (values,)
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} = {value!r}: give numbers")
    if not given:
        raise ValueError(f"no {name} is given: name at least one")
    return tuple(sorted({float(value) for value in given}))


def _within(
    name: str, values: tuple[float, ...], low: float, high: float, allowed: str,
    open_low: bool = False,
) -> None:  # fmt: skip
    for value in values:
        inside = low < value < high if open_low else low <= value <= high
        if not inside:
            raise ValueError(f"{name} = {value:g}: give {allowed}")
