"""Steps to convergence against depth and size of the dataset (Section 3.2)."""

from __future__ import annotations

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import log_slope, spread
from lnn.claims.setting import Setting
from lnn.claims.width import runs
from lnn.claims.width.runs import CHARACTERS, DATA, SEEDS, TASK
from lnn.results.verdict import Check, Findings, Role, at_most, findings, report
from lnn.theory import teacher_student
from lnn.theory.geometry import halting_time

HIDDEN = 64
RATE = 0.02
DEPTHS = (1, 2, 3, 4)
NEAR_ZERO_STEPS = (1_000, 1_000, 2_000, 4_000)
"""Steps by depth: from near zero, deep networks make late progress."""

UNIT_GAIN_STEPS = 1_000
LEVEL = 1.05
"""Growth of the steps with a further layer at which they still count as level."""
SAMPLES = tuple(25 * 2**i for i in range(8))
NOISES = (0.3, 1.5)


def _steps_at_depth(
    depth: int, seeds: int, steps: int, std: float | None = None, gain: float | None = None
) -> np.ndarray:
    dims = (teacher_student.FEATURES, *[HIDDEN] * (depth - 1), teacher_student.OUTPUTS)
    factors = teacher_student.stack(
        [
            teacher_student.gaussian_factors(1000 * seed + depth, dims, std, gain)
            for seed in range(seeds)
        ]
    )
    train, validation = teacher_student.stack(
        [teacher_student.teacher_task(seed) for seed in range(seeds)]
    )
    curves = teacher_student.descend(factors, train, validation, np.full(seeds, RATE), steps)
    return halting_time(curves.validation)


@claim(
    id="D15",
    source="Section 3.2, Effect of depth, Figure 3a",
    title="Deeper networks take fewer steps, but more from small starts",
    statement="The number of steps to the minimum of the validation loss drops as networks get "
    "deeper. In linear networks it drops and levels off from starts that keep the size of a "
    "signal; from small starts of one standard deviation at every depth it rises.",
    analogue=CHARACTERS,
    assumptions=r"Weights start with standard deviation $1 / \sqrt{\mathrm{inputs}}$, with which a "
    "signal keeps its size at every depth.",
    parameters=f"Linear network of depth 1 to 4, {DATA}. Hidden width 64, rate 0.02; 10 seeds "
    f"(quick: 3). Without the condition: standard deviation 0.05. {SEEDS}",
    rule="Holds of linear networks if the median ratio of the steps at depth 4 to those at depth 1 "
    "is below 1, and that to the depth before at most 1.05 for every further layer, which allows "
    "the drop to level off; under a condition if either fails from standard deviation 0.05.",
)
def _depth(setting: Setting) -> Findings:
    count = runs.seeds(setting)
    unit = np.array(
        [_steps_at_depth(depth, count, UNIT_GAIN_STEPS, gain=1.0) for depth in DEPTHS]
    ).T
    small = np.array(
        [
            _steps_at_depth(depth, count, steps, std=0.05)
            for depth, steps in zip(DEPTHS, NEAR_ZERO_STEPS, strict=True)
        ]
    ).T

    layers = {
        role: np.median(steps[:, 1:] / steps[:, :-1], axis=0).max()
        for role, steps in ((Role.CLAIM, unit), (Role.BEYOND, small))
    }
    drop, rise = (runs.ends(steps) for steps in (unit, small))

    def reports(steps: np.ndarray, what: str) -> tuple[Check, ...]:
        return tuple(
            report(
                f"steps at depth {depth}, median, {what}", np.median(counts),
                spread(counts),
            )
            for depth, counts in zip(DEPTHS, steps.T, strict=True)
        )  # fmt: skip

    def listed(steps: np.ndarray) -> str:
        return ", ".join(f"{m:.0f}" for m in np.median(steps, axis=0))

    return findings(
        r"From weights of standard deviation $1 / \sqrt{\mathrm{inputs}}$, with which a signal "
        f"keeps its size, it takes {listed(unit)} steps at depths 1 to 4 (medians); every seed "
        f"takes {drop.min():.2f} to {drop.max():.2f} times as many at depth 4 as at depth 1. From "
        f"standard deviation 0.05, with which the product of the layers is the closer to zero the "
        f"more of them there are, it takes {listed(small)} steps.",
        at_most("steps at depth 4 over steps at depth 1, median", np.median(drop), 1.0,
                band=spread(drop)),
        at_most(
            "steps at a depth over steps at the one before, median, largest of depths 2 to 4",
            layers[Role.CLAIM], LEVEL,
        ),
        at_most("the first of these from standard deviation 0.05", np.median(rise), 1.0,
                Role.BEYOND, spread(rise)),
        at_most("the second of these from standard deviation 0.05", layers[Role.BEYOND], LEVEL,
                Role.BEYOND),
        *reports(unit, r"standard deviation $1 / \sqrt{\mathrm{inputs}}$"),
        *reports(small, "standard deviation 0.05"),
        depths=np.array(DEPTHS), unit=unit, small=small,
    )  # fmt: skip


