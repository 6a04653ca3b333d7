"""Steps against width and data: the abstract and Sections 3.2 and 4.1, Figures 1, 3b, 4 and 5."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lnn.results.formatting import banded, compact, count
from lnn.results.statistics import band_over
from lnn.results.verdict import Check, Findings, Role, at_least, at_most, findings, report, within
from lnn.studies.width.conclusion.statement import (
    NAMES,
    Judge,
    above,
    below,
    ends,
    listed,
    reported,
    statement,
    sweeps,
    system,
)
from lnn.studies.width.config import Setup
from lnn.studies.width.selection import (
    Slope,
    interval,
    local_slope,
    offset_fit,
    residual,
    select,
    setups,
    slope,
)

STRAIGHT = 0.2
"""A power law describes steps if every width's mean is this close to the line, relatively."""

LINEAR = 0.2
"""An exponent this close to 1 is almost linear."""


def _drop(name: str) -> Judge:
    def judge(found: xr.Dataset) -> Findings | None:
        setup = system(found, name)
        if setup is None:
            return None
        sweep = select(found, setup)
        steps, ratio = slope(sweep.parameters, sweep.steps), ends(sweep.steps)
        goal = slope(sweep.parameters, sweep.goal)
        others = [
            report(
                f"the same exponent with {size} symbols or utterances of training data",
                *reported(slope(sweep.parameters, select(found, setup, size).steps)),
            )
            for size in setup.sizes if size != setup.middle_size
        ]  # fmt: skip
        lost = int(sweep.censored.sum())
        return findings(
            f"From width {sweep.widths[0]} to {sweep.widths[-1]}, "
            f"{compact(sweep.parameters[0])} to {compact(sweep.parameters[-1])} parameters, the "
            f"steps to halt change by a factor of {_band(ratio)} with {setup.middle_size} "
            f"training symbols or utterances: exponent {steps} in the number of parameters. Steps "
            f"to the loss of the narrowest network, {found.attrs[f'{name}_goal']:.3g} nats per "
            f"symbol, have exponent {goal}.",
            below("exponent of the steps to halt in the number of parameters", steps),
            report("mean exponent", *reported(steps)),
            report("mean exponent of the steps to the loss of the narrowest", *reported(goal)),
            report(f"censored runs, of {sweep.censored.size}", lost),
            *others,
        )

    return judge


def _band(values: np.ndarray) -> str:
    return banded(band_over(values)) if values.size else "unknown size"


DROPS = tuple(
    statement(
        id=f"D17{letter}",
        source="Abstract; Section 3.2; Figures 1 and 5b",
        title=f"Wider networks halt sooner: {NAMES[name]}",
        statement="The number of steps to within 1 % of the least validation loss drops with "
        f"width, everything else being the same: {NAMES[name]}.",
        rule="Holds if the 95 % interval over seeds of the exponent of the steps in the number of "
        "parameters lies below 0, at the middle size of the training set.",
    )(_drop(name))
    for letter, name in zip("abc", NAMES, strict=True)
)


LANGUAGE = ("characters", "words")
"""Systems of Figures 1a and 1b, of which Section 3.2 makes its observations."""


def _role(name: str) -> Role:
    return Role.CLAIM if name in LANGUAGE else Role.BEYOND


@statement(
    id="D17d",
    source="Abstract; Section 3.2, first observation; Figure 1",
    title="Steps follow a power law",
    statement="The drop is well approximated by a power law $a M^k + b$ in the number $M$ of "
    "parameters.",
    rule="Holds if, for every size of both language models, the mean steps of each width deviate "
    f"by at most {STRAIGHT:.0%} from the fitted law, with the offset $b$ where there are five "
    "widths or more, and without it otherwise; under a condition if speech deviates more. Whether "
    "the data determine an offset is reported.",
)
def _power_law(found: xr.Dataset) -> Findings | None:
    checks, offsets = [], []
    for setup in setups(found):
        for size in setup.sizes:
            sweep = select(found, setup, size)
            if len(sweep.widths) < 3:
                continue
            fit = offset_fit(sweep)
            offsets += [fit.identifiable] if fit is not None else []
            lawful = fit.at if fit is not None and len(sweep.widths) > 4 else None
            away = residual(sweep.parameters, sweep.steps, lawful)
            what = f"largest deviation from the law, {setup.system}, {size}"
            checks.append(at_most(what, away, STRAIGHT, _role(setup.system)))
    if not checks:
        return None
    worst = max(check.measured for check in checks)
    apart = sum(check.passed is False for check in checks)
    known = f"{sum(offsets)} of {len(offsets)} fits"
    return findings(
        f"Means over seeds deviate by at most {worst:.0%} from the fitted laws of "
        f"{count(len(checks), 'sweep')}, by more than {STRAIGHT:.0%} in {apart}."
        + f" The data determine $a$, $k$ and $b$ together in {known}." * bool(offsets),
        *checks, report("fits that determine the offset $b$, as well", sum(offsets)),
    )  # fmt: skip


def data_exponents(found: xr.Dataset, setup: Setup) -> Slope | None:
    """Return the exponent of the steps in the size, the mean over widths of each seed."""
    if len(setup.sizes) < 2:
        return None
    logs = np.stack([np.log(select(found, setup, size).steps) for size in setup.sizes])
    size = np.log(setup.sizes)
    each = []
    for seed in range(logs.shape[2]):
        values = [
            np.polyfit(size[known], column[known], 1)[0]
            for column in logs[:, :, seed].T if (known := np.isfinite(column)).sum() > 1
        ]  # fmt: skip
        each += [float(np.mean(values))] if values else []
    return interval(np.array(each))


