"""What a training run is, and what it leaves. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lnn.studies.mnist.config import HARD_CODED_RATE

PER_DECADE = 4


class TrainingRun(NamedTuple):
    """A training run: the arm, its learning rate as quarters of a decade from 0.01, the seed."""

    arm: str
    power: int
    seed: int

    @property
    def rate(self) -> float:
        """The learning rate."""
        return rate_of(self.power)

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.arm}-rate{self.rate:.3g}-seed{self.seed}.npz"


def rate_of(power: int) -> float:
    """The learning rate at so many quarters of a decade from 0.01."""
    return float(HARD_CODED_RATE * 10 ** (power / PER_DECADE))


@dataclass(frozen=True)
class Curve:
    """The two terms of the loss along a run, dropout off, on a fixed set of training images.

    Attributes:
        steps: (T,) numbers of steps done when they were measured.
        cross_entropy: (T,) nats; not finite once a run has diverged.
        regularizer_product: (T,) of the network's matrices, products where they are factored.
        regularizer_factors: (T,) of what is trained: the same where nothing is factored.
        test_error: fraction of test images that the trained network gets wrong.
        seconds: how long the run took.
    """

    steps: np.ndarray
    cross_entropy: np.ndarray
    regularizer_product: np.ndarray
    regularizer_factors: np.ndarray
    test_error: float
    seconds: float

    @property
    def objective(self) -> np.ndarray:
        """(T,) cross-entropy and regularizer on the product."""
        return self.cross_entropy + self.regularizer_product

    @property
    def final(self) -> float:
        """The objective at the end; infinity if the run was ever not finite: it diverged."""
        return float(self.objective[-1]) if np.isfinite(self.objective).all() else np.inf
