"""How far, how fast and how straight (abstract, Sections 1 and 4.3, Figures 6 to 8), characters.

Numbers are taken up to the halting time.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from lnn.results.verdict import Findings, Role, at_most, findings, report, within
from lnn.studies.width.conclusion.statement import (
    above,
    below,
    characters,
    ends,
    listed,
    reported,
    statement,
)
from lnn.studies.width.runs import GROUPS
from lnn.studies.width.selection import Slope, Sweep, interval, residual, slope

NAMED = {"input": "embedding", "hidden": "hidden", "output": "softmax", "all": "all together"}
"""Groups of parameters of a language model."""

CLOSE = 0.05
"""A law describes distances if every width's mean is this close to it, relatively."""

RIGHT, LITTLE = 15.0, 0.25
"""Degrees around 90 that are roughly a right angle; a growth that is not much."""


def _by_group(sweep: Sweep, name: str) -> dict[str, Slope]:
    """Return exponents in the width, by group."""
    values = sweep.lengths[name]
    return {NAMED[group]: slope(sweep.widths, values[:, :, i]) for i, group in enumerate(GROUPS)}


def _told(exponents: dict[str, Slope]) -> str:
    return listed([f"{value} ({group})" for group, value in exponents.items()])


def _mean_step(sweep: Sweep) -> np.ndarray:
    """Return the mean step (W, S, 4)."""
    return np.asarray(sweep.lengths["path"] / sweep.steps[:, :, None])


def _straightness(sweep: Sweep) -> np.ndarray:
    """Return direct distance over path length (W, S, 4)."""
    return np.asarray(sweep.lengths["distance"] / sweep.lengths["path"])