@statement(
    id="D17e",
    source="Section 3.2, second observation; Figures 1a and 1b",
    title="More data takes more steps",
    statement="Increasing the size of the training set increases the number of steps.",
    rule="Holds if the 95 % interval of the exponent of the steps in the size of the training set, "
    "each seed's mean over widths, lies above 0 for both language models; under a condition if not "
    "for speech.",
)
def _more_data(found: xr.Dataset) -> Findings | None:
    """Judge the sign of the exponent in the size of the data."""
    exponents = _sizes(found)
    if not exponents:
        return None
    return findings(
        f"The exponent of the steps in the size of the training set is {_told(exponents)}.",
        *(
            above(f"exponent in the size, {name}", value, role=_role(name))
            for name, value in exponents.items()
        ),
    )


@statement(
    id="D17f",
    source="Section 3.2, Effect of Training Set Size; Figure 3b",
    title="Steps are almost linear in the size of the data",
    statement="The number of steps is almost linear in the size $D$ of the training set, as "
    "$D / M^k$.",
    rule="Holds if the exponent of the steps in $D$, each seed's mean over widths, is within "
    f"{LINEAR} of 1 for both language models; under a condition if not for speech.",
)
def _linear_data(found: xr.Dataset) -> Findings | None:
    """Judge whether the exponent in the size of the data is near 1."""
    exponents = _sizes(found)
    if not exponents:
        return None
    return findings(
        f"Steps grow with the exponent {_told(exponents)} in the size of the training set; "
        "proportional growth has exponent 1.",
        *(
            within(
                f"exponent in the size, {name}", value.exponent, 1, LINEAR, _role(name), value.ends
            )
            for name, value in exponents.items()
        ),
    )


def _sizes(found: xr.Dataset) -> dict[str, Slope]:
    values = {setup.system: data_exponents(found, setup) for setup in setups(found)}
    return {name: value for name, value in values.items() if value is not None}


def _told(exponents: dict[str, Slope]) -> str:
    return listed([f"{value} ({name})" for name, value in exponents.items()])


@statement(
    id="D17g",
    source="Section 3.2, third observation; Figure 1",
    title="The slope depends on application and data",
    statement="The exponent $k$ of the power law is a function of the application and its dataset.",
    rule="Holds if the 95 % intervals of the exponents of at least two systems do not meet, at the "
    "middle sizes.",
)
def _application(found: xr.Dataset) -> Findings | None:
    """Judge whether exponents of two systems are apart."""
    slopes = {name: slope(each.parameters, each.steps) for name, each in sweeps(found).items()}
    exponents = {name: value for name, value in slopes.items() if value.seeds > 1}
    if len(exponents) < 2:
        return None
    gap = max(value.low for value in exponents.values()) - min(
        value.high for value in exponents.values()
    )
    return findings(
        f"At the middle sizes the exponent is {_told(exponents)}.",
        at_least("largest distance between the 95 % intervals of two systems", gap, 0.0),
        *(report(f"exponent, {name}", *reported(value)) for name, value in exponents.items()),
    )


@statement(
    id="D17h",
    source="Section 4.1; Figure 4",
    title="The curve flattens where the data has no more to give",
    statement="The curve begins as a power law and ends flat, at a least number of passes over the "
    "data.",
    rule="Holds if the exponent of the steps between the two widest networks is closer to 0 than "
    "half of that between the two narrowest, for characters with the least data, and its 95 % "
    "interval contains 0.",
)
def _flat_end(found: xr.Dataset) -> Findings | None:
    """Judge the exponent at the wide end against that at the narrow end."""
    setup = system(found, "characters")
    if setup is None or len(setup.widths) < 4:
        return None
    sweep = select(found, setup, setup.sizes[0])
    narrow, wide = local_slope(sweep, 0), local_slope(sweep, -2)
    passes = sweep.steps * setup.batch * setup.length / setup.sizes[0]
    return findings(
        f"With {setup.sizes[0]} characters the exponent is {narrow} between the two narrowest "
        f"networks and {wide} between the two widest, which halt after "
        f"{_band(passes[-1][np.isfinite(passes[-1])])} passes over the data.",
        at_most("exponent at the wide end, size", abs(wide.exponent), abs(narrow.exponent) / 2),
        at_most("distance of the 95 % interval at the wide end from 0",
                max(wide.low, -wide.high), 0.0, band=wide.ends),
        report("exponent at the narrow end", *reported(narrow)),
        report("exponent at the wide end", *reported(wide)),
    )  # fmt: skip


@statement(
    id="D17i",
    source="Section 4.3; Figure 5a",
    title="Beyond a size the model overfits",
    statement="Increasing the model beyond a size pushes it into overfitting: its best validation "
    "loss no longer improves.",
    rule="Reported: the document's size, 1.2 million parameters, is beyond these.",
)
def _overfitting(found: xr.Dataset) -> Findings | None:
    setup = system(found, "characters")
    if setup is None or len(setup.widths) < 3:
        return None
    checks: list[Check] = []
    told = []
    for size in dict.fromkeys((setup.sizes[0], setup.sizes[-1])):
        least = select(found, setup, size).least
        worse = float(np.mean(least[-1] >= least[-2]))
        checks.append(report(f"share of seeds whose widest network is no better, {size}", worse))
        medians = np.median(least, axis=1)
        told.append(
            f"with {size} characters the median least loss is {medians[0]:.2f} at width "
            f"{setup.widths[0]}, {medians[-2]:.2f} at {setup.widths[-2]} and {medians[-1]:.2f} at "
            f"{setup.widths[-1]}"
        )
    return findings(f"Nats per character: {'; '.join(told)}.", *checks)


STATEMENTS = (
    *DROPS, _power_law, _more_data, _linear_data, _application, _flat_end, _overfitting,
)  # fmt: skip
