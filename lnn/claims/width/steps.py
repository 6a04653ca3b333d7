"""Steps to convergence against width, and the effect of the learning rate (Section 3.2)."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.claim import Findings, Role, at_most, claim, findings, report, within
from lnn.claims.measure import log_slope
from lnn.claims.setting import Setting
from lnn.claims.width import runs
from lnn.claims.width.runs import FAN_IN, SMALL, SMALLER, TASK
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
    statement="The number of steps to convergence drops with the number of weights $M$, and "
    "$a M^k + b$ describes the drop.",
    assumptions="A hidden layer wider than the teacher's rank, $h \\ge 32$; weights of one "
    "standard deviation and one learning rate at all widths. The document fits recurrent networks.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 2 to 512, "
    "$M = 64 h$; 10 seeds (quick: 3). Least squares through the medians.",
    rule="Holds if the fit over $h = 32$ to 512 is within 10 % at every width, the steps drop in "
    "every seed and $k$ is negative; under a condition if the fit over $h = 2$ to 512 is not "
    "within 10 %.",
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
        f"{medians[-1]:.0f}, and $a M^k + b$ describes it to {residual:.1%} with $k = {fit.k:.2f}$ "
        f"(95 % interval {fit.k_interval[0]:.2f} to {fit.k_interval[1]:.2f}) and $b = {fit.b:.0f}$"
        + (". " if fit.b_interval[0] > 0 else ": a flat region, $b > 0$, is not established. ")
        + f"The exponent depends on the start: {others[SMALLER].k:.2f} from "
        f"{SMALLER.name}, {others[FAN_IN].k:.2f} from {FAN_IN.name}. Over $h \\ge 2$ the "
        f"curve {'is' if residual_everywhere <= 0.1 else 'is not'} of this form (largest residual "
        f"{residual_everywhere:.0%}"
        + ("" if everywhere.identifiable else "; the data do not even determine $k$ there")
        + ").",
        at_most(
            r"largest relative residual of $a M^k + b$ through the medians, $h \ge 32$",
            residual, 0.1,
        ),
        at_most(
            "steps at $h = 512$ over steps at $h = 32$, largest of the seeds",
            ratios.max(), 1.0, band=(float(ratios.min()), float(ratios.max())),
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
    assumptions="Convergence is within 1 % of a network's own minimum of the validation loss, as "
    "the document has it.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 2, 4, 8, 16; 10 "
    "seeds, 12 000 steps (quick: 3 seeds, 4000 steps).",
    rule="Holds if the median number of steps falls at every doubling of the width.",
)
def _narrow_steps(setting: Setting) -> Findings:
    found = runs.narrow(setting)
    medians, same = np.median(found.steps, axis=0), np.median(found.same_loss, axis=0)
    ends = runs.ends(found.steps)
    least = np.median(found.least, axis=0)
    return findings(
        f"At $h = 2, 4, 8, 16$ it takes {', '.join(f'{m:.0f}' for m in medians)} steps to come "
        f"within 1 % of the own minimum, which falls from {least[0]:.2f} to {least[-1]:.2f}: the "
        f"wider ones have more to learn. To the same loss, that of $h = 2$, it takes "
        f"{', '.join(f'{m:.0f}' for m in same)} steps (medians).",
        at_most(
            "steps at a width over steps at half of it, largest of the medians over $h = 4$, 8, 16",
            (medians[1:] / medians[:-1]).max(), 1.0,
        ),
        at_most(
            "steps at $h = 16$ over steps at $h = 2$, median", np.median(ends), 1.0,
            band=(float(ends.min()), float(ends.max())),
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


@claim(
    id="D13",
    source="Section 3.2, Effect of learning rate, Figure 2a",
    title="The learning rate scales the curve and keeps its slope",
    statement="Another fixed learning rate shifts the curve of steps against model size on "
    "logarithmic axes: $a$ (and $b$ with it) is scaled, the exponent $k$ stays.",
    assumptions="Stable rates, well below the edge of stability.",
    parameters=f"{TASK} Standard deviation 0.05; rates 0.01 and 0.03; widths 32 to 256; 10 seeds "
    "(quick: 3).",
    rule="Holds if the exponents at both rates differ by at most 0.02 and the ratio of the steps "
    "is the same at every width to 2 %.",
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
        f"{middle:.2f} times fewer steps. The whole curve is scaled: $b$ as well as $a$.",
        within(
            "exponent of the steps in $M$ at rate 0.03, against that at rate 0.01",
            exponents[1], exponents[0], 0.02,
        ),
        at_most(
            "ratio of the steps at the two rates: largest relative deviation at a width from "
            "that at $h = 128$",
            np.abs(ratios / middle - 1).max(), 0.02,
        ),
        report(
            "steps at rate 0.01 over steps at rate 0.03, $h = 128$, median; the rates have a "
            "ratio of 3",
            middle, (float(ratios.min()), float(ratios.max())),
        ),
        widths=slow.widths, rates=np.array(RATES),
        steps=np.array([slow.steps, fast.steps]),
    )  # fmt: skip


@claim(
    id="D14",
    source="Section 3.1, same learning rate for all sizes",
    title="Width's advantage with a tuned learning rate",
    statement="The document keeps one learning rate for all widths. What remains of the advantage "
    "of width when every width has its best rate?",
    assumptions="A tuned rate is the one that first comes within 1 % of the least validation loss "
    "that the width reaches at any rate.",
    parameters=f"{TASK} Standard deviation 0.05; widths 32, 128, 512; 13 rates from 0.08 to 0.64, "
    "5 seeds (quick: 7 rates, 3 seeds), against rate 0.02.",
    rule="A report: the document claims nothing on it.",
)
def _tuned(setting: Setting) -> Findings:
    count = setting.size(5, 3)
    rates = np.geomspace(0.08, 0.64, setting.size(13, 7))
    start = runs.batch(SMALL, TUNED_WIDTHS, count)
    each = jax.tree.map(lambda leaf: jnp.repeat(leaf, len(rates), axis=0), start)
    tried = np.tile(rates, count * len(TUNED_WIDTHS))
    curves = teacher_student.descend(each.factors, each.train, each.validation, tried, TUNED_STEPS)
    losses = curves.validation
    losses = np.where(np.isfinite(losses), losses, np.inf)
    losses = losses.reshape(count, len(TUNED_WIDTHS), len(rates), -1)
    reached = losses <= 1.01 * losses.min(axis=(2, 3), keepdims=True)
    steps = np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.inf)
    tuned, best = steps.min(axis=-1), rates[steps.argmin(axis=-1)]
    fixed = runs.table(SMALL, TUNED_WIDTHS, count, runs.WIDE_STEPS).steps
    before, after = 1 / runs.ends(fixed), 1 / runs.ends(tuned)
    return findings(
        f"At one rate for all the widest network needs {np.median(before):.1f} times fewer steps "
        f"than the narrowest; with a rate tuned for each width it needs {np.median(after):.1f} "
        f"times fewer: {', '.join(f'{m:.0f}' for m in np.median(tuned, axis=0))} steps at "
        f"$h = 32, 128, 512$ (medians), at rates of "
        f"{', '.join(f'{m:.2g}' for m in np.median(best, axis=0))}.",
        report(
            "steps at $h = 32$ over steps at $h = 512$, each width at its best rate, median",
            np.median(after), (float(after.min()), float(after.max())),
        ),
        report(
            "the same at one rate, 0.02, median", np.median(before),
            (float(before.min()), float(before.max())),
        ),
        *(
            report(f"best rate at $h = {h}$, median", np.median(best[:, i]))
            for i, h in enumerate(TUNED_WIDTHS)
        ),
        widths=np.array(TUNED_WIDTHS), fixed=fixed, tuned=tuned, best=best,
    )  # fmt: skip
