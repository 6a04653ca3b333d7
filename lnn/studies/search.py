"""Fair search: the same learning rates for every method, chosen on tuning seeds only.

Rates are log-spaced over one range, which is extended once if the best rate is at an endpoint; the
rest surround the best rate, which each study determines from its tuning seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from lnn.results.statistics import BAND, ordinal, quantile, quantile_place

A = TypeVar("A")
R = TypeVar("R")

Rates = Sequence[Any] | np.ndarray

RANGE, EXTENDED, AROUND = "range of rates", "extended range", "rates around the best"
"""Stages of the search, in order, as shown by progress bars."""

TUNING_SEED_OFFSET = 1_000_000
"""First tuning seed; evaluation seeds count from 0, so a study can be extended by both."""


class Tuned(Protocol):
    """A configuration with tuning seeds."""

    @property
    def tuning_seeds(self) -> int:
        """Number of tuning seeds."""


def tuning_seeds(config: Tuned) -> range:
    """Return the seeds that choose the rates."""
    return range(TUNING_SEED_OFFSET, TUNING_SEED_OFFSET + config.tuning_seeds)


def judged(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the value of the tuning seed that a rate is judged by; `judge` says which it is.

    The median would choose rates at the edge of stability, where some evaluation seeds diverge.
    """
    return quantile(values, BAND[1], axis=axis)


def judge(count: int) -> str:
    """Return which of so many tuning seeds a rate is judged by: the worst of up to five."""
    if count == 1:
        return "its only tuning seed"
    better = quantile_place(BAND[1], count)
    worst = "worst" if better == count - 1 else f"{ordinal(count - better)} worst"
    return f"the {worst} of {count} tuning seeds"


@dataclass(frozen=True)
class RatePlan(Generic[R]):
    """The learning rates of a method.

    Attributes:
        coarse: over the range, ascending.
        beyond: rates beyond the endpoint that is best; none if it is inside.
        around: rates between the best and its neighbours.
    """

    coarse: Rates
    beyond: Callable[[R], Rates]
    around: Callable[[R], Rates]


def search(
    methods: Sequence[A],
    plan: RatePlan[R],
    attempt: Callable[[Mapping[A, Any], str], None],
    best: Callable[[A], R],
) -> None:
    """Try the rates of every method, stage by stage.

    `attempt` runs rates of each method on the tuning seeds; `best` returns a method's best rate.
    """
    attempt(dict.fromkeys(methods, plan.coarse), RANGE)
    extended = {method: plan.beyond(best(method)) for method in methods}
    if any(map(len, extended.values())):
        attempt(extended, EXTENDED)
    attempt({method: plan.around(best(method)) for method in methods}, AROUND)
