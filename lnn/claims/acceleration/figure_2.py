"""Section 8, Figure 2: eq. 12 compared with the networks it describes, and their width."""

from __future__ import annotations

import jax
import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import missed
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.problem import Problem
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.results.statistics import quantile, steps_to_target
from lnn.results.verdict import Findings, Role, at_most, findings, report
from lnn.simulation.simulate import Group, simulate_groups
from lnn.simulation.trajectories import Trajectories
from lnn.transforms.methods import make_method

DEPTHS = (2, 3)
WIDTHS = (1, 10, 100)
SCHEMES = ("balanced", "near-zero")
RATES = {2.0: 0.01, 4.0: 0.001}
"""Learning rate by exponent of the loss: small enough for both depths to follow the flow."""
LEVELS = np.array([0.5, 0.1])
AGREE = 0.02

MANY_WIDTHS = (1, 2, 10, 50, 128, 256)
WIDTH_RATES = {2: 0.01, 3: 0.05}
ALIKE = 1.15


def starts(depth: int, width: int, problem: Problem, scheme: str, seeds: int) -> network.Factors:
    """Return a network's factors, stacked over seeds; balanced ones share W_e(0) at every width."""
    dims = (problem.d, *(width,) * (depth - 1), problem.k)
    rank = 1 if scheme == "balanced" else None
    drawn = [
        network.init_factors(jax.random.key(seed), dims, scheme, rank=rank) for seed in range(seeds)
    ]
    return tuple(np.stack(factor) for factor in zip(*drawn, strict=True))


def suboptimality(problem: Problem, out: Trajectories, least: float) -> np.ndarray:
    """(L - L*) / (L_0 - L*) of every record, (R, T)."""
    zero = float(problem.loss(np.zeros((problem.k, problem.d))))
    return (out.loss.astype(np.float64) - least) / (zero - least)


