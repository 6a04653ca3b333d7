"""The small regression problem of the exact claims: 5 features, 3 outputs, 40 examples."""

from __future__ import annotations

import numpy as np

from lnn.core.problem import Problem

FEATURES, OUTPUTS = 5, 3
WORDS = "Gaussian features (40 x 5), labels $y = W x + 0.3$ noise with 3 outputs and a Gaussian $W$"


def example(p: float, seed: int = 0) -> Problem:
    """x (40, 5) Gaussian, y (40, 3) from a Gaussian matrix with noise of standard deviation 0.3."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((40, FEATURES))
    w = rng.standard_normal((OUTPUTS, FEATURES))
    return Problem(x, x @ w.T + 0.3 * rng.standard_normal((40, OUTPUTS)), p, name="example")


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference of matrices (..., k, d), relative to the largest of b.

    It is infinite or NaN, without a warning, if the matrices come from a run that diverged.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.linalg.norm(np.asarray(a) - np.asarray(b), axis=(-2, -1))
        largest = np.linalg.norm(np.asarray(b), axis=(-2, -1))
        return float(np.max(difference) / np.max(largest))
