"""Arms, scales and the tutorial's constants. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnn.core.checks import check_whole

BATCH = 64
MOMENTUM = 0.9
EPOCH_DECAY = 0.95
"""Factor of the learning rate per epoch."""

REGULARIZER = 5e-4
"""Factor of half the sum of squares of dense weights and biases."""

DROPOUT = 0.5
STD = 0.1
"""Standard deviation of the truncated normal start of weights, and of Gaussian factors."""

HARD_CODED_RATE = 0.01
REFRESH_EVERY = 10
"""Steps between decompositions of the dense matrices by the rule. At the reduced scale one takes
about as long as a step on CPU, adding a tenth; after 100 steps at rate 0.01, cross-entropy is
within 1 % of that with a decomposition at every step.
"""


@dataclass(frozen=True)
class Arm:
    """A network to be trained.

    Attributes:
        name, label, phrase: its key in the results, its name, and its name inside a sentence.
        start: "normal", or "gaussian" or "balanced": each dense matrix is a product of two, with
            Gaussian entries, or balanced and equal to the normal start.
        regularizer: trained with that on the "product" (or matrix) or on the "factors".
        rule: whether dense matrices are trained by the end-to-end rule of depth 2.
    """

    name: str
    label: str
    phrase: str
    start: str
    regularizer: str = "product"
    rule: bool = False

    @property
    def factored(self) -> bool:
        """Whether dense matrices are products."""
        return self.start != "normal"


ARMS = {
    arm.name: arm
    for arm in (
        Arm("normal", "Normal", "the normal network", "normal"),
        Arm("factored", "Factored", "the factored network", "gaussian"),
        Arm(
            "factored-factors",
            "Factored, factors regularized",
            "the factored network with regularized factors",
            "gaussian",
            "factors",
        ),
        Arm("balanced", "Factored, balanced start", "the balanced factored network", "balanced"),
        Arm("rule", "Drop-in rule", "the drop-in rule", "normal", rule=True),
    )
}


@dataclass(frozen=True)
class MnistConfig:
    """Size of the network and of the study; by default the reduced scale.

    Attributes:
        channels: of the two convolutions.
        hidden: width of the hidden dense layer.
        steps: of every training run, each on a batch of 64 images.
        evaluation: training images on which the terms of the loss are measured.
        tuning_seeds: number of seeds that choose learning rates.
        seeds: number of evaluation seeds.
    """

    channels: tuple[int, int] = (8, 16)
    hidden: int = 256
    steps: int = 800
    evaluation: int = 2000
    tuning_seeds: int = 2
    seeds: int = 5

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "evaluation", "tuning_seeds", "seeds"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1))

    def record_steps(self) -> np.ndarray:
        """Return the steps after which the loss is measured, (T,) ascending from 0."""
        early = np.geomspace(1, max(1.0, self.steps / 16), 7)
        even = np.linspace(0, self.steps, 17)
        return np.unique(np.round(np.concatenate([early, even])).astype(np.int64))

    @property
    def network(self) -> str:
        """The network in words."""
        return (
            f"{self.channels[0]} and {self.channels[1]} channels, {self.hidden} hidden units, "
            f"{self.steps} steps"
        )


SCALES: dict[str, dict[str, Any]] = {
    "reduced": {},
    "full": {"channels": (32, 64), "hidden": 512, "steps": 8593, "evaluation": 5000},
}
"""`full` is the tutorial's network with its ten epochs of 55000 images."""

QUICK: dict[str, Any] = {
    "channels": (4, 8), "hidden": 64, "steps": 200, "evaluation": 1000, "tuning_seeds": 1,
    "seeds": 3,
}  # fmt: skip
