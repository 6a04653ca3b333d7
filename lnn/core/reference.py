"""Reference optimum of l_p regression, by a convex solver in float64 on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg, optimize

from lnn.core.linalg import Array, reduced_rows, row_blocks
from lnn.core.precision import one_blas_thread
from lnn.core.problem import Problem

GRADIENT_TOLERANCE = 1e-10
"""Required |gradient at w*| / |gradient at 0|."""

GAP_TOLERANCE = 1e-6
"""Or else the required duality gap, relative to the decrease of the loss from w = 0."""

_MAX_ITERATIONS = 300


def reference_optimum(
    problem: Problem, weight_decay: float = 0.0
) -> tuple[Float[np.ndarray, "k d"], float]:
    """Return the minimizer w* of L(w) + (weight_decay / 2) |w|^2, and its value.

    Each output is a separate convex problem, solved by Newton's method (for p < 2 by iteratively
    reweighted least squares) with an exact line search. Directions come from rank-revealing least
    squares, never from the Gram matrix, so x may be ill-conditioned or rank-deficient, where w* is
    one of the minimizers. For p = 2 one step suffices.

    Raises:
        ValueError: weight_decay is negative.
        ArithmeticError: the gradient did not decrease to 1e-10 of its value at w = 0, and the
            duality gap is not below 1e-6 of the decrease, as may happen for p below 1.1.

    Example:
        >>> w, loss = lnn.reference_optimum(lnn.datasets.two_point(3.0, 1.0, p=4))
        >>> print(w.round(6), round(loss, 6))
        [[3. 1.]] 0.0
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay = {weight_decay}: give a number >= 0")
    x, p = problem.x, float(problem.p)
    labels = np.asarray(problem.y).reshape(problem.m, -1)
    with one_blas_thread():
        w = np.stack([_solve(x, y, p, weight_decay) for y in labels.T])
        loss = sum(np.sum(np.abs(block @ w.T - labels[rows]) ** p) for rows, block in row_blocks(x))
    return w, float(loss / (problem.m * p) + 0.5 * weight_decay * np.sum(w**2))


def _solve(x: Array, y: np.ndarray, p: float, decay: float) -> np.ndarray:
    scale = float(np.max(np.abs(y)))
    if scale == 0:
        return np.zeros(x.shape[1])
    # Labels of size one keep |r|^p in range; dividing the objective by scale^p rescales the decay.
    objective = _Objective(x, y, scale, p, decay * scale ** (2 - p))
    w = np.zeros(x.shape[1])
    residual = np.empty(y.size)
    gradient = objective.evaluate(w, residual)
    start = best = np.linalg.norm(gradient)
    # Labels may be fitted to rounding, which for p < 2 the gradient magnifies.
    optimum, fitted = w, False
    for _ in range(_MAX_ITERATIONS):
        if best <= 0.1 * GRADIENT_TOLERANCE * start:
            break
        direction = objective.newton_direction(w, residual)
        descends = gradient @ direction < 0
        step = _exact_step(objective.slope(w, residual, direction)) if descends else 0.0
        if step == 0:
            break  # descent has reached the rounding of the gradient
        w = w + step * direction
        gradient = objective.evaluate(w, residual)
        size = np.linalg.norm(gradient)
        if size < best:
            best, optimum = size, w
            fitted = all(np.max(np.abs(part)) <= 1e-13 for _, part in row_blocks(residual))
    ratio = best / max(start, np.finfo(np.float64).tiny)
    if ratio > GRADIENT_TOLERANCE and not fitted:
        # Near p = 1 the gradient jumps at residuals of zero, and rounding bounds it from below.
        objective.evaluate(optimum, residual)
        gap = objective.duality_gap(optimum, residual)
        if not gap <= GAP_TOLERANCE:
            raise ArithmeticError(
                f"the reference solver for p = {p:g} stopped at a relative gradient of "
                f"{ratio:.1e}, above {GRADIENT_TOLERANCE:g}, and a duality gap of {gap:.1e} of the "
                f"decrease from w = 0, above {GAP_TOLERANCE:g}: choose p further from 1"
            )
    return optimum * scale


