"""Section 7: two points with labels y1 >> y2, the l_p loss, and depth's effect on the rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import bands, missed, ratio, soonest
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.status import Status
from lnn.datasets import regression
from lnn.results.statistics import quantile, steps_to_target
from lnn.results.verdict import Findings, Role, at_least, at_most, findings, report, within
from lnn.simulation.simulate import simulate
from lnn.transforms.methods import make_method
from lnn.transforms.single_output import scale_by_single_output

LABELS = (0.5, 3.0, 10.0)
POWERS = (2.0, 4.0, 6.0)
SHARPNESS = 5e-4
SEPARATE = (10.0, 0.01)
DEPTHS = (2, 3, 4, 8)
NETWORK, RULE = ("layerwise-gd", 2), ("single-output", 2)
METHODS = (("layerwise-gd", 1), NETWORK, ("layerwise-gd", 3), RULE, ("single-output", 3))
"""Gradient descent, on layers of these depths and by eq. 12."""
_NAMES = {"layerwise-gd": "the network", "single-output": "the rule"}
STEEP = (2.0, 4.0, 8.0, 16.0, 32.0)
START = 0.1
TOLERANCE = 0.1


@claim(
    id="A19",
    documents="AR",
    source="Section 7, eq. 15; review, Section 7",
    title="Learning rates at which gradient descent converges on two points",
    statement=r"On two points gradient descent moves each coordinate alone: with $\Delta_i = w_i - "
    r"y_i$ it is $\Delta_i \leftarrow \Delta_i - \eta \Delta_i^{p-1}$. From w near zero it "
    r"converges if and only if $\eta < 2 / y_i^{p-2}$ for both coordinates.",
    assumptions="The loss is the sum over the two points; p is even; no weight decay.",
    parameters="p = 2, 4, 6; $y_1$ = 0.5, 3, 10 with $y_2 = y_1 / 2$; start at w = 0; learning "
    "rates of 0.5, 0.9, 0.9995, 1.0005 and 1.1 times the bound; 20000 steps (5000 in a quick run).",
    rule="Holds if convergence ends within 0.1 % of the bound in every case and one step agrees "
    "with the recursion to rounding; the recursion as printed in the review must not leave its "
    "start.",
    printed=r"The review prints $\Delta \leftarrow \Delta - \eta \Delta^{p-2}$, without the index "
    "and with an exponent that is one too low; the paper has it right.",
)
def run_bound(setting: Setting) -> Findings:
    """Find where GD from w = 0 stops converging, on either side of the bound."""
    factors = np.array([0.5, 0.9, 1 - SHARPNESS, 1 + SHARPNESS, 1.1])
    steps = setting.size(20_000, 5_000)
    last, first, formula = [], [], 0.0
    for p in POWERS:
        for y in LABELS:
            rates = factors * 2 / y ** (p - 2)
            out = simulate(
                regression.two_point(y, y / 2, p), make_method("gd"), np.zeros((5, 1, 2)), rates,
                steps, dtype="float64", save_weights=True,
            )  # fmt: skip
            assert out.w is not None
            ended = np.nanmax(np.where(out.steps == out.end_step[:, None], out.loss, -1), axis=1)
            converges = (out.status != Status.DIVERGED) & (ended < out.loss[:, 0])
            last.append(float(factors[converges].max(initial=0.0)))
            first.append(float(factors[~converges].min(initial=np.inf)))
            gap = out.w[:, :2, 0, 0] - y
            predicted = gap[:, 0] - rates * gap[:, 0] ** (p - 1)
            formula = max(formula, float(np.max(np.abs(gap[:, 1] - predicted)) / y))
    off = max(max(abs(low - 1), abs(high - 1)) for low, high in zip(last, first, strict=True))
    printed = -3.0
    for _ in range(8):
        printed -= printed**2 / 9
    return findings(
        f"Over {len(POWERS) * len(LABELS)} pairs of p and $y_1$ the largest learning rate that "
        f"converged was at least {min(last):.4f} and the smallest that did not at most "
        f"{max(first):.4f} times the bound $2 / y_1^{{p-2}}$; one step agrees with the recursion "
        f"to {formula:.1e}. The recursion with exponent p - 2, as the review prints it, takes -3 "
        f"to {printed:.2g} in 8 steps where $\\eta$ is half of the bound.",
        at_most(
            "relative distance between the bound and the two learning rates that bracket the "
            "end of convergence, the worst case",
            off,
            1e-3,
        ),
        at_most(
            r"error of one step of $\Delta \leftarrow \Delta - \eta \Delta^{p-1}$, relative "
            "to $y_1$",
            formula,
            1e-12,
        ),
        at_most(
            r"$|\Delta|$ after 8 steps from -3 of the recursion as printed in the review "
            r"(p = 4, $\eta = 1/9$, half of the bound)",
            abs(printed),
            3.0,
            Role.PRINTED,
            document="R",
        ),
    )


@claim(
    id="A20",
    documents="AR",
    source="Section 7, after eq. 15; review, Section 7",
    title="The learning rate that the first coordinate lends to the second",
    statement="Near $w = (y_1, 0)$ the end-to-end rule scales the learning rate of the second "
    "coordinate by $y_1^{2-2/N}$ and that of the first by $N y_1^{2-2/N}$: these are the "
    "eigenvalues of its preconditioner.",
    assumptions="One output, no weight decay, $y_2$ much smaller than $y_1$.",
    parameters="w = (10, 0.01), depths 2, 3, 4 and 8; eq. 12 applied to both basis vectors.",
    rule="Holds if eigenvalues and factors agree to 1e-4; the review's print must agree to 1 %.",
    printed=r"The review prints the factor $\frac{2}{y_1^2 - \frac{2}{N}}$ in the place of "
    "$y_1^{2-2/N}$.",
)
def run_scaling(setting: Setting) -> Findings:
    """Compare the preconditioner of eq. 12, from updates of basis vectors, with the first axis."""
    y1, y2 = SEPARATE
    w = jnp.asarray([[y1, y2]], jnp.float64)
    eigenvalue_error = coordinate_error = 0.0
    for depth in DEPTHS:
        rule = scale_by_single_output(depth)
        columns = [
            np.asarray(rule.update(row[None], rule.init(w), w)[0])[0]
            for row in jnp.eye(2, dtype=jnp.float64)
        ]
        matrix = np.stack(columns, axis=1)
        scale = y1 ** (2 - 2 / depth)
        expected = np.array([scale, depth * scale])
        found = np.linalg.eigvalsh(matrix)
        eigenvalue_error = max(eigenvalue_error, float(np.max(np.abs(found / expected - 1))))
        on_axes = np.diag(matrix)[::-1]
        coordinate_error = max(coordinate_error, float(np.max(np.abs(on_axes / expected - 1))))
    rule = scale_by_single_output(2)
    second = jnp.asarray([[0.0, 1.0]], jnp.float64)
    scaled = float(rule.update(second, rule.init(w), w)[0][0, 1])
    review = 2 / (y1**2 - 1)
    return findings(
        f"At w = ({y1:g}, {y2:g}) the eigenvalues of the preconditioner are those of the claim to "
        f"{eigenvalue_error:.1e}, for depths 2, 3, 4 and 8, and the two coordinates have them in "
        f"the order claimed, to {coordinate_error:.1e}. At depth 2 the second coordinate's "
        f"learning rate is scaled by {scaled:.4g}; the review's formula gives {review:.3g}, "
        "and 0.2 if all of it is read as the exponent.",
        at_most("relative error of the eigenvalues, worst depth", eigenvalue_error, 1e-4),
        at_most("relative error of the two coordinates' factors", coordinate_error, 1e-4),
        within(
            "factor of the second coordinate at depth 2, against the review's formula",
            scaled,
            review,
            1e-2 * review,
            Role.PRINTED,
            document="R",
        ),
    )


@claim(
    id="A24",
    documents="AR",
    source="Section 7; review, Section 7",
    title="Depth against tuned gradient descent where labels differ",
    statement=r"On two points with $y_1 \gg y_2$ and p = 4, depth is faster than plain gradient "
    "descent, each with one learning rate for all starts: the rule of eq. 12, by which the paper "
    "argues, and gradient descent on the layers.",
    assumptions="Layers of width 1, balanced start of norm 0.1 in a random direction, the same "
    "product for every method.",
    parameters="$y_2 = 1$, $y_1$ = 2, 4, 8, 16, 32 (quick: 4 and 16); depths 1, 2, 3; learning "
    "rates $2^{1/4}$ apart, from 1/64 to 4 times the bound of plain gradient descent; steps until "
    "both coordinates are within 0.1 of their labels. One rate for each method and $y_1$, chosen "
    "on 9 other starts (quick: 5) as the best for the worst of them; 21 starts reported (quick: "
    "9), paired.",
    rule="Holds if the median speed-ups of depth 2 at the largest $y_1$ are at least 1, of rule "
    f"and network. Other labels and depth 3 are reported. {bands(21, 9)}",
)
def run_tuned(setting: Setting) -> Findings:
    """Measure steps to both labels, each method at one rate chosen on other starts."""
    labels = setting.size(STEEP, (4.0, 16.0))
    tuning, reporting = starts(setting)
    steps = setting.size(60_000, 10_000)
    found = [tuned_steps(y1, tuning, reporting, steps) for y1 in labels]
    hits = np.stack([needed for needed, _, _ in found])  # (labels, methods, starts)
    speedup = {
        (i, method): ratio(hits[i, 0], hits[i, k], steps)
        for i in range(len(labels))
        for k, method in enumerate(METHODS)
        if k
    }
    last = len(labels) - 1
    middle = quantile(hits, 0.5)

    told = ", ".join(
        f"{speedup[i, NETWORK]} at $y_1 = {y1:g}$ ({middle[i, 0]:.0f} against "
        f"{middle[i, METHODS.index(NETWORK)]:.0f} steps)"
        for i, y1 in enumerate(labels)
    )

    def listed(method: tuple[str, int]) -> str:
        return ", ".join(str(speedup[i, method]) for i in range(len(labels)))

    checks = [
        at_least(
            f"speed-up of {_NAMES[method[0]]} of depth 2 over gradient descent at "
            f"$y_1 = {labels[-1]:g}$, $y_2 = 1$, median",
            speedup[last, method].least.median,
            1.0,
            band=speedup[last, method].band,
        )
        for method in (NETWORK, RULE)
    ]
    checks += [
        report(
            f"speed-up of {_NAMES[method[0]]} of depth {method[1]} at $y_1 = {y1:g}$, median",
            speedup[i, method].least.median,
            speedup[i, method].band,
        )
        for i, y1 in enumerate(labels)
        for method in METHODS[1:]
        if (i, method) not in ((last, NETWORK), (last, RULE))
    ]
    each = [ratio(plain, deep, steps) for _, (plain, deep), _ in found]
    checks += [
        report(
            f"speed-up of the network of depth 2 at $y_1 = {y1:g}$ if every start had its own "
            "best rate, median",
            own.least.median,
            own.band,
        )
        for y1, own in zip(labels, each, strict=True)
    ]
    return findings(
        f"With one rate for all starts, chosen on others, gradient descent on the layers of depth "
        f"2 was faster than plain gradient descent by a median factor of {told}; at depth "
        f"3 by {listed(('layerwise-gd', 3))}. For the rule of eq. 12 the factors are "
        f"{listed(RULE)} at depth 2 and {listed(('single-output', 3))} at depth 3. Were every "
        f"start given its own best rate, the network of depth 2 would gain "
        f"{', '.join(map(str, each))}.",
        *checks,
        labels=np.array(labels),
        steps=hits,
        rates=np.stack([rates for _, _, rates in found]),
    )


def starts(setting: Setting) -> tuple[range, range]:
    """Return seeds of the starts on which rates are chosen, and of those that are reported."""
    return range(100, setting.size(109, 105)), range(setting.size(21, 9))


def tuned_steps(
    y1: float, tuning: Sequence[int], reporting: Sequence[int], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose a rate for each method on one set of starts, and run it on another.

    Returns:
        Steps until both labels are met (methods, reporting); those of gradient descent and of the
        network of depth 2 if every start had its own best rate (2, reporting); the rates
        (methods,).
    """
    rates = 2 / y1**2 * 2.0 ** (np.arange(-24, 9) / 4)
    chosen = [soonest(steps_needed(y1, method, rates, tuning, steps)) for method in METHODS]
    reported = [
        steps_needed(y1, method, rates[best : best + 1], reporting, steps)[0]
        for method, best in zip(METHODS, chosen, strict=True)
    ]
    own = [
        steps_needed(y1, method, rates, reporting, steps).min(axis=0)
        for method in (METHODS[0], NETWORK)
    ]
    return np.stack(reported), np.stack(own), rates[chosen]


def steps_needed(
    y1: float, method: tuple[str, int], rates: np.ndarray, seeds: Sequence[int], steps: int
) -> np.ndarray:
    """(rates, seeds): steps until both labels are met, at every rate from every start."""
    problem, target = regression.two_point(y1, 1.0, 4.0), np.array([y1, 1.0])
    name, depth = method
    dims = (2, *(1,) * (depth - 1), 1)
    drawn = [
        network.init_factors(jax.random.key(seed), dims, "balanced", scale=START) for seed in seeds
    ]
    batch: Any = tuple(np.stack(factor * rates.size) for factor in zip(*drawn, strict=True))
    if name == "single-output":
        batch = np.asarray(network.end_to_end(batch))
    out = simulate(
        problem, make_method(name, depth), batch, np.repeat(rates, len(seeds)), steps,
        dtype="float64", save_weights=True,
    )  # fmt: skip
    assert out.w is not None
    error = missed(np.max(np.abs(out.w[:, :, 0] - target), axis=-1))
    found = steps_to_target(out.steps, error, np.array([TOLERANCE]), out.status == Status.DIVERGED)
    return found[:, 0].reshape(rates.size, len(seeds))
