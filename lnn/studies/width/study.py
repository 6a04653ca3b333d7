"""All runs of a study: sweeps over widths and sizes, and what is compared with them.

- Sweep: every width, size and evaluation seed at the first rate, optimizer and depth.
- At the middle size, for every width: each further rate and optimizer; at the middle width, each
  further depth.
- Where rates are searched: at the middle size, each width at the rate that reaches a common loss
  soonest, chosen on tuning seeds (`lnn.studies.search`), and the maximal update parametrization.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lnn.results.statistics import quantile, steps_to_target
from lnn.studies.search import RatePlan, judged, search, tuning_seeds
from lnn.studies.width.config import MARGIN, PATIENCE, REACHED, Setup
from lnn.studies.width.runs import Course, RecurrentRun

Make = Callable[[Iterable[RecurrentRun], str], Mapping[RecurrentRun, Course]]

EXTENSION = 2
"""Rates beyond an endpoint that is best."""


class SystemRuns(NamedTuple):
    """All runs of a system, each of one seed.

    Attributes:
        setup: the system.
        courses: by run.
        goal: the loss that all widths are compared at (`REACHED`).
        tried, chosen: learning rates searched, and the best of them, by width.
    """

    setup: Setup
    courses: dict[RecurrentRun, Course]
    goal: float
    tried: dict[int, list[float]]
    chosen: dict[int, float]


class Halt(NamedTuple):
    """When a run halted.

    Attributes:
        steps: at the first evaluation within `MARGIN` of the least validation loss.
        evaluation: the index of that evaluation.
        taken: steps of the whole run.
        censored: whether the least loss lies after 1 / `PATIENCE` of the steps taken, or the run
            diverged, or never left the margin of its start: then `steps` is no halting time.
    """

    steps: int
    evaluation: int
    taken: int
    censored: bool


def halt(setup: Setup, course: Course) -> Halt:
    """Return when the first of the seeds halted."""
    loss = course.loss[0]
    known = np.flatnonzero(~np.isnan(course.norm[0, :, -1]))
    least = int(np.nanargmin(loss))
    at = int(np.argmax(loss <= (1 + MARGIN) * loss[least]))
    taken, best = (int(course.steps[i]) for i in (known[-1], least))
    # A run ends before its least number of steps, or at a loss that is not finite, if it diverges.
    lost = not np.isfinite(loss[known[-1]]) or taken < min(setup.least, setup.steps)
    return Halt(int(course.steps[at]), at, taken, lost or at == 0 or PATIENCE * best > taken)


def steps_to(course: Course, goal: float) -> float:
    """Return the steps after which the first seed's loss is at most `goal`, or infinity."""
    return float(steps_to_target(course.steps, course.loss[0], np.array([goal]))[0])


def runs(
    setup: Setup, widths: Iterable[int], sizes: Sequence[int], seeds: Sequence[int], *,
    depth: int = 0, optimizer: str = "", rate: float = 0.0, base: int = 0,
) -> list[RecurrentRun]:  # fmt: skip
    """Return runs of one seed each; what is left out is that of the sweep. Widest first."""
    optimizer = optimizer or setup.optimizers[0]
    rate = rate or setup.rate_of(optimizer)
    depth = depth or setup.depths[0]
    return [
        RecurrentRun(setup.system, width, size, depth, optimizer, rate, base, (seed,))
        for width in sorted(widths, reverse=True)
        for size in sizes
        for seed in seeds
    ]


def sweep(setup: Setup) -> list[RecurrentRun]:
    """Return every width, size and evaluation seed."""
    return runs(setup, setup.widths, setup.sizes, range(setup.seeds))


def further(setup: Setup) -> list[RecurrentRun]:
    """Return further rates, optimizers and depths, and the maximal update parametrization."""
    sizes, seeds = (setup.middle_size,), range(setup.seeds)
    found = []
    for rate in setup.rates[1:]:
        found += runs(setup, setup.widths, sizes, seeds, rate=rate)
    for optimizer in setup.optimizers[1:]:
        found += runs(setup, setup.widths, sizes, seeds, optimizer=optimizer)
    for depth in setup.depths[1:]:
        found += runs(setup, (setup.middle_width,), sizes, seeds, depth=depth)
    if setup.tuned:
        found += runs(setup, setup.widths, sizes, seeds, base=setup.middle_width)
    return found


def planned(setup: Setup) -> int:
    """Return the number of runs if no range of rates is extended."""
    searched = len(setup.widths) * ((len(setup.tuned) + 2) * setup.tuning_seeds + setup.seeds)
    return len({*sweep(setup), *further(setup)}) + bool(setup.tuned) * searched


def run_system(setup: Setup, make: Make) -> SystemRuns:
    """Make all runs of a system; `make` computes courses."""
    courses = dict(make([*sweep(setup), *further(setup)], setup.system))
    narrowest = runs(setup, setup.widths[:1], (setup.middle_size,), range(setup.seeds))
    least = np.array([np.nanmin(courses[run].loss) for run in narrowest])
    found = SystemRuns(setup, courses, REACHED * float(quantile(least, 0.5)), {}, {})
    if setup.tuned:
        _tune(found, make)
    return found


def _tune(found: SystemRuns, make: Make) -> None:
    """Choose a rate for each width on tuning seeds, and run it on evaluation seeds."""
    setup, sizes, seeds = found.setup, (found.setup.middle_size,), list(tuning_seeds(found.setup))
    factor = setup.tuned[1] / setup.tuned[0]

    def at(width: int, rate: float, seeds: Iterable[int]) -> list[RecurrentRun]:
        return runs(setup, (width,), sizes, list(seeds), rate=rate)

    def attempt(rates: Mapping[int, Sequence[float]], text: str) -> None:
        wanted = [run for width in rates for rate in rates[width] for run in at(width, rate, seeds)]
        found.courses.update(make(wanted, f"{setup.system}, {text}"))
        for width in rates:
            found.tried[width] = sorted({*found.tried.get(width, []), *rates[width]})
            found.chosen[width] = min(found.tried[width], key=lambda rate: score(width, rate))

    def score(width: int, rate: float) -> float:
        steps = [steps_to(found.courses[run], found.goal) for run in at(width, rate, seeds)]
        return float(judged(np.array(steps)))

    def beyond(best: float) -> tuple[float, ...]:
        if best == setup.tuned[0]:
            return tuple(best / factor**i for i in range(1, EXTENSION + 1))
        ends = best == setup.tuned[-1]
        return tuple(best * factor**i for i in range(1, EXTENSION + 1)) if ends else ()

    def around(best: float) -> tuple[float, float]:
        return best / math.sqrt(factor), best * math.sqrt(factor)

    plan = RatePlan(setup.tuned, beyond, around)
    widths = sorted(setup.widths, reverse=True)
    search(widths, plan, attempt, lambda width: found.chosen[width])
    evaluation = [
        run for width in widths for run in at(width, found.chosen[width], range(setup.seeds))
    ]
    found.courses.update(make(evaluation, f"{setup.system}, tuned rates"))
