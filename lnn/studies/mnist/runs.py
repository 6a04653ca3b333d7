"""Training runs and their results. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lnn.studies.mnist.config import HARD_CODED_RATE

PER_DECADE = 4


class TrainingRun(NamedTuple):
    """A training run: arm, learning rate in quarters of a decade from 0.01, and seed."""

    arm: str
    power: int
    seed: int

    @property
    def rate(self) -> float:
        """The learning rate."""
        return rate_of(self.power)

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.arm}-rate{self.rate:.3g}-seed{self.seed}.npz"


def rate_of(power: int) -> float:
    """Return the learning rate this many quarters of a decade above 0.01."""
    return float(HARD_CODED_RATE * 10 ** (power / PER_DECADE))


@dataclass(frozen=True)
class Curve:
    """Both terms of the loss along a run, without dropout, on a fixed set of training images.

    Attributes:
        steps: (T,) numbers of steps done.
        cross_entropy: (T,) nats; not finite once a run has diverged.
        regularizer_product: (T,) of the network's matrices or products.
        regularizer_factors: (T,) of the trained parameters.
        test_error: fraction of misclassified test images.
        seconds: duration of the run.
    """

    steps: np.ndarray
    cross_entropy: np.ndarray
    regularizer_product: np.ndarray
    regularizer_factors: np.ndarray
    test_error: float
    seconds: float

    @property
    def objective(self) -> np.ndarray:
        """(T,) cross-entropy + regularizer on the product."""
        return self.cross_entropy + self.regularizer_product

    @property
    def final(self) -> float:
        """Final objective; infinity if it was ever not finite."""
        return float(self.objective[-1]) if np.isfinite(self.objective).all() else np.inf
