"""Steps to convergence against depth and size of the dataset (Section 3.2)."""

from __future__ import annotations

import numpy as np

from lnn.claims.claim import Check, Findings, at_most, claim, findings, report
from lnn.claims.measure import log_slope, spread
from lnn.claims.setting import Setting
from lnn.claims.width import runs
from lnn.claims.width.runs import TASK
from lnn.theory import teacher_student
from lnn.theory.geometry import halting_time

HIDDEN = 64
RATE = 0.02
DEPTHS = (1, 2, 3, 4)
NEAR_ZERO_STEPS = (1_000, 1_000, 2_000, 4_000)
"""Steps by depth: from near zero, deep networks make late progress."""

UNIT_GAIN_STEPS = 1_000
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
    title="Deeper networks take fewer steps",
    statement="The number of steps to the minimum of the validation loss drops as networks get "
    "deeper.",
    assumptions="The document saw it on a recurrent character model trained by plain stochastic "
    "gradient descent, at one rate and from starts close to the origin.",
    parameters=f"{TASK} Depth 1 to 4, hidden width 64, standard deviation 0.05, rate 0.02; 10 "
    r"seeds (quick: 3). Reported beside it: standard deviation $1 / \sqrt{\mathrm{inputs}}$.",
    rule="Holds if the median over seeds of the ratio to the depth before is at most 1 at every "
    "further layer.",
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

    ratios = np.median(small[:, 1:] / small[:, :-1], axis=0)

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
        f"At depths 1 to 4 it takes {listed(small)} steps (medians) from weights of standard "
        f"deviation 0.05, whose product is the closer to zero the more layers there are, and "
        f"{listed(unit)} from "
        r"$1 / \sqrt{\mathrm{inputs}}$, which keeps the size of a signal at every depth.",
        at_most(
            "steps at a depth over steps at the one before, largest of the medians",
            ratios.max(), 1.0, band=spread(ratios),
        ),
        *reports(small, "standard deviation 0.05"),
        *reports(unit, r"standard deviation $1 / \sqrt{\mathrm{inputs}}$"),
        depths=np.array(DEPTHS), unit=unit, small=small,
    )  # fmt: skip


@claim(
    id="D16",
    source="Section 3.2, Effect of training set size, Figure 3b",
    title="Steps grow linearly with the dataset",
    statement="The number of steps to the minimum of the validation loss is almost linear in the "
    "size of the dataset.",
    assumptions="The document's batches have a fixed size; here the batch is all of the data.",
    parameters=f"{TASK} Hidden width 64, standard deviation 0.05, rate 0.02; 25 to 3200 examples; "
    "noise 0.3 and 1.5; 10 seeds (quick: 3).",
    rule="A report: the document's setting, small batches, is not the one that is run.",
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
        "exponent 1. A step of full-batch descent sees all of the data, and nothing ties steps to "
        "its size but the time at which overfitting sets in.",
        *checks,
        samples=np.array(SAMPLES), noises=np.array(NOISES),
        steps=np.array([steps[noise] for noise in NOISES]),
    )  # fmt: skip
