"""Appendix B: the acceleration bound at p = 4 and depth 2, for eq. 12 and for the real network."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnn.claims.claim import Findings, Role, at_least, at_most, claim, findings, report, within
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.status import Status
from lnn.datasets import regression
from lnn.simulation.simulate import simulate
from lnn.simulation.trajectories import Trajectories
from lnn.transforms.methods import Factored, Method, make_method

CASES = ((100.0, 0.1), (1000.0, 0.05), (1000.0, 0.01), (10_000.0, 0.01))
"""Label y1 and start eps1 of the first coordinate; y2 = 1 and eps2 = eps1 y2 / y1."""

_COMMON = (
    r"$y_2 = 1$; $(y_1, \epsilon_1)$ = (100, 0.1), (1000, 0.05), (1000, 0.01), (10000, 0.01); "
    r"$\epsilon_2 = \epsilon_1 y_2 / y_1$"
)
_ASSUMED = (
    r"p = 4, N = 2, no weight decay, start $w = (\epsilon_1, \epsilon_2)$ with $y_1 \gg y_2 \gg "
    r"\epsilon_1 \gg \epsilon_2$, $\epsilon_1 y_1 \gg 1$ and $\epsilon_2 / \epsilon_1 = y_2 / y_1$."
)


def rate(y1: float, eps1: float) -> float:
    """Learning rate of Appendix B, 1 / (2 eps1 y1^2)."""
    return 1 / (2 * eps1 * y1**2)


def single_output() -> Method:
    """Run eq. 12 at depth 2."""
    return make_method("single-output", 2)


def real_network() -> Method:
    """Run gradient descent on the two layers, of width 1."""
    return make_method("layerwise-gd", 2)


def race(method: Method, y1: float, eps1: float, rates: np.ndarray, steps: int) -> Trajectories:
    """Run these rates from Appendix B's start, on the product or on balanced layers."""
    w = np.array([[eps1, eps1 / y1]])
    start: Any = np.repeat(w[None], rates.size, axis=0)
    if isinstance(method.parameterization, Factored):
        factors = network.balanced_factors(w, (2, 1, 1), np.random.default_rng(0))
        start = tuple(np.repeat(factor[None], rates.size, axis=0) for factor in factors)
    return simulate(
        regression.two_point(y1, 1.0, 4.0), method, start, rates, steps, dtype="float64",
        save_weights=True,
    )  # fmt: skip


def effective_rate(out: Trajectories) -> float:
    """Return the rate of the gradient descent that the second coordinate follows from step 1."""
    assert out.w is not None
    before, after = out.w[0, 1, 0, 1], out.w[0, 2, 0, 1]
    return float((before - after) / (before - 1.0) ** 3)


def settled(out: Trajectories, y1: float) -> np.ndarray:
    """(R,) whether each run ended with the first coordinate more than halfway to its label."""
    assert out.w is not None
    with np.errstate(invalid="ignore"):
        near = np.abs(out.w[:, -1, 0, 0] / y1 - 1) < 0.5
    return near & (out.status != Status.DIVERGED)


@claim(
    id="A21",
    source="Appendix B, eqs. 45-47",
    title="Acceleration by the end-to-end rule on two points",
    statement=r"With $\eta = 1 / (2 \epsilon_1 y_1^2)$ eq. 12 takes $w_1$ to about $y_1$ in one "
    r"step and $w_2$ to about $y_2^3 / (2 y_1^2) + \epsilon_2 y_1 / (2 \epsilon_1)$; then $w_2$ "
    r"follows gradient descent with learning rate about $1 / (2 \epsilon_1 y_1)$, a gain of about "
    r"$y_1 / (4 \epsilon_1)$ over the largest rate that plain gradient descent allows.",
    assumptions=_ASSUMED,
    parameters=f"{_COMMON}; 3000 steps of eq. 12 (300 in a quick run).",
    rule="Holds if every number agrees to 1 %; the bound as printed must not be undercut.",
    printed=r"The gain is printed as $\eta^{OP} / \eta^{GD} > y_1 / (4 \epsilon_1)$.",
)
def run_acceleration(setting: Setting) -> Findings:
    """Compare first step and effective learning rate of eq. 12 with the closed forms."""
    first = second = gain = kept = 0.0
    shares = []
    for y1, eps1 in CASES:
        out = race(single_output(), y1, eps1, np.array([rate(y1, eps1)]), setting.size(3000, 300))
        assert out.w is not None
        w = out.w[0, :, 0]
        expected = 1 / (2 * y1**2) + (eps1 / y1) * y1 / (2 * eps1)
        first = max(first, abs(w[1, 0] / y1 - 1))
        second = max(second, abs(w[1, 1] / expected - 1))
        share = effective_rate(out) / (2 / y1**2) / (y1 / (4 * eps1))
        shares.append(share)
        gain = max(gain, abs(share - 1))
        kept = max(kept, float(np.max(np.abs(w[1:, 0] / y1 - 1))))
    y1, eps1 = CASES[0]
    return findings(
        f"After one step $w_1$ is $y_1$ to {first:.1e} and $w_2$ is as claimed to {second:.1e}; "
        f"from then on $w_1$ stays within {kept:.1e} of $y_1$ and $w_2$ follows gradient descent "
        f"at the claimed rate to {gain:.1e}. At $y_1$ = {y1:g}, $\\epsilon_1$ = {eps1:g} the gain "
        f"over the largest stable rate is {shares[0] * y1 / (4 * eps1):.1f}, against the bound "
        f"{y1 / (4 * eps1):g}, which is printed as a strict lower bound.",
        at_most(
            r"relative error of the gain $\eta^{OP} / \eta^{GD} = y_1 / (4 \epsilon_1)$, "
            "worst case",
            gain,
            1e-2,
        ),
        at_most("relative error of $w_1$ after one step", first, 1e-2),
        at_most("relative error of $w_2$ after one step", second, 1e-2),
        at_most("largest relative distance of $w_1$ from $y_1$ afterwards", kept, 1e-2),
        at_least(
            "measured gain over the printed strict lower bound, the least case",
            min(shares),
            1.0,
            Role.PRINTED,
        ),
    )


