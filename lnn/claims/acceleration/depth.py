"""Section 8, Figure 5 left: very deep networks, from starts near zero and near the identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from lnn.claims.claim import OWN, claim
from lnn.claims.measure import bands, missed, ratio, soonest
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.problem import Problem
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.results.formatting import count
from lnn.results.statistics import band_over, quantile, steps_to_target
from lnn.results.verdict import Check, Findings, Role, at_least, at_most, findings, report
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
AT_ONCE = 100
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
    documents="AL",
    source="Section 8, text on vanishing gradients (Figure 5, left); closed form added",
    title="Escape time of a deep network from a start near zero",
    statement="The deeper a network that starts near zero, the more its gradients vanish, says the "
    r"paper. This project adds the numbers: balanced layers of width 1 and size $a_0$ grow to $a$, "
    r"at a gradient of norm 1, in time $\ln(a / a_0)$ at depth 2 and "
    r"$\frac{a_0^{2-N} - a^{2-N}}{N - 2}$ at depth N > 2.",
    assumptions="Gradient flow, balanced layers, a constant gradient.",
    parameters="$a$ = 0.5, $a_0$ = 0.1 and 0.01; depths 2, 3, 4, 8; integrated by DOP853.",
    rule="Holds for the paper if the time grows with every further depth from both starts, and for "
    "the closed form if every time agrees to 0.1 %.",
)
def run_escape(setting: Setting) -> Findings:
    """Compare times of the layers' flow with the closed form."""
    cases = list(product(DEPTHS, STARTS))
    expected = {case: escape_time(case[1], ESCAPED, case[0]) for case in cases}
    found = {case: measured_escape(case[1], ESCAPED, case[0]) for case in cases}
    error = max(abs(found[case] / expected[case] - 1) for case in cases)
    growth = min(
        found[deeper, start] / found[depth, start]
        for start in STARTS
        for depth, deeper in pairwise(DEPTHS)
    )
    return findings(
        f"The flow of the layers needs the closed form's time to {error:.1e} in the worst of "
        f"{len(cases)} cases. From 0.01 it is {found[2, 0.01]:.3g} at depth 2, "
        f"{found[4, 0.01]:.3g} at depth 4 and {found[8, 0.01]:.3g} at depth 8: at a learning rate "
        f"of 0.1 and a gradient of 1 that is {10 * found[8, 0.01]:.1g} steps.",
        at_least("escape time at a depth over that at the depth before, least case", growth, 1.0,
                 document="A"),
        at_most("relative error of the closed form, worst case", error, 1e-3, document=OWN),
        report("escape time at depth 8 over that at depth 4, from 0.01",
               found[8, 0.01] / found[4, 0.01]),
    )  # fmt: skip


def race(
    problem: Problem, scheme: str, rates: np.ndarray, seeds: Sequence[int], steps: int
) -> list[Trajectories]:
    """Run depths 1, 4 and 8, width 1, from one kind of start: runs (seed, rate) of each depth.

    `rates` are (depths, rates).
    """
    groups = []
    for depth, own in zip(COMPARED, rates, strict=True):
        dims = (problem.d, *(1,) * (depth - 1), problem.k)
        starts = [network.init_factors(jax.random.key(seed), dims, scheme) for seed in seeds]
        params = tuple(
            np.repeat(np.stack(factor), own.size, axis=0) for factor in zip(*starts, strict=True)
        )
        every = np.tile(own, len(seeds))
        groups.append(Group(make_method("layerwise-gd", depth), params, every, 0 * every))
    return simulate_groups(problem, groups, steps)


@dataclass(frozen=True)
class DepthRace:
    """Relative suboptimality (depth, seed, rate, T) and steps to LEVELS (depth, seed, rate, 3)."""

    steps: np.ndarray
    values: np.ndarray
    hits: np.ndarray

    def best(self, chosen: slice) -> list[int]:
        """Return each depth's rate that reaches the last level first, among the chosen ones.

        From the worst of the starts; if no rate reaches it from all, from the middle one; if none
        does so either, the one that ends lowest there.
        """
        hits = self.hits[:, :, chosen, -1]
        last = quantile(missed(self.values[:, :, chosen, -1]), 0.5, axis=1)
        first = range(self.hits.shape[2])[chosen].start
        return [first + soonest(own.T, ends) for own, ends in zip(hits, last, strict=True)]


def measure(
    problem: Problem, scheme: str, rates: np.ndarray, seeds: Sequence[int], steps: int
) -> DepthRace:
    """Run the race, and compare its losses with the reference optimum."""
    _, least = reference_optimum(problem)
    zero = float(problem.loss(np.zeros((problem.k, problem.d))))
    outs = race(problem, scheme, rates, seeds, steps)
    values = np.stack([(out.loss.astype(np.float64) - least) / (zero - least) for out in outs])
    diverged = np.stack([out.status == Status.DIVERGED for out in outs])
    hits = steps_to_target(outs[0].steps, values, LEVELS, diverged)
    shape = (len(outs), len(seeds), rates.shape[1])
    return DepthRace(outs[0].steps, values.reshape(*shape, -1), hits.reshape(*shape, -1))


