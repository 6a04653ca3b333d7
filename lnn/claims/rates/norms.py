"""Norms of the solutions that depth finds, at equal loss on the data: linear stand-ins."""

from __future__ import annotations

import numpy as np

from lnn import network
from lnn.claims.claim import Claim, Findings, report
from lnn.claims.setting import Setting
from lnn.engine.simulate import simulate
from lnn.problem import Problem
from lnn.rules import make_method

DEPTHS = (1, 2, 3)
LEVELS = (0.1, 0.01)
"""Losses on the data at which norms are compared, in units of that at zero less the minimum."""
DECAYS = ((0.0, 1e-3), (0.0, 0.01))
WIDTH = 10
SEEDS = 3
START = 0.01


def _few_examples(seed: int) -> tuple[Problem, float]:
    """A map of rank 2 from 20 inputs to 10 outputs, seen in 15 examples; its minimum is 0."""
    rng = np.random.default_rng(seed)
    teacher = rng.standard_normal((WIDTH, 2)) @ rng.standard_normal((2, 20)) / np.sqrt(20)
    x = rng.standard_normal((15, 20))
    return Problem(x, x @ teacher.T, 2.0), 0.0


def _minimum(problem: Problem) -> float:
    """The least mean squared loss, by least squares."""
    x, y = np.asarray(problem.x), np.asarray(problem.y)
    residual = x @ np.linalg.lstsq(x, y, rcond=None)[0] - y
    return float(np.sum(residual**2) / 2 / problem.m)


def norms_at_levels(
    problem: Problem, least: float, decays: tuple[float, ...], rate: float, steps: int, seed: int
) -> np.ndarray:
    """Frobenius norm of the end-to-end matrix when the loss first reaches each level.

    All depths start from the same matrix, balanced. Between records the norm is interpolated in
    the logarithm of the loss.

    Returns:
        (decays, depths, levels); NaN where a level is not reached.
    """
    width = min(problem.k, problem.d)
    zero = float(problem.loss(np.zeros((problem.k, problem.d)))) - least
    found = np.empty((len(decays), len(DEPTHS), len(LEVELS)))
    for j, depth in enumerate(DEPTHS):
        dims = (problem.d, *(width,) * (depth - 1), problem.k)
        rng = np.random.default_rng(seed)
        start: tuple[np.ndarray, ...] = (
            network.random_direction(rng, problem.k, problem.d, width, START),
        )
        if depth > 1:
            start = network.balanced_factors(start[0], dims, rng)
        batch = tuple(np.stack([factor] * len(decays)) for factor in start)
        out = simulate(
            problem, make_method("layerwise-gd", depth, dims[1:-1]), batch,
            np.full(len(decays), rate), steps, weight_decay=np.array(decays), save_weights=True,
            dtype="float64", per_decade=60,
        )  # fmt: skip
        assert out.w is not None
        excess = (np.asarray(out.loss) - least) / zero
        sizes = np.linalg.norm(np.asarray(out.w), axis=(-2, -1))
        for i in range(len(decays)):
            found[i, j] = [_at(excess[i], sizes[i], level) for level in LEVELS]
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


def run_norms(setting: Setting) -> Findings:
    """Norm with depth over that without, on both problems, with and without weight decay."""
    regression = setting.regression(2.0)
    least = _minimum(regression)
    steps = setting.size(100_000, 10_000)
    single = ratios(norms_at_levels(regression, least, DECAYS[0], 0.01, steps, 0))
    matrix = np.median(
        [
            ratios(norms_at_levels(*_few_examples(seed), DECAYS[1], 0.02, 20_000, seed))
            for seed in range(setting.size(SEEDS, 1))
        ],
        axis=0,
    )
    checks = [
        report(
            f"norm at depth {depth} over that at depth 1, at equal loss ({LEVELS[level]:g} of that "
            f"at zero above the minimum), {name}, $\\lambda$ = {decay:g}",
            float(values[d, i, level]),
        )
        for name, values, decays, level in (
            ("regression", single, DECAYS[0], 0),
            ("few examples", matrix, DECAYS[1], 1),
        )
        for d, decay in enumerate(decays)
        for i, depth in enumerate(DEPTHS)
        if depth > 1
    ]
    words = (
        f"On {setting.data}, at a tenth of the loss at zero above the minimum, the end-to-end "
        f"matrix at depth 2 and 3 has {single[0, 1, 0]:.3f} and {single[0, 2, 0]:.3f} times the "
        f"norm of that at depth 1, and {single[1, 1, 0]:.3f} and {single[1, 2, 0]:.3f} times with "
        f"weight decay 0.001. On the map of rank 2, at a hundredth, it is {matrix[0, 1, 1]:.3f} "
        f"and {matrix[0, 2, 1]:.3f} times, and {matrix[1, 1, 1]:.3f} and {matrix[1, 2, 1]:.3f} "
        "times with 0.01."
    )
    return Findings(
        tuple(checks),
        words,
        {"depths": np.array(DEPTHS), "levels": np.array(LEVELS), "single": single,
         "matrix": matrix},
    )  # fmt: skip


def ratios(norms: np.ndarray) -> np.ndarray:
    """Of each depth's norm to that at depth 1: (decays, depths, levels)."""
    return np.asarray(norms / norms[:, :1])


C9 = Claim(
    id="C9",
    source="Conjecture 3.1 (1)",
    title="Does depth find solutions of lower norm?",
    statement=(
        "Depth finds solutions of lower norm at the same loss on the data. The document says so "
        "of a convolutional network on MNIST; here is what linear networks do."
    ),
    assumptions=(
        "Squared loss, weight decay on every factor; the norm is that of the end-to-end matrix, "
        "as in the document. All depths start from the same matrix of norm 0.01, balanced."
    ),
    parameters=(
        r"The regression problem, $\lambda$ = 0 and 0.001, $\eta$ = 0.01, 100000 steps (10000 in a "
        r"quick run); a map of rank 2 from 20 inputs to 10 outputs with 15 examples, hidden width "
        r"10, $\lambda$ = 0 and 0.01, $\eta$ = 0.02, 20000 steps, medians of 3 seeds (1 in a quick "
        "run)."
    ),
    rule=(
        "Reported: norms with depth over those without when the loss on the data first reaches a "
        "level. Below 1 would speak for the conjecture."
    ),
    run=run_norms,
    uses_data=True,
)
