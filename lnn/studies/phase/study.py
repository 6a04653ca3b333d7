"""One draw of a problem: every method, start norm and learning rate on it.

Beside the end-to-end rule, at one conditioning, the network that it describes: gradient descent on
the layers W_1, ..., W_N of hidden width 1, balanced at the start, from the same W(0) (Arora, Cohen
and Hazan 2018, Theorem 1: equal up to terms of second order in the learning rate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from lnn.core.linalg import condition_number
from lnn.core.network import balanced_factors, random_direction
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.datasets import regression
from lnn.results.statistics import steps_to_target
from lnn.simulation.simulate import Group, simulate_groups
from lnn.studies.phase.config import FEATURES, RATES, ROWS, TUNING, MapConfig
from lnn.transforms.methods import Factored, Method, make_method


@dataclass(frozen=True)
class Draw:
    """Results of one draw.

    Attributes:
        hits: (methods, norms, rates, targets) whole steps to each target, of the methods in the
            order of `methods`; infinity for runs that missed it or diverged.
        condition: ratio of the largest to the smallest nonzero eigenvalue of x^T x / m.
        solution_norm: Frobenius norm of the optimum W*.
    """

    hits: np.ndarray
    condition: float
    solution_norm: float


class DrawJob(NamedTuple):
    """A draw to be computed: exponent of the loss, conditioning, seed, and which methods.

    `layers`: gradient descent on the layers of networks, else plain GD and the rule.
    """

    p: float
    decay: float
    seed: int
    layers: bool = False

    @property
    def name(self) -> str:
        """The name of its file, in full precision, since any other value is another problem."""
        kind = "-layers" * self.layers
        return f"p{self.p:.17g}-decay{self.decay:.17g}-draw{self.seed}{kind}.npz"


def jobs(config: MapConfig) -> list[DrawJob]:
    """Return all draws of the map, tuning draws first."""
    axes = (config.p, config.decays, range(TUNING + config.seeds))
    return [DrawJob(*values) for values in product(*axes)]


def network_jobs(config: MapConfig) -> list[DrawJob]:
    """Return the draws on which the layers of networks are trained; none without such a depth."""
    axes = (config.p, (config.network_decay,), range(TUNING + config.seeds))
    return [DrawJob(*values, layers=True) for values in product(*axes) if config.network_depths]


def gathered(config: MapConfig, draws: Sequence[Draw]) -> dict[str, np.ndarray]:
    """Return the draws of `jobs` or `network_jobs` as arrays by name, (p, decays, draws, ...)."""
    grid = (len(config.p), -1, TUNING + config.seeds)
    arrays = {name: np.stack([getattr(draw, name) for draw in draws]) for name in vars(draws[0])}
    return {name: array.reshape(grid + array.shape[1:]) for name, array in arrays.items()}


def methods(config: MapConfig, layers: bool = False) -> list[Method]:
    """Return plain GD, and the end-to-end rule at every depth; or `layers` of networks."""
    if layers:
        return [make_method("layerwise-gd", depth) for depth in config.network_depths]
    return [make_method("gd"), *(make_method("end-to-end", depth) for depth in config.depths)]


def parameters(method: Method, starts: np.ndarray, seed: int) -> Any:
    """Return the parameters of every start and rate, norms first: W(0), or balanced factors of it.

    Args:
        method: of the end-to-end matrix, or of factors.
        starts: (norms, k, d) end-to-end matrices W(0).
        seed: of the random signs of the hidden units.

    Returns:
        (norms x rates, k, d), or such arrays for W_1, ..., W_N.
    """
    if not isinstance(method.parameterization, Factored):
        return np.repeat(starts, len(RATES), axis=0)
    _, k, d = starts.shape
    rng = np.random.default_rng([seed, 2])
    dims = (d, *method.parameterization.hidden, k)
    factors = [balanced_factors(start, dims, rng) for start in starts]
    return tuple(
        np.repeat(np.stack(layer), len(RATES), axis=0) for layer in zip(*factors, strict=True)
    )


def draw(config: MapConfig, job: DrawJob) -> Draw:
    """Compute all runs on a problem, in float32, from one random direction scaled to every norm.

    The norm of a start is a relative one of `config` times the norm of this problem's optimum.
    """
    p, decay, seed, layers = job
    problem = regression.gaussian(p, m=ROWS, d=FEATURES, decay=decay, seed=seed)
    optimum, least = reference_optimum(problem)
    zero = float(np.mean(np.abs(problem.y) ** p) / p)
    direction = random_direction(np.random.default_rng([seed, 1]), 1, FEATURES, 1, 1.0)
    solution_norm = float(np.linalg.norm(optimum))
    starts = solution_norm * np.array(config.relative_norms)[:, None, None] * direction
    rates = np.tile(RATES, len(config.relative_norms))
    outs = simulate_groups(
        problem,
        [
            Group(method, parameters(method, starts, seed), rates, np.zeros(rates.size))
            for method in methods(config, layers)
        ],
        config.steps,
        stop_loss=least + min(config.targets) * (zero - least),
    )
    hits = [
        steps_to_target(
            out.steps,
            (out.loss.astype(np.float64) - least) / (zero - least),
            np.array(config.targets),
            out.status == Status.DIVERGED,
        )
        for out in outs
    ]
    shape = (len(hits), len(config.relative_norms), len(RATES), len(config.targets))
    return Draw(np.stack(hits).reshape(shape), condition_number(problem.x), solution_norm)