class Reported(NamedTuple):
    """Reported runs of each depth at a rate chosen on other starts.

    Attributes:
        rates: (depth,).
        curves: (depth, seed, T) relative suboptimality.
        hits: (depth, seed, 3) steps to LEVELS.
    """

    rates: np.ndarray
    curves: np.ndarray
    hits: np.ndarray


def tuned_race(
    setting: Setting, scheme: str, grids: Sequence[np.ndarray], steps: int
) -> tuple[np.ndarray, list[Reported], DepthRace]:
    """Choose rates on some starts, one for each depth and grid, and run them on others.

    Returns:
        Recorded steps (T,), the reported runs of each grid, and the race that chose.
    """
    problem = setting.regression(2.0)
    tuning, reporting = starts(setting)
    every = np.concatenate(grids)
    tried = measure(problem, scheme, np.tile(every, (len(COMPARED), 1)), tuning, steps)
    ends = np.cumsum([0, *(grid.size for grid in grids)])
    best = np.array([tried.best(slice(*ends_of)) for ends_of in pairwise(map(int, ends))])
    found = measure(problem, scheme, every[best].T, reporting, steps)
    runs = [
        Reported(every[best[i]], found.values[:, :, i], found.hits[:, :, i])
        for i in range(len(grids))
    ]
    return found.steps, runs, tried


def starts(setting: Setting) -> tuple[range, range]:
    """Return seeds of the starts on which rates are chosen, and of those that are reported."""
    return range(100, setting.size(103, 101)), range(setting.size(11, 5))


_TUNING = (
    "One rate for each depth, chosen on 3 other starts (quick: 1) as the one that reaches a "
    "relative suboptimality of 0.05 soonest from the worst of them; if none does from all, from "
    "the middle one; if none does so either, the one that ends lowest there. 11 starts reported "
    "(quick: 5)"
)
_BANDS = bands(11, 5)


@claim(
    id="A28",
    source="Section 8, Figure 5, left; Appendix C",
    title="Depths 4 and 8 from a start near zero",
    statement="From a start near zero the depth-4 network makes visible progress only after about "
    "65000 steps, and the depth-8 network, at every learning rate of the grid, seems stuck even "
    "after 100000.",
    assumptions="The $l_2$ loss, layers of width 1, weights of standard deviation 0.01.",
    parameters=f"Learning rates 1e-5, 5e-5, ..., 0.1, 0.5. {_TUNING}. 100000 steps. Progress is "
    "visible once the relative suboptimality is 0.9 or less.",
    rule=f"The numbers depend on the random start, so they are reported. {_BANDS}",
    uses_data=True,
)
def run_near_zero(setting: Setting) -> Findings:
    """Run depths 1, 4 and 8 from a start near zero, on the paper's grid."""
    steps, (found,), tried = tuned_race(setting, "near-zero", (GRID,), STEPS)
    first = _band(found.hits[1, :, 0])
    runs = np.concatenate([found.hits[2, :, 0], tried.hits[2, :, :, 0].ravel()])
    moved = int(np.isfinite(runs).sum())
    return findings(
        f"At its best rate of the grid, {found.rates[1]:g}, the depth-4 network starts making "
        f"visible progress after {_count(first[0], STEPS)} of {STEPS} steps (median of "
        f"{count(found.hits.shape[1], 'start')}), the single layer after "
        f"{_count(_band(found.hits[0, :, 0])[0], STEPS)}; of the {runs.size} depth-8 runs "
        f"{moved or 'none'} did. All on {setting.data}.",
        report("steps until depth 4 makes visible progress, at its best rate", *first),
        report("depth-8 runs that make visible progress, of all starts and rates", moved),
        report("last relative suboptimality of depth 4 at its best rate",
               *_band(found.curves[1, :, -1])),
        report("last relative suboptimality of depth 1 at its best rate",
               *_band(found.curves[0, :, -1])),
        steps=steps, curves=found.curves, rates=found.rates, depths=np.array(COMPARED),
    )  # fmt: skip