@claim(
    id="D16",
    source="Section 3.2, Effect of training set size, Figure 3b",
    title="Steps grow linearly with the dataset",
    statement="The number of steps to the minimum of the validation loss is almost linear in the "
    "size of the dataset.",
    analogue="its recurrent networks in batches of a fixed size (for Figure 3b the text does not "
    "say which of them)",
    assumptions="Here the batch is all of the data, so that a step sees more of it, the more there "
    "is.",
    parameters=f"{TASK} Hidden width 64, standard deviation 0.05, rate 0.02; 25 to 3200 examples; "
    "noise 0.3 and 1.5; 10 seeds (quick: 3), medians.",
    rule="Reported: exponents of the steps in the size of the dataset.",
)
def _samples(setting: Setting) -> Findings:
    count = runs.seeds(setting)
    pairs = [(seed, n) for seed in range(count) for n in SAMPLES]
    dims = (teacher_student.FEATURES, HIDDEN, teacher_student.OUTPUTS)
    starts = [
        teacher_student.narrowed(
            teacher_student.gaussian_factors(1000 * seed + HIDDEN, dims, std=0.05)
        )
        for seed in range(count)
    ]
    factors = teacher_student.stack([starts[seed] for seed, _ in pairs])
    steps = {}
    for noise in NOISES:
        tasks = [teacher_student.teacher_task(seed, n, noise) for seed, n in pairs]
        train, validation = teacher_student.stack(tasks)
        rates = np.full(len(pairs), RATE)
        curves = teacher_student.descend(factors, train, validation, rates, runs.WIDE_STEPS)
        steps[noise] = halting_time(curves.validation).reshape(count, -1)
    medians = {noise: np.median(found, axis=0) for noise, found in steps.items()}
    checks = []
    for noise, found in medians.items():
        slope = log_slope(np.array(SAMPLES), np.maximum(found, 1))
        last = float(np.log2(found[-1] / found[-2]))
        checks += [
            report(f"exponent of the steps in the size of the dataset, noise {noise}", slope),
            report(f"exponent of its last doubling, noise {noise}", last),
        ]
    low, high = (medians[noise] for noise in NOISES)
    return findings(
        f"From {SAMPLES[0]} to {SAMPLES[-1]} examples, {SAMPLES[-1] // SAMPLES[0]} times as many, "
        f"the steps go from {low[0]:.0f} to {low[-1]:.0f} at noise {NOISES[0]} and from "
        f"{high[0]:.0f} to {high[-1]:.0f} at noise {NOISES[1]} (medians); linear growth would have "
        "exponent 1. A step of full-batch descent sees all of the data, which leaves the time at "
        "which overfitting sets in to tie steps to its size.",
        *checks,
        samples=np.array(SAMPLES), noises=np.array(NOISES),
        steps=np.array([steps[noise] for noise in NOISES]),
    )  # fmt: skip
