"""The document's two expansions, its default numbers, and measurements on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize

from lnn.theory import noisy_quadratic as nq

MEAN = 1.5
RADIUS = 2.0
RATIO = 0.7
"""Average eigenvalue rho, distance w_0 of the start, and signal-to-noise ratio sigma."""
PARABOLA = np.array([2.0])
"""Eigenvalue of f(w) = w^2."""
SLIP = (
    r"the second-order term of Taylor's formula, eq. 6, is printed without its factor "
    r"$\frac{1}{2}$"
)
"""The one slip behind all formulas of the speed, of the best step and of the difficulty there."""
KINDS: dict[str, Callable[[float, int], np.ndarray]] = {
    "N1": lambda mean, n: nq.single_eigenvalue(mean, n),
    "N2": lambda mean, n: nq.equal_eigenvalues(mean, n),
}
"""N1: one eigenvalue rho N, the others zero. N2: N eigenvalues rho."""


def case(kind: str, n: int, radius: float = RADIUS) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues of an expansion, and the point on the diagonal at this distance."""
    return KINDS[kind](MEAN, n), nq.on_the_diagonal(radius, n)


def speed_from_moments(eigenvalues: np.ndarray, w: np.ndarray, step: float, noise: float) -> float:
    """Return the expected decrease of the loss in one step, from the second moments after it."""
    after = nq.second_moments(eigenvalues, w, step, noise, 1)
    return float(nq.loss(eigenvalues, w) - 0.5 * np.sum(eigenvalues * after))


def fastest(eigenvalues: np.ndarray, w: np.ndarray, ratio: float = RATIO) -> tuple[float, float]:
    """Search the step of the highest expected speed at fixed ratio; return step and speed."""
    # Rounding of a loss near 1 hides changes of the speed below 1e-16: measure it in its own size.
    unit = float(nq.loss(eigenvalues, w))
    found = optimize.minimize_scalar(
        lambda log: (
            -speed_from_moments(eigenvalues, w, float(np.exp(log)), float(np.exp(log)) / ratio)
            / unit
        ),
        bracket=tuple(np.log([0.1, 1.0]) - np.log(eigenvalues.max())),
        options={"xtol": 1e-9},
    )
    return float(np.exp(found.x)), float(-found.fun * unit)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest |found / expected - 1|."""
    return float(np.max(np.abs(np.asarray(found) / np.asarray(expected) - 1)))
