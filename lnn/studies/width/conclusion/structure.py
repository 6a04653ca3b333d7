"""Learning rate, optimizer and depth (Section 3.2, Figures 2 and 3a), on characters."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from lnn.results.verdict import Findings, at_least, findings, report, within
from lnn.studies.width.conclusion.statement import (
    above,
    below,
    reported,
    statement,
    system,
)
from lnn.studies.width.config import Setup
from lnn.studies.width.selection import Slope, Sweep, interval, select, slope, slopes

SAME = 0.1
"""Exponents this close are the same."""


def _paired(one: Sweep, other: Sweep) -> tuple[Slope, Slope]:
    """Return intervals of: exponent of one minus that of the other; log ratio of their steps.

    The ratio is each seed's mean over the widths of which neither is censored.
    """
    both = np.where(np.isfinite(one.steps + other.steps), 1.0, np.nan)
    difference = slopes(one.parameters, one.steps * both) - slopes(
        other.parameters, other.steps * both
    )
    logs = np.log(one.steps / other.steps)
    known = np.isfinite(logs).any(axis=0)
    return interval(difference), interval(np.nanmean(logs[:, known], axis=0))


def _apart(found: Slope) -> float:
    """Return how far an interval is from 0; negative if it contains it."""
    return max(found.low, -found.high)


def _times(found: Slope) -> str:
    """Return a ratio from the interval of its logarithm."""
    middle, low, high = (math.exp(value) for value in (found.exponent, *found.ends))
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


@statement(
    id="D17j",
    source="Section 3.2, Effect of Learning Rate; Figure 2a",
    title="The learning rate scales the curve and keeps its slope",
    statement="Another learning rate changes the factor $a$ of the power law, and not its exponent "
    "$k$: a larger rate shifts the curve down.",
    rule="Holds if the exponents at both rates differ by at most "
    f"{SAME} in the mean of the seeds, and the 95 % interval of the ratio of steps, slower over "
    "faster rate, lies above 1.",
)
def _rate(found: xr.Dataset) -> Findings | None:
    setup = system(found, "characters")
    if setup is None or len(setup.rates) < 2:
        return None
    fast, slow = sorted(setup.rates[:2], reverse=True)
    difference, ratio = _paired(select(found, setup, rate=slow), select(found, setup, rate=fast))
    return findings(
        f"From rate {fast:g} to {slow:g} the steps grow {_times(ratio)}-fold, and the exponent "
        f"changes by {difference}.",
        within("exponent at the slower rate minus that at the faster", difference.exponent, 0, SAME,
               band=difference.ends),
        above("log ratio of the steps, slower over faster", ratio),
    )  # fmt: skip


@statement(
    id="D17k",
    source="Section 3.2, Effect of Learning Rate; Figure 2b",
    title="Adam changes slope and factor",
    statement="With Adam in place of SGD both the exponent $k$ and the factor $a$ change.",
    rule="Holds if the 95 % intervals of the difference of the exponents and of the log ratio of "
    "the steps both exclude 0.",
)
def _optimizer(found: xr.Dataset) -> Findings | None:
    setup = system(found, "characters")
    if setup is None or set(setup.optimizers) != {"sgd", "adam"}:
        return None
    adam, sgd = (select(found, setup, optimizer=name) for name in ("adam", "sgd"))
    difference, ratio = _paired(adam, sgd)
    own = slope(adam.parameters, adam.steps)
    return findings(
        f"With Adam at rate {setup.rate_of('adam'):g} the exponent is {own}, {difference} more "
        f"than with SGD at {setup.rate_of('sgd'):g}, and the steps are {_times(ratio)} times "
        "those of SGD.",
        at_least("distance of the interval of the difference of exponents from 0",
                 _apart(difference), 0.0, band=difference.ends),
        at_least("distance of the interval of the log ratio of steps from 0", _apart(ratio), 0.0,
                 band=ratio.ends),
        report("exponent with Adam", *reported(own)),
    )  # fmt: skip


@statement(
    id="D17l",
    source="Section 3.2, Effect of Depth; Figure 3a",
    title="Deeper networks halt sooner",
    statement="As models get deeper, the number of steps drops: recurrent highway networks on "
    "characters, layers of a recurrent step.",
    rule="Holds if the 95 % interval of the exponent of the steps in the depth lies below 0.",
)
def _depth(found: xr.Dataset) -> Findings | None:
    setup = system(found, "characters")
    if setup is None or len(setup.depths) < 2:
        return None
    rows = {depth: at_depth(found, setup, depth).steps[0] for depth in sorted(setup.depths)}
    depths = [depth for depth, row in rows.items() if np.isfinite(row).any()]
    if len(depths) < 2:
        return None
    steps = np.stack([rows[depth] for depth in depths])
    exponent = slope(np.array(depths, np.float64), steps)
    means = ", ".join(f"{value:.0f}" for value in np.nanmedian(steps, axis=1))
    return findings(
        f"At width {setup.middle_width} the median steps at depths "
        f"{', '.join(map(str, depths))} are {means}: exponent {exponent} in the depth.",
        below("exponent of the steps in the depth", exponent),
        report("mean exponent", *reported(exponent)),
    )


def at_depth(found: xr.Dataset, setup: Setup, depth: int) -> Sweep:
    """Return the runs of the middle width at a depth."""
    return select(found, setup, depth=depth, widths=(setup.middle_width,))


STATEMENTS = (_rate, _optimizer, _depth)
