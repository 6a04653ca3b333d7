"""The reference optimum of l_p regression, by a convex solver in float64 on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg, optimize

from lnn.problem import Problem

GRADIENT_TOLERANCE = 1e-10
"""Required |gradient at w*| / |gradient at 0|."""

_MAX_ITERATIONS = 300


def reference_optimum(problem: Problem, weight_decay: float = 0.0) -> tuple[np.ndarray, float]:
    """The minimizer w* (k, d) of L(w) + (weight_decay / 2) |w|^2, and its value.

    Each output is a convex problem of its own, solved by Newton's method (for p < 2 by its scaled
    form, iteratively reweighted least squares) with an exact line search. Directions come from
    rank-revealing least squares, never from the Gram matrix, so an ill-conditioned or
    rank-deficient x is no obstacle: then w* is one of the minimizers. For p = 2 one step suffices.

    Raises:
        ValueError: weight_decay negative.
        ArithmeticError: the gradient did not fall to 1e-10 of its value at w = 0.
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay = {weight_decay}: give a number >= 0")
    x = np.asarray(problem.x, np.float64)
    labels = np.asarray(problem.y, np.float64).reshape(problem.m, -1)
    w = np.stack([_solve(x, y, float(problem.p), weight_decay) for y in labels.T])
    residual = np.abs(x @ w.T - labels)
    loss = np.sum(np.mean(residual**problem.p, axis=0)) / problem.p
    return w, float(loss + 0.5 * weight_decay * np.sum(w**2))


def _solve(x: np.ndarray, y: np.ndarray, p: float, decay: float) -> np.ndarray:
    m, d = x.shape
    scale = np.max(np.abs(y))
    if scale == 0:
        return np.zeros(d)
    # Labels of size one keep |r|^p in range; dividing the objective by scale^p moves the decay.
    y, decay = y / scale, decay * scale ** (2 - p)

    def gradient(w: np.ndarray) -> np.ndarray:
        residual = x @ w - y
        return x.T @ (np.sign(residual) * np.abs(residual) ** (p - 1)) / m + decay * w

    w = np.zeros(d)
    start = np.linalg.norm(gradient(w))
    for _ in range(_MAX_ITERATIONS):
        if np.linalg.norm(gradient(w)) <= 0.1 * GRADIENT_TOLERANCE * start:
            break
        direction = _newton_direction(x, x @ w - y, w, p, decay)
        step = _exact_step(gradient, w, direction)
        if step == 0:
            break  # descent has reached the rounding of the gradient
        w = w + step * direction
    ratio = np.linalg.norm(gradient(w)) / max(start, np.finfo(np.float64).tiny)
    # Labels that are fitted to rounding: for p < 2 the gradient magnifies what is left of them.
    fitted = np.max(np.abs(x @ w - y)) <= 1e-13
    if ratio > GRADIENT_TOLERANCE and not fitted:
        raise ArithmeticError(
            f"the reference solver for p = {p:g} stopped at a relative gradient of {ratio:.1e}, "
            f"above {GRADIENT_TOLERANCE:g}: scale the features to similar size, or choose p "
            "further from 1"
        )
    return w * scale


def _newton_direction(
    x: np.ndarray, residual: np.ndarray, w: np.ndarray, p: float, decay: float
) -> np.ndarray:
    """Minimizer of the quadratic model with curvature c |r|^(p-2), as a least squares problem.

    c = p - 1 is Newton's; c = 1 for p < 2, where the whole step is the safer guess. There the
    curvature has no bound at a zero residual and is capped.
    """
    size = np.abs(residual)
    if p < 2:
        size = np.maximum(size, np.finfo(np.float64).eps * np.max(size))
    root = np.sqrt(max(p - 1, 1.0)) * size ** (p / 2 - 1)
    pull = -np.sign(residual) * size ** (p / 2) / np.sqrt(max(p - 1, 1.0))
    rows = root[:, None] * x
    if decay > 0:
        ridge = np.sqrt(len(x) * decay)
        rows = np.vstack([rows, ridge * np.eye(w.size)])
        pull = np.concatenate([pull, -ridge * w])
    cutoff = max(rows.shape) * np.finfo(np.float64).eps
    return linalg.lstsq(rows, pull, cond=cutoff, lapack_driver="gelsy", check_finite=False)[0]


def _exact_step(
    gradient: Callable[[np.ndarray], np.ndarray], w: np.ndarray, direction: np.ndarray
) -> float:
    """The minimizer along a descent direction; 0 if rounding leaves none."""

    def slope(t: float) -> float:
        return float(gradient(w + t * direction) @ direction)

    if slope(0.0) >= 0:
        return 0.0
    far = 1.0
    while slope(far) < 0:
        far *= 2
        if far > 2**60:
            return far
    return float(optimize.brentq(slope, 0.0, far, xtol=1e-14, rtol=1e-12, disp=False))