@claim(
    id="A29",
    documents="AR",
    source="Section 8, Figure 5, left; review, Section 8",
    title="Depths 4 and 8 from a start near the identity",
    statement="From a start near the identity both networks immediately make progress. The paper "
    "adds that depth again accelerates.",
    assumptions="The $l_2$ loss, layers of width 1, weights of standard deviation 0.01 plus 1 on "
    "the diagonal of every layer, also where it is not square; the single layer starts so, too.",
    parameters="The grid of the paper as for the start near zero, and 12 rates between 0.005 and "
    f"0.1, a factor 1.31 apart. {_TUNING}. 100000 steps (quick: 10000).",
    rule=f"Progress is immediate if both depths reach a relative suboptimality of {PROGRESS} in "
    f"{AT_ONCE} steps, a thousandth of the paper's. Depth accelerates if depth 4 and depth 8 reach "
    "0.05 at least as soon as the single layer, in the median: on the paper's grid; under the "
    f"condition of that grid if not on the fine one. {_BANDS}",
    uses_data=True,
)
def run_identity(setting: Setting) -> Findings:
    """Run depths 1, 4 and 8 from near the identity, on the paper's grid and on a fine one."""
    budget = setting.size(STEPS, 10_000)
    steps, (coarse, fine), _ = tuned_race(setting, "identity", (GRID, FINE), budget)
    at_once = [_band(coarse.hits[i, :, 0]) for i in (1, 2)]
    checks: list[Check] = [
        at_most(
            f"steps until depth {depth} makes visible progress, at its best rate, median", median,
            AT_ONCE, band=band,
        )
        for depth, (median, band) in zip(COMPARED[1:], at_once, strict=True)
    ]  # fmt: skip
    speedups = []
    for name, found, role in (
        ("the paper's", coarse, Role.CLAIM), ("the fine", fine, Role.BEYOND),
    ):  # fmt: skip
        for i in (1, 2):
            speedup = ratio(found.hits[0, :, 2], found.hits[i, :, 2], budget)
            speedups.append(speedup)
            what = f"speed-up of depth {COMPARED[i]} over depth 1 to 0.05 on {name} grid, median"
            checks.append(
                at_least(what, speedup.least.median, 1.0, role, speedup.band, document="A")
            )
    return findings(
        f"From near the identity depths 4 and 8 are below a relative suboptimality of {PROGRESS} "
        f"after {_count(at_once[0][0], budget)} and {_count(at_once[1][0], budget)} steps. "
        f"Their speed-up over a single layer to 0.05, each at its best rate, is {speedups[0]} and "
        f"{speedups[1]} on the paper's grid of rates, and {speedups[2]} and {speedups[3]} on a "
        f"fine one. All on {setting.data}.",
        *checks,
        steps=steps,
        curves=coarse.curves,
        rates=coarse.rates,
        depths=np.array(COMPARED),
    )


def _band(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Median and band over the starts; a run that diverged counts as infinity."""
    band = band_over(missed(values))
    return band.median, band.ends


def _count(steps: float, budget: int) -> str:
    """Format steps."""
    return f"{steps:.0f}" if np.isfinite(steps) else f"more than {budget}"


@claim(
    id="A30",
    documents="AL",
    source="Section 8, text on identity initialization; its condition added",
    title="Balancedness of the identity start",
    statement="Identity initialization satisfies eq. 7: it does in the networks of the paper, with "
    "hidden layers of width 1, and in residual ones, with square layers. This project adds that in "
    "general it does if and only if all $\\min(n_j, n_{j-1})$, the smaller sizes of each layer's "
    "two sides, are equal.",
    assumptions="Ones on the diagonal of every layer, rectangular ones too, zeros elsewhere.",
    parameters="All layer sizes from 1 to 4 (quick: 3) at depths 2, 3 and 4, in exact arithmetic.",
    rule="Holds for the paper if every network with one output and hidden width 1, and every one "
    "with square layers, is balanced; the condition holds if it decides every network rightly.",
)
def run_balanced(setting: Setting) -> Findings:
    """Check rectangular identities of every size up to a bound for exact balance."""
    largest = setting.size(4, 3)
    total = balanced = wrong = unbalanced = 0
    for depth in (2, 3, 4):
        for dims in product(range(1, largest + 1), repeat=depth + 1):
            factors = [np.eye(above, below) for below, above in pairwise(dims)]
            gap = float(network.balancedness_gap(factors))
            narrow = {min(pair) for pair in pairwise(dims)}
            total += 1
            balanced += gap == 0
            wrong += (gap == 0) != (len(narrow) == 1)
            paper = set(dims[1:]) == {1} or len(set(dims)) == 1
            unbalanced += paper and gap != 0
    return findings(
        f"Of {total} networks of depth 2 to 4 with layer sizes up to {largest}, {balanced} have a "
        f"balanced identity start: exactly those in which all neighbouring layers have the "
        f"same smaller size, with {wrong or 'no'} exception{'s' * (wrong != 1)}. Those of the "
        f"paper, with hidden width 1 or square layers, are{' not all' * (unbalanced > 0)} among "
        "them.",
        at_most("networks of hidden width 1 or of square layers whose identity start is not "
                "balanced", unbalanced, 0, document="A"),
        at_most("networks for which the condition on the sizes is wrong", wrong, 0, document=OWN),
        report("networks whose identity start is not balanced", total - balanced),
    )  # fmt: skip
