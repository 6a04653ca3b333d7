"""How far, how fast and how straight the runs travel (Section 4.3)."""

from __future__ import annotations

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import log_slope, spread
from lnn.claims.setting import Setting
from lnn.claims.width import runs
from lnn.claims.width.runs import CHARACTERS, FAN_IN, SEEDS, SMALL, SMALLER, TASK
from lnn.results.verdict import Findings, Role, at_least, at_most, findings, report, within


@claim(
    id="D10",
    source="Abstract; Section 1; Section 4.3, Direct distance, Figure 6",
    title="Wider networks travel less far",
    statement="The direct distance from start to end and the path between them shrink with width, "
    "and the path shrinks faster.",
    analogue=CHARACTERS,
    assumptions=r"A hidden layer wider than the teacher's rank ($h \ge 32$), and weights of a "
    "fixed standard deviation.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 32 to 512; 10 seeds "
    f"(quick: 3). Lengths are over all weights, up to the halting time. {SEEDS}",
    rule="Holds of linear networks if both shrink from $h = 32$ to 512 in every seed, the path "
    "more than the distance; under a condition if the medians do not shrink from $h = 2$ to 16.",
)
def _distances(setting: Setting) -> Findings:
    wide, narrow = runs.wide(setting), runs.narrow(setting)
    distance, path = runs.ends(wide.distance), runs.ends(wide.path)
    beyond_distance, beyond_path = runs.ends(narrow.distance), runs.ends(narrow.path)
    medians = np.median(wide.distance, axis=0)
    line = np.polynomial.Polynomial.fit(np.log(wide.widths), medians, 1)(np.log(wide.widths))
    exponent = log_slope(wide.widths, medians)
    law = np.exp(np.mean(np.log(medians) - exponent * np.log(wide.widths)))
    law = law * wide.widths**exponent
    others = [
        report(
            f"median ratio of the direct distances, {start.name}",
            np.median(runs.ends(runs.wide(setting, start).distance)),
        )
        for start in (SMALLER, FAN_IN)
    ]
    return findings(
        f"From $h = 32$ to $512$ the direct distance changes by a factor of "
        f"{np.median(distance):.2f} and the path by {np.median(path):.2f} (medians). Over "
        f"$h = 2$ to $16$ the distance changes by {np.median(beyond_distance):.2f}. A logarithm "
        f"describes the wide networks to {100 * np.abs(line / medians - 1).max():.1f} %, a "
        f"power law to {100 * np.abs(law / medians - 1).max():.1f} %; the document has a "
        "logarithm in Section 4.3 and a power law in its abstract.",
        at_most(
            "direct distance at $h = 512$ over that at $h = 32$, largest of the seeds",
            distance.max(), 1.0, band=spread(distance),
        ),
        at_most("the same of the path", path.max(), 1.0, band=spread(path)),
        at_most(
            "ratio of the paths over ratio of the distances, largest of the seeds",
            (path / distance).max(), 1.0, band=spread(path / distance),
        ),
        at_most(
            "direct distance at $h = 16$ over that at $h = 2$, median",
            np.median(beyond_distance), 1.0, Role.BEYOND, spread(beyond_distance),
        ),
        at_most(
            "the same of the path", np.median(beyond_path), 1.0, Role.BEYOND,
            spread(beyond_path),
        ),
        report("exponent of the direct distance in $h$, of the medians", exponent),
        report(
            "largest relative residual of a power law through them",
            np.abs(law / medians - 1).max(),
        ),
        report(
            r"largest relative residual of $\alpha - \beta \ln h$ through them",
            np.abs(line / medians - 1).max(),
        ),
        *others,
        widths=np.concatenate([narrow.widths, wide.widths]),
        distance=np.hstack([narrow.distance, wide.distance]),
        path=np.hstack([narrow.path, wide.path]),
    )  # fmt: skip


