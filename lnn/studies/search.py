"""The fair search: the same learning rates for every method, chosen on seeds that do not report.

Rates are log-spaced over one range, which is extended once if the best rate is at an endpoint; the
rest lie around the best. Which rate is the best a study says, from its tuning seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from lnn.results.statistics import BAND, quantile

A = TypeVar("A")
R = TypeVar("R")

Rates = Sequence[Any] | np.ndarray

RANGE, EXTENDED, AROUND = "range of rates", "extended range", "rates around the best"
"""The stages of the search, in order, as a study tells of its progress."""

TUNING_SEED_OFFSET = 1_000_000
"""Tuning seeds count from here, reporting seeds from 0: a study can be extended by more of both."""


class Tuned(Protocol):
    """The configuration of a study with seeds that tune."""

    @property
    def tuning_seeds(self) -> int:
        """How many."""


def tuning_seeds(config: Tuned) -> range:
    """The seeds that choose the rates."""
    return range(TUNING_SEED_OFFSET, TUNING_SEED_OFFSET + config.tuning_seeds)


def judged(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """What counts of the tuning seeds' values: the 80 % quantile, of up to five the worst.

    The median would choose rates at the edge of stability, where some of the seeds that report then
    diverge.
    """
    return quantile(values, BAND[1], axis=axis)


@dataclass(frozen=True)
class RatePlan(Generic[R]):
    """Which rates a method is given.

    Attributes:
        coarse: over the range, ascending.
        beyond: those beyond the end where the best one is; none if it is inside.
        around: those between the best one and its neighbours.
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

    Args:
        methods: whose rates are searched.
        plan: the rates.
        attempt: runs these rates of each method on the tuning seeds.
        best: the best rate of a method so far.
    """
    attempt(dict.fromkeys(methods, plan.coarse), RANGE)
    extended = {method: plan.beyond(best(method)) for method in methods}
    if any(map(len, extended.values())):
        attempt(extended, EXTENDED)
    attempt({method: plan.around(best(method)) for method in methods}, AROUND)