@claim(
    id="A22",
    source="Appendix B, choice of the learning rate",
    title="Required accuracy of Appendix B's learning rate",
    statement=r"The acceleration of Appendix B needs a learning rate within a relative $\pm "
    r"\sqrt{2 \epsilon_1 / y_1}$ of $1 / (2 \epsilon_1 y_1^2)$: outside, $w_1$ misses $y_1$ by "
    "more than its own learning rate then allows, and does not come to rest there.",
    assumptions=_ASSUMED,
    parameters=f"{_COMMON}; learning rates off by up to twice the window on either side, 200 on "
    "each (quick: 100); 3000 steps (quick: 300). A run counts if $w_1$ ends near $y_1$.",
    rule="Holds if the window ends within 10 % of the formula on both sides in every case.",
)
def run_window(setting: Setting) -> Findings:
    """Measure how far the learning rate may deviate on both sides."""
    steps, count = setting.size(3000, 300), setting.size(201, 101)
    scan = np.linspace(0, 2, count)
    ends = []
    for y1, eps1 in CASES:
        window = np.sqrt(2 * eps1 / y1)
        both = np.concatenate([1 - scan * window, 1 + scan * window])
        out = race(single_output(), y1, eps1, rate(y1, eps1) * both, steps)
        for side in settled(out, y1).reshape(2, count):
            ends.append(float(scan[: np.argmin(np.append(side, False))].max(initial=0.0)))
    worst = max(ends, key=lambda end: abs(end - 1))
    return findings(
        r"The end of the window, in units of $\sqrt{2 \epsilon_1 / y_1}$, lies between "
        f"{min(ends):.2f} and {max(ends):.2f} on both sides in all {len(CASES)} cases: "
        f"{np.sqrt(2 * CASES[0][1] / CASES[0][0]):.1%} of the learning rate in the widest case, "
        f"{np.sqrt(2 * CASES[-1][1] / CASES[-1][0]):.2%} in the narrowest.",
        within(
            r"end of the window over $\sqrt{2 \epsilon_1 / y_1}$, the worst of both sides of "
            "all cases",
            worst,
            1.0,
            0.1,
        ),
        report("widest of the windows, as a share of the learning rate",
               max(np.sqrt(2 * eps1 / y1) for y1, eps1 in CASES)),
    )  # fmt: skip


@claim(
    id="A23",
    source="Appendix B, for the network it models",
    title="Acceleration by the real depth-2 network on two points",
    statement="The acceleration of Appendix B is that of a depth-2 linear network: gradient "
    r"descent on its layers with $\eta = 1 / (2 \epsilon_1 y_1^2)$ takes $w_1$ to about $y_1$ in "
    "one step and stays there.",
    assumptions=f"{_ASSUMED} Layers of width 1, balanced.",
    parameters=f"{_COMMON}; the two layers trained at this learning rate and at rates $2^{{1/8}}$ "
    "apart, from $0.5 / y_1^3$ to $128 / y_1^3$; 3000 steps (1000 in a quick run).",
    rule="Holds if $w_1$ is within 1 % of $y_1$ after one step and no case diverges.",
)
def run_real(setting: Setting) -> Findings:
    """Compare the learning rate with the largest one at which the two layers are stable."""
    steps = setting.size(3000, 1000)
    gains = 2.0 ** (np.arange(-16, 49) / 8)
    first, largest, diverged = [], [], 0
    for y1, eps1 in CASES:
        # The second coordinate's rate at w_1 = y_1 is eta y1, and plain GD's bound is 2 / y1^2.
        rates = np.append(gains * 2 / y1**3, rate(y1, eps1))
        out = race(real_network(), y1, eps1, rates, steps)
        assert out.w is not None
        first.append(float(out.w[-1, 1, 0, 0] / y1))
        stable = (out.status != Status.DIVERGED) & (out.loss[:, -1] < out.loss[:, 0])
        diverged += int(not stable[-1])
        largest.append(float(gains[: np.argmin(np.append(stable[:-1], False))].max(initial=0.0)))
    claimed = [y1 / (4 * eps1) for y1, eps1 in CASES]
    return findings(
        f"At the learning rate of Appendix B one step of the real network takes $w_1$ to "
        f"{first[0]:.4g} $y_1$ in the first case and {max(first):.3g} $y_1$ in the last: the term "
        f"of second order in $\\eta$, which eq. 12 drops, adds about $y_1^2 / (4 \\epsilon_1)$. "
        f"{diverged} of {len(CASES)} cases diverge. At the largest rate that the network bears "
        f"the second coordinate's rate is {min(largest):.1f} to {max(largest):.1f} times what "
        f"plain gradient descent allows, not {claimed[0]:g} to {claimed[-1]:g} times.",
        within("$w_1 / y_1$ after one step of the real network, case of $y_1$ = 100",
               first[0], 1.0, 1e-2),
        at_most("cases in which the network diverges at this learning rate", diverged, 0),
        report("gain in rate of the second coordinate at the largest stable learning rate, "
               "median of the cases", np.median(largest), (min(largest), max(largest))),
    )  # fmt: skip
