"""Norms of the solutions that depth finds, at equal loss on the data: linear stand-ins."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.problem import Problem
from lnn.results.verdict import Findings, findings, report
from lnn.theory.lp_rates import log_spaced

DEPTHS = (1, 2, 3)
LEVELS = (0.1, 0.01)
"""Losses on the data at which norms are compared, from 1 at zero to 0 at the minimum."""
DECAYS = ((0.0, 1e-3), (0.0, 0.01))
WIDTH = 10
SEEDS = 3
START = 0.01


def few_examples(seed: int) -> Problem:
    """Return a map of rank 2 from 20 inputs to 10 outputs, with 15 noiseless examples."""
    rng = np.random.default_rng(seed)
    teacher = rng.standard_normal((WIDTH, 2)) @ rng.standard_normal((2, 20)) / np.sqrt(20)
    x = rng.standard_normal((15, 20))
    return Problem(x, x @ teacher.T, 2.0)


def descend(
    problem: Problem, factors: tuple[np.ndarray, ...], decays: tuple[float, ...], rate: float,
    record: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run layerwise gradient descent with weight decay on the squared loss, from its moments.

    Args:
        problem: its x and y only; the loss is half of the mean squared error.
        factors: the start (W_1, ..., W_N), the same for every decay.
        decays: of the factors, R of them.
        rate: learning rate.
        record: the steps to record, ascending and positive.

    Returns:
        Loss above its minimum over that at zero, and Frobenius norm of the product: (T, R) each.
    """
    x, y = np.asarray(problem.x), np.reshape(problem.y, (problem.m, -1))
    second = x.T @ x / problem.m
    # Measured from a minimizer, the loss above the minimum loses no digits.
    best = np.linalg.lstsq(x, y, rcond=None)[0].T
    zero = np.sum((best @ second) * best)
    shrink = np.array(decays)[:, None, None]
    layers = [np.stack([factor] * len(decays)) for factor in factors]
    marks = set(map(int, record))
    losses, norms = [], []
    for step in range(1, int(record[-1]) + 1):
        below = list(accumulate(layers, lambda product, layer: layer @ product))
        above = list(accumulate(layers[::-1], lambda product, layer: product @ layer))[::-1]
        slope = (below[-1] - best) @ second
        after = []
        for j, layer in enumerate(layers):
            pulled = slope if j == 0 else slope @ below[j - 1].transpose(0, 2, 1)
            if j + 1 < len(layers):
                pulled = above[j + 1].transpose(0, 2, 1) @ pulled
            after.append(layer - rate * (pulled + shrink * layer))
        layers = after
        if step in marks:
            product = reduce(lambda product, layer: layer @ product, layers)
            off = product - best
            losses.append(np.sum((off @ second) * off, axis=(1, 2)) / zero)
            norms.append(np.linalg.norm(product, axis=(1, 2)))
    return np.array(losses), np.array(norms)


def norms_at_levels(
    problem: Problem, decays: tuple[float, ...], rate: float, steps: int, seed: int
) -> np.ndarray:
    """Return the Frobenius norm of the end-to-end matrix when the loss first reaches each level.

    All depths start from the same matrix, balanced. Between records the norm is interpolated in
    the logarithm of the loss.

    Returns:
        (decays, depths, levels); NaN where a level is not reached.
    """
    width = min(problem.k, problem.d)
    record = log_spaced(steps, 60)
    found = np.empty((len(decays), len(DEPTHS), len(LEVELS)))
    for j, depth in enumerate(DEPTHS):
        rng = np.random.default_rng(seed)
        start = network.random_direction(rng, problem.k, problem.d, width, START)
        dims = (problem.d, *(width,) * (depth - 1), problem.k)
        factors = network.balanced_factors(start, dims, rng) if depth > 1 else (start,)
        losses, norms = descend(problem, factors, decays, rate, record)
        for i in range(len(decays)):
            found[i, j] = [_at(losses[:, i], norms[:, i], level) for level in LEVELS]
    return found


def _at(losses: np.ndarray, norms: np.ndarray, level: float) -> float:
    below = losses <= level
    if not below.any():
        return float("nan")
    i = int(np.argmax(below))
    if i == 0:
        return float(norms[0])
    share = np.log(losses[i - 1] / level) / np.log(losses[i - 1] / losses[i])
    return float(norms[i - 1] + share * (norms[i] - norms[i - 1]))


@claim(
    id="C9",
    source="Conjecture 3.1 (1)",
    title="Does depth find solutions of lower norm?",
    statement="Depth finds solutions of lower norm under $l_p$ regularization, and does not "
    "compromise the loss without the regularization term.",
    analogue="a convolutional network similar to LeNet 5 on MNIST",
    assumptions="Squared loss, weight decay on every factor; the norm is that of the end-to-end "
    "matrix, as in the document. All depths start from the same matrix of norm 0.01, balanced.",
    parameters=r"The regression problem, $\lambda$ = 0 and 0.001, $\eta$ = 0.01; a map of rank 2 "
    r"from 20 inputs to 10 outputs with 15 examples, hidden width 10, $\lambda$ = 0 and 0.01, "
    r"$\eta$ = 0.02, medians of 3 seeds (1 in a quick run); depths 1, 2 and 3, 20000 steps (4000 "
    "in a quick run).",
    rule="Reported: norms with depth over those without when the loss on the data first reaches a "
    "level. Ratios below 1 say the same of linear networks.",
    uses_data=True,
)
def run_norms(setting: Setting) -> Findings:
    """Compare norms with and without depth, on both problems, with and without weight decay."""
    steps = setting.size(20_000, 4000)
    single = ratios(norms_at_levels(setting.regression(2.0), DECAYS[0], 0.01, steps, 0))
    matrix = np.median(
        [
            ratios(norms_at_levels(few_examples(seed), DECAYS[1], 0.02, steps, seed))
            for seed in range(setting.size(SEEDS, 1))
        ],
        axis=0,
    )
    checks = [
        report(
            f"norm at depth {depth} over that at depth 1, at equal loss ({LEVELS[level]:g} of that "
            f"at zero above the minimum), {name}, $\\lambda$ = {decay:g}",
            values[d, i, level],
        )
        for name, values, decays, level in (
            ("regression", single, DECAYS[0], 0),
            ("few examples", matrix, DECAYS[1], 1),
        )
        for d, decay in enumerate(decays)
        for i, depth in enumerate(DEPTHS)
        if depth > 1
    ]
    return findings(
        f"On {setting.data}, at a tenth of the loss at zero above the minimum, the end-to-end "
        f"matrix at depth 2 and 3 has {single[0, 1, 0]:.3f} and {single[0, 2, 0]:.3f} times the "
        f"norm of that at depth 1, and {single[1, 1, 0]:.3f} and {single[1, 2, 0]:.3f} times with "
        f"weight decay 0.001. On the map of rank 2, at a hundredth, it is {matrix[0, 1, 1]:.3f} "
        f"and {matrix[0, 2, 1]:.3f} times, and {matrix[1, 1, 1]:.3f} and {matrix[1, 2, 1]:.3f} "
        "times with 0.01.",
        *checks,
        depths=np.array(DEPTHS), levels=np.array(LEVELS), single=single,
        matrix=matrix,
    )  # fmt: skip


def ratios(norms: np.ndarray) -> np.ndarray:
    """Return ratios of each depth's norm to that at depth 1: (decays, depths, levels)."""
    return np.asarray(norms / norms[:, :1])
