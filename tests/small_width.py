"""Studies of width whose runs are made up: power laws that make every statement hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from lnn.datasets.text.corpus import Corpus
from lnn.studies.search import TUNING_SEED_OFFSET
from lnn.studies.width import summary
from lnn.studies.width.config import SCALES, SYSTEMS, Setup
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.study import run_system

WIDTHS = (4, 8, 16, 32, 64)
SIZES = (1000, 2000, 4000)


def made_up_setups(systems: Iterable[str] = SYSTEMS, **changes: Any) -> tuple[Setup, ...]:
    """Setups of the reduced scale with other widths and sizes, and three seeds."""
    given = {"widths": WIDTHS, "sizes": SIZES, "seeds": 3, **changes}
    return tuple(replace(SCALES["reduced"][name], **given) for name in systems)


def corpus(symbols: int = 4, train: int = 60, validation: int = 23) -> Corpus:
    """A text of random symbols."""
    rng = np.random.default_rng(0)
    parts = (rng.integers(0, symbols, size).astype(np.int32) for size in (train, validation))
    return Corpus("made up", tuple("abcdefgh"[:symbols]), *parts, 0.0)


@dataclass(frozen=True)
class World:
    """Exponents and factors of made-up runs; those of four groups are in the order of `GROUPS`.

    Parameters are 100 times the width. Exponents of seeds 0, 1 and 2 differ by `noise` (of the
    other optimizer the other way), so that their means are those given.

    Attributes:
        drop, data: exponents of the steps in parameters and in the size, by system.
        bend: factor of the steps at the middle width.
        flat: with the least data the two widest networks of characters halt together.
        worse: the widest network of characters has the larger loss, with the least, the most data.
        slower: factor of the steps at a further rate, and exponent beside that of the first.
        adam: the same of the other optimizer.
        depth: exponent of the steps in the depth.
        tuned, scaled: exponents at the best rate, and with the maximal update parametrization.
        best: the best rate of all widths.
        far, distance: direct distances at the narrowest width, and their exponents.
        long, step: mean steps at the narrowest width, and their exponents.
        angle, opening: to the start at the narrowest width, and its change to the widest, degrees.
        printed: the printed angle, degrees.
        noise: difference of the exponents of successive seeds, of steps and distances.
        lost: which runs are censored.
    """

    drop: tuple[float, float, float] = (-0.5, -0.3, -0.1)
    data: tuple[float, float, float] = (0.9, 1.0, 1.1)
    bend: float = 1.0
    flat: bool = True
    worse: tuple[bool, bool] = (True, True)
    slower: tuple[float, float] = (1.5, 0.0)
    adam: tuple[float, float] = (0.5, 0.2)
    depth: float = -0.3
    tuned: float = -0.3
    scaled: float = -0.2
    best: float = 3.2
    far: tuple[float, ...] = (5.0, 7.0, 10.0, 15.0)
    distance: tuple[float, ...] = (-0.1, -0.05, -0.3, -0.1)
    long: tuple[float, ...] = (0.02, 0.1, 0.03, 0.12)
    step: tuple[float, ...] = (0.02, 0.21, 0.45, 0.3)
    angle: float = 88.0
    opening: float = 4.0
    printed: float = 85.0
    noise: float = 0.01
    lost: Callable[[RecurrentRun], bool] = lambda run: False

    def steps(self, run: RecurrentRun) -> float:
        """Return the steps to halt, before the seed's factor."""
        setup, at = made_up_setups()[SYSTEMS.index(run.system)], SYSTEMS.index(run.system)
        width, exponent, steps = run.width / WIDTHS[0], self.drop[at], 10_000.0
        if run.system == "characters" and run.size == SIZES[0] and self.flat:
            width = min(width, WIDTHS[-2] / WIDTHS[0])
        if run.width == WIDTHS[2]:
            steps *= self.bend
        if run.base:
            exponent = self.scaled
        elif run.optimizer != setup.optimizers[0]:
            steps *= self.adam[0]
            exponent += self.adam[1]
        elif run.rate in setup.rates[1:]:
            steps *= self.slower[0]
            exponent += self.slower[1]
        elif run.rate not in setup.rates:
            steps *= 0.5 * (1 + np.log2(run.rate / self.best) ** 2)
            exponent = self.tuned
        steps *= (run.depth / setup.depths[0]) ** self.depth
        return float(steps * width**exponent * (run.size / SIZES[1]) ** self.data[at])

    def least(self, run: RecurrentRun) -> float:
        """Return the least validation loss."""
        at, most = WIDTHS.index(run.width), len(WIDTHS) - 1
        sizes = {SIZES[0]: self.worse[0], SIZES[-1]: self.worse[1]}
        if run.system == "characters" and at == most and sizes.get(run.size, False):
            at -= 2
        return 2.0 - 0.1 * at + 0.001 * (run.seeds[0] % TUNING_SEED_OFFSET)

    def course(self, run: RecurrentRun) -> Course:
        """Return the run: it halts at its third evaluation of four, unless it is censored."""
        width = run.width / WIDTHS[0]
        seed = run.seeds[0] % TUNING_SEED_OFFSET - 1
        factor = width ** (self.noise * seed * (-1 if run.optimizer == "adam" else 1))
        halt = round(self.steps(run) * factor)
        distance = np.array(self.far) * width ** np.array(self.distance) * factor
        path = np.array(self.long) * width ** np.array(self.step) * halt
        angle = self.angle + self.opening * np.log2(width) / np.log2(WIDTHS[-1] / WIDTHS[0])
        least = self.least(run)
        loss = np.array([[3.0, 3.0, least, np.nan if self.lost(run) else 1.5 * least]])
        nothing = np.full(4, np.nan)

        def told(first: float, then: Any) -> np.ndarray:
            rest = np.nan if self.lost(run) else 1.0
            return np.stack([np.broadcast_to(x, 4) for x in (first, then, then, rest)])[None]

        return Course(
            100.0 * run.width, np.array([0, halt - 1, halt, 2 * halt]), loss, told(0.0, distance),
            told(0.0, path), told(0.0, np.radians(angle)), told(0.0, np.radians(self.printed)),
            told(2.0, 3.0), np.array([[halt // 2, -1]]),
            np.stack([np.full(4, np.radians(80.0)), nothing])[None], 0.5,
        )  # fmt: skip

    def make(self, wanted: Iterable[RecurrentRun], text: str) -> dict[RecurrentRun, Course]:
        """Compute runs, as `run_system` wants them."""
        return {run: self.course(run) for run in wanted}

    def dataset(self, setups: Iterable[Setup] = ()) -> xr.Dataset:
        """Return a study of these systems, all of them by default."""
        setups = list(setups) or list(made_up_setups())
        facts = {"device": "cpu", "scale": "reduced"}
        data = {f"{setup.system}_data": "made up" for setup in setups}
        return summary.dataset([run_system(setup, self.make) for setup in setups], facts | data)
