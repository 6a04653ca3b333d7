"""What is trained and how: the arms, the scales, and the tutorial's constants. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnn.core.checks import check_whole

BATCH = 64
MOMENTUM = 0.9
EPOCH_DECAY = 0.95
"""The learning rate is multiplied by this at every epoch."""

REGULARIZER = 5e-4
"""Times half the sum of squares of the dense weights and biases."""

DROPOUT = 0.5
STD = 0.1
"""Of the truncated normal start of every weight, and of the Gaussian factors."""

HARD_CODED_RATE = 0.01
REFRESH_EVERY = 10
"""The rule decomposes the dense matrices at every 10th step. At the reduced scale that takes about
as long as a step on CPU, and so adds a tenth; after 100 steps at rate 0.01 the cross-entropy is
within 1 % of that with a decomposition at every step."""


@dataclass(frozen=True)
class Arm:
    """A network to be trained.

    Attributes:
        name: its key in the results.
        label: its name for readers.
        phrase: the same inside a sentence.
        start: "normal": the matrices themselves; "gaussian", "balanced": each dense matrix is a
            product of two, with Gaussian entries, or balanced and equal to the normal start.
        regularizer: of what it is trained with: "product" (the matrices, or the products in their
            place) or "factors".
        rule: whether the dense matrices are trained by the end-to-end rule of depth 2.
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
    """The size of the network and of the study. The default is the reduced scale.

    Attributes:
        channels: of the two convolutions.
        hidden: width of the hidden dense layer.
        steps: of every training run, each on a batch of 64 images.
        evaluation: training images on which the terms of the loss are measured.
        tuning_seeds: seeds that choose the learning rates.
        seeds: other seeds, that report.
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
        """The numbers of steps after which the loss is measured, (T,) ascending from 0."""
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
"""`full` is the tutorial's network and its ten epochs of 55000 images."""

QUICK: dict[str, Any] = {
    "channels": (4, 8), "hidden": 64, "steps": 200, "evaluation": 1000, "tuning_seeds": 1,
    "seeds": 3,
}  # fmt: skip