@claim(
    id="D11",
    source="Abstract; Section 4.3, Step size, Figure 7",
    title="Wider networks take larger steps",
    statement=r"The average step grows with width, less than linearly. The norm of the gradient "
    r"grows as $\sqrt{h}$ under the assumption that the distribution of its elements stays "
    "unchanged.",
    analogue=CHARACTERS,
    assumptions="The square root takes a residual at the start that does not depend on width: "
    r"weights of a fixed standard deviation $s$, so small that their product, of norm about $s^2 "
    r"\sqrt{h k d}$, is small against the teacher. The growth takes a hidden layer wider than the "
    r"teacher's rank ($h \ge 32$).",
    parameters=f"{TASK} Standard deviation 0.05, and 0.01 for the gradient, rate 0.02; widths 32 "
    "to 512; 10 seeds (quick: 3). The mean step is the path over the number of steps. "
    f"{SEEDS}",
    rule="Holds of linear networks if the gradient's exponent is 0.5 to 0.03 and the step's is "
    "between 0 and 1 in every seed; under a condition if the former fails from larger starts, or "
    "the steps do not grow from $h = 2$ to 16.",
)
def _step_sizes(setting: Setting) -> Findings:
    wide, narrow = runs.wide(setting), runs.narrow(setting)
    steps = np.array([log_slope(wide.widths, step) for step in wide.mean_step])
    near, far, fan_in = (
        np.array([log_slope(table.widths, size) for size in table.gradient])
        for table in (runs.wide(setting, start) for start in (SMALLER, SMALL, FAN_IN))
    )
    beyond = runs.ends(narrow.mean_step)
    return findings(
        f"The gradient at the start grows as $h^{{{np.median(near):.2f}}}$ from weights of "
        f"{SMALLER.name}, as $h^{{{np.median(far):.2f}}}$ from {SMALL.name}, where the start's own "
        f"product grows too, and as $h^{{{np.median(fan_in):.2f}}}$ from {FAN_IN.name}. The mean "
        f"step of the whole run grows as $h^{{{np.median(steps):.2f}}}$ over $h = 32$ to 512, and "
        f"changes by a factor of {np.median(beyond):.2f} from $h = 2$ to 16 (medians).",
        within(
            r"exponent of $\lVert \nabla F \rVert$ at step 0 in $h$, $h = 32$ to 512, median "
            f"of the seeds, {SMALLER.name}",
            np.median(near), 0.5, 0.03, band=spread(near),
        ),
        at_least(
            f"exponent of the mean step in $h$, least of the seeds, {SMALL.name}: grows",
            steps.min(), 0.0, band=spread(steps),
        ),
        at_most(
            "the same, largest of the seeds: sublinearly", steps.max(), 1.0, band=spread(steps),
        ),
        within(
            f"exponent of the gradient at step 0, {SMALL.name}", np.median(far), 0.5, 0.03,
            Role.BEYOND, spread(far),
        ),
        within(
            f"exponent of the gradient at step 0, {FAN_IN.name}", np.median(fan_in), 0.5, 0.03,
            Role.BEYOND, spread(fan_in),
        ),
        at_least(
            "mean step at $h = 16$ over that at $h = 2$, median: grows", np.median(beyond),
            1.0, Role.BEYOND, spread(beyond),
        ),
        widths=np.concatenate([narrow.widths, wide.widths]),
        mean_step=np.hstack([narrow.mean_step, wide.mean_step]),
        gradient=np.hstack([narrow.gradient, wide.gradient]),
    )  # fmt: skip


@claim(
    id="D12",
    source="Abstract; Section 4.3, Misalignment, Figure 8",
    title="Wider networks move more directly",
    statement="As width grows updates become more aligned with the way to the end: the angle $A_s$ "
    "to the start opens up and $A_e$ to the end closes. The abstract has gradient vectors become "
    "more aligned with each other; Section 4.3 has $A_s$ open up very slowly, and width not affect "
    "alignment much.",
    analogue=CHARACTERS,
    assumptions=r"Angles of the update $-\nabla F$ to the final and the first weights, not the "
    "printed angles between weights; averaged over the steps.",
    parameters=f"{TASK} Weights of standard deviation 0.05, rate 0.02; widths 32 to 512; 10 seeds "
    f"(quick: 3); without the condition: the other two starts. {SEEDS}",
    rule="Holds of linear networks if $A_e$ falls and $A_s$ rises from $h = 32$ to 512 in every "
    "seed, and $A_e$ falls from other starts too; under a condition if not from those.",
)
def _alignment(setting: Setting) -> Findings:
    count = runs.seeds(setting)
    to_start, to_end = runs.angles(SMALL, runs.WIDE, count, runs.WIDE_STEPS)
    narrow = runs.angles(SMALL, runs.NARROW, count, runs.narrow_steps(setting))
    opens, closes = to_start[:, -1] - to_start[:, 0], to_end[:, -1] - to_end[:, 0]
    others = []
    for start in (SMALLER, FAN_IN):
        ends = runs.angles(start, runs.WIDE, count, runs.WIDE_STEPS)[1]
        change = ends[:, -1] - ends[:, 0]
        others.append(
            at_most(
                f"change of $A_e$, degrees, largest of the seeds, {start.name}",
                change.max(),
                0.0,
                Role.BEYOND,
                spread(change),
            )
        )
    middle = np.median(to_start, axis=0)
    narrow_end = np.median(narrow[1], axis=0)
    return findings(
        f"From $h = 32$ to 512 the mean angle to the end goes from "
        f"{np.median(to_end[:, 0]):.1f} to {np.median(to_end[:, -1]):.1f} degrees, the one to the "
        f"start from {middle[0]:.1f} to {middle[-1]:.1f} (medians). In the document's networks the "
        "latter, by the printed formula, is roughly 90 degrees and opens up very slowly. From "
        f"$h = 2$ to 16 the angle to the end goes from {narrow_end[0]:.1f} to {narrow_end[-1]:.1f} "
        "degrees.",
        at_most(
            "change of $A_e$, the angle between update and end, from $h = 32$ to 512, degrees, "
            "largest of the seeds",
            closes.max(), 0.0, band=spread(closes),
        ),
        at_least(
            "change of $A_s$, the angle between update and start, degrees, least of the seeds",
            opens.min(), 0.0, band=spread(opens),
        ),
        *others,
        report("mean $A_s$ at $h = 32$, degrees, median", middle[0], spread(to_start[:, 0])),
        report("mean $A_s$ at $h = 512$, degrees, median", middle[-1], spread(to_start[:, -1])),
        report(
            "$A_s + A_e - 180$ degrees at $h = 32$, median",
            np.median(to_start[:, 0] + to_end[:, 0]) - 180,
        ),
        report("mean $A_e$ at $h = 2$, degrees, median", narrow_end[0]),
        report("mean $A_e$ at $h = 16$, degrees, median", narrow_end[-1]),
        widths=np.array(runs.NARROW + runs.WIDE),
        to_start=np.hstack([narrow[0], to_start]),
        to_end=np.hstack([narrow[1], to_end]),
    )  # fmt: skip
