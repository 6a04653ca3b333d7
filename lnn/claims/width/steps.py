"""Steps to convergence against width, and the effect of the learning rate (Section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import log_slope, missed, ratio, soonest, spread
from lnn.claims.setting import Setting
from lnn.claims.width import runs
from lnn.claims.width.runs import APPLICATIONS, FAN_IN, SEEDS, SMALL, SMALLER, TASK
from lnn.results.statistics import quantile
from lnn.results.verdict import Findings, Role, at_least, at_most, findings, report, within
from lnn.theory import teacher_student
from lnn.theory.power_law import fit_power_law_with_offset

RATES = (0.01, 0.03)
RATE_WIDTHS = (32, 64, 128, 256)
TUNED_WIDTHS = (32, 128, 512)
TUNED_STEPS = 400


@claim(
    id="D8",
    source="Section 3.2, Figures 1, 4 and 5b",
    title="Steps follow a power law of the model size",
    statement="The number of steps to convergence drops with the number of weights $M$, and the "
    "drop is well approximated by $a M^k + b$.",
    analogue=APPLICATIONS,
    assumptions="A hidden layer wider than the teacher's rank, $h \\ge 32$; weights of one "
    "standard deviation and one learning rate at all widths.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 2 to 512, "
    f"$M = 64 h$; 10 seeds (quick: 3). {SEEDS} Least squares through the medians, with 95 % "
    "intervals of $k$ and $b$.",
    rule="Holds of linear networks if the fit over $h = 32$ to 512 is within 10 % at every width, "
    "the steps drop in every seed and $k$ is negative; under a condition if the fit over $h = 2$ "
    "to 512 is not within 10 %.",
)
def _curve(setting: Setting) -> Findings:
    wide, narrow = runs.wide(setting), runs.narrow(setting)
    sizes = np.concatenate([narrow.sizes, wide.sizes])
    steps = np.hstack([narrow.steps, wide.steps])
    medians = np.median(wide.steps, axis=0)
    fit = fit_power_law_with_offset(wide.sizes, medians)
    all_medians = np.median(steps, axis=0)
    everywhere = fit_power_law_with_offset(sizes, all_medians)
    others = {
        start: fit_power_law_with_offset(
            wide.sizes, np.median(runs.wide(setting, start).steps, axis=0)
        )
        for start in (SMALLER, FAN_IN)
    }
    residual = np.abs(fit.at(wide.sizes) / medians - 1).max()
    residual_everywhere = np.abs(everywhere.at(sizes) / all_medians - 1).max()
    ratios = runs.ends(wide.steps)
    dense = np.geomspace(wide.sizes[0], wide.sizes[-1], 60)
    return findings(
        f"From $h = 32$ to 512 the median number of steps goes from {medians[0]:.0f} to "
        f"{medians[-1]:.0f}, and $a M^k + b$ describes it to {100 * residual:.1f} % with $k = "
        f"{fit.k:.2f}$ (95 % interval {fit.k_interval[0]:.2f} to {fit.k_interval[1]:.2f}) and $b = "
        f"{fit.b:.0f}$"
        + (". " if fit.b_interval[0] > 0 else ": a flat region, $b > 0$, is not established. ")
        + f"The exponent depends on the start: {others[SMALLER].k:.2f} from "
        f"{SMALLER.name}, {others[FAN_IN].k:.2f} from {FAN_IN.name}. Over $h \\ge 2$ the "
        f"curve {'is' if residual_everywhere <= 0.1 else 'is not'} of this form (largest residual "
        f"{100 * residual_everywhere:.0f} %"
        + ("" if everywhere.identifiable else "; the data do not even determine $k$ there")
        + ").",
        at_most(
            r"largest relative residual of $a M^k + b$ through the medians, $h \ge 32$",
            residual, 0.1,
        ),
        at_most(
            "steps at $h = 512$ over steps at $h = 32$, largest of the seeds",
            ratios.max(), 1.0, band=spread(ratios),
        ),
        at_most("exponent $k$, with its 95 % interval: falls", fit.k, 0.0, band=fit.k_interval),
        at_most(
            r"largest relative residual of $a M^k + b$ through the medians, $h \ge 2$",
            residual_everywhere, 0.1, Role.BEYOND,
        ),
        report("offset $b$ of the fit, in steps", fit.b, fit.b_interval),
        *(
            report(f"exponent $k$, {start.name}", other.k, other.k_interval)
            for start, other in others.items()
        ),
        *(
            report(f"offset $b$, {start.name}", other.b, other.b_interval)
            for start, other in others.items()
        ),
        report(
            "how much the second half of a run still lowered its minimum, relatively, largest "
            r"over $h \ge 32$",
            wide.late.max(),
        ),
        widths=np.concatenate([narrow.widths, wide.widths]),
        steps=steps,
        least=np.hstack([narrow.least, wide.least]),
        fit_widths=dense / (wide.sizes[0] / wide.widths[0]),
        fit_steps=fit.at(dense),
        exponent=np.array([fit.k, *fit.k_interval]),
    )  # fmt: skip


@claim(
    id="D9",
    source="Section 1 and Section 3.2",
    title="Width helps where the hidden layer is the bottleneck",
    statement="Steps to convergence drop with width while the hidden layer is narrower than the "
    "task requires.",
    analogue=APPLICATIONS,
    assumptions="Convergence is within 1 % of a network's own minimum of the validation loss, as "
    "the document has it. The document names a hidden layer narrower than the input; here it is at "
    "most as wide as the teacher's rank, half of the input.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 2, 4, 8, 16; 10 "
    f"seeds, 12 000 steps (quick: 3 seeds, 4000 steps). {SEEDS}",
    rule="Holds of linear networks if the median number of steps falls at every doubling of the "
    "width.",
)
def _narrow_steps(setting: Setting) -> Findings:
    found = runs.narrow(setting)
    medians, same = np.median(found.steps, axis=0), np.median(found.same_loss, axis=0)
    ends = runs.ends(found.steps)
    least = np.median(found.least, axis=0)
    growth = medians[1:] / medians[:-1]
    return findings(
        f"{_judged(growth)} At $h = 2, 4, 8, 16$ it takes "
        f"{', '.join(f'{m:.0f}' for m in medians)} steps to come within 1 % of its own "
        f"minimum, which goes from {least[0]:.2f} to {least[-1]:.2f}, since a wider layer has more "
        f"to learn. To the same loss, that of $h = 2$, it takes "
        f"{', '.join(f'{m:.0f}' for m in same)} steps (medians).",
        at_most(
            "steps at a width over steps at half of it, largest of the medians over $h = 4$, 8, 16",
            growth.max(), 1.0,
        ),
        at_most(
            "steps at $h = 16$ over steps at $h = 2$, median", np.median(ends), 1.0,
            band=spread(ends),
        ),
        report(
            "steps to the least loss of $h = 2$ (times 1.01) at $h = 16$ over those at "
            "$h = 2$, median",
            np.median(runs.ends(found.same_loss)),
        ),
        *(
            report(
                f"steps at $h = 16$ over steps at $h = 2$, median, {start.name}",
                np.median(runs.ends(runs.narrow(setting, start).steps)),
            )
            for start in (SMALLER, FAN_IN)
        ),
        report("minimum of the validation loss at $h = 2$, median", least[0]),
        report("minimum of the validation loss at $h = 16$, median", least[-1]),
        report(
            "how much the second half of a run still lowered its minimum, relatively, largest",
            found.late.max(),
        ),
        widths=found.widths, steps=found.steps, same_loss=found.same_loss,
    )  # fmt: skip


def _judged(growth: np.ndarray) -> str:
    """Say whether the steps fall with width, from their growth at every doubling."""
    if growth.max() <= 1:
        return "So it is in these linear networks."
    rise = "rises" if growth.min() > 1 else "does not fall"
    every = "at every doubling" if growth.min() > 1 else "at each doubling"
    return f"Not so in these linear networks: the number of steps {rise} with width {every}."


@claim(
    id="D13",
    source="Section 3.2, Effect of learning rate, Figure 2a",
    title="The learning rate scales the curve and keeps its slope",
    statement="A larger fixed learning rate shifts down the curve of steps against model size, on "
    "logarithmic axes: it scales $a$ down and does not change the slope $k$.",
    analogue="one of its recurrent networks (the text does not say which) at the rates 0.8 and 0.3",
    assumptions="Stable rates, well below the edge of stability.",
    parameters=f"{TASK} Standard deviation 0.05; rates 0.01 and 0.03; widths 32 to 256; 10 seeds "
    f"(quick: 3). {SEEDS}",
    rule="Holds of linear networks if the exponents at both rates differ by at most 0.02, the "
    "larger rate takes fewer steps at every width and the ratio of the steps is the same at every "
    "width to 2 %.",
)
def _rate(setting: Setting) -> Findings:
    slow, fast = (
        runs.table(replace(SMALL, rate=rate), RATE_WIDTHS, runs.seeds(setting), runs.WIDE_STEPS)
        for rate in RATES
    )
    exponents = [log_slope(t.sizes, np.median(t.steps, axis=0)) for t in (slow, fast)]
    ratios = np.median(slow.steps / fast.steps, axis=0)
    middle = ratios[RATE_WIDTHS.index(128)]
    return findings(
        f"The steps fall as $M^{{{exponents[0]:.3f}}}$ at rate 0.01 and as "
        f"$M^{{{exponents[1]:.3f}}}$ at 0.03; at $h = 128$ three times the rate needs "
        f"{middle:.2f} times fewer steps, and over all widths {ratios.min():.2f} to "
        f"{ratios.max():.2f} times: the whole curve is scaled, an offset $b$ with it.",
        within(
            "exponent of the steps in $M$ at rate 0.03, against that at rate 0.01",
            exponents[1], exponents[0], 0.02,
        ),
        at_most(
            "ratio of the steps at the two rates: largest relative deviation at a width from "
            "that at $h = 128$",
            np.abs(ratios / middle - 1).max(), 0.02,
        ),
        at_least(
            "steps at rate 0.01 over steps at rate 0.03, least of the medians at a width",
            ratios.min(), 1.0,
        ),
        report(
            "steps at rate 0.01 over steps at rate 0.03, $h = 128$, median, and in brackets least "
            "and most of the medians at a width; the rates have a ratio of 3",
            middle, spread(ratios),
        ),
        widths=slow.widths, rates=np.array(RATES),
        steps=np.array([slow.steps, fast.steps]),
    )  # fmt: skip


@claim(
    id="D14",
    documents="L",
    source="Beside Section 3.1",
    title="Width's advantage with a tuned learning rate",
    statement="What remains of width's advantage in steps if every width has its best learning "
    "rate, where the document keeps one for all?",
    assumptions="Convergence is within 1 % of the least validation loss that the width reaches at "
    "any rate.",
    parameters=f"{TASK} Standard deviation 0.05; widths 32, 128, 512; 13 rates from 0.08 to 0.64 "
    "(quick: 7), against rate 0.02. One rate for each width, chosen on 5 other seeds (quick: 3) as "
    f"the one that converges soonest for the worst of them; as many seeds reported. {SEEDS}",
    rule="Reported: steps at the best rates, against those at one rate.",
)
def _tuned(setting: Setting) -> Findings:
    rates = np.geomspace(0.08, 0.64, setting.size(13, 7))
    tuning, reporting = tuning_seeds(setting)
    tried, found = converged(rates, tuning), converged(rates, reporting)
    chosen = [soonest(tried[:, i].T) for i in range(len(TUNED_WIDTHS))]
    best, tuned = rates[chosen], np.stack([found[:, i, j] for i, j in enumerate(chosen)], axis=1)
    fixed = runs.table(SMALL, TUNED_WIDTHS, len(reporting), runs.WIDE_STEPS).steps
    before = 1 / runs.ends(fixed)
    after = ratio(tuned[:, 0], tuned[:, -1], TUNED_STEPS)
    return findings(
        f"At one rate for all the narrowest network takes {np.median(before):.1f} times the steps "
        f"of the widest, and with a rate tuned for each width on other seeds {after} times: "
        f"{', '.join(f'{m:.0f}' for m in quantile(tuned, 0.5, axis=0))} steps at "
        f"$h = 32, 128, 512$ (medians), at rates of {', '.join(f'{rate:.2g}' for rate in best)}.",
        report(
            "steps at $h = 32$ over steps at $h = 512$, each width at its best rate, median",
            after.least.median, after.band,
        ),
        report(
            "the same at one rate, 0.02, median", np.median(before),
            spread(before),
        ),
        *(
            report(f"best rate at $h = {h}$", rate)
            for h, rate in zip(TUNED_WIDTHS, best, strict=True)
        ),
        widths=np.array(TUNED_WIDTHS), fixed=fixed, tuned=tuned, best=best,
    )  # fmt: skip


def tuning_seeds(setting: Setting) -> tuple[range, range]:
    """Return the seeds on which rates are chosen, and those that are reported."""
    count = setting.size(5, 3)
    return range(100, 100 + count), range(count)


def converged(rates: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """(seeds, widths, rates): steps to 1.01 times the least loss of the width at any rate."""
    start = runs.batch(SMALL, TUNED_WIDTHS, seeds)
    each = jax.tree.map(lambda leaf: jnp.repeat(leaf, len(rates), axis=0), start)
    tried = np.tile(rates, len(seeds) * len(TUNED_WIDTHS))
    curves = teacher_student.descend(each.factors, each.train, each.validation, tried, TUNED_STEPS)
    losses = missed(curves.validation).reshape(len(seeds), len(TUNED_WIDTHS), len(rates), -1)
    reached = losses <= 1.01 * losses.min(axis=(2, 3), keepdims=True)
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.inf)