@dataclass(frozen=True)
class _Objective:
    """L(w) + (decay / 2) |w|^2 of one output with labels y / scale: x (m, d), y (m,).

    x and y have any float dtype, cast block by block for products with float64 vectors.
    """

    x: Array
    y: np.ndarray
    scale: float
    p: float
    decay: float

    def evaluate(self, w: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Return the gradient (d,) at w (d,), and write residuals to `residual` (m,), float64."""
        gradient = np.zeros_like(w)
        for rows, block in row_blocks(self.x):
            residual[rows] = block @ w - self.y[rows].astype(np.float64) / self.scale
            gradient += self._pulled(residual[rows]) @ block
        return gradient / len(residual) + self.decay * w

    def slope(
        self, w: np.ndarray, residual: np.ndarray, direction: np.ndarray
    ) -> Callable[[float], float]:
        """Return the derivative along w + t direction as a function of t, after one pass over x."""
        along = np.empty_like(residual)
        for rows, block in row_blocks(self.x):
            along[rows] = block @ direction

        def at(t: float) -> float:
            data = sum(
                self._pulled(residual[rows] + t * change) @ change
                for rows, change in row_blocks(along)
            )
            return float(data / len(along) + self.decay * (w + t * direction) @ direction)

        return at

    def newton_direction(self, w: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Minimize the quadratic model with curvature c |r|^(p-2), as a least squares problem.

        c = p - 1 is Newton's; c = 1 for p < 2, where the full step is safer. There the curvature is
        unbounded at zero residuals, and capped.
        """
        p, d = self.p, w.size
        real = np.finfo(np.float64)
        largest = max(np.max(np.abs(part)) for _, part in row_blocks(residual))
        smallest = real.eps * largest + real.tiny if p < 2 else 0.0
        curvature = np.sqrt(max(p - 1, 1.0))

        def weighted() -> Iterator[np.ndarray]:
            for rows, block in row_blocks(self.x):
                size = np.maximum(np.abs(residual[rows]), smallest)
                out = np.empty((len(block), d + 1), order="F")
                root = curvature * size ** (p / 2 - 1)
                np.multiply(root[:, None], block, out=out[:, :d])
                out[:, d] = -np.sign(residual[rows]) * size ** (p / 2) / curvature
                yield out
            if self.decay > 0:
                ridge = np.sqrt(len(residual) * self.decay)
                yield np.column_stack([ridge * np.eye(d), -ridge * w])

        system = reduced_rows(weighted(), d + 1)
        count = len(residual) + (d if self.decay > 0 else 0)
        cutoff = max(count, d) * real.eps
        return linalg.lstsq(
            system[:, :d], system[:, d], cond=cutoff, lapack_driver="gelsy", check_finite=False
        )[0]

    def duality_gap(self, w: np.ndarray, residual: np.ndarray) -> float:
        """Return an upper bound of (objective at w - minimum) / (objective at 0 - at w).

        The dual of min_w sum |r_i|^p / p + c |w|^2 / 2, with r = x w - y, c = m decay and
        1/p + 1/q = 1, is max_u -u.y - sum |u_i|^q / q - |x^T u|^2 / (2 c); without decay, x^T u = 0
        is required instead (Boyd and Vandenberghe, Convex Optimization, Section 5.5). At the
        optimum u = sign(r) |r|^(p-1), which is projected, and scaled to the best multiple.
        """
        p, q = self.p, self.p / (self.p - 1)
        y = np.concatenate([part.astype(np.float64) for _, part in row_blocks(self.y)]) / self.scale
        c = residual.size * self.decay
        x = np.concatenate([block.astype(np.float64) for _, block in row_blocks(self.x)])
        u = self._pulled(residual)
        if not c:
            left, singular, _ = linalg.svd(x, full_matrices=False, check_finite=False)
            frame = left[:, singular > max(x.shape) * np.finfo(np.float64).eps * singular[0]]
            for _ in range(2):  # twice removes what rounding left
                u = u - frame @ (frame.T @ u)
        primal = np.sum(np.abs(residual) ** p) / p + 0.5 * c * (w @ w)
        pull = float(np.sum((x.T @ u) ** 2)) / (2 * c) if c else 0.0
        along, largest = -float(u @ y), float(np.max(np.abs(u)))
        if not along > 0:
            return np.inf
        powers = float(np.sum((np.abs(u) / largest) ** q)) / q

        def dual(log_t: float) -> float:
            t = np.exp(log_t)
            with np.errstate(over="ignore"):
                value = t * along - (t * largest) ** q * powers - t**2 * pull
            return float(max(value, -np.finfo(np.float64).max))

        # The best multiple is near 1, where dual is concave.
        best = optimize.minimize_scalar(
            lambda log_t: -dual(log_t), bounds=(-1.0, 1.0), method="bounded",
            options={"xatol": 1e-12},
        )  # fmt: skip
        value = max(dual(float(best.x)), dual(0.0))
        decrease = np.sum(np.abs(y) ** p) / p - primal
        return float((primal - value) / decrease) if decrease > 0 else np.inf

    def _pulled(self, residual: np.ndarray) -> np.ndarray:
        return np.sign(residual) * np.abs(residual) ** (self.p - 1)


def _exact_step(slope: Callable[[float], float]) -> float:
    """Return the minimizer along a descent direction, from its slope; 0 within rounding."""
    if slope(0.0) >= 0:
        return 0.0
    far = 1.0
    while slope(far) < 0:
        far *= 2
        if far > 2**60:
            return far
    return float(optimize.brentq(slope, 0.0, far, xtol=1e-14, rtol=1e-12, disp=False))
