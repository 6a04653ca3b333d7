"""Section 8, Figure 5 left: very deep networks, from starts near zero and near the identity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from lnn.claims.claim import Check, Findings, Role, at_most, claim, findings, report
from lnn.claims.measure import ratio
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.problem import Problem
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.results.statistics import band_over, quantile, steps_to_target
from lnn.simulation.simulate import Group, simulate_groups
from lnn.simulation.trajectories import Trajectories
from lnn.transforms.methods import make_method

STARTS = (0.1, 0.01)
DEPTHS = (2, 3, 4, 8)
ESCAPED = 0.5
GRID = np.array([a * 10.0**k for k in range(-5, 0) for a in (1, 5)])
"""Learning rates of Appendix C."""
FINE = np.geomspace(0.005, 0.1, 12)
COMPARED = (1, 4, 8)
STEPS = 100_000
PROGRESS = 0.9
"""A run makes visible progress once its relative suboptimality is at most this."""
LEVELS = np.array([PROGRESS, 0.1, 0.05])


def escape_time(start: float, end: float, depth: int) -> float:
    """Return the time in which balanced scalar layers grow from `start` to `end` at gradient -1.

    Each layer follows a' = a^(N-1): ln(end / start) at depth 2, and
    (start^(2-N) - end^(2-N)) / (N - 2) beyond. In units of 1 / (learning rate x gradient).
    """
    if depth == 2:
        return float(np.log(end / start))
    return float((start ** (2.0 - depth) - end ** (2.0 - depth)) / (depth - 2))


def measured_escape(start: float, end: float, depth: int) -> float:
    """Return the same time by integrating the gradient flow of the layers."""
    ones = jnp.ones((1, 1), jnp.float64)

    @jax.jit
    def velocity(layers: jax.Array) -> jax.Array:
        _, pull = jax.vjp(network.end_to_end, [layer[None, None] for layer in layers])
        return jnp.stack(pull(ones)[0]).ravel()

    def arrived(_: float, layers: np.ndarray) -> float:
        return float(layers[0] - end)

    arrived.terminal = True  # type: ignore[attr-defined]
    longest = 10 * escape_time(start, end, depth)
    flow = solve_ivp(
        lambda _, layers: np.asarray(velocity(layers)), (0, longest), np.full(depth, start),
        method="DOP853", rtol=1e-10, atol=1e-12, events=arrived,
    )  # fmt: skip
    assert flow.t_events is not None
    times = flow.t_events[0]
    return float(times[0]) if times.size else np.inf


@claim(
    id="A27",
    source="Section 8, text on vanishing gradients (Figure 5, left)",
    title="Escape time of a deep network from a start near zero",
    statement="Deep networks that start near zero have vanishing gradients. Balanced layers of "
    r"width 1 and size $a_0$ grow to $a$, at a gradient of norm 1, in time $\ln(a / a_0)$ at depth "
    r"2 and $\frac{a_0^{2-N} - a^{2-N}}{N - 2}$ at depth N > 2.",
    assumptions="Gradient flow, balanced layers, a constant gradient.",
    parameters="$a$ = 0.5, $a_0$ = 0.1 and 0.01; depths 2, 3, 4, 8; integrated by DOP853.",
    rule="Holds if every time agrees to 0.1 %.",
)
def run_escape(setting: Setting) -> Findings:
    """Compare times of the layers' flow with the closed form."""
    cases = list(product(DEPTHS, STARTS))
    expected = {case: escape_time(case[1], ESCAPED, case[0]) for case in cases}
    found = {case: measured_escape(case[1], ESCAPED, case[0]) for case in cases}
    error = max(abs(found[case] / expected[case] - 1) for case in cases)
    return findings(
        f"The flow of the layers needs the closed form's time to {error:.1e} in the worst of "
        f"{len(cases)} cases. From 0.01 it is {found[2, 0.01]:.3g} at depth 2, "
        f"{found[4, 0.01]:.3g} at depth 4 and {found[8, 0.01]:.3g} at depth 8: at a learning rate "
        f"of 0.1 and a gradient of 1 that is {10 * found[8, 0.01]:.1g} steps.",
        at_most("relative error of the closed form, worst case", error, 1e-3),
        report("escape time at depth 8 over that at depth 4, from 0.01",
               found[8, 0.01] / found[4, 0.01]),
    )  # fmt: skip


