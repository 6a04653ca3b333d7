"""A comparison as plain data: per method and target, what the seeds that report have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lnn.core.status import Status
from lnn.results.statistics import Band, last_value


@dataclass(frozen=True)
class TargetResult:
    """How one method got to one target.

    Attributes:
        target: relative suboptimality.
        steps: steps to the target; infinity where it was missed.
        reached: number of seeds that reached it.
        speedup: (steps of tuned GD) / (steps of this method), paired by seed. Infinity where only
            this method reached the target, 0 where only GD did. A seed where both missed says
            nothing: the median is over the other seeds (NaN if those are less than half), the
            band holds whatever it might have been.
        at_least, at_most: the same quantiles of the least and the largest speed-up that the budget
            allows: a run that missed is taken to reach the target right after its last step, or
            never. These are the bounds to show where a speed-up is 0 or infinite.
    """

    target: float
    steps: Band
    reached: int
    speedup: Band
    at_least: Band
    at_most: Band


@dataclass(frozen=True)
class MethodSummary:
    """One row of the table: a method at its tuned rate, over the reporting seeds.

    Attributes:
        label, rule, depth: which method.
        learning_rate: tuned on other seeds; `edge` is -1 or 1 if it was the lowest or highest
            tried; `rate_spacing` is the factor to the nearest other rate tried.
        targets: one `TargetResult` per target, easiest first.
        final: last recorded relative suboptimality; infinity for a run that diverged. A run stops
            once it has reached every target.
        reached_all, diverged, budget_spent: how many runs ended so.
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
        """The result at this target."""
        return next(result for result in self.targets if result.target == target)


@dataclass(frozen=True)
class Comparison:
    """What a study measured; `lnn.Summary` presents it.

    Attributes:
        facts: what was run: the attributes of the dataset.
        targets: relative suboptimalities, easiest first.
        seeds: number of reporting seeds.
        steps: budget of every run.
        rows: one `MethodSummary` per method, in the order of the dataset.
    """

    facts: dict[str, Any]
    targets: tuple[float, ...]
    seeds: int
    steps: int
    rows: tuple[MethodSummary, ...]


def relative_suboptimality(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T): (L - L*) / (L_0 - L*) of every recorded loss."""
    loss = dataset["loss"].transpose("algorithm", "seed", "step").values.astype(np.float64)
    best, zero = float(dataset.attrs["reference_loss"]), float(dataset.attrs["zero_loss"])
    return (loss - best) / (zero - best)


def carried_forward(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T) relative suboptimality in which ended runs stay in.

    A run that ended keeps its last value, a run that diverged is at infinity from its last record
    on, which is the one that showed it.
    """
    values = relative_suboptimality(dataset)
    diverged = dataset["status"].transpose("algorithm", "seed").values[..., None] == Status.DIVERGED
    ended = np.cumsum(~np.isnan(values)[..., ::-1], axis=-1)[..., ::-1] <= np.where(diverged, 1, 0)
    after = np.where(diverged, np.inf, last_value(values)[..., None])
    return np.where(ended | ~np.isfinite(values), after, values)
