"""The fair search: the same learning rates for every arm, chosen on seeds that do not report.

- Six log-spaced rates over one range, two to a decade; where the best of them is at an end, two
  more beyond it; then the two between the best and its neighbours.
- The best rate has the lowest objective at the end, cross-entropy and regularizer on the product,
  whichever the arm is trained with; by the 80 % quantile of the tuning seeds, which of up to five
  is the worst. A run that diverges counts as infinity.
- The chosen rate, and the tutorial's 0.01, are then run on other seeds. A seed stands for the same
  start, batches and dropout in every arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lnn.results.statistics import BAND, quantile
from lnn.studies.mnist.config import ARMS, HARD_CODED_RATE, MnistConfig

PER_DECADE = 4
COARSE = (-6, -4, -2, 0, 2, 4)
"""Quarters of a decade from the tutorial's rate: 3.16e-4 to 0.1."""

EXTENSION = 2
TUNING_SEED_OFFSET = 1_000_000
"""Tuning seeds count from here, reporting seeds from 0: a study can be extended by more of both."""


@dataclass(frozen=True)
class Curve:
    """The two terms of the loss along a run, dropout off, on a fixed set of training images.

    Attributes:
        steps: (T,) numbers of steps done when they were measured.
        cross_entropy: (T,) nats; not finite once a run has diverged.
        regularizer_product: (T,) of the network's matrices, products where they are factored.
        regularizer_factors: (T,) of what is trained: the same where nothing is factored.
        test_error: fraction of test images that the trained network gets wrong.
        seconds: how long the run took.
    """

    steps: np.ndarray
    cross_entropy: np.ndarray
    regularizer_product: np.ndarray
    regularizer_factors: np.ndarray
    test_error: float
    seconds: float

    @property
    def objective(self) -> np.ndarray:
        """(T,) cross-entropy and regularizer on the product."""
        return self.cross_entropy + self.regularizer_product

    @property
    def final(self) -> float:
        """The objective at the end; infinity if the run was ever not finite: it diverged."""
        return float(self.objective[-1]) if np.isfinite(self.objective).all() else np.inf


class Run(NamedTuple):
    """A training run: the arm, its learning rate as quarters of a decade from 0.01, the seed."""

    arm: str
    power: int
    seed: int

    @property
    def rate(self) -> float:
        """The learning rate."""
        return rate_of(self.power)

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.arm}-rate{self.rate:.3g}-seed{self.seed}.npz"


Make = Callable[[Iterable[Run], str], Mapping[Run, Curve]]


class Study(NamedTuple):
    """All runs of a study.

    Attributes:
        curves: of every run.
        tried: for each arm the powers that were tried, ascending.
        chosen: for each arm the power of its best rate.
    """

    curves: dict[Run, Curve]
    tried: dict[str, list[int]]
    chosen: dict[str, int]

    def edge(self, arm: str) -> int:
        """-1 or 1 if the chosen rate is the lowest or highest tried, else 0."""
        return (self.chosen[arm] == self.tried[arm][-1]) - (self.chosen[arm] == self.tried[arm][0])


def rate_of(power: int) -> float:
    """The learning rate at so many quarters of a decade from 0.01."""
    return float(HARD_CODED_RATE * 10 ** (power / PER_DECADE))


def tuning_seeds(config: MnistConfig) -> range:
    """The seeds that choose the rates."""
    return range(TUNING_SEED_OFFSET, TUNING_SEED_OFFSET + config.tuning_seeds)


def planned(config: MnistConfig) -> int:
    """Number of runs, if no range is extended and no tuned rate is 0.01."""
    return len(ARMS) * ((len(COARSE) + 2) * config.tuning_seeds + 2 * config.seeds)


def run_study(config: MnistConfig, make: Make) -> Study:
    """Tune every arm by the rules of this module, then run the seeds that report.

    Args:
        config: how many seeds there are.
        make: gives the curves of runs; told what they are for.
    """
    study = Study({}, {arm: [] for arm in ARMS}, {})

    def attempt(powers: Mapping[str, Sequence[int]], text: str) -> None:
        runs = [Run(arm, p, s) for arm in ARMS for p in powers[arm] for s in tuning_seeds(config)]
        study.curves.update(make(runs, text))
        for arm in ARMS:
            study.tried[arm][:] = sorted({*study.tried[arm], *powers[arm]})
            study.chosen[arm] = best(study, arm, tuning_seeds(config))

    attempt(dict.fromkeys(ARMS, COARSE), "range of rates")
    attempt({arm: beyond(study.chosen[arm]) for arm in ARMS}, "extended range")
    attempt({arm: between(study.chosen[arm]) for arm in ARMS}, "rates around the best")
    reported = [
        Run(arm, power, seed)
        for arm in ARMS
        for power in (study.chosen[arm], 0)
        for seed in range(config.seeds)
    ]
    study.curves.update(make(reported, "reported seeds"))
    return study


def best(study: Study, arm: str, seeds: Iterable[int]) -> int:
    """The power of the best rate tried, by the rule of this module; of equals the lowest."""

    def worst(power: int) -> float:
        finals = np.array([study.curves[Run(arm, power, seed)].final for seed in seeds])
        return float(quantile(finals, BAND[1]))

    return min(study.tried[arm], key=worst)


def beyond(chosen: int) -> tuple[int, ...]:
    """Powers beyond the end of the coarse range where the best rate is; none if it is inside."""
    step = COARSE[1] - COARSE[0]
    extra = range(1, EXTENSION + 1)
    if chosen == COARSE[0]:
        return tuple(chosen - step * i for i in extra)
    return tuple(chosen + step * i for i in extra) if chosen == COARSE[-1] else ()


def between(chosen: int) -> tuple[int, int]:
    """Powers half-way to both neighbours."""
    half = (COARSE[1] - COARSE[0]) // 2
    return chosen - half, chosen + half


def protocol(config: MnistConfig) -> str:
    """How the learning rates were chosen, in words."""
    return (
        f"{len(COARSE) + 2} learning rates an arm: {len(COARSE)} from {rate_of(COARSE[0]):.3g} to "
        f"{rate_of(COARSE[-1]):.3g} (a factor {10 ** (2 / PER_DECADE):.3g} apart; {EXTENSION} more "
        "beyond an end where the best is there), then 2 around the best (a factor "
        f"{10 ** (1 / PER_DECADE):.3g} apart); the best has the lowest final cross-entropy + "
        f"regularizer on the product, whichever the arm is trained with, on {config.tuning_seeds} "
        f"tuning seeds (80 % quantile; diverged is infinity). Reported on {config.seeds} other "
        "seeds, which are the same start, batches and dropout in every arm"
    )
