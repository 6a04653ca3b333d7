"""Runs shared by several claims: two-layer linear networks of many widths on one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from lnn.claims.setting import Setting
from lnn.core.network import Factors
from lnn.theory import teacher_student
from lnn.theory.geometry import halting_time

NARROW = (2, 4, 8, 16)
"""Widths up to the teacher's rank."""

WIDE = (32, 64, 128, 256, 512)
"""Widths of at least twice the teacher's rank, where width is no bottleneck."""

DATA = (
    "32 inputs and outputs; teacher of rank 16 with singular values "
    r"$2 \cdot 0.85^i$, noise 0.3, 400 examples to train on and 2000 to validate; full-batch "
    "gradient descent"
)
TASK = f"Two-layer linear network, {DATA}, the same rate at every width."


APPLICATIONS = (
    "recurrent highway networks on characters, LSTM networks on words and Deep Speech 2 on speech"
)
CHARACTERS = "recurrent highway networks on characters, trained by stochastic gradient descent"
SEEDS = "Medians over the seeds; in brackets the least and the most of them."


@dataclass(frozen=True)
class Start:
    """Distribution of the initial weights (see `gaussian_factors`), and the learning rate."""

    name: str
    rate: float
    std: float | None = None
    gain: float | None = None


SMALL = Start("standard deviation 0.05", 0.02, std=0.05)
SMALLER = Start("standard deviation 0.01", 0.02, std=0.01)
FAN_IN = Start(r"standard deviation $0.5 / \sqrt{\mathrm{inputs}}$", 0.05, gain=0.5)


class WidthTable(NamedTuple):
    """Measurements at the halting time of each run, by seed and width.

    Attributes:
        widths: of the hidden layer, (widths,).
        steps: the halting time, (seeds, widths), as all that follow.
        least: minimum of the validation loss.
        distance: from start to end.
        path: its length.
        gradient: norm of the gradient at step 0.
        same_loss: steps to 1.01 times the least loss of the seed's narrowest network, infinite if
            that is never reached.
        late: how much the second half of the run lowered the minimum, relatively: 0 if the minimum
            was attained in the first half.
    """

    widths: np.ndarray
    steps: np.ndarray
    least: np.ndarray
    distance: np.ndarray
    path: np.ndarray
    gradient: np.ndarray
    same_loss: np.ndarray
    late: np.ndarray

    @property
    def mean_step(self) -> np.ndarray:
        """Path length per step."""
        return self.path / self.steps

    @property
    def sizes(self) -> np.ndarray:
        """Numbers of weights, (widths,)."""
        return (teacher_student.FEATURES + teacher_student.OUTPUTS) * self.widths


class WidthBatch(NamedTuple):
    """Runs of all seeds and widths, seeds slowest."""

    factors: Factors
    train: teacher_student.Moments
    validation: teacher_student.Moments


def seeds(setting: Setting) -> int:
    """Return the document's number of seeds; fewer in a quick run."""
    return setting.size(10, 3)


def narrow_steps(setting: Setting) -> int:
    """Return the number of steps of narrow networks, which have long plateaus."""
    return setting.size(12_000, 4_000)


WIDE_STEPS = 2_000


def batch(start: Start, widths: tuple[int, ...], seeds: Sequence[int]) -> WidthBatch:
    """Return a batch with a task and starts per seed, the task equal at all widths."""
    tasks = [teacher_student.teacher_task(seed) for seed in seeds]
    dims = [(teacher_student.FEATURES, hidden, teacher_student.OUTPUTS) for hidden in widths]
    factors = [
        teacher_student.narrowed(
            teacher_student.gaussian_factors(1000 * seed + n[1], n, start.std, start.gain)
        )
        for seed in seeds
        for n in dims
    ]
    pairs = [task for task in tasks for _ in widths]
    train, validation = (teacher_student.stack([pair[i] for pair in pairs]) for i in (0, 1))
    return WidthBatch(teacher_student.stack(factors), train, validation)


@cache
def table(start: Start, widths: tuple[int, ...], seeds: int, steps: int) -> WidthTable:
    """Run these widths up to this many steps, cached for later claims."""
    runs = batch(start, widths, range(seeds))
    rates = np.full(seeds * len(widths), start.rate)
    curves = teacher_student.descend(*runs, rates, steps)
    shape = (seeds, len(widths))
    halts = halting_time(curves.validation)
    least = curves.validation.min(axis=1)

    target = np.repeat(1.01 * least.reshape(shape)[:, 0], len(widths))[:, None]
    reached = curves.validation <= target
    same_loss = np.where(reached.any(axis=1), reached.argmax(axis=1), np.inf)

    def at_halt(curve: np.ndarray) -> np.ndarray:
        return np.take_along_axis(curve, halts[:, None], axis=1).reshape(shape)

    return WidthTable(
        np.array(widths),
        halts.reshape(shape),
        least.reshape(shape),
        at_halt(curves.distance),
        at_halt(curves.path),
        curves.gradient[:, 0].reshape(shape),
        same_loss.reshape(shape),
        (curves.validation[:, : steps // 2].min(axis=1) / least - 1).reshape(shape),
    )


def wide(setting: Setting, start: Start = SMALL) -> WidthTable:
    """Return the runs of widths 32 to 512."""
    return table(start, WIDE, seeds(setting), WIDE_STEPS)


def narrow(setting: Setting, start: Start = SMALL) -> WidthTable:
    """Return the runs of widths 2 to 16."""
    return table(start, NARROW, seeds(setting), narrow_steps(setting))


@cache
def angles(
    start: Start, widths: tuple[int, ...], seeds: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean A_s and A_e of the runs of `table`, in degrees, (seeds, widths)."""
    runs = batch(start, widths, range(seeds))
    halts = table(start, widths, seeds, steps).steps
    rates = np.full(halts.size, start.rate)
    found = teacher_student.mean_angles(runs.factors, runs.train, rates, halts.ravel())
    return found[0].reshape(halts.shape), found[1].reshape(halts.shape)


def ends(table_column: np.ndarray) -> np.ndarray:
    """Return the ratio of the widest to the narrowest, (seeds,)."""
    return table_column[:, -1] / table_column[:, 0]
