"""The end-to-end rule in extended precision, by other means than `lnn.core.spectral`.

Small shapes: eigendecomposition of the Gram matrix at 60 digits (mpmath). Large ones: one-sided
Jacobi in 80-bit long double. Whole depths sum the definition term by term with matrix powers;
real depths use the closed form of each pair of singular values, infinity its logarithmic mean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import mpmath as mp
import numpy as np
import pytest

DIGITS = 60
LONG_DOUBLE = bool(np.finfo(np.longdouble).eps < 2e-19)
"""Whether this machine's long double is wide enough to judge a float64 result."""


class ExactFrame(NamedTuple):
    """Rank part of the frame of W (k, d): u (k, rank), s, v (d, rank), in extended precision."""

    u: np.ndarray
    s: list[mp.mpf]
    v: np.ndarray

    def rounded(self) -> ExactFrame:
        """The same with float64 vectors: a rule applied with it is good to about 1e-15."""
        return ExactFrame(self.u.astype(np.float64), self.s, self.v.astype(np.float64))


def mp_frame(w: np.ndarray) -> ExactFrame:
    if w.shape[0] > w.shape[1]:
        u, s, v = mp_frame(w.T)
        return ExactFrame(v, s, u)
    with mp.workdps(DIGITS):
        exact = _to_mp(w)
        values, vectors = mp.eigsy(mp.matrix((exact @ exact.T).tolist()))
        largest = max(values)
        kept = [i for i in range(len(values)) if values[i] > largest * mp.mpf(10) ** -40]
        s = [mp.sqrt(values[i]) for i in kept]
        u = np.array([[vectors[row, i] for i in kept] for row in range(w.shape[0])], object)
        u = u.reshape(w.shape[0], len(kept))
        return ExactFrame(u, s, exact.T @ u / np.array(s, object))


def long_frame(w: np.ndarray) -> ExactFrame:
    if w.shape[0] > w.shape[1]:
        u, s, v = long_frame(w.T)
        return ExactFrame(v, s, u)
    # A float64 guess spares sweeps; one Newton step makes it orthogonal to long double.
    guess = np.linalg.svd(w)[0].astype(np.longdouble)
    identity = np.eye(len(w), dtype=np.longdouble)
    u = guess @ (3 * identity - guess.T @ guess) / 2
    b, u = _jacobi(w.T.astype(np.longdouble) @ u, u)
    s = np.sqrt((b * b).sum(axis=0))
    kept = s > 1e-16 * s.max()
    return ExactFrame(u[:, kept], [_long_to_mp(x) for x in s[kept]], b[:, kept] / s[kept])


def end_to_end_rule(frame: ExactFrame, g: np.ndarray, depth: float) -> np.ndarray:
    """sum_j [W W^T]^((j-1)/N) g [W^T W]^((N-j)/N), divided by N at N = inf; rounded to float64."""
    with mp.workdps(DIGITS):
        exact = _to_mp(g) if frame.u.dtype == object else g.astype(frame.u.dtype)
        if math.isfinite(depth) and float(depth).is_integer():
            return _definition(frame, exact, int(depth)).astype(np.float64)
        return _pairs(frame, exact, depth).astype(np.float64)


def _definition(frame: ExactFrame, g: np.ndarray, depth: int) -> np.ndarray:
    def power(numerator: int) -> np.ndarray:
        exponent = mp.mpf(2 * numerator) / depth
        return _like(frame.u, np.array([s**exponent for s in frame.s], object))

    total = g * 0
    for j in range(1, depth + 1):
        term = g
        if j > 1:
            term = (frame.u * power(j - 1)) @ (frame.u.T @ term)
        if j < depth:
            term = ((term @ frame.v) * power(depth - j)) @ frame.v.T
        total = total + term
    return total


