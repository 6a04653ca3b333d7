"""Systems, scales and axes of the study, validated before anything runs. Imports no JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lnn.core.checks import LARGEST, SMALLEST, check_whole, is_real

SYSTEMS = ("characters", "words", "speech")
OPTIMIZERS = ("sgd", "adam")

MARGIN = 0.01
"""A run halts at the first evaluation within this margin of its least validation loss."""

PATIENCE = 1.25
"""A run ends once it has taken this multiple of the steps to its least validation loss: the least
lies before 0.8 of the steps taken. A run that reaches its last step before that is censored.
"""

SPACING = 0.04
"""Distance of evaluations relative to the steps taken, and so the resolution of halting times."""

REACHED = 1.05
"""The loss that all widths are compared at: this multiple of the narrowest one's median least."""


@dataclass(frozen=True)
class Setup:
    """A system, and the runs of it that a study makes.

    The first rate, optimizer and depth are those of the sweep over widths and sizes; each further
    one is compared with it at the middle size.

    Attributes:
        system: one of `SYSTEMS`.
        widths: hidden units of a layer (speech: of a direction), ascending.
        sizes: training symbols, or utterances, ascending; smaller sets are parts of larger ones.
        seeds: number of evaluation seeds. A seed determines start and minibatches.
        rates: learning rates of the first optimizer.
        optimizers: of `OPTIMIZERS`; a further one has its own constant rate.
        depths: layers of a recurrent step (characters), or LSTM layers.
        other_rate: learning rate of the further optimizer.
        tuned: learning rates that are searched for each width, ascending; none: no search. With
            them, the rule of the maximal update parametrization is run too.
        tuning_seeds: number of seeds that choose them.
        batch: windows, or utterances, of a minibatch.
        length: symbols of a window; 0 for utterances.
        validation: validation symbols, or utterances.
        vocabulary: number of words, the most frequent; 0 where it follows from the data.
        steps: of a run at most.
        first: steps before the first evaluation after the start.
        every: steps between evaluations at least; later they are `SPACING` of the steps apart.
        least: steps of a run at least, so that it does not end on a plateau.
        marks: states kept on the way, for angles to the end.
    """

    system: str
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    seeds: int
    rates: tuple[float, ...]
    optimizers: tuple[str, ...]
    depths: tuple[int, ...]
    batch: int
    length: int
    validation: int
    steps: int
    first: int
    every: int
    least: int
    vocabulary: int = 0
    other_rate: float = 0.002
    tuned: tuple[float, ...] = ()
    tuning_seeds: int = 2
    marks: int = 16

    @property
    def middle_size(self) -> int:
        """The size at which rates, optimizers, depths and seeds are compared."""
        return self.sizes[len(self.sizes) // 2]

    @property
    def middle_width(self) -> int:
        """The width at which depths are compared, and the base of the parametrization."""
        return self.widths[len(self.widths) // 2]

    @property
    def evaluations(self) -> tuple[int, ...]:
        """The steps after which a run is evaluated, from 0."""
        found = [0, min(self.first, self.steps)]
        while found[-1] < self.steps:
            found.append(min(found[-1] + max(self.every, round(SPACING * found[-1])), self.steps))
        return tuple(found)

    def rate_of(self, optimizer: str) -> float:
        """Return the learning rate of an optimizer in the sweep."""
        return self.rates[0] if optimizer == self.optimizers[0] else self.other_rate

    @property
    def fixed(self) -> dict[str, Any]:
        """What determines a run, beside what its name says."""
        axes = ("widths", "sizes", "seeds", "rates", "optimizers", "depths", "other_rate")
        search = ("tuned", "tuning_seeds")
        return {name: value for name, value in asdict(self).items() if name not in axes + search}


_CHARACTERS = Setup(
    "characters", (8, 16, 32, 64, 128), (10_000, 20_000, 40_000), 5, (0.8, 0.3), ("sgd", "adam"),
    (4, 2, 8), batch=16, length=50, validation=5_000, steps=20_000, first=100, every=10, least=600,
    tuned=(1.6, 3.2, 6.4),
)  # fmt: skip
_WORDS = Setup(
    "words", (8, 16, 32, 64), (5_000, 10_000, 20_000), 5, (2.0,), ("sgd",), (2,),
    batch=16, length=35, validation=3_850, steps=12_000, first=100, every=20, least=600,
    vocabulary=1_000,
)  # fmt: skip
_SPEECH = Setup(
    "speech", (8, 16, 32), (100, 200, 400), 3, (0.005,), ("adam",), (4,), batch=16, length=0,
    validation=64, steps=6_000, first=100, every=20, least=600, other_rate=0.1,
)  # fmt: skip

SCALES: dict[str, dict[str, Setup]] = {
    "reduced": {setup.system: setup for setup in (_CHARACTERS, _WORDS, _SPEECH)},
    # Sizes as in the document: 0.01 to 0.4 % and 0.1 to 10 % of the Billion Word Benchmark, of
    # 4.1e9 characters and 0.8e9 words. For speech as much of LibriSpeech as 4 GiB of features hold;
    # the document has 200 to 2000 hours.
    "full": {
        "characters": replace(
            _CHARACTERS, widths=(64, 128, 256, 512, 1024), sizes=(400_000, 1_600_000, 16_000_000),
            depths=(10, 5), batch=64, length=150, validation=960_000, steps=200_000,
            first=1_000, every=250, least=6_000, marks=8,
        ),
        "words": replace(
            _WORDS, widths=(64, 128, 256, 512, 1024), sizes=(800_000, 8_000_000, 80_000_000),
            rates=(0.3,), batch=64, length=80, validation=512_000, steps=400_000,
            first=1_000, every=250, least=6_000, vocabulary=10_000, marks=8,
        ),
        "speech": replace(
            _SPEECH, widths=(64, 128, 256, 512), sizes=(1_500, 3_000, 5_000), rates=(0.0003,),
            batch=32, validation=500, steps=100_000, first=1_000, every=250, least=6_000,
            marks=8,
        ),
    },
    "quick": {
        "characters": replace(
            _CHARACTERS, widths=(8, 16, 32), sizes=(10_000,), seeds=3, rates=(0.8,),
            optimizers=("sgd",), depths=(4,), validation=3_200, steps=8_000, tuned=(),
        ),
        "words": replace(
            _WORDS, widths=(8, 16, 32), sizes=(5_000,), seeds=3, validation=3_500, steps=3_000,
        ),
        "speech": replace(
            _SPEECH, widths=(8, 16), sizes=(100,), seeds=2, validation=32, steps=1_500,
        ),
    },
}  # fmt: skip

_AXES = ("widths", "sizes", "rates", "optimizers", "depths")


@dataclass(frozen=True)
class WidthConfig:
    """What a study runs; an empty axis is that of the scale.

    Attributes:
        systems: of `SYSTEMS`.
        scale: one of `SCALES`.
        widths, sizes, rates, optimizers, depths: as of `Setup`, for every system.
        seeds: number of evaluation seeds; None for that of the scale.

    Raises:
        ValueError: for a value out of range; the message says what is allowed.
    """

    systems: tuple[str, ...] = SYSTEMS
    scale: str = "reduced"
    widths: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    optimizers: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    seeds: int | None = None

    def __post_init__(self) -> None:
        self._set("systems", _among("system", self.systems, SYSTEMS))
        if self.scale not in SCALES:
            raise ValueError(f"scale = {self.scale!r}: choose from {', '.join(SCALES)}")
        for name, least, most in (("widths", 2, 65_536), ("sizes", 1, 2**31 - 1)):
            self._set(name, tuple(sorted(set(_wholes(name, getattr(self, name), least, most)))))
        self._set("depths", tuple(dict.fromkeys(_wholes("depths", self.depths, 1, 64))))
        self._set("rates", tuple(map(_rate, dict.fromkeys(self.rates))))
        if self.optimizers:
            self._set("optimizers", _among("optimizer", self.optimizers, OPTIMIZERS))
        if self.seeds is not None:
            self._set("seeds", check_whole("seeds", self.seeds, 1, 1000))
        for name in _AXES:
            if getattr(self, name) and len(self.systems) > 1:
                raise ValueError(
                    f"--{name} with {' and '.join(self.systems)}: units and ranges differ between "
                    "systems, so name one system with it"
                )
        for setup in self.setups:
            if setup.sizes[0] <= setup.length:
                raise ValueError(
                    f"sizes = {setup.sizes[0]}: give more than {setup.length}, the length of a "
                    "training window"
                )
            if setup.system == "speech" and min(setup.depths) < 2:
                raise ValueError("depths = 1 for speech: give at least 2 LSTM layers")
            if len(setup.widths) < 2:
                raise ValueError(
                    f"widths = {setup.widths}: give at least two, whose steps are compared"
                )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def setups(self) -> tuple[Setup, ...]:
        """The setup of every system."""
        return tuple(map(self.setup, self.systems))

    def setup(self, system: str) -> Setup:
        """Return the setup of a system, with what was given in place of the scale's."""
        given = {name: getattr(self, name) for name in _AXES if getattr(self, name)}
        if self.seeds is not None:
            given["seeds"] = self.seeds
        found = SCALES[self.scale][system]
        if "optimizers" in given and given["optimizers"][0] != found.optimizers[0]:
            given.setdefault("rates", (found.other_rate,))
            given["other_rate"] = found.rates[0]
        if {"rates", "optimizers"} & set(given):
            given["tuned"] = ()
        return replace(found, **given)


def _among(name: str, values: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if value not in allowed:
            raise ValueError(f"{name} {value!r} is unknown: choose from {', '.join(allowed)}")
    if not values:
        raise ValueError(f"no {name} is named: choose from {', '.join(allowed)}")
    return tuple(dict.fromkeys(values))


def _wholes(name: str, values: Sequence[Any], least: int, most: int) -> list[int]:
    return [check_whole(name, value, least, most) for value in values]


def _rate(value: Any) -> float:
    if not is_real(value) or not SMALLEST <= value <= LARGEST:
        raise ValueError(f"rate = {value!r}: give positive numbers")
    return float(value)
