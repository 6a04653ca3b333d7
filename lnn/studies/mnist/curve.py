"""What a training run leaves, and how it is kept. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from lnn.core import files


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


def save(path: Path, curve: Curve) -> None:
    """Keep it."""
    files.save(path, vars(curve))


def load(path: Path) -> Curve | None:
    """The curve, None if there is none or it is damaged: then it is made again."""
    found = files.load(path)
    if found is None or set(found) != {item.name for item in fields(Curve)}:
        return None
    test_error, seconds = (float(found.pop(name)) for name in ("test_error", "seconds"))
    return Curve(**found, test_error=test_error, seconds=seconds)
