"""Convergence rates of gradient descent on the l_p loss, with and without a scalar factor.

The model is L = (1/p) sum_i |w_i - y_i|^p with w = m (gradient descent), or w = s m with a trained
scalar s, the smallest network of depth two. Everything is written for the error Delta = w - y, with
Delta^(p-1) short for sign(Delta) |Delta|^(p-1):

    without:  Delta+ = Delta - rate Delta^(p-1)
    with:     s+ = s - rate <Delta^(p-1), m>,  m+ = m - rate s Delta^(p-1)

Iterating Delta instead of w preserves its relative precision: differences of weights stall once
steps are below their rounding. Time is in steps, or in units of the rate for flows. Runs are
batched along the first axis, R. Source: Hou, Khandeparkar and Li, Section 2 and Appendix A.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, optimize

from lnn.core.problem import absolute_power, signed_power

Real = float | np.ndarray
State = tuple[jax.Array, jax.Array, jax.Array]


class Descent(NamedTuple):
    """Times or steps (T,), errors w - y (T, R, n), and the scalar s (T, R), ones if absent."""

    time: np.ndarray
    delta: np.ndarray
    scale: np.ndarray


def log_spaced(last: int, per_decade: int = 20) -> np.ndarray:
    """Return whole steps from 1 to `last`, evenly spaced in their logarithm if possible."""
    count = int(np.ceil(per_decade * np.log10(last))) + 1
    return np.unique(np.rint(np.geomspace(1, last, count)).astype(np.int64))


def descend(y: np.ndarray, p: Real, rate: Real, record: np.ndarray) -> Descent:
    """Run gradient descent from w = 0, in float64.

    - y: labels, (R, n) or (n,).
    - p, rate: exponent >= 2 and learning rate of each run, (R,) or one for all.
    - record: steps to record, ascending and positive.

    Raises:
        ValueError: p below 2, or steps that do not ascend.
    """
    labels, powers, rates, gaps = _prepared(y, p, rate, record)
    delta = _descend(-labels, powers, rates, gaps)
    found = np.asarray(delta)
    return Descent(np.asarray(record), found, np.ones(found.shape[:2]))


def descend_scaled(
    y: np.ndarray, p: Real, rate: Real, record: np.ndarray, s: Real, m: np.ndarray
) -> Descent:
    """Run gradient descent on the scalar s and the vector m together, in float64.

    Starts from s, (R,) or one for all, and m, (R, n) or (n,), balanced if |m| = |s|; other
    arguments and errors as for `descend`.
    """
    labels, powers, rates, gaps = _prepared(y, p, rate, record)
    scale = jnp.broadcast_to(jnp.asarray(s, jnp.float64), labels.shape[:1])
    vector = jnp.broadcast_to(jnp.asarray(m, jnp.float64), labels.shape)
    found = _descend_scaled(scale, vector, labels, powers, rates, gaps)
    return Descent(np.asarray(record), np.asarray(found[1]), np.asarray(found[0]))


def flow_scaled(y: np.ndarray, p: float, time: np.ndarray, s: float, m: np.ndarray) -> Descent:
    """Integrate gradient flow on the scalar s and the vector m, the limit of small rates; R = 1.

    In log(1 + t), where late rates are of order one for any length, and for (s, Delta), which never
    cancel: m = (Delta + y) / s.

    - y, m: labels and initial vector, (n,).
    - p: exponent >= 2.
    - time: to record, ascending and positive; in units of the learning rate.
    - s: initial scalar, positive.

    Raises:
        ValueError: p below 2, s not positive, or times that do not ascend.
        RuntimeError: the integration failed.
    """
    labels = np.asarray(y, np.float64)
    _check(p, time)
    if not s > 0:
        raise ValueError(f"s = {s!r}: give a positive scalar, since m can take its sign")

    def velocity(log_time: float, state: np.ndarray) -> np.ndarray:
        scale, delta = state[0], state[1:]
        pull = np.sign(delta) * np.abs(delta) ** (p - 1)
        vector = (delta + labels) / scale
        along = pull @ vector
        moves = np.concatenate([[-along], -(scale**2) * pull - along * vector])
        return np.asarray(np.exp(log_time) * moves)

    logs = np.log1p(np.asarray(time, np.float64))
    out = integrate.solve_ivp(
        velocity, (0.0, logs[-1]), np.concatenate([[s], s * np.asarray(m) - labels]),
        method="DOP853", t_eval=logs, rtol=1e-11, atol=1e-64,
    )  # fmt: skip
    if not out.success:
        raise RuntimeError(f"gradient flow for p = {p:g} stopped early: {out.message}")
    return Descent(np.asarray(time), out.y[1:].T[:, None], out.y[:1].T)


def predicted_error(p: float, rate: float, time: Real) -> Real:
    """Return ((p - 2) rate t)^(-1/(p-2)), the leading-order error of gradient descent, p > 2."""
    return ((p - 2) * rate * np.asarray(time, np.float64)) ** (-1 / (p - 2))


class Asymptote(NamedTuple):
    """Delta = -constant time^(-1/(p-2)) at late times of the flow with a scalar.

    Attributes:
        constant: (n,), positive; time in units of the learning rate.
        return_rates: (n,) powers of time with which small relative deviations of Delta from this
            course decay: -1 for a shift in time, and slower ones.
    """

    constant: np.ndarray
    return_rates: np.ndarray


def asymptote_scaled(y: np.ndarray, p: float) -> Asymptote:
    """Return the late course of the flow with a scalar, from a balanced start near zero, for p > 2.

    The weights have settled at s^2 = |y| and m = y / s; then Delta' = -M Delta^(p-1) with M = s^2 I
    + m m^T, which c t^(-1/(p-2)) solves if c / (p - 2) = M c^(p-1). All errors stay negative.
    Labels y (n,) are positive.

    Raises:
        ValueError: p at most 2, or labels that are not positive.
        RuntimeError: no such course attracts the flow. For some labels, such as (3, 2, 1) at p = 4,
            an error changes its sign on the way.
    """
    labels = np.asarray(y, np.float64)
    if not p > 2 or not (labels > 0).all():
        raise ValueError(f"p = {p!r}, y = {labels}: give p > 2 and positive labels")
    size = float(np.linalg.norm(labels))
    metric = size * np.eye(labels.size) + np.outer(labels, labels) / size

    def motion(x: np.ndarray) -> np.ndarray:
        return np.asarray(x / (p - 2) - metric @ (np.sign(x) * np.abs(x) ** (p - 1)))

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.eye(x.size) / (p - 2) - (p - 1) * metric * np.abs(x) ** (p - 2))

    # In x = -Delta t^(1/(p-2)) the constant is a fixed point: follow the flow there, then polish.
    follow = integrate.solve_ivp(
        lambda _, x: motion(x), (0.0, 1e3), np.full(labels.size, size ** (-1 / (p - 2))),
        method="LSODA", rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    found = optimize.root(motion, follow.y[:, -1], jac=jacobian, tol=1e-14)
    constant = np.asarray(found.x)
    if not np.abs(motion(constant)).max() < 1e-9 or not (constant > 0).all():
        raise RuntimeError(f"no late course of one sign for p = {p:g}, y = {labels}: {constant}")
    return Asymptote(constant, np.sort(np.linalg.eigvals(jacobian(constant)).real))


def scaled_loss(parameters: jax.Array, y: jax.Array, p: float) -> jax.Array:
    """Return L at parameters (s, m_1, ..., m_n)."""
    return jnp.sum(absolute_power(parameters[0] * parameters[1:] - y, p)) / p


def hessian_at_zero(y: np.ndarray, p: float) -> np.ndarray:
    """Return the Hessian (n + 1, n + 1) of the loss with a scalar at s = 0, m = 0, by autodiff."""
    labels = jnp.asarray(y, jnp.float64)
    zero = jnp.zeros(labels.size + 1, jnp.float64)
    return np.asarray(jax.jit(jax.hessian(scaled_loss), static_argnums=2)(zero, labels, p))


def gradient_at_zero(y: np.ndarray, p: float) -> np.ndarray:
    """Return dL/dw (n,) at w = 0, minus y^(p-1)."""
    return np.asarray(signed_power(jnp.asarray(-np.asarray(y, np.float64)), p))


def _check(p: Real, record: np.ndarray) -> None:
    if not (np.asarray(p) >= 2).all():
        raise ValueError(f"p = {p}: rates are studied for exponents of at least 2")
    marks = np.asarray(record)
    if marks.ndim != 1 or not marks.size or marks[0] <= 0 or (np.diff(marks) <= 0).any():
        raise ValueError(f"{marks} are not ascending positive times; see `log_spaced`")


def _prepared(
    y: np.ndarray, p: Real, rate: Real, record: np.ndarray
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return labels (R, n), exponents and rates (R, 1), and numbers of steps between records."""
    _check(p, record)
    labels = jnp.atleast_2d(jnp.asarray(y, jnp.float64))
    runs = max(labels.shape[0], np.size(p), np.size(rate))
    powers, rates = (
        jnp.broadcast_to(jnp.atleast_1d(jnp.asarray(v, jnp.float64))[:, None], (runs, 1))
        for v in (p, rate)
    )
    gaps = jnp.asarray(np.diff(record, prepend=0))
    return jnp.broadcast_to(labels, (runs, labels.shape[1])), powers, rates, gaps


