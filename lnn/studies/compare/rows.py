"""A comparison as plain data: results of each method and target over evaluation seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lnn.core.status import Status
from lnn.results.statistics import Band, last_value


@dataclass(frozen=True)
class TargetResult:
    """Result of one method at one target.

    Attributes:
        target: relative suboptimality.
        steps: steps to the target; infinity for seeds that missed it.
        reached: number of seeds that reached it.
        speedup: (steps of tuned GD) / (steps of this method), paired by seed; infinity if only this
            method reached the target, 0 if only GD did. Seeds where both missed are unknown: the
            median is over the others (NaN if fewer than half), the band allows any value for them.
        at_least, at_most: the same ranks of the lowest and highest speed-up consistent with the
            budget, where a missed target is reached right after the last step or never. Shown as
            bounds where a speed-up is 0 or infinite.
        own_rates: median speed-up of the tuning seeds, were each of them run at its own best rate;
            None if unknown. Far above `speedup`, the gain requires a rate set finely for the start.
    """

    target: float
    steps: Band
    reached: int
    speedup: Band
    at_least: Band
    at_most: Band
    own_rates: float | None = None


@dataclass(frozen=True)
class MethodSummary:
    """A row of the table: a method at its tuned rate, over evaluation seeds.

    Attributes:
        label, rule, depth: of the method.
        learning_rate: tuned; `edge` is -1 or 1 if it is the lowest or highest tried, and
            `rate_spacing` the factor to the nearest other rate tried.
        targets: one `TargetResult` per target, easiest first.
        final: last recorded relative suboptimality; infinity for diverged runs. Runs stop after
            reaching every target.
        reached_all, diverged, budget_spent: number of runs by status.
    """

    label: str
    rule: str
    depth: float
    learning_rate: float
    edge: int
    rate_spacing: float
    targets: tuple[TargetResult, ...]
    final: Band
    reached_all: int
    diverged: int
    budget_spent: int

    def result(self, target: float) -> TargetResult:
        """Return the result at this target."""
        return next(result for result in self.targets if result.target == target)


@dataclass(frozen=True)
class Comparison:
    """Results of a study, presented by `lnn.Summary`; `facts` are attributes of its dataset."""

    facts: dict[str, Any]
    targets: tuple[float, ...]
    seeds: int
    steps: int
    rows: tuple[MethodSummary, ...]


def relative_suboptimality(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T) values of (L - L*) / (L_0 - L*) at every recorded loss."""
    loss = dataset["loss"].transpose("algorithm", "seed", "step").values.astype(np.float64)
    best, zero = float(dataset.attrs["reference_loss"]), float(dataset.attrs["zero_loss"])
    return (loss - best) / (zero - best)


def carried_forward(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T) relative suboptimality, continued after runs end.

    Ended runs keep their last value; diverged runs are infinite from the record that showed it.
    """
    values = relative_suboptimality(dataset)
    diverged = dataset["status"].transpose("algorithm", "seed").values[..., None] == Status.DIVERGED
    ended = np.cumsum(~np.isnan(values)[..., ::-1], axis=-1)[..., ::-1] <= np.where(diverged, 1, 0)
    after = np.where(diverged, np.inf, last_value(values)[..., None])
    return np.where(ended | ~np.isfinite(values), after, values)
