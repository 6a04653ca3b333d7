"""Full-batch gradient descent of deep linear students on a linear teacher, with measurements.

A student W_L ... W_1 learns a low-rank teacher from noisy examples by gradient descent on (1/2)
mean |W x - y|^2. Only second moments of the examples enter, so the cost of a step does not depend
on their number. Runs are batched over a leading axis; time is in steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.linalg import dot
from lnn.core.network import Factors, end_to_end, init_factors
from lnn.theory import geometry

FEATURES = 32
OUTPUTS = 32
RANK = 16
"""Of the teacher, whose singular values are 2 * 0.85^i."""


class Moments(NamedTuple):
    """Batched second moments of examples: xx = x^T x / m, yx = y^T x / m, yy = mean |y|^2."""

    xx: Any
    yx: Any
    yy: Any

    def loss(self, w: jax.Array) -> jax.Array:
        """Return (1/2) mean |W x - y|^2, shape (...), for W (..., k, d)."""
        square = jnp.sum(dot(w, self.xx) * w, (-1, -2)) - 2 * jnp.sum(w * self.yx, (-1, -2))
        return (square + self.yy) / 2

    def gradient(self, w: jax.Array) -> jax.Array:
        """Return its gradient, shape (..., k, d)."""
        return dot(w, self.xx) - self.yx


def moments(x: np.ndarray, y: np.ndarray) -> Moments:
    """Return second moments of examples x (m, d), y (m, k), in float64."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return Moments(x.T @ x / len(x), y.T @ x / len(x), np.sum(y**2) / len(y))


def teacher_task(
    seed: int, samples: int = 400, noise: float = 0.3, validation: int = 2000
) -> tuple[Moments, Moments]:
    """Return training and validation moments of a noisy low-rank linear teacher on Gaussian inputs.

    32 inputs and 32 outputs, teacher of rank 16 with singular values 2 * 0.85^i, and noise of
    standard deviation `noise` on every output. Teacher and validation examples of a seed do not
    depend on the number of training samples.
    """
    teacher_rng, train_rng, validation_rng = np.random.default_rng((seed, 0)).spawn(3)
    left, right = (
        np.linalg.qr(teacher_rng.standard_normal((size, RANK)))[0] for size in (OUTPUTS, FEATURES)
    )
    teacher = (left * (2 * 0.85 ** np.arange(RANK))) @ right.T

    def examples(rng: np.random.Generator, count: int) -> Moments:
        x = rng.standard_normal((count, FEATURES))
        return moments(x, x @ teacher.T + noise * rng.standard_normal((count, OUTPUTS)))

    return examples(train_rng, samples), examples(validation_rng, validation)


def gaussian_factors(
    seed: int, dims: Sequence[int], std: float | None = None, gain: float | None = None
) -> Factors:
    """Return Gaussian factors for layer sizes `dims` (d, n_1, ..., k), float64.

    Either `std` is the standard deviation of every entry, or `gain` that times the root of the
    layer's inputs.

    Raises:
        ValueError: unless exactly one of std and gain is given.
    """
    if (std is None) == (gain is None):
        raise ValueError(f"std = {std}, gain = {gain}: give one of the two")
    factors = init_factors(jax.random.key(seed), dims, "near-zero", 1.0)
    scales = [std if gain is None else gain / np.sqrt(inputs) for inputs, _ in pairwise(dims)]
    return tuple(scale * factor for scale, factor in zip(scales, factors, strict=True))


def narrowed(factors: Factors) -> Factors:
    """Return the same training run in a network of hidden width d + k, whatever its width.

    The rows of Z = [W_1, W_2^T] (h, d + k) are the hidden units. A rotation of them changes neither
    W_2 W_1 nor any length or angle, and commutes with gradient descent, so R of Z = Q R behaves
    like Z. Units that are zero on both sides stay zero, and pad narrow networks. Hence two-layer
    runs of all widths fit in one batch, and the widest cost no more than h = d + k.
    """
    first, second = map(np.asarray, factors)
    units = np.hstack([first, second.T])
    width = units.shape[1]
    if len(units) > width:
        units = np.linalg.qr(units)[1]
    units = np.vstack([units, np.zeros((width - len(units), width))])
    return units[:, : first.shape[1]], units[:, first.shape[1] :].T


def narrowed_scalar_start(seed: int, width: int, std: float, runs: int) -> Factors:
    """Return Gaussian starts of f(x) = sum_i a_i b_i x, as by `narrowed`: (runs, 2, 1) and (runs,
    1, 2).

    R of the (width, 2) matrix [a, b] = Q R has a chi-distributed diagonal and a Gaussian corner
    (Bartlett's decomposition), so starts of any width are drawn at the same cost.
    """
    rng = np.random.default_rng(seed)
    units = np.zeros((runs, 2, 2))
    units[:, 0, 0] = np.sqrt(rng.chisquare(width, runs))
    units[:, 0, 1] = rng.standard_normal(runs)
    if width > 1:
        units[:, 1, 1] = np.sqrt(rng.chisquare(width - 1, runs))
    units *= std
    return units[:, :, :1], units[:, :, 1:].transpose(0, 2, 1)


