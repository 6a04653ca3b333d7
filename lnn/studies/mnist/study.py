"""Fair search: the same learning rates for every arm, evaluated on other seeds.

- Six log-spaced rates, two per decade; two more beyond an endpoint that is best; then the two
  halfway between the best and its neighbours.
- The best rate has the lowest final cross-entropy + regularizer on the product, whichever the arm
  is trained with, judged by the worst of up to five tuning seeds (`lnn.studies.search.judge`).
  Diverged runs count as infinity.
- The chosen rate and the tutorial's 0.01 are run on evaluation seeds. A seed determines start,
  batches and dropout, the same in every arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lnn.execution.result_cache import code_key
from lnn.studies.mnist.config import ARMS, MnistConfig
from lnn.studies.mnist.runs import PER_DECADE, Curve, TrainingRun, rate_of
from lnn.studies.search import RatePlan, judge, judged, search, tuning_seeds

COARSE = (-6, -4, -2, 0, 2, 4)
"""Quarters of a decade from the tutorial's rate: 3.16e-4 to 0.1."""

EXTENSION = 2
Make = Callable[[Iterable[TrainingRun], str], Mapping[TrainingRun, Curve]]


class Training(NamedTuple):
    """Curves of all runs; tried powers, ascending, and the chosen one, per arm."""

    curves: dict[TrainingRun, Curve]
    tried: dict[str, list[int]]
    chosen: dict[str, int]

    def edge(self, arm: str) -> int:
        """Return -1 or 1 if the chosen rate is the lowest or highest tried, else 0."""
        return (self.chosen[arm] == self.tried[arm][-1]) - (self.chosen[arm] == self.tried[arm][0])


def planned(config: MnistConfig) -> int:
    """Return the number of runs if no range is extended and no tuned rate is 0.01."""
    return len(ARMS) * ((len(COARSE) + 2) * config.tuning_seeds + 2 * config.seeds)


def run_study(config: MnistConfig, make: Make) -> Training:
    """Tune every arm by the protocol above, then run evaluation seeds; `make` computes curves."""
    study = Training({}, {arm: [] for arm in ARMS}, {})

    def attempt(powers: Mapping[str, Sequence[int]], text: str) -> None:
        seeds = tuning_seeds(config)
        runs = [TrainingRun(arm, p, s) for arm in ARMS for p in powers[arm] for s in seeds]
        study.curves.update(make(runs, text))
        for arm in ARMS:
            study.tried[arm][:] = sorted({*study.tried[arm], *powers[arm]})
            study.chosen[arm] = best(study, arm, seeds)

    plan = RatePlan(COARSE, beyond, between)
    search(list(ARMS), plan, attempt, lambda arm: study.chosen[arm])
    reported = [
        TrainingRun(arm, power, seed)
        for arm in ARMS
        for power in (study.chosen[arm], 0)
        for seed in range(config.seeds)
    ]
    study.curves.update(make(reported, "evaluation seeds"))
    return study


def best(study: Training, arm: str, seeds: Iterable[int]) -> int:
    """Return the power of the best rate tried; the lowest of equals."""

    def score(power: int) -> float:
        finals = [study.curves[TrainingRun(arm, power, seed)].final for seed in seeds]
        return float(judged(np.array(finals)))

    return min(study.tried[arm], key=score)


def beyond(chosen: int) -> tuple[int, ...]:
    """Return powers beyond the endpoint that is best; none if it is inside."""
    step = COARSE[1] - COARSE[0]
    extra = range(1, EXTENSION + 1)
    if chosen == COARSE[0]:
        return tuple(chosen - step * i for i in extra)
    return tuple(chosen + step * i for i in extra) if chosen == COARSE[-1] else ()


def between(chosen: int) -> tuple[int, int]:
    """Return the powers halfway to both neighbours."""
    half = (COARSE[1] - COARSE[0]) // 2
    return chosen - half, chosen + half


def protocol(config: MnistConfig) -> str:
    """Describe how learning rates are chosen."""
    return (
        f"{len(COARSE) + 2} learning rates an arm: {len(COARSE)} from {rate_of(COARSE[0]):.3g} to "
        f"{rate_of(COARSE[-1]):.3g} (a factor {10 ** (2 / PER_DECADE):.3g} apart; {EXTENSION} more "
        "beyond an end where the best is there), then 2 around the best (a factor "
        f"{10 ** (1 / PER_DECADE):.3g} apart); the best has the lowest final cross-entropy + "
        "regularizer on the product, whichever the arm is trained with, judged by "
        f"{judge(config.tuning_seeds)} (diverged is infinity). Reported on {config.seeds} other "
        "seeds, which are the same start, batches and dropout in every arm"
    )


def key_of(config: MnistConfig, data: str, versions: Mapping[str, str], device: str) -> str:
    """Return 16 hex digits of everything a run depends on, which excludes the number of seeds."""
    size = replace(config, tuning_seeds=1, seeds=1)
    named = (size, data, sorted(versions.items()), device)
    return code_key(repr(named), "lnn.studies.mnist.train")