@statement(
    id="D17m",
    source="Section 1, (1); Section 4.3, Direct Distance; Figure 6",
    title="The direct distance shrinks with width in every layer",
    statement="The direct distance from the first to the final parameters shrinks with width, in "
    "embedding, hidden and softmax layers.",
    rule="Holds if the 95 % interval of its exponent in the width lies below 0 for each group and "
    "all together.",
)
def _distance(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    exponents = _by_group(sweep, "distance")
    return findings(
        f"The exponents of the direct distance in the width are {_told(exponents)}.",
        *(below(f"exponent of the distance, {name}", each) for name, each in exponents.items()),
    )


@statement(
    id="D17n",
    source="Section 1, (2) and (3)",
    title="The path shrinks, and faster than the distance",
    statement="The length of the path shrinks with width, faster than the direct distance.",
    rule="Holds if the 95 % intervals of the path's exponent in the width, and of that minus the "
    "distance's, lie below 0, for all parameters together.",
)
def _path(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    path = slope(sweep.widths, sweep.lengths["path"][:, :, -1])
    ratio = slope(sweep.widths, 1 / _straightness(sweep)[:, :, -1])
    return findings(
        f"The path's exponent in the width is {path}, that of path over distance {ratio}.",
        below("exponent of the path", path),
        below("exponent of path over distance", ratio),
    )


@statement(
    id="D17o",
    source="Section 4.3, Direct Distance, 1; Figure 6",
    title="Softmax travels farthest in narrow networks, hidden layers in wide ones",
    statement="In narrow networks the softmax layer travels farther than the hidden layers; in "
    "wide ones it is the reverse.",
    rule="Holds if the 95 % interval of the log ratio of the distances, softmax over hidden, lies "
    "above 0 at the narrowest width and below 0 at the widest.",
)
def _crossing(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    distance = sweep.lengths["distance"]
    logs = np.log(distance[:, :, 2] / distance[:, :, 1])
    narrow, wide = (interval(row[np.isfinite(row)]) for row in (logs[0], logs[-1]))
    return findings(
        f"Softmax over hidden distance is {np.exp(narrow.exponent):.2f} at width "
        f"{sweep.widths[0]} and {np.exp(wide.exponent):.2f} at width {sweep.widths[-1]}.",
        above("log ratio at the narrowest width", narrow),
        below("log ratio at the widest width", wide),
    )


@statement(
    id="D17p",
    source="Section 4.3, Direct Distance, 2; Figure 6",
    title="The softmax layer's distance shrinks most",
    statement="The softmax layer benefits most from width: its distance shrinks more than those of "
    "hidden and embedding layers (by 25 % against 15 % and 13 %).",
    rule="Holds if the 95 % intervals of the softmax layer's exponent minus each of the other two "
    "lie below 0.",
)
def _most(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    distance = sweep.lengths["distance"]
    means = np.nanmean(distance, axis=1)
    change = [f"{means[-1, i] / means[0, i] - 1:+.0%} ({NAMED[GROUPS[i]]})" for i in (2, 1, 0)]
    others = {NAMED[GROUPS[i]]: slope(sweep.widths, distance[:, :, 2] / distance[:, :, i])
              for i in (1, 0)}  # fmt: skip
    return findings(
        f"From width {sweep.widths[0]} to {sweep.widths[-1]} the mean distance changes by "
        f"{listed(change)}.",
        *(below(f"exponent of softmax over {name} distance", each)
          for name, each in others.items()),
    )  # fmt: skip


@statement(
    id="D17q",
    source="Section 4.3, Direct Distance, 3; abstract; Figure 6",
    title="Distance falls as a logarithm of width, or as a power",
    statement="The direct distance is a linear function of the logarithm of the width (Section "
    "4.3); it shrinks with a power-law-like relationship (abstract).",
    rule="Holds if every width's mean is within "
    f"{CLOSE:.0%} of the fitted logarithm, and of the fitted power law, all parameters together.",
)
def _law(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    distance = sweep.lengths["distance"][:, :, -1]
    means = np.nanmean(distance, axis=1)
    line = np.polyval(np.polyfit(np.log(sweep.widths), means, 1), np.log(sweep.widths))
    logarithm, power = float(np.abs(line / means - 1).max()), residual(sweep.widths, distance)
    told = ", ".join(f"{mean:.1f}" for mean in means)
    return findings(
        f"Mean distances are {told} from width {sweep.widths[0]} to {sweep.widths[-1]}: within "
        f"{logarithm:.1%} of a logarithm and {power:.1%} of a power law.",
        at_most("largest deviation from the logarithm", logarithm, CLOSE),
        at_most("largest deviation from the power law", power, CLOSE),
    )


@statement(
    id="D17r",
    source="Abstract; Section 1, (4); Section 4.3, Step Size; Figure 7",
    title="Wider networks take larger steps",
    statement="The mean step grows with width as a power law, with an exponent below 1/2.",
    rule="Holds if the 95 % interval of its exponent in the width lies between 0 and 1/2, all "
    "parameters together.",
)
def _step(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    exponent = slope(sweep.widths, _mean_step(sweep)[:, :, -1])
    return findings(
        f"The exponent of the mean step in the width is {exponent}.",
        above("exponent of the mean step", exponent),
        below("exponent of the mean step", exponent, 0.5),
    )


def _exponent_near(
    group: str, expected: float, tolerance: float, found: xr.Dataset
) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    exponent = slope(sweep.widths, _mean_step(sweep)[:, :, GROUPS.index(group)])
    return findings(
        f"The exponent of the {NAMED[group]} layer's mean step in the width is {exponent}; the "
        f"document has {expected:g}.",
        within(f"exponent of the mean step, {NAMED[group]}", exponent.exponent, expected, tolerance,
               band=exponent.ends),
    )  # fmt: skip


@statement(
    id="D17s",
    source="Section 4.3, Step Size, 1; Figure 7",
    title="The softmax layer's step grows almost as the square root of width",
    statement="The step of the softmax layer grows with almost the square root of the width.",
    rule="Holds if the mean exponent is within 0.15 of 1/2.",
)
def _softmax_step(found: xr.Dataset) -> Findings | None:
    return _exponent_near("output", 0.5, 0.15, found)


@statement(
    id="D17t",
    source="Section 4.3, Step Size, 2; Figure 7",
    title="The hidden layer's step grows as the width to the power 0.21",
    statement="The step of the hidden layers grows with the width to the power 0.21.",
    rule="Holds if the mean exponent is within 0.1 of 0.21.",
)
def _hidden_step(found: xr.Dataset) -> Findings | None:
    return _exponent_near("hidden", 0.21, 0.1, found)


@statement(
    id="D17u",
    source="Section 4.3, Step Size, 3; Figure 7",
    title="Hidden layers take the largest steps",
    statement="Hidden layers take larger steps than softmax and embedding layers.",
    rule="Holds if the 95 % interval of the log ratio, hidden over each of the others, lies above "
    "0 at every width.",
)
def _largest(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    step = _mean_step(sweep)
    checks, told = [], []
    for i in (0, 2):
        logs = np.log(step[:, :, 1] / step[:, :, i])
        least = min((interval(row[np.isfinite(row)]) for row in logs), key=lambda each: each.low)
        name = NAMED[GROUPS[i]]
        checks.append(above(f"log ratio of steps, hidden over {name}, least of the widths", least))
        told.append(f"{np.exp(least.exponent):.2f} times the {name} layer's")
    return findings(f"The hidden layer's mean step is at least {listed(told)}.", *checks)


@statement(
    id="D17v",
    source="Section 4.3, Step Size, 4; Figure 7",
    title="The embedding's step hardly changes",
    statement="The step of the embedding does not change much with width (it grows by 10 % over a "
    "16.5 times larger model).",
    rule="Holds if the median ratio of the mean steps, widest over narrowest, is within "
    f"{LITTLE:.0%} of 1.",
)
def _embedding(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    ratio = ends(_mean_step(sweep)[:, :, 0])
    if not ratio.size:
        return None
    return findings(
        f"The embedding's mean step at width {sweep.widths[-1]} is {np.median(ratio):.2f} times "
        f"that at width {sweep.widths[0]}.",
        within("ratio of the mean steps, widest over narrowest, median", float(np.median(ratio)), 1,
               LITTLE, band=(float(ratio.min()), float(ratio.max()))),
    )  # fmt: skip


@statement(
    id="D17w",
    source="Section 4.3, Misalignment; Figure 8",
    title="Angles to the start are roughly right, and open slowly",
    statement="The angle between the update and the way back to the start is roughly a right angle "
    "at every width, and opens up very slowly as models get larger.",
    rule=f"Holds if every width's mean is within {RIGHT:.0f} degrees of 90, and the 95 % interval "
    "of its change from the narrowest to the widest lies above 0. As printed, the angle is between "
    "the parameters and those at the start, and every width's mean should be as close to 90.",
)
def _angle(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    angle, printed = sweep.lengths["to_start"][:, :, -1], sweep.lengths["printed"][:, :, -1]
    means, as_printed = np.nanmean(angle, axis=1), np.nanmean(printed, axis=1)
    change = angle[-1] - angle[0]
    opens = interval(change[np.isfinite(change)])
    return findings(
        f"The mean angle goes from {means[0]:.1f} to {means[-1]:.1f} degrees; as printed it goes "
        f"from {as_printed[0]:.1f} to {as_printed[-1]:.1f} degrees.",
        at_most("largest deviation of a width's mean from 90 degrees",
                float(np.abs(means - 90).max()), RIGHT),
        above("change from narrowest to widest, degrees", opens),
        at_most("largest deviation from 90 degrees, by the printed formula",
                float(np.abs(as_printed - 90).max()), RIGHT, Role.PRINTED),
    )  # fmt: skip


@statement(
    id="D17x",
    source="Abstract",
    title="Updates become more aligned",
    statement="As width grows, gradient vectors become more aligned with each other during "
    "traversal.",
    rule="Holds if the 95 % interval of the exponent in the width of direct distance over path, 1 "
    "if all updates have one direction, lies above 0, all parameters together.",
)
def _aligned(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    straight = _straightness(sweep)[:, :, -1]
    exponent = slope(sweep.widths, straight)
    means, ahead = np.nanmean(straight, axis=1), np.nanmean(sweep.lengths["to_end"][:, :, -1], 1)
    return findings(
        f"Distance over path goes from {means[0]:.3f} to {means[-1]:.3f}, exponent {exponent}; the "
        f"angle between update and way to the end from {ahead[0]:.1f} to {ahead[-1]:.1f} degrees.",
        above("exponent of distance over path", exponent),
        report("angle to the end at the narrowest, degrees", ahead[0]),
        report("angle to the end at the widest, degrees", ahead[-1]),
    )


@statement(
    id="D17y",
    source="Abstract; Section 4.2",
    title="Every factor contributes",
    statement="Steps are distance / (straightness x mean step); with width the distance shrinks, "
    "the mean step grows, and the path gets straighter: each contributes to fewer steps.",
    rule="Holds if the 95 % intervals of the exponents in the width lie below 0 for the distance "
    "and above 0 for the other two, all parameters together.",
)
def _factors(found: xr.Dataset) -> Findings | None:
    if (sweep := characters(found)) is None:
        return None
    steps, distance, straight, step = (
        slope(sweep.widths, values)
        for values in (
            sweep.steps, sweep.lengths["distance"][:, :, -1], _straightness(sweep)[:, :, -1],
            _mean_step(sweep)[:, :, -1],
        )
    )  # fmt: skip
    return findings(
        f"Of the exponent of the steps in the width, {steps}, {distance.exponent:.2f} is the "
        f"distance's, {-straight.exponent:.2f} the straightness's and {-step.exponent:.2f} the "
        "mean step's.",
        below("exponent of the distance", distance),
        above("exponent of the straightness", straight),
        above("exponent of the mean step", step),
        report("exponent of the steps", *reported(steps)),
    )


STATEMENTS = (
    _distance, _path, _crossing, _most, _law, _step, _softmax_step, _hidden_step, _largest,
    _embedding, _angle, _aligned, _factors,
)  # fmt: skip
