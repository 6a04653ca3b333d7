"""Section 3: a vector times a scalar, and the momentum in its dynamics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import log_slope
from lnn.claims.setting import Setting
from lnn.core.problem import Problem
from lnn.results.verdict import Findings, Role, at_most, findings, within

_RATES = (1e-2, 1e-3, 1e-4)
_SLIP = "the review writes the vector $w$ where the scalar layer $w_2$ belongs"


def _problem() -> Problem:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((30, 4))
    y = x @ rng.standard_normal(4) + 0.3 * rng.standard_normal(30)
    return Problem(x, y, 4.0)


def _gradient(problem: Problem, w: np.ndarray) -> np.ndarray:
    return np.asarray(problem.gradient(w[None]))[0]


def _step(w1: np.ndarray, w2: float, gradient: np.ndarray, rate: float) -> tuple[np.ndarray, float]:
    """Take a gradient descent step on both, L(w1 w2)."""
    return w1 - rate * w2 * gradient, w2 - rate * float(w1 @ gradient)


def predicted(w1: np.ndarray, w2: float, gradient: np.ndarray, rate: float) -> np.ndarray:
    """Return w+ of w = w1 w2 by the exact form of eq. 6, with all three terms."""
    slope2 = float(w1 @ gradient)  # dL/dw2
    return (
        w1 * w2 - rate * w2**2 * gradient - rate / w2 * slope2 * (w1 * w2)
        + rate**2 * w2 * slope2 * gradient
    )  # fmt: skip


@claim(
    id="A14",
    documents="AR",
    source="Section 3; misprinted in the review, eq. 6",
    title="One step of a vector times a scalar",
    statement=r"For $w = w_1 w_2$: $w^+ = w - \eta w_2^2 \nabla - \eta w_2^{-1} \frac{\partial "
    r"L}{\partial w_2} w + \eta^2 w_2 \frac{\partial L}{\partial w_2} \nabla$, exactly",
    assumptions=r"$w_2 \neq 0$.",
    parameters="d = 4, p = 4, 30 examples; rates 1e-2, 1e-3, 1e-4.",
    rule="Holds if both sides agree to 1e-14.",
    slip=_SLIP,
    printed=r"The review's eq. 6: $w^+ = w - \eta (w)^2 \nabla - \eta w^{-1} \frac{\partial "
    r"L}{\partial w_2} w$",
)
def _one_step(setting: Setting) -> Findings:
    problem, rng = _problem(), np.random.default_rng(5)
    w1, w2 = rng.standard_normal(4), 0.7
    w, errors, literal = w1 * w2, [], []
    gradient = _gradient(problem, w)
    for rate in _RATES:
        after1, after2 = _step(w1, w2, gradient, rate)
        true = after1 * after2
        errors.append(np.abs(predicted(w1, w2, gradient, rate) - true).max() / np.abs(w).max())
        # As the review prints it: powers of the vector w, entry by entry, in the place of w2's.
        print_form = w - rate * w**2 * gradient - rate * (w1 @ gradient) / w * w
        literal.append(np.abs(print_form - true).max())
    order = log_slope(np.array(_RATES), np.array(literal))
    return findings(
        f"With its term of second order the update is exact to {max(errors):.1e} at rates "
        f"{_RATES[0]:g} to {_RATES[-1]:g}. The review's version, with powers of w for those of w2, "
        f"has an error of $\\eta^{{{order:.2f}}}$: {literal[0] / _RATES[0]:.2g} times the rate.",
        at_most("error of the exact form after one step, relative to $w$", max(errors), 1e-14),
        within(
            "order in $\\eta$ of the error of the review's eq. 6 (2 if only the last term is "
            "left out)", order, 2.0, 0.05, Role.PRINTED, document="R",
        ),
    )  # fmt: skip


class Unrolled(NamedTuple):
    """w after the run, the momentum form's, the latter with the omitted terms restored, and the
    momentum form with the review's rho.
    """

    true: np.ndarray
    momentum: np.ndarray
    complete: np.ndarray
    review: np.ndarray


def unroll(w1: np.ndarray, w2: float, rate: float, time: float) -> Unrolled:
    """Run gradient descent on (w1, w2), and accumulate past gradients as in eq. 7."""
    problem = _problem()
    momentum, review, complete = np.zeros_like(w1), np.zeros_like(w1), w1 * w2
    for _ in range(round(time / rate)):
        gradient = _gradient(problem, w1 * w2)
        slope2 = float(w1 @ gradient)
        kept = 1 - coefficient(rate, slope2, w2)
        rho = rate * w2**2
        # w(t+1) = (1 - gamma_t) w(t) - rho_t g_t, unrolled: the coefficients of eq. 7.
        momentum = kept * momentum - rho * gradient
        review = kept * review - rate * (w1 * w2) ** 2 * gradient
        complete = kept * complete - (rho - rate**2 * w2 * slope2) * gradient
        w1, w2 = _step(w1, w2, gradient, rate)
    return Unrolled(w1 * w2, momentum, complete, review)


def coefficient(rate: float, slope2: float, w2: float) -> float:
    """Return gamma_t = eta (dL/dw2) / w2."""
    return rate * slope2 / w2


@claim(
    id="A15",
    documents="AR",
    source="Section 3; review, eq. 7",
    title="Depth as momentum",
    statement=r"$w^{(t+1)} = w^{(t)} - \rho_t \nabla_t - \sum_{\tau < t} \mu^{(t,\tau)} "
    r"\nabla_\tau$ with $\rho_t = \eta w_2(t)^2$, $\gamma_t = \eta \frac{\partial L}{\partial w_2} "
    r"/ w_2$, $\mu^{(t,\tau)} = -\gamma_t \rho_\tau \prod_{\tau < s < t} (1 - \gamma_s)$, up to "
    "the start, whose share falls with its size",
    assumptions="Small learning rate and a start near zero.",
    parameters="The problem of the claim before; $w_1$ of norm $s_0$, $w_2 = s_0$, $s_0$ = 0.1, "
    "0.01, 0.001; rates 1e-2 and 1e-3, to time 3.",
    rule="Holds if the error from the start 0.1 is 10 times that from 0.01, within 2 (at 0.001 the "
    "term in $\\eta^2$ is left), and the form with its neglected terms is exact; the review's "
    "$\\rho$ is held to the same error.",
    printed=r"The review's eq. 7: $\rho(t) = \eta (w^{(t)})^2$",
    slip=_SLIP,
)
def _momentum(setting: Setting) -> Findings:
    direction = np.random.default_rng(6).standard_normal(4)
    direction /= np.linalg.norm(direction)
    scales, rates, time = np.array([0.1, 0.01, 0.001]), np.array([1e-2, 1e-3]), 3.0

    def errors(scale: float, rate: float) -> tuple[float, float, float]:
        out = unroll(scale * direction, scale, rate, time)
        size = np.linalg.norm(out.true)
        return (
            float(np.linalg.norm(out.complete - out.true) / size),
            float(np.linalg.norm(out.momentum - out.true) / size),
            float(np.linalg.norm(out.review - out.true) / size),
        )

    fine = [errors(scale, rates[1]) for scale in scales]
    coarse = [errors(scale, rates[0]) for scale in scales]
    return findings(
        f"At time {time:g} and rate {rates[1]:g} the form without the start errs by "
        f"{fine[0][1]:.2g}, {fine[1][1]:.2g} and {fine[2][1]:.2g} from starts of size 0.1, 0.01 "
        f"and 0.001 (at rate {rates[0]:g} by {coarse[0][1]:.2g}, {coarse[1][1]:.2g}, "
        f"{coarse[2][1]:.2g}); with both neglected terms put back it is exact. With the review's "
        f"$\\rho$ it errs by {fine[2][2]:.2g} from the smallest start.",
        within(
            "error of the momentum form at starts of size 0.1 and 0.01, ratio",
            fine[0][1] / fine[1][1], 10.0, 2.0,
        ),
        at_most("error with $w^{(0)}$ and the term of order $\\eta^2$ put back",
                max(e[0] for e in fine + coarse), 1e-12),
        at_most("error left at the smallest start, rate 0.001", fine[-1][1], 0.05),
        at_most("the same with the review's $\\rho$", fine[-1][2], 0.05, Role.PRINTED,
                document="R"),
    )  # fmt: skip