def race(
    problem: Problem, scheme: str, rates: np.ndarray, seeds: int, steps: int
) -> list[Trajectories]:
    """Run depths 1, 4 and 8, width 1, from one kind of start, at these rates: runs (seed, rate)."""
    groups = []
    for depth in COMPARED:
        dims = (problem.d, *(1,) * (depth - 1), problem.k)
        starts = [network.init_factors(jax.random.key(seed), dims, scheme) for seed in range(seeds)]
        params = tuple(
            np.repeat(np.stack(factor), rates.size, axis=0) for factor in zip(*starts, strict=True)
        )
        every = np.tile(rates, seeds)
        groups.append(Group(make_method("layerwise-gd", depth), params, every, 0 * every))
    return simulate_groups(problem, groups, steps)


@dataclass(frozen=True)
class DepthRace:
    """Relative suboptimality (depth, seed, rate, T) and steps to LEVELS (depth, seed, rate, 3)."""

    steps: np.ndarray
    values: np.ndarray
    hits: np.ndarray

    def best(self, chosen: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each depth's rate that reaches the last level first or, if none, ends lowest.

        Judged by the median over the seeds, among the chosen rates.

        Returns:
            Indices of the rates (depth,), curves (depth, seed, T), steps to LEVELS
            (depth, seed, 3).
        """
        soonest = quantile(self.hits[..., -1], 0.5, axis=1)
        last = quantile(np.nan_to_num(self.values[..., -1], nan=np.inf), 0.5, axis=1)
        allowed = range(self.hits.shape[2])[chosen]
        best = np.array(
            [
                min(allowed, key=lambda j: (steps[j], values[j]))
                for steps, values in zip(soonest, last, strict=True)
            ]
        )
        pairs = list(enumerate(best))
        return (
            best,
            np.stack([self.values[i, :, rate] for i, rate in pairs]),
            np.stack([self.hits[i, :, rate] for i, rate in pairs]),
        )


def measure(problem: Problem, scheme: str, rates: np.ndarray, seeds: int, steps: int) -> DepthRace:
    """Run the race, and compare its losses with the reference optimum."""
    _, least = reference_optimum(problem)
    zero = float(problem.loss(np.zeros((problem.k, problem.d))))
    outs = race(problem, scheme, rates, seeds, steps)
    values = np.stack([(out.loss.astype(np.float64) - least) / (zero - least) for out in outs])
    diverged = np.stack([out.status == Status.DIVERGED for out in outs])
    hits = steps_to_target(outs[0].steps, values, LEVELS, diverged)
    shape = (len(outs), seeds, rates.size)
    return DepthRace(outs[0].steps, values.reshape(*shape, -1), hits.reshape(*shape, -1))


@claim(
    id="A28",
    source="Section 8, Figure 5, left",
    title="Depths 4 and 8 from a start near zero",
    statement="From a start near zero the depth-4 network makes visible progress only after about "
    "65000 steps, and the depth-8 network seems stuck even after 100000, at every learning rate of "
    "the grid.",
    assumptions="The $l_2$ loss, layers of width 1, weights of standard deviation 0.01.",
    parameters="Learning rates 1e-5, 5e-5, ..., 0.1, 0.5, each depth at the one that reaches a "
    "relative suboptimality of 0.05 soonest or, if none does, ends lowest; 100000 steps; 5 starts "
    "(quick: 1). Progress is visible once the relative suboptimality is 0.9 or less.",
    rule="The numbers depend on the random start, so they are reported, with the middle 60 %.",
    uses_data=True,
)
def run_near_zero(setting: Setting) -> Findings:
    """Run depths 1, 4 and 8 from a start near zero, on the paper's grid."""
    seeds = setting.size(5, 1)
    found = measure(setting.regression(2.0), "near-zero", GRID, seeds, STEPS)
    best, curves, hits = found.best(slice(None))
    first = _band(hits[1, :, 0])
    moved = int(np.isfinite(found.hits[2, :, :, 0]).sum())
    return findings(
        f"At its best rate of the grid, {GRID[best[1]]:g}, the depth-4 network starts making "
        f"visible progress after {_count(first[0])} of {STEPS} steps (median of {seeds} "
        f"start{'s' * (seeds > 1)}), the single layer after {_count(_band(hits[0, :, 0])[0])}; "
        f"of the {found.hits[2, :, :, 0].size} depth-8 runs {moved or 'none'} did. "
        f"All on {setting.data}.",
        report("steps until depth 4 makes visible progress, at its best rate", *first),
        report("depth-8 runs that make visible progress, of all starts and rates", moved),
        report("last relative suboptimality of depth 4 at its best rate",
               *_band(curves[1, :, -1])),
        report("last relative suboptimality of depth 1 at its best rate",
               *_band(curves[0, :, -1])),
        steps=found.steps, curves=curves, rates=GRID[best], depths=np.array(COMPARED),
    )  # fmt: skip


@claim(
    id="A29",
    source="Section 8, Figure 5, left",
    title="Depths 4 and 8 from a start near the identity",
    statement="From a start near the identity both networks immediately make progress, and depth "
    "again accelerates.",
    assumptions="The $l_2$ loss, layers of width 1, weights of standard deviation 0.01 plus 1 on "
    "the diagonal of every layer, also where it is not square.",
    parameters="The grid of the paper as for the start near zero, and 12 rates between 0.005 and "
    "0.1, a factor 1.31 apart; 100000 steps (quick: 10000); 5 starts (quick: 1); the single layer "
    "starts near the identity too.",
    rule="Reported, with the middle 60 % of the starts.",
    uses_data=True,
)
def run_identity(setting: Setting) -> Findings:
    """Run depths 1, 4 and 8 from near the identity, on the paper's grid and on a fine one."""
    seeds, steps = setting.size(5, 1), setting.size(STEPS, 10_000)
    problem, rates = setting.regression(2.0), np.concatenate([GRID, FINE])
    found = measure(problem, "identity", rates, seeds, steps)
    best, curves, hits = found.best(slice(GRID.size))
    at_once = [_band(hits[i, :, 0]) for i in (1, 2)]
    checks: list[Check] = [
        report(f"steps until depth {depth} makes visible progress, at its best rate", *steps_to)
        for depth, steps_to in zip(COMPARED[1:], at_once, strict=True)
    ]
    speedups = []
    finer = found.best(slice(GRID.size, None))[2]
    for name, needed in (("the paper's", hits), ("a fine", finer)):
        for i in (1, 2):
            speedup = ratio(needed[0, :, 2], needed[i, :, 2], steps)
            speedups.append(speedup)
            what = f"speed-up of depth {COMPARED[i]} over depth 1 to 0.05 on {name} grid"
            checks.append(report(what, speedup.least.median, speedup.band))
    return findings(
        f"From near the identity depths 4 and 8 are below a relative suboptimality of {PROGRESS} "
        f"after {_count(at_once[0][0])} and {_count(at_once[1][0])} steps. Their speed-up over a "
        f"single layer to 0.05, each at its best rate, is {speedups[0]} and {speedups[1]} on the "
        f"paper's grid of rates, and {speedups[2]} and {speedups[3]} on a fine one. All on "
        f"{setting.data}.",
        *checks,
        steps=found.steps,
        curves=curves,
        rates=rates[best],
        depths=np.array(COMPARED),
    )


def _band(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Median and middle 60 % over the starts; a run that diverged counts as infinity."""
    band = band_over(np.nan_to_num(values, nan=np.inf))
    return band.median, (band.low, band.high)


def _count(steps: float) -> str:
    """Format steps, rounding interpolated crossings up."""
    return f"{np.ceil(steps):.0f}" if np.isfinite(steps) else f"more than {STEPS}"


@claim(
    id="A30",
    source="Section 8, text on identity initialization",
    title="Balancedness of the identity start",
    statement="Identity initialization satisfies eq. 7 exactly if all $\\min(n_j, n_{j-1})$, the "
    "smaller sizes of each layer's two sides, are equal.",
    assumptions="Ones on the diagonal of every layer, rectangular ones too, zeros elsewhere.",
    parameters="All layer sizes from 1 to 4 (quick: 3) at depths 2, 3 and 4, in exact arithmetic.",
    rule="Holds if the condition decides every network rightly; the statement without it must hold "
    "for all networks.",
)
def run_balanced(setting: Setting) -> Findings:
    """Check rectangular identities of every size up to a bound for exact balance."""
    largest = setting.size(4, 3)
    total = balanced = wrong = 0
    for depth in (2, 3, 4):
        for dims in product(range(1, largest + 1), repeat=depth + 1):
            factors = [np.eye(above, below) for below, above in pairwise(dims)]
            gap = float(network.balancedness_gap(factors))
            narrow = {min(pair) for pair in pairwise(dims)}
            total += 1
            balanced += gap == 0
            wrong += (gap == 0) != (len(narrow) == 1)
    return findings(
        f"Of {total} networks of depth 2 to 4 with layer sizes up to {largest}, identities balance "
        f"{balanced}: exactly those in which all neighbouring layers have the same smaller size, "
        f"with {wrong or 'no'} exception{'s' * (wrong != 1)}. Hidden layers of width 1 are among "
        "them.",
        at_most("networks for which the condition on the sizes is wrong", wrong, 0),
        at_most("networks whose identity start is not balanced", total - balanced, 0, Role.BEYOND),
    )