def _pairs(frame: ExactFrame, g: np.ndarray, depth: float) -> np.ndarray:
    u, v = frame.u, frame.v
    squares = [s**2 for s in frame.s]
    limit = math.isinf(depth)
    roots = [mp.log(a) if limit else a ** (1 / mp.mpf(depth)) for a in squares]

    def factor(i: int, j: int) -> mp.mpf:
        a, b = squares[i], squares[j]
        if abs(a - b) < max(a, b) * mp.mpf(10) ** -30:
            return a if limit else depth * a / roots[i]
        return (a - b) / (roots[i] - roots[j])

    count = range(len(squares))
    factors = _like(u, np.array([[factor(i, j) for j in count] for i in count], object))
    inside = u.T @ g @ v
    update = u @ (factors * inside) @ v.T
    if not limit:
        edge = _like(
            u, np.array([a / root for a, root in zip(squares, roots, strict=True)], object)
        )
        update = update + (u * edge) @ (u.T @ g - inside @ v.T)
        update = update + ((g @ v - u @ inside) * edge) @ v.T
    return update


def _jacobi(b: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotate pairs of columns until all are orthogonal; u takes part in the rotations."""
    stacked = np.concatenate([b, u])
    rows, n = b.shape
    players = list(range(n + n % 2))
    for _ in range(30):
        worst = 0.0
        for _ in range(len(players) - 1):
            half = len(players) // 2
            pairs = zip(players[:half], players[: half - 1 : -1], strict=True)
            left, right = np.array([pair for pair in pairs if max(pair) < n]).T
            players = [players[0], players[-1], *players[1:-1]]
            x, y = stacked[:, left], stacked[:, right]
            xx, yy = (x[:rows] ** 2).sum(axis=0), (y[:rows] ** 2).sum(axis=0)
            xy = (x[:rows] * y[:rows]).sum(axis=0)
            size = np.sqrt(xx * yy)
            real = np.minimum(xx, yy) > 1e-32 * max(xx.max(), yy.max())
            cosines = np.abs(xy[real]) / size[real]
            worst = max(worst, float(cosines.max(initial=0)))
            zeta = (yy - xx) / (2 * np.where(xy == 0, 1, xy))
            t = np.where(zeta < 0, -1, 1) / (np.abs(zeta) + np.sqrt(1 + zeta**2))
            t = np.where(xy == 0, 0, t)
            cosine = 1 / np.sqrt(1 + t * t)
            stacked[:, left] = cosine * (x - t * y)
            stacked[:, right] = cosine * (t * x + y)
        if worst < 1e-17:
            return stacked[:rows], stacked[rows:]
    raise ArithmeticError(f"Jacobi left a cosine of {worst:.1e}")


def _to_mp(a: np.ndarray) -> np.ndarray:
    return np.array([[mp.mpf(float(x)) for x in row] for row in a], object)


def _long_to_mp(x: np.longdouble) -> mp.mpf:
    high = float(x)
    return mp.mpf(high) + mp.mpf(float(x - np.longdouble(high)))


def _like(pattern: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (mpf) in the number type of the frame."""
    if pattern.dtype == object:
        return values
    high = values.astype(np.float64)
    low = (values - high).astype(np.float64)
    return high.astype(pattern.dtype) + low.astype(pattern.dtype)


def orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def matrix_of_condition(rng: np.random.Generator, shape: tuple[int, int], condition: float):
    k, d = shape
    r = min(shape)
    return orthonormal(rng, k, r) * np.geomspace(1, 1 / condition, r) @ orthonormal(rng, d, r).T


def matrix_of_rank(rng: np.random.Generator, shape: tuple[int, int], rank: int) -> np.ndarray:
    """Whole numbers below 2^24: the rank is exact in float32 too."""
    left = rng.integers(-4, 5, (shape[0], rank))
    w = (left @ rng.integers(-4, 5, (rank, shape[1]))).astype(np.float64)
    assert np.linalg.matrix_rank(w) == rank
    return w


def case(
    shape: tuple[int, int], condition: float | None, seed: int, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, *shape])
    if condition is None:
        w = matrix_of_rank(rng, shape, min(shape) // 2)
    else:
        w = matrix_of_condition(rng, shape, condition)
    return w.astype(dtype), rng.standard_normal(shape).astype(dtype)


def exact_frame(w: np.ndarray) -> ExactFrame:
    w = w.astype(np.float64)
    if min(w.shape) > 10:
        if not LONG_DOUBLE:
            pytest.skip("long double is not wider than double here: no oracle for 128 x 128")
        return long_frame(w).rounded()
    frame = mp_frame(w)
    return frame if max(w.shape) < 10 else frame.rounded()


def relative_error(found: jax.Array | np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(found, np.float64) - true) / np.linalg.norm(true))
