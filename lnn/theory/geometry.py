"""Geometry of trajectories in weight space: distances, angles, and halting times.

Path lengths of any optimizer are tracked online, for any pytree of parameters and in memory
proportional to it. Keep the tracker with the optimizer's state:

    >>> import jax, jax.numpy as jnp, optax
    >>> from lnn import geometry
    >>> def loss(params):
    ...     return jnp.sum((params["w"] - 1.0) ** 2)
    >>> params = {"w": jnp.zeros(4)}
    >>> optimizer = optax.sgd(0.25)
    >>> @jax.jit
    ... def step(params, state, track):
    ...     updates, state = optimizer.update(jax.grad(loss)(params), state)
    ...     params = optax.apply_updates(params, updates)
    ...     return params, state, geometry.update(track, params)
    >>> state, track = optimizer.init(params), geometry.init(params)
    >>> for _ in range(3):
    ...     params, state, track = step(params, state, track)
    >>> print(track.steps, track.step, track.path, track.distance)
    3 0.25 1.75 1.75

Angles to the end of a path require its end: record the trajectory, or run it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import special

from lnn.core.checks import check_whole

Params = Any
"""A pytree of arrays."""


class Track(NamedTuple):
    r"""Lengths of a trajectory so far. A pytree.

    Attributes:
        start: the parameters at step 0.
        last: the latest parameters.
        path: length of the path, $\sum_t \|\theta_{t+1} - \theta_t\|$.
        step: length of the latest step.
        steps: number of steps.

    Example:
        >>> track = lnn.geometry.init(jnp.zeros(2))
        >>> for w in ([3.0, 0.0], [3.0, 4.0]):
        ...     track = lnn.geometry.update(track, jnp.array(w))
        >>> print(track.path, track.distance, track.mean_step)
        7.0 5.0 3.5
    """

    start: Params
    last: Params
    path: Float[Array, ""]
    step: Float[Array, ""]
    steps: Int[Array, ""]

    @property
    def distance(self) -> Float[Array, ""]:
        r"""Direct distance $\|\theta_t - \theta_0\|$."""
        return norm(_minus(self.last, self.start))

    @property
    def mean_step(self) -> Float[Array, ""]:
        """Path length over the number of steps, NaN before the first."""
        steps = self.steps.astype(self.path.dtype)
        return self.path / jnp.where(steps > 0, steps, jnp.nan)


def init(params: Params) -> Track:
    """Return a track that starts at these parameters, any pytree of arrays.

    Example:
        >>> print(lnn.geometry.init({"w": jnp.ones(3)}).path)
        0.0
    """
    params = jax.tree.map(jnp.asarray, params)
    zero = jnp.zeros((), _real_type(params))
    return Track(params, params, zero, zero, jnp.zeros((), jnp.int32))


def update(track: Track, params: Params) -> Track:
    """Return the track after a step to `params`, of the same structure and shapes; can be jitted.

    To track a batch of runs, map `init` and `update` with `jax.vmap`.

    Example:
        >>> track = lnn.geometry.update(lnn.geometry.init(jnp.zeros(2)), jnp.array([3.0, 4.0]))
        >>> print(track.step, track.steps)
        5.0 1
    """
    step = norm(_minus(params, track.last))
    return Track(track.start, params, track.path + step, step, track.steps + 1)


def norm(tree: Params) -> Float[Array, ""]:
    """Return the Euclidean norm of all entries of a pytree, in float32 or better.

    Example:
        >>> print(lnn.geometry.norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])}))
        5.0
    """
    real = _real_type(tree)
    squares = (_square(leaf, real) for leaf in jax.tree.leaves(tree))
    return jnp.sqrt(sum(squares, jnp.zeros((), real)))


def angle(a: Params, b: Params) -> Float[Array, ""]:
    """Return the angle between two pytrees as vectors, in radians, 0 to pi; NaN if one is zero.

    2 atan2(|a/|a| - b/|b||, |a/|a| + b/|b||), accurate to rounding even near 0 and pi, where the
    arccosine of a product loses half of the digits.

    Example:
        >>> print(f"{lnn.geometry.angle(jnp.array([1.0, 0.0]), jnp.array([0.0, 5.0])):.4f}")
        1.5708
    """
    a, b = _unit(a), _unit(b)
    return 2 * jnp.arctan2(norm(_minus(a, b)), norm(jax.tree.map(jnp.add, a, b)))


def angle_to_start(update: Params, params: Params, start: Params) -> Float[Array, ""]:
    """A_s: the angle between the update -grad and the direction to the start, in radians.

    pi on a straight path. NaN at the start itself.

    Example:
        >>> update, w, start = jnp.array([2.0, 0.0]), jnp.array([5.0, 0.0]), jnp.zeros(2)
        >>> print(f"{lnn.geometry.angle_to_start(update, w, start):.4f}")
        3.1416
    """
    return angle(update, _minus(start, params))


def angle_to_end(update: Params, params: Params, end: Params) -> Float[Array, ""]:
    """A_e: the angle between the update -grad and the direction to the end, in radians.

    0 on a straight path. NaN at the end itself.

    Example:
        >>> update, w, end = jnp.array([2.0, 0.0]), jnp.zeros(2), jnp.array([5.0, 0.0])
        >>> print(lnn.geometry.angle_to_end(update, w, end))
        0.0
    """
    return angle(update, _minus(end, params))


def path_angles(
    trajectory: Params, updates: Params
) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
    """Return A_s and A_e at every point of a recorded trajectory except the last.

    Args:
        trajectory: pytree of arrays (T + 1, ...): the parameters, from start to end.
        updates: pytree of arrays (T, ...): -grad at each of them except the last.

    Returns:
        A_s and A_e in radians; A_s is NaN at the start.

    Raises:
        ValueError: there is not one update per step.

    Example:
        >>> path = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
        >>> back, ahead = lnn.geometry.path_angles(path, updates=path[1:] - path[:-1])
        >>> print(back / jnp.pi, ahead / jnp.pi)
        [nan 0.5] [0.25 0.  ]
    """
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(trajectory)}
    steps = {leaf.shape[0] + 1 for leaf in jax.tree.leaves(updates)}
    if len(lengths) != 1 or lengths != steps:
        raise ValueError(
            f"the trajectory has {sorted(lengths)} points and needs {sorted(steps)} for these "
            "updates: give T + 1 points and T updates"
        )
    start, end = (jax.tree.map(lambda leaf, i=i: leaf[i], trajectory) for i in (0, -1))
    points = jax.tree.map(lambda leaf: leaf[:-1], trajectory)

    def along(to: Callable[[Params, Params, Params], jax.Array], place: Params) -> jax.Array:
        return jax.vmap(lambda u, w: to(u, w, place))(updates, points)

    return along(angle_to_start, start), along(angle_to_end, end)


def halting_time(
    losses: Float[np.ndarray, "*runs T"], margin: float = 0.01
) -> Int[np.ndarray, "*runs"]:
    """Return the first step at which the loss is within a margin of its minimum: the 1 % rule.

    Args:
        losses: validation losses at times 0 to T - 1; NaN or infinity after a run has diverged.
        margin: relative distance from the minimum.

    Raises:
        ValueError: a run without a finite loss, or a negative minimum or margin.

    Example:
        >>> print(lnn.geometry.halting_time(np.array([4.0, 2.0, 1.005, 1.0, 1.1])))
        2
    """
    losses = np.asarray(losses, np.float64)
    finite = np.isfinite(losses)
    if losses.ndim == 0 or not finite.any(axis=-1).all():
        raise ValueError("a run has no finite loss: give at least one, at time 0")
    if margin < 0:
        raise ValueError(f"margin = {margin}: give a number >= 0")
    least = np.where(finite, losses, np.inf).min(axis=-1, keepdims=True)
    if (least < 0).any():
        raise ValueError(f"the minimal loss is {least.min()}: give losses >= 0")
    return np.asarray(np.argmax(losses <= (1 + margin) * least, axis=-1))


def telescoped_squares(
    start: Float[np.ndarray, " n"],
    goal: Float[np.ndarray, " n"],
    gradients: Float[np.ndarray, "T n"],
    rate: float,
) -> Float[np.ndarray, " T+1"]:
    r"""$\|W_t - W\|^2$ of gradient descent for t = 0 to T, from its gradients g_t at W_t.

    $\|W_0 - W\|^2 + \eta^2 \sum_{s<t} \|g_s\|^2 - 2 \eta \sum_{s<t} (W_s - W) \cdot g_s$: eq. 3 of
    "Empirically Characterizing Overparameterization Impact on Convergence".

    Args:
        start: W_0.
        goal: W.
        gradients: g_0, ..., g_(T-1).
        rate: the learning rate eta.

    Example:
        >>> start, goal, gradients = np.array([4.0]), np.array([0.0]), np.array([[4.0], [2.0]])
        >>> print(lnn.geometry.telescoped_squares(start, goal, gradients, rate=0.5))  # 4, 2, 1
        [16.  4.  1.]
    """
    away = start - goal - rate * (np.cumsum(gradients, axis=0) - gradients)
    terms = rate**2 * np.sum(gradients**2, axis=1) - 2 * rate * np.sum(away * gradients, axis=1)
    return np.sum((start - goal) ** 2) + np.concatenate([[0.0], np.cumsum(terms)])


def mean_distance_from_ball(offset: float, dimension: int, radius: float) -> float:
    r"""Return the mean distance of a uniform point of a ball around 0 to the plane sum(w) = offset.

    With h = offset / sqrt(dimension), the distance of the plane from 0, and z the coordinate along
    its normal, of density proportional to $(R^2 - z^2)^{(K-1)/2}$, it is $E|h - z| = h + 2 E \max(z
    - h, 0)$, which is h if the ball does not reach the plane. Gradient descent on ((w_1 + ... +
    w_K) x - y)^2 travels this distance along the normal.

    Args:
        offset: C >= 0, where the plane cuts the axes.
        dimension: K >= 1.
        radius: R > 0, of the ball.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> print(round(lnn.geometry.mean_distance_from_ball(0.0, dimension=1, radius=1.0), 4))
        0.5
    """
    h = _plane_distance(offset, dimension)
    if not radius > 0:
        raise ValueError(f"radius = {radius}: give a positive number")
    if radius <= h:
        return h
    k, rest = dimension, 1 - (h / radius) ** 2
    log_constant = special.gammaln(k / 2 + 1) - special.gammaln((k + 1) / 2) - np.log(np.pi) / 2
    moment = radius * np.exp(log_constant) * rest ** ((k + 1) / 2) / (k + 1)
    beyond = special.betainc((k + 1) / 2, 0.5, rest) / 2
    return float(h + 2 * (moment - h * beyond))


def mean_distance_from_gaussian(offset: float, dimension: int, std: float) -> float:
    r"""Return the same for a Gaussian point with this deviation per coordinate: a folded normal.

    $E|h - \sigma z| = \sigma \sqrt{2/\pi} e^{-h^2 / 2 \sigma^2} + h \,\mathrm{erf}(h / \sigma
    \sqrt{2})$; at fixed std it decreases with the dimension to $\sigma \sqrt{2/\pi}$.

    Raises:
        ValueError: unless offset >= 0, dimension >= 1 and std > 0.

    Example:
        >>> print(round(lnn.geometry.mean_distance_from_gaussian(0.0, dimension=9, std=1.0), 4))
        0.7979
    """
    h = _plane_distance(offset, dimension)
    if not std > 0:
        raise ValueError(f"std = {std}: give a positive number")
    spread = std * np.sqrt(2 / np.pi) * np.exp(-((h / std) ** 2) / 2)
    return float(spread + h * special.erf(h / (std * np.sqrt(2))))


def _plane_distance(offset: float, dimension: int) -> float:
    if not (np.isfinite(offset) and offset >= 0):
        raise ValueError(f"offset = {offset}: give a finite number >= 0")
    check_whole("dimension", dimension, 1)
    return float(offset / np.sqrt(dimension))


def _minus(a: Params, b: Params) -> Params:
    return jax.tree.map(jnp.subtract, a, b)


def _unit(tree: Params) -> Params:
    length = norm(tree)
    return jax.tree.map(lambda leaf: leaf / length, tree)


def _square(leaf: Array | np.ndarray, real: Any) -> jax.Array:
    return jnp.sum(jnp.square(jnp.abs(leaf).astype(real)))


def _real_type(tree: Params) -> Any:
    """Return the smallest real type, at least float32, for the moduli of all leaves."""
    with jax.numpy_dtype_promotion("standard"):
        joint = jnp.result_type(jnp.float32, *jax.tree.leaves(tree))
    return jnp.finfo(joint).dtype
