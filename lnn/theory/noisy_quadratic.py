r"""Exact noisy gradient descent on quadratics: w+ = w - step grad f(w) + noise eps.

f(w) = w^T H w / 2 with eps ~ N(0, I), which is invariant under rotations, so H is given by its
eigenvalues (n,) and w (n,) by its coordinates along the eigenvectors. Time is in steps; step and
noise are constants.

Every coordinate is an autoregression of order one, w_i+ = (1 - step lambda_i) w_i + noise eps_i,
whose moments have closed forms. With learning rate $\eta$, noise $\sigma$ and g = H w, one step
decreases f on average by

$$\eta \|g\|^2 - \frac{\eta^2}{2} g^T H g - \frac{\sigma^2}{2} \mathrm{Tr} H$$

the second-order Taylor formula, exact for a quadratic. Equation numbers refer to the chapter
"Network expansions".
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lnn.core.precision import numerics

Vector = Float[np.ndarray, " n"]


def single_eigenvalue(mean: float, n: int) -> Vector:
    """Return the eigenvalues of f(w) = (mean n / 2) w_1^2: mean n, and zeros.

    Raises:
        ValueError: n < 1.

    Example:
        >>> print(lnn.noisy_quadratic.single_eigenvalue(mean=2.0, n=3))
        [6. 0. 0.]
    """
    return np.concatenate([[_count(n) * mean], np.zeros(n - 1)])


def equal_eigenvalues(mean: float, n: int) -> Vector:
    """Return the eigenvalues of f(w) = (mean / 2) |w|^2, all equal to the mean.

    Raises:
        ValueError: n < 1.

    Example:
        >>> print(lnn.noisy_quadratic.equal_eigenvalues(mean=2.0, n=3))
        [2. 2. 2.]
    """
    return np.full(_count(n), float(mean))


def on_the_diagonal(radius: float, n: int) -> Vector:
    """Return (radius / sqrt(n)) (1, ..., 1), where both losses are (mean / 2) radius^2 for every n.

    Raises:
        ValueError: n < 1.

    Example:
        >>> print(lnn.noisy_quadratic.on_the_diagonal(radius=6.0, n=4))
        [3. 3. 3. 3.]
    """
    return np.full(_count(n), radius / math.sqrt(n))


def loss(
    eigenvalues: Vector, w: Float[np.ndarray, "*batch n"]
) -> Float[np.ndarray, "*batch"] | np.float64:
    """Return f(w).

    Example:
        >>> print(lnn.noisy_quadratic.loss(np.array([1.0, 2.0]), np.array([3.0, 1.0])))
        5.5
    """
    return 0.5 * np.sum(eigenvalues * np.square(w), axis=-1)


def expected_speed(eigenvalues: Vector, w: Vector, step: float, noise: float) -> float:
    """Return E[f(w) - f(w+)] of one step from w; negative if the loss grows.

    Eqs. 5 to 11, 35 to 40 and 61 to 65, with the factor 1/2 of the second order.

    Raises:
        ValueError: eigenvalues and w are not of one shape (n,).

    Example:
        >>> print(lnn.noisy_quadratic.expected_speed(np.ones(2), np.ones(2), step=1.0, noise=0.5))
        0.75
    """
    slope, bend, trace = _local(eigenvalues, w)
    return step * slope - 0.5 * step**2 * bend - 0.5 * noise**2 * trace


def task_difficulty(eigenvalues: Vector, w: Vector, step: float, noise: float) -> float:
    """G = step g^T H g / |g|^2 + (noise^2 / step) Tr H / |g|^2; speed = step |g|^2 (1 - G / 2).

    Eqs. 14, 44 and 68.

    Raises:
        ValueError: shapes as in `expected_speed`, or the gradient is zero at w: G is infinite.

    Example:
        >>> print(lnn.noisy_quadratic.task_difficulty(np.ones(2), np.ones(2), step=1.0, noise=0.5))
        1.25
    """
    slope, bend, trace = _local(eigenvalues, w)
    if slope == 0:
        raise ValueError(
            "the gradient is zero at this w, where the difficulty is infinite: give another w"
        )
    return step * bend / slope + noise**2 / step * trace / slope


def optimal_step(eigenvalues: Vector, w: Vector, signal_to_noise: float) -> float:
    """Return the step of the highest expected speed from w, with noise = step / signal_to_noise.

    Eqs. 13, 41 and 66, with the factor 1/2 of the second order.

    Raises:
        ValueError: shapes as in `expected_speed`.

    Example:
        >>> print(lnn.noisy_quadratic.optimal_step(np.ones(3), np.ones(3), signal_to_noise=1.0))
        0.5
    """
    slope, bend, trace = _local(eigenvalues, w)
    return slope / (bend + trace / signal_to_noise**2)


def optimal_speed(eigenvalues: Vector, w: Vector, signal_to_noise: float) -> float:
    """Return the expected speed at the optimal step, half of step |g|^2. Eqs. 42 and 67.

    Raises:
        ValueError: shapes as in `expected_speed`.

    Example:
        >>> print(lnn.noisy_quadratic.optimal_speed(np.ones(3), np.ones(3), signal_to_noise=1.0))
        0.75
    """
    return 0.5 * optimal_step(eigenvalues, w, signal_to_noise) * _local(eigenvalues, w)[0]


def slowest_step_at_speed(
    eigenvalues: Vector, w: Vector, signal_to_noise: float, speed: float
) -> float:
    """Return the smaller of the two steps with this expected speed from w, at fixed ratio.

    Raises:
        ValueError: shapes as in `expected_speed`, or no step reaches this speed.

    Example:
        >>> print(lnn.noisy_quadratic.slowest_step_at_speed(np.ones(3), np.ones(3), 1.0, 0.5625))
        0.25
    """
    best = optimal_step(eigenvalues, w, signal_to_noise)
    top = optimal_speed(eigenvalues, w, signal_to_noise)
    if not 0 <= speed <= top:
        raise ValueError(f"speed {speed!r} cannot be reached: give one between 0 and {top:g}")
    return best * (1 - math.sqrt(1 - speed / top))


def second_moments(eigenvalues: Vector, w: Vector, step: float, noise: float, steps: int) -> Vector:
    """Return E[w_i^2] after this many steps from w; infinite on overflow.

    Example:
        >>> h, w = np.array([1.0, 0.0]), np.array([4.0, 4.0])
        >>> print(lnn.noisy_quadratic.second_moments(h, w, step=0.5, noise=1.0, steps=2))
        [ 2.25 18.  ]
    """
    squared = np.square(1 - step * np.asarray(eigenvalues, np.float64))
    start = np.square(np.asarray(w, np.float64))
    flat = squared == 1
    with np.errstate(over="ignore"):
        decay = squared**steps
        # The geometric sum 1 + squared + ...; `steps` itself in directions without curvature.
        total = np.where(flat, steps, (1 - decay) / np.where(flat, 1, 1 - squared))
        kept = np.multiply(decay, start, out=np.zeros_like(start), where=start > 0)
        return kept + (noise**2 * total if noise else 0.0)


def steady_second_moments(eigenvalues: Vector, step: float, noise: float) -> Vector:
    """Return E[w_i^2] in the stationary state: noise^2 / (1 - (1 - step lambda_i)^2).

    Infinite for step lambda_i outside (0, 2), where there is none.

    Example:
        >>> h = np.array([0.0, 1.0, 2.0])
        >>> print(lnn.noisy_quadratic.steady_second_moments(h, step=1.0, noise=0.5))
        [ inf 0.25  inf]
    """
    product = step * np.asarray(eigenvalues, np.float64)
    stable = (product > 0) & (product < 2)
    return np.where(stable, noise**2 / np.where(stable, product * (2 - product), 1), np.inf)


def steady_loss(eigenvalues: Vector, step: float, noise: float) -> float:
    """Return E[f] in the stationary state: the sum of noise^2 / (2 step (2 - step lambda_i)).

    Over lambda_i > 0: directions without curvature diffuse at no cost. Infinite if descent is
    unstable.

    Example:
        >>> print(lnn.noisy_quadratic.steady_loss(np.array([0.0, 1.0]), step=1.0, noise=0.5))
        0.125
    """
    curved = np.asarray(eigenvalues, np.float64)
    curved = curved[curved != 0]
    return float(0.5 * np.sum(curved * steady_second_moments(curved, step, noise)))


class Estimate(NamedTuple):
    """A mean over independent draws and its standard error.

    Example:
        >>> print(lnn.noisy_quadratic.Estimate(mean=0.75, error=0.01))
        Estimate(mean=0.75, error=0.01)
    """

    mean: float
    error: float


@numerics("float64")
def sampled_speed(
    key: jax.Array, eigenvalues: Vector, w: Vector, step: float, noise: float, draws: int
) -> Estimate:
    """Estimate E[f(w) - f(w+)] from draws of the noise, in float64.

    The control variate is noise eps . grad f at the noiseless point, whose mean is zero: it removes
    the first-order effect of the noise, but not the second order.

    Example:
        >>> h, w, key = np.ones(2), np.ones(2), jax.random.key(0)
        >>> mean, error = lnn.noisy_quadratic.sampled_speed(key, h, w, 1.0, noise=0.5, draws=1000)
        >>> bool(abs(mean - 0.75) < 4 * error)
        True
    """
    mean, error = _sampled_speed(
        key, *(jnp.asarray(v, jnp.float64) for v in (eigenvalues, w, step, noise)), draws
    )
    return Estimate(float(mean), float(error))


@partial(jax.jit, static_argnums=5)
def _sampled_speed(
    key: jax.Array, eigenvalues: jax.Array, w: jax.Array, step: jax.Array, noise: jax.Array,
    draws: int,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    moves = noise * jax.random.normal(key, (draws, w.size), jnp.float64)
    drift = w - step * eigenvalues * w
    f = partial(_loss, eigenvalues)
    control = jnp.sum(eigenvalues * drift * moves, axis=-1)
    values = f(w) - f(drift + moves) + control
    return jnp.mean(values), jnp.std(values, ddof=1) / math.sqrt(draws)


class Chains(NamedTuple):
    """Losses of independent chains.

    Attributes:
        loss: mean over the chains after each step, the start first.
        steady: mean loss over the second half of the steps, with the standard error from the
            scatter between chains.

    Example:
        >>> chains = lnn.noisy_quadratic.Chains(
        ...     np.array([0.5, 0.0]), lnn.noisy_quadratic.Estimate(0.0, 0.0)
        ... )
        >>> print(chains.loss, chains.steady.mean)
        [0.5 0. ] 0.0
    """

    loss: Float[np.ndarray, " steps+1"]
    steady: Estimate


@numerics("float64")
def simulate(
    key: jax.Array, eigenvalues: Vector, w: Vector, step: float, noise: float,
    steps: int, chains: int,
) -> Chains:  # fmt: skip
    """Run independent chains from w, in float64.

    Example:
        >>> h, w, key = np.array([1.0, 0.0]), np.array([4.0, 4.0]), jax.random.key(0)
        >>> lnn.noisy_quadratic.simulate(key, h, w, step=0.5, noise=0.0, steps=2, chains=1).loss
        array([8. , 2. , 0.5])
    """
    values, means = _simulate(
        key, *(jnp.asarray(v, jnp.float64) for v in (eigenvalues, w, step, noise)), steps, chains
    )
    late = np.asarray(means)
    error = float(np.std(late, ddof=1)) / math.sqrt(chains) if chains > 1 else math.nan
    return Chains(np.asarray(values), Estimate(float(late.mean()), error))


@partial(jax.jit, static_argnums=(5, 6))
def _simulate(
    key: jax.Array, eigenvalues: jax.Array, w: jax.Array, step: jax.Array, noise: jax.Array,
    steps: int, chains: int,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    start = jnp.broadcast_to(w, (chains, w.size))
    late = steps - steps // 2
    f = partial(_loss, eigenvalues)

    def advance(
        carry: tuple[jax.Array, jax.Array], t: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        v, total = carry
        moves = jax.random.normal(jax.random.fold_in(key, t), v.shape, jnp.float64)
        v = v - step * eigenvalues * v + noise * moves
        values = f(v)
        return (v, total + jnp.where(t >= steps - late, values, 0.0)), jnp.mean(values)

    (_, total), means = jax.lax.scan(advance, (start, jnp.zeros(chains)), jnp.arange(steps))
    return jnp.concatenate([f(w)[None], means]), total / late


def _loss(eigenvalues: jax.Array, w: jax.Array) -> jax.Array:
    return 0.5 * jnp.sum(eigenvalues * w**2, axis=-1)


def _local(eigenvalues: np.ndarray, w: np.ndarray) -> tuple[float, float, float]:
    curvature, point = np.asarray(eigenvalues, np.float64), np.asarray(w, np.float64)
    if curvature.ndim != 1 or curvature.shape != point.shape:
        raise ValueError(
            f"eigenvalues have shape {curvature.shape}, w has shape {point.shape}: both are (n,)"
        )
    gradient = curvature * point
    return (
        float(gradient @ gradient),
        float(gradient @ (curvature * gradient)),
        float(curvature.sum()),
    )


def _count(n: int) -> int:
    if n < 1:
        raise ValueError(f"n = {n!r}: give at least one dimension")
    return n
