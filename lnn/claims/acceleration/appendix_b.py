"""Appendix B: the acceleration bound at p = 4 and depth 2, for eq. 12 and for the real network."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.status import Status
from lnn.datasets import regression
from lnn.results.verdict import Findings, at_most, findings, report, within
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
    documents="AR",
    source="Appendix B, eqs. 45-47; review, Section 7",
    title="Acceleration by the end-to-end rule on two points",
    statement=r"With $\eta = 1 / (2 \epsilon_1 y_1^2)$ eq. 12 takes $w_1$ to about $y_1$ in one "
    r"step and $w_2$ to about $y_2^3 / (2 y_1^2) + \epsilon_2 y_1 / (2 \epsilon_1)$; then $w_2$ "
    r"follows gradient descent with learning rate about $1 / (2 \epsilon_1 y_1)$, a gain of about "
    r"$y_1 / (4 \epsilon_1)$ over the largest rate that plain gradient descent allows.",
    assumptions=_ASSUMED,
    parameters=f"{_COMMON}; 3000 steps of eq. 12 (300 in a quick run).",
    rule="Holds if every number agrees to 1 %. The statement is one of leading order, as its "
    r"$\approx$ and $\ll$ say, and so is the bound $\eta^{OP} / \eta^{GD} > y_1 / (4 \epsilon_1)$, "
    "whose left side is reported over its right one.",
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
    return findings(
        f"After one step $w_1$ is $y_1$ to {first:.1e} and $w_2$ is as claimed to {second:.1e}; "
        f"from then on $w_1$ stays within {kept:.1e} of $y_1$ and $w_2$ follows gradient descent "
        f"at the claimed rate to {gain:.1e}. The gain "
        r"over the largest stable rate is "
        f"{', '.join(f'{share:.6f}' for share in shares)} times $y_1 / (4 \\epsilon_1)$ in the "
        f"{len(CASES)} cases: the bound is met in leading order, the better the larger $y_1 / "
        f"\\epsilon_1$ is.",
        at_most(
            r"relative error of the gain $\eta^{OP} / \eta^{GD} = y_1 / (4 \epsilon_1)$, "
            "worst case",
            gain,
            1e-2,
        ),
        at_most("relative error of $w_1$ after one step", first, 1e-2),
        at_most("relative error of $w_2$ after one step", second, 1e-2),
        at_most("largest relative distance of $w_1$ from $y_1$ afterwards", kept, 1e-2),
        report(
            r"gain over $y_1 / (4 \epsilon_1)$, the least case",
            min(shares),
            (min(shares), max(shares)),
        ),
    )


@claim(
    id="A22",
    documents="L",
    source="Appendix B: how exact its learning rate must be",
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
        f"{100 * np.sqrt(2 * CASES[0][1] / CASES[0][0]):.1f} % of the learning rate in the "
        f"widest case, {100 * np.sqrt(2 * CASES[-1][1] / CASES[-1][0]):.2f} % in the narrowest.",
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
    documents="L",
    source="Appendix B: the network whose update is eq. 12 in the limit",
    title="Appendix B's learning rate in the real depth-2 network",
    statement=r"Appendix B speaks of eq. 12, not of gradient descent on the layers. There its "
    r"learning rate $\eta = 1 / (2 \epsilon_1 y_1^2)$ is too large: the first step takes $w_1$ to "
    r"$\epsilon_1 (1 + \frac{y_1}{2 \epsilon_1})^2 \approx y_1 (1 + \frac{y_1}{4 \epsilon_1})$, "
    "past its label, and the network diverges. The term of second order in $\\eta$, which eq. 12 "
    "drops, is the larger one.",
    assumptions=f"{_ASSUMED} Layers of width 1, balanced.",
    parameters=f"{_COMMON}; the two layers trained at this learning rate and at rates $2^{{1/8}}$ "
    "apart, from $0.5 / y_1^3$ to $128 / y_1^3$; 3000 steps (1000 in a quick run).",
    rule="Holds if $w_1$ after one step agrees with the closed form to 1 % in every case and every "
    "case diverges. The largest stable rate is reported.",
)
def run_real(setting: Setting) -> Findings:
    """Compare the first step with its closed form, and find the largest stable learning rate."""
    steps = setting.size(3000, 1000)
    gains = 2.0 ** (np.arange(-16, 49) / 8)
    first, largest, stable = [], [], 0
    for y1, eps1 in CASES:
        # The second coordinate's rate at w_1 = y_1 is eta y1, and plain GD's bound is 2 / y1^2.
        rates = np.append(gains * 2 / y1**3, rate(y1, eps1))
        out = race(real_network(), y1, eps1, rates, steps)
        assert out.w is not None
        first.append(float(out.w[-1, 1, 0, 0]))
        bears = (out.status != Status.DIVERGED) & (out.loss[:, -1] < out.loss[:, 0])
        stable += int(bears[-1])
        largest.append(float(gains[: np.argmin(np.append(bears[:-1], False))].max(initial=0.0)))
    closed = [eps1 * (1 + y1 / (2 * eps1)) ** 2 for y1, eps1 in CASES]
    claimed = [y1 / (4 * eps1) for y1, eps1 in CASES]
    past = [w / y1 for w, (y1, _) in zip(first, CASES, strict=True)]
    off = max(abs(w / form - 1) for w, form in zip(first, closed, strict=True))
    return findings(
        f"At the learning rate of Appendix B one step of the real network takes $w_1$ to "
        f"{min(past):.4g} to {max(past):.3g} times $y_1$, as the closed form says to {off:.1e}; "
        f"{len(CASES) - stable} of {len(CASES)} cases diverge. At the largest rate that the "
        f"network bears the second coordinate's rate is {min(largest):.1f} to {max(largest):.1f} "
        "times what plain gradient descent allows, where the rule of eq. 12 has "
        f"{min(claimed):g} to {max(claimed):g} times.",
        at_most("relative error of the closed form of $w_1$ after one step, worst case", off, 1e-2),
        at_most("cases in which the network does not diverge at this learning rate", stable, 0),
        report("gain in rate of the second coordinate at the largest stable learning rate, "
               "median of the cases", np.median(largest), (min(largest), max(largest))),
    )  # fmt: skip
