"""One draw of a problem: every method, start norm and learning rate on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from lnn.core.linalg import condition_number
from lnn.core.network import random_direction
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.datasets import regression
from lnn.results.statistics import steps_to_target
from lnn.simulation.simulate import Group, simulate_groups
from lnn.studies.phase.config import FEATURES, RATES, ROWS, TUNING, MapConfig
from lnn.transforms.methods import Method, make_method


@dataclass(frozen=True)
class Draw:
    """Results of one draw.

    Attributes:
        hits: (methods, norms, rates, targets) steps to each target, plain GD first; infinity for
            runs that missed it or diverged.
        condition: ratio of the largest to the smallest nonzero eigenvalue of x^T x / m.
        solution_norm: Frobenius norm of the optimum W*.
    """

    hits: np.ndarray
    condition: float
    solution_norm: float


class DrawJob(NamedTuple):
    """A draw to be computed: exponent of the loss, conditioning, seed."""

    p: float
    decay: float
    seed: int

    @property
    def name(self) -> str:
        """The name of its file, in full precision, since any other value is another problem."""
        return f"p{self.p:.17g}-decay{self.decay:.17g}-draw{self.seed}.npz"


def jobs(config: MapConfig) -> list[DrawJob]:
    """Return all draws of the map, tuning draws first."""
    axes = (config.p, config.decays, range(TUNING + config.seeds))
    return [DrawJob(*values) for values in product(*axes)]


def gathered(config: MapConfig, draws: Sequence[Draw]) -> dict[str, np.ndarray]:
    """Return the draws of `jobs` as arrays by name, each (p, decays, draws, ...)."""
    grid = (len(config.p), len(config.decays), TUNING + config.seeds)
    arrays = {name: np.stack([getattr(draw, name) for draw in draws]) for name in vars(draws[0])}
    return {name: array.reshape(grid + array.shape[1:]) for name, array in arrays.items()}


def methods(config: MapConfig) -> list[Method]:
    """Return plain GD, and the end-to-end rule at every depth."""
    return [make_method("gd"), *(make_method("end-to-end", depth) for depth in config.depths)]


def draw(config: MapConfig, job: DrawJob) -> Draw:
    """Compute all runs on a problem, in float32, from one random direction scaled to every norm."""
    p, decay, seed = job
    problem = regression.synthetic(p, m=ROWS, d=FEATURES, decay=decay, seed=seed)
    optimum, least = reference_optimum(problem)
    zero = float(np.mean(np.abs(problem.y) ** p) / p)
    direction = random_direction(np.random.default_rng([seed, 1]), 1, FEATURES, 1, 1.0)
    starts = np.array(config.norms)[:, None, None] * direction
    params = np.repeat(starts, len(RATES), axis=0)
    rates = np.tile(RATES, len(config.norms))
    outs = simulate_groups(
        problem,
        [Group(method, params, rates, np.zeros(rates.size)) for method in methods(config)],
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
    shape = (len(hits), len(config.norms), len(RATES), len(config.targets))
    return Draw(
        np.stack(hits).reshape(shape), condition_number(problem.x), float(np.linalg.norm(optimum))
    )
