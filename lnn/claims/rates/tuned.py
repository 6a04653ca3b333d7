"""What a scalar factor gains with tuned learning rates, and whether ill-conditioning is the cause.

Every method has one learning rate for a problem. It is chosen on starts that do not report.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from lnn.claims.claim import OWN, claim
from lnn.claims.measure import missed
from lnn.claims.setting import Setting
from lnn.results.statistics import band_name, band_over, quantile
from lnn.results.verdict import Findings, at_least, at_most, findings, report
from lnn.theory import lp_rates

POWERS = (4.0, 6.0)
STEPS = 3000
RATES = np.geomspace(0.05, 2.5, 200)
"""Learning rates that are tried, in units of y_1^-(p-2)."""
LEEWAY = 1.05
TUNING = 20
SIZES = (0.1, 0.3)
"""Least and largest scalar of a start, in units of its final value |y|^(1/2)."""
FEWER = 1.2
"""Factor of steps that a scalar must save, at least."""
CONDITIONS = np.array([1.0, 4, 9, 16, 25, 36, 49, 64])
"""Ratios of curvatures at w = 0, y_1^(p-2)."""


class Starts(NamedTuple):
    """Starts of the scalar s (n,) and of the vector m (n, 2)."""

    s: np.ndarray
    m: np.ndarray


def drawn(y: np.ndarray, count: int, seed: int) -> Starts:
    """Draw starts near zero: s even in its logarithm, m of any direction and length up to s.

    They scale with the labels, as all weights do, so that they are as near to zero for each.
    """
    rng = np.random.default_rng((7, seed))
    s = np.sqrt(np.linalg.norm(y)) * SIZES[0] * (SIZES[1] / SIZES[0]) ** rng.uniform(size=count)
    angle, length = 2 * np.pi * rng.uniform(size=count), s * rng.uniform(size=count)
    return Starts(s, length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def tuning_starts(y: np.ndarray) -> Starts:
    """Return the starts on which learning rates are chosen."""
    return drawn(y, TUNING, seed=0)


def reporting_starts(y: np.ndarray, count: int) -> Starts:
    """Return the starts that report, none of which has chosen a rate."""
    return drawn(y, count, seed=1)


def errors(y: np.ndarray, p: float, rates: np.ndarray, starts: Starts) -> np.ndarray:
    """Return errors after `STEPS`, without a scalar from w = s m, and with one: (2, starts, rates).

    - rates: of each method, (2, rates).

    Infinite if descent diverges.
    """
    count, size = len(starts.s), rates.shape[1]
    plain, scaled = (np.tile(row, count) for row in rates)
    s, m = np.repeat(starts.s, size), np.repeat(starts.m, size, axis=0)
    record = np.array([STEPS])
    # Descent from w is descent from zero to the labels y - w.
    runs = (
        lp_rates.descend(y - s[:, None] * m, p, plain, record),
        lp_rates.descend_scaled(np.tile(y, (s.size, 1)), p, scaled, record, s, m),
    )
    found = np.stack([np.linalg.norm(run.delta[-1], axis=-1) for run in runs])
    return missed(found).reshape(2, count, size)


class Rates(NamedTuple):
    """Chosen rates (2,) without a scalar and with one: with leeway, and the best ones alone."""

    leeway: np.ndarray
    alone: np.ndarray


def tune(y: np.ndarray, p: float, starts: Starts) -> Rates:
    """Choose the rate of the least error at the worst of the starts.

    Near the limit of stability errors jump from one rate to the next, and lucky rates do not keep
    their promise elsewhere. With leeway a rate counts as the worst of its neighbours within 5 %.
    """
    rates = RATES / y[0] ** (p - 2)
    worst = errors(y, p, np.stack([rates, rates]), starts).max(axis=1)
    reach = 2 * round(np.log(LEEWAY) / np.log(rates[1] / rates[0])) + 1
    around = maximum_filter1d(worst, reach, axis=-1, mode="constant", cval=np.inf)
    return Rates(*(rates[values.argmin(axis=-1)] for values in (around, worst)))


def gains(y: np.ndarray, p: float, chosen: np.ndarray, starts: Starts) -> np.ndarray:
    """Return the factor of steps that a scalar saves at the chosen rates (2,), for every start.

    Errors fall as $t^{-1/(p-2)}$, so that it is the ratio of the errors to the power p - 2. Zero
    where descent with the scalar diverges.
    """
    plain, scaled = errors(y, p, chosen[:, None], starts)[..., 0]
    ratio = np.divide(plain, scaled, out=np.zeros_like(plain), where=np.isfinite(scaled))
    return np.asarray(ratio ** (p - 2))


@claim(
    id="C6",
    documents="CL",
    source="Abstract; Appendix A, last paragraph",
    title="Depth reduces the constant in ill-conditioned problems",
    statement="For labels of different size a scalar factor reduces the constant: it needs fewer "
    "steps to an equal error, each method at its own best learning rate. This project adds that "
    "ill-conditioning is not the cause: with equal labels a scalar saves at least as much.",
    assumptions=r"y = $(y_1, 1)$ with $y_1^{p-2}$, the ratio of the curvatures at w = 0, of at "
    r"least 4. Errors of both methods fall as $t^{-1/(p-2)}$, so that the ratio of their errors at "
    "the same step, to the power p - 2, is the ratio of the steps to an equal error.",
    parameters=r"p = 4 and 6; $y_1^{p-2}$ = 4, 9, 16, ..., 64 (4, 16, 64 in a quick run), and 1 "
    r"for comparison; 3000 steps. Starts have s from 0.1 to 0.3 times $\lVert y \rVert^{1/2}$ and "
    "m of any direction and length up to s; the method without a scalar starts at w = s m. 200 "
    r"learning rates from 0.05 to 2.5 over $y_1^{p-2}$; every method has one for all starts, that "
    "of the least error at the worst of 20 starts, where a rate counts as the worst of its "
    "neighbours within 5 %. Other starts report: 15 (5 in a quick run), by their median.",
    rule=r"Holds if for every $y_1^{p-2} \ge 4$ and both p the median of the starts that report "
    "has the scalar need at most 1 / 1.2 of the steps. The addition holds if it saves at least as "
    "much with equal labels as in every one of these cases.",
)
def run_ill_conditioned(setting: Setting) -> Findings:
    """Measure what a scalar saves at tuned rates against ill-conditioning, and for equal labels."""
    conditions = setting.size(CONDITIONS, CONDITIONS[[0, 1, 3, 7]])
    count = setting.size(15, 5)
    saved, alone = np.empty((2, len(POWERS), conditions.size, count))
    for i, p in enumerate(POWERS):
        for j, condition in enumerate(conditions):
            y = np.array([condition ** (1 / (p - 2)), 1.0])
            rates, starts = tune(y, p, tuning_starts(y)), reporting_starts(y, count)
            saved[i, j] = gains(y, p, rates.leeway, starts)
            alone[i, j] = gains(y, p, rates.alone, starts)
    middle = quantile(saved, 0.5, upper_median=False)
    equal, unequal = middle[:, 0], middle[:, 1:]
    least = np.unravel_index(np.argmin(unequal), unequal.shape)
    compared = float((unequal / equal[:, None]).max())
    last = saved[:, -1] ** (1 / (np.array(POWERS) - 2))[:, None]
    return findings(
        "At rates tuned on other starts gradient descent without a scalar needs "
        f"{unequal[0, 0]:.2f} to {unequal[0, -1]:.2f} times the steps at p = 4 and "
        f"{unequal[1, 0]:.2f} to {unequal[1, -1]:.2f} times at p = 6, from $y_1^{{p-2}}$ = "
        f"{conditions[1]:g} to {conditions[-1]:g} (medians of {count} starts). With equal labels "
        f"it is {equal[0]:.2f} and {equal[1]:.2f} times: " + _cause(unequal / equal[:, None]),
        at_least(
            r"factor of steps that a scalar saves, median of the starts, least of $y_1^{p-2} \ge "
            f"4$ and both p; in brackets: {band_name(count, 'starts')}",
            unequal[least],
            FEWER,
            band=_band(saved[least[0], least[1] + 1]),
        ),
        at_most(
            "the same over that for equal labels, largest of all cases", compared, 1.0, document=OWN
        ),
        *(
            report(
                rf"factor of steps saved, p = {p:g}, $y_1^{{p-2}}$ = {conditions[j]:g}, median",
                middle[i, j],
                _band(saved[i, j]),
            )
            for i, p in enumerate(POWERS)
            for j in range(conditions.size)
        ),
        *(
            report(
                rf"ratio of the errors, p = {p:g}, $y_1^{{p-2}}$ = {conditions[-1]:g}, median",
                float(quantile(row, 0.5, upper_median=False)),
                _band(row),
            )
            for p, row in zip(POWERS, last, strict=True)
        ),
        report(
            r"factor of steps saved at the single best rates on the tuning starts, least of "
            r"$y_1^{p-2} \ge 4$ and both p, median",
            quantile(alone[:, 1:], 0.5, upper_median=False).min(),
        ),
        conditions=conditions,
        saved=saved,
    )


def _cause(compared: np.ndarray) -> str:
    if compared.min() >= 1:
        return "in every ill-conditioned case depth saves at least as much."
    if compared.max() >= 1:
        return "depth does not save more in every ill-conditioned case."
    return (
        "in every ill-conditioned case depth saves steps, but by a smaller factor than that, so "
        "that ill-conditioning is not the cause."
    )


def _band(values: np.ndarray) -> tuple[float, float]:
    return band_over(values, upper_median=False).ends