class Curves(NamedTuple):
    """Measurements at the start and after each of `steps` steps: (runs, steps + 1).

    Attributes:
        validation: the validation loss.
        distance: direct distance from the start, over all weights.
        path: length of the path so far.
        gradient: norm of the gradient.
    """

    validation: np.ndarray
    distance: np.ndarray
    path: np.ndarray
    gradient: np.ndarray


def descend(
    factors: Factors, train: Moments, validation: Moments, rate: np.ndarray, steps: int
) -> Curves:
    """Run gradient descent of a batch of networks W_1, ..., W_L, each (runs, n_j, n_(j-1)).

    Moments have a leading axis of runs, and `rate` is (runs,).
    """
    return Curves(*(np.asarray(c).T for c in _descend(factors, train, validation, rate, steps)))


def mean_angles(
    factors: Factors, train: Moments, rate: np.ndarray, halts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return A_s and A_e of each run, averaged over its steps, in degrees, (runs,).

    Runs twice, since the angle to the end requires the end. Averages are over times 1 to halt - 1,
    where both angles exist; `halts` (runs,) are at least 2, other arguments as in `descend`.

    Raises:
        ValueError: a run ends before step 2.
    """
    halts = np.asarray(halts)
    if halts.min() < 2:
        raise ValueError(f"a run ends at step {halts.min()}: give ends of at least 2")
    sums = _sum_angles(factors, train, rate, halts, int(halts.max()))
    to_start, to_end = (np.degrees(np.asarray(total) / (halts - 1)) for total in sums)
    return to_start, to_end


def stack(items: Sequence[Any]) -> Any:
    """Stack pytrees of equal shapes along a new leading axis of runs, as JAX arrays."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *items)


@partial(jax.jit, static_argnames="steps")
def _descend(
    factors: Factors, train: Moments, validation: Moments, rate: jax.Array, steps: int
) -> tuple[jax.Array, ...]:
    def record(factors: Factors, track: geometry.Track) -> tuple[tuple[jax.Array, ...], Factors]:
        gradients = _gradients(factors, train)
        size = jax.vmap(geometry.norm)(gradients)
        distance = jax.vmap(lambda track: track.distance)(track)
        return (validation.loss(end_to_end(factors)), distance, track.path, size), gradients

    def step(
        state: tuple[Factors, geometry.Track], _: None
    ) -> tuple[tuple[Factors, geometry.Track], tuple[jax.Array, ...]]:
        factors, track = state
        seen, gradients = record(factors, track)
        factors = _move(factors, gradients, rate)
        return (factors, jax.vmap(geometry.update)(track, factors)), seen

    start = (factors, jax.vmap(geometry.init)(factors))
    return jax.lax.scan(step, start, None, length=steps + 1)[1]


@partial(jax.jit, static_argnames="longest")
def _sum_angles(
    start: Factors, train: Moments, rate: jax.Array, halts: jax.Array, longest: int
) -> tuple[jax.Array, jax.Array]:
    def step(factors: Factors, time: jax.Array) -> tuple[Factors, None]:
        moving = jnp.where(time < halts, rate, 0)
        return _move(factors, _gradients(factors, train), moving), None

    end = jax.lax.scan(step, start, jnp.arange(longest))[0]

    def measure(
        state: tuple[Factors, jax.Array, jax.Array], time: jax.Array
    ) -> tuple[tuple[Factors, jax.Array, jax.Array], None]:
        factors, to_start, to_end = state
        gradients = _gradients(factors, train)
        updates = jax.tree.map(jnp.negative, gradients)
        inside = (time > 0) & (time < halts)
        back = jax.vmap(geometry.angle_to_start)(updates, factors, start)
        ahead = jax.vmap(geometry.angle_to_end)(updates, factors, end)
        to_start += jnp.where(inside, back, 0)
        to_end += jnp.where(inside, ahead, 0)
        return (_move(factors, gradients, rate), to_start, to_end), None

    zeros = jnp.zeros(rate.shape, start[0].dtype)
    _, to_start, to_end = jax.lax.scan(measure, (start, zeros, zeros), jnp.arange(longest))[0]
    return to_start, to_end


def _gradients(factors: Factors, train: Moments) -> Factors:
    product, pull = jax.vjp(end_to_end, factors)
    return pull(train.gradient(product))[0]


def _move(factors: Factors, gradients: Factors, rate: jax.Array) -> Factors:
    return jax.tree.map(lambda w, g: w - rate[:, None, None] * g, factors, gradients)