def pairs(
    problem: Problem, widths: tuple[int, ...], seeds: int, steps: int, dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Run every network and eq. 12 from the same W_e(0), step by step.

    Returns:
        Steps (T,); relative suboptimality (depth, width, scheme, seed, 2, T), network first;
        relative distance of the two matrices, the largest over the steps (depth, width, scheme,
        seed); steps to LEVELS (depth, width, scheme, seed, 2, 2).
    """
    groups = []
    for depth in DEPTHS:
        for width in widths:
            layers = [starts(depth, width, problem, scheme, seeds) for scheme in SCHEMES]
            both = tuple(np.concatenate(factor) for factor in zip(*layers, strict=True))
            rates = np.full(len(SCHEMES) * seeds, RATES[problem.p])
            real = make_method("layerwise-gd", depth, (width,) * (depth - 1))
            product = np.asarray(network.end_to_end(both))
            groups.append(Group(real, both, rates, 0 * rates))
            groups.append(Group(make_method("single-output", depth), product, rates, 0 * rates))
    outs = simulate_groups(problem, groups, steps, save_weights=True, dtype=dtype)
    _, least = reference_optimum(problem)
    shape = (len(DEPTHS), len(widths), 2, len(SCHEMES), seeds)
    losses = np.stack([suboptimality(problem, out, least) for out in outs])
    diverged = np.stack([out.status == Status.DIVERGED for out in outs])
    hits = steps_to_target(outs[0].steps, losses, LEVELS, diverged)
    apart = np.stack(
        [_distance(real, rule) for real, rule in zip(outs[::2], outs[1::2], strict=True)]
    )
    return (
        outs[0].steps,
        np.moveaxis(losses.reshape(*shape, -1), 2, 4),
        apart.reshape(shape[:2] + shape[3:]),
        np.moveaxis(hits.reshape(*shape, -1), 2, 4),
    )


def _distance(real: Trajectories, rule: Trajectories) -> np.ndarray:
    """(R,) largest distance over the steps, relative to the larger matrix; inf if one diverged."""
    assert real.w is not None
    assert rule.w is not None
    apart, *sizes = (np.linalg.norm(w, axis=(-2, -1)) for w in (real.w - rule.w, real.w, rule.w))
    return np.max(missed(apart / np.maximum(*sizes)), axis=-1)


@claim(
    id="A6",
    source="Section 8, Figure 2",
    title="The end-to-end rule predicts the deep network",
    statement="Gradient descent on the layers of a deep linear network with one output moves its "
    "end-to-end matrix as eq. 12 says.",
    assumptions="A balanced start and a small learning rate.",
    parameters="Depths 2 and 3, widths 1, 10 and 100; learning rate 0.01 for the $l_2$ loss and "
    "0.001 for the $l_4$ loss; a balanced start of norm 0.1, and independent weights of standard "
    "deviation 0.01; 2 starts at $l_2$, 1 at $l_4$; 10000 steps at $l_2$, 30000 at $l_4$ (quick: "
    "2000); each network beside the rule from the same end-to-end matrix.",
    rule="Holds if the two matrices differ by at most 2 % at every recorded step; under the "
    "condition of a balanced start if they differ by more from independent weights.",
    uses_data=True,
)
def run_agreement(setting: Setting) -> Findings:
    """Compare them for both losses, both depths, three widths and both starts."""
    sizes = {2.0: setting.size(10_000, 2_000), 4.0: setting.size(30_000, 2_000)}
    seeds = {2.0: 2, 4.0: 1}
    arrays: dict[str, np.ndarray] = {"widths": np.array(WIDTHS), "depths": np.array(DEPTHS)}
    apart, hits = {}, {}
    for p, steps in sizes.items():
        found = pairs(
            setting.regression(p), WIDTHS, seeds[p], steps, "float64" if p == 2 else "float32"
        )
        apart[p], hits[p] = found[2], found[3]
        arrays[f"steps_{p:g}"], arrays[f"curves_{p:g}"] = found[0], found[1][:, :, :, 0]
    balanced, free = apart[2.0][:, 0, 0], apart[2.0][:, 0, 1]
    wide = max(float(apart[p][:, :, 0].max()) for p in apart)
    with np.errstate(invalid="ignore"):
        between = np.diff(hits[2.0][0, 0, 1])[..., 0]  # (seed, 2): depth 2, width 1
    aligned = float(np.max(np.abs(between[..., 1] / between[..., 0] - 1)))
    return findings(
        f"From a balanced start the end-to-end rule stays within {balanced.max():.2g} of the "
        f"network of width 1 throughout, and within {wide:.2g} over all widths, both depths and "
        f"both losses. From independent weights of standard deviation 0.01 the two differ by up "
        f"to {free.max():.3g} at the same step, since they leave zero at different times; from "
        f"half of the suboptimality to a tenth they take the same number of steps to "
        f"{100 * aligned:.1f} %. All on {setting.data}.",
        at_most(
            "relative distance between the matrices of network and rule, balanced start, $l_2$ "
            "loss, width 1, the largest over the steps",
            balanced.max(),
            AGREE,
        ),
        at_most("the same over widths 1, 10, 100 and both losses", wide, AGREE),
        at_most(
            "the same from independent weights, $l_2$ loss, width 1", free.max(), AGREE, Role.BEYOND
        ),
        report(
            "relative difference of their steps from suboptimality 0.5 to 0.1, independent "
            "weights, $l_2$ loss, depth 2, width 1",
            aligned,
        ),
        **arrays,
    )


@claim(
    id="A12",
    documents="AR",
    source="Section 8, Figure 2; review, Section 8",
    title="The effect of width on convergence is negligible",
    statement="Hidden width has a negligible effect on convergence, say the documents. Under the "
    "condition that steps are counted once the loss has begun to fall it has: with independent "
    "weights the width sets the size of the first product, and so the delay before that.",
    assumptions="Weights of standard deviation 0.01 at every width; times are counted from a "
    "relative suboptimality of 0.5.",
    parameters="The $l_2$ loss; depth 2 at learning rate 0.01, depth 3 at 0.05; widths 1, 2, 10, "
    "50, 128, 256 and 3 starts (quick: 1, 10, 100 and 2); median of the starts.",
    rule="Holds if the steps from 0.5 to 0.1 differ by at most 15 % between widths; under the "
    "condition of counting from 0.5 if the steps from the start differ by more.",
    uses_data=True,
)
def run_widths(setting: Setting) -> Findings:
    """Measure steps before and after half of the suboptimality, for each width."""
    widths, seeds = setting.size((MANY_WIDTHS, 3), ((1, 10, 100), 2))
    problem, steps = setting.regression(2.0), 6_000
    groups = []
    for depth in DEPTHS:
        rates = np.full(seeds, WIDTH_RATES[depth])
        for width in widths:
            real = make_method("layerwise-gd", depth, (width,) * (depth - 1))
            params = starts(depth, width, problem, "near-zero", seeds)
            groups.append(Group(real, params, rates, 0 * rates))
    _, least = reference_optimum(problem)
    zero = float(problem.loss(np.zeros((problem.k, problem.d))))
    outs = simulate_groups(
        problem, groups, steps, stop_loss=least + 0.99 * LEVELS[-1] * (zero - least)
    )
    values = np.stack([suboptimality(problem, out, least) for out in outs])
    diverged = np.stack([out.status == Status.DIVERGED for out in outs])
    hits = steps_to_target(outs[0].steps, values, LEVELS, diverged)
    hits = hits.reshape(len(DEPTHS), len(widths), seeds, 2)
    delay = quantile(hits[..., 0], 0.5)
    with np.errstate(invalid="ignore"):
        after = quantile(missed(np.diff(hits)[..., 0]), 0.5)
    total = quantile(hits[..., 1], 0.5)
    with np.errstate(invalid="ignore"):  # where no width arrives
        spread = after.max(axis=1) / after.min(axis=1)
        unaligned = total.max(axis=1) / total.min(axis=1)
    return findings(
        f"After the loss has come down half way, all widths from {widths[0]} to {widths[-1]} take "
        f"the same number of steps, to {100 * (spread[0] - 1):.0f} % at depth 2 and "
        f"{100 * (spread[1] - 1):.0f} % at "
        f"depth 3. But the way there takes {delay[0, 0]:.0f} steps at width {widths[0]} and "
        f"{delay[0, -1]:.0f} at width {widths[-1]} at depth 2, {delay[1, 0]:.0f} and "
        f"{delay[1, -1]:.0f} at depth 3: wider networks start from a larger product. All on "
        f"{setting.data}.",
        at_most(
            "steps from suboptimality 0.5 to 0.1, most over fewest of all widths, worst depth",
            spread.max(),
            ALIKE,
        ),
        at_most(
            "steps from the start to 0.1, most over fewest of all widths, worst depth",
            unaligned.max(),
            ALIKE,
            Role.BEYOND,
        ),
        report("steps to 0.5, most over fewest of all widths, depth 2",
               delay[0].max() / delay[0].min()),
        report("steps to 0.5, most over fewest of all widths, depth 3",
               delay[1].max() / delay[1].min()),
        widths=np.array(widths), hits=hits,
    )  # fmt: skip