def _pull(delta: jax.Array, p: jax.Array) -> jax.Array:
    return jnp.sign(delta) * jnp.abs(delta) ** (p - 1)


@jax.jit
def _descend(delta: jax.Array, p: jax.Array, rate: jax.Array, gaps: jax.Array) -> jax.Array:
    def to_next(delta: jax.Array, gap: jax.Array) -> tuple[jax.Array, jax.Array]:
        delta = jax.lax.fori_loop(0, gap, lambda _, d: d - rate * _pull(d, p), delta)
        return delta, delta

    return jax.lax.scan(to_next, delta, gaps)[1]


@jax.jit
def _descend_scaled(
    s: jax.Array, m: jax.Array, y: jax.Array, p: jax.Array, rate: jax.Array, gaps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def step(_: int, state: State) -> State:
        s, m, delta = state
        pull = rate * _pull(delta, p)
        along = jnp.sum(pull * m, axis=-1)
        factor = s[:, None]
        # (s - along) (m - s pull) - y, expanded about s m - y.
        moved = delta - factor**2 * pull - along[:, None] * (m - factor * pull)
        return s - along, m - factor * pull, moved

    def to_next(state: State, gap: jax.Array) -> tuple[State, tuple[jax.Array, jax.Array]]:
        state = jax.lax.fori_loop(0, gap, step, state)
        return state, (state[0], state[2])

    return jax.lax.scan(to_next, (s, m, s[:, None] * m - y), gaps)[1]
