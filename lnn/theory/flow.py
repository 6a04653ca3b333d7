r"""Gradient flow: the limit of small learning rates, of the factors and of their product.

Time is in units of the learning rate: a step of gradient descent at rate eta advances it by eta.
The factors of a depth-N network satisfy

$$\frac{dW_j}{dt} = -\lambda W_j - \frac{\partial}{\partial W_j} L(W_N \cdots W_1)$$

and from a balanced start their product satisfies the end-to-end equation

$$\frac{dW}{dt} = -\lambda N W - \sum_j [W W^T]^{(j-1)/N} \frac{dL}{dW} [W^T W]^{(N-j)/N}$$

(Arora, Cohen and Hazan 2018, eqs. 5 and 8, Theorem 1). Both are integrated by diffrax's Dopri8 with
an adaptive step, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lnn.core import network
from lnn.core.checks import check_depth
from lnn.core.linalg import Array
from lnn.core.precision import numerics
from lnn.core.problem import Problem, as_matrices
from lnn.core.spectral import precondition

TOLERANCE = 1e-12
"""Relative and absolute error per step."""

_MAX_STEPS = 1_000_000


class Flow(NamedTuple):
    """A flow at T times, in units of the learning rate.

    `params` is W (k, d) of the end-to-end flow or the factors (W_1, ..., W_N), every leaf with a
    time axis, (..., T, i, j).

    Example:
        >>> problem = lnn.datasets.two_point(0.0, 0.0, p=2)
        >>> times, w = lnn.flow.end_to_end(problem, np.eye(1, 2), depth=2, times=[0.0, 1.0])
        >>> print(times, w.shape)
        [0. 1.] (2, 1, 2)
    """

    times: Float[np.ndarray, " T"]
    params: Any


def layerwise(
    problem: Problem,
    factors: network.Factors,
    times: Sequence[float] | Float[np.ndarray, " T"],
    weight_decay: float = 0.0,
    tolerance: float = TOLERANCE,
) -> Flow:
    """Integrate the flow of the factors from a start, or from a batch of them.

    Args:
        problem: the regression problem.
        factors: (W_1, ..., W_N), each (n_j, n_(j-1)), or each with a leading axis of starts.
        times: increasing, from 0 on; in units of the learning rate.
        weight_decay: lambda >= 0.
        tolerance: of the integrator, relative and absolute.

    Returns:
        `Flow` with factors (T, n_j, n_(j-1)), or (starts, T, n_j, n_(j-1)).

    Raises:
        ValueError: times, decay, tolerance or shapes that do not fit.
        ArithmeticError: the integrator did not reach the last time within a million steps.

    Example:
        >>> problem, start = lnn.datasets.two_point(0.0, 0.0, p=2), (np.eye(1, 2), np.eye(1))
        >>> _, (first, second) = lnn.flow.layerwise(problem, start, times=[0.0, 4.0])
        >>> print((second @ first)[-1], 1 / (1 + 2 * 4))  # dw/dt = -2 w^2 for y = 0 and N = 2
        [[0.1111 0.    ]] 0.1111111111111111
    """
    params = tuple(np.asarray(factor, np.float64) for factor in factors)
    return _flow(problem, params, times, weight_decay, tolerance, None)


def end_to_end(
    problem: Problem,
    w: Float[Array, "... d"],
    depth: float,
    times: Sequence[float] | Float[np.ndarray, " T"],
    weight_decay: float = 0.0,
    tolerance: float = TOLERANCE,
) -> Flow:
    """Integrate the flow of a balanced network's product, real depth N, from one start or a batch.

    Args:
        problem: the regression problem.
        w: the end-to-end matrix W (k, d) at time 0, or (d,) for one output, or (starts, k, d).
        depth: N >= 1; inf for the limit per unit depth, without the decay.
        times: as in `layerwise`.
        weight_decay: as in `layerwise`.
        tolerance: as in `layerwise`.

    Returns:
        `Flow` with W (T, k, d), or (starts, T, k, d).

    Raises:
        ValueError: as in `layerwise`; weight decay at infinite depth.
        ArithmeticError: as in `layerwise`.

    Example:
        >>> problem = lnn.datasets.two_point(0.0, 0.0, p=2)
        >>> _, w = lnn.flow.end_to_end(problem, np.eye(1, 2), depth=2, times=[0.0, 4.0])
        >>> print(w[-1])  # 1 / (1 + 2 t)
        [[0.1111 0.    ]]
    """
    depth = check_depth(depth)
    if np.isinf(depth) and weight_decay:
        raise ValueError("weight_decay at depth inf: per unit depth the flow has none; give 0")
    start = as_matrices(problem, np.asarray(w, np.float64))
    return _flow(problem, start, times, weight_decay, tolerance, depth)


def _flow(
    problem: Problem,
    params: Any,
    times: Any,
    weight_decay: float,
    tolerance: float,
    depth: float | None,
) -> Flow:
    grid = np.asarray(times, np.float64)
    if grid.ndim != 1 or grid.size == 0 or grid[0] < 0 or not (np.diff(grid) > 0).all():
        raise ValueError(f"times = {times}: give increasing numbers from 0 on")
    if not (np.isfinite(grid).all() and 0 <= weight_decay < np.inf):
        raise ValueError(
            f"weight_decay = {weight_decay}, last time {grid[-1]}: give finite numbers >= 0"
        )
    if not 1e-14 <= tolerance <= 1e-2:
        raise ValueError(f"tolerance = {tolerance}: give a number from 1e-14 to 1e-2")
    starts = _starts(problem, params)
    with numerics("float64"):
        out, good = _solve(
            problem.astype(jnp.float64), jax.tree.map(jnp.asarray, params), jnp.asarray(grid),
            jnp.asarray(float(weight_decay)), jnp.asarray(float(tolerance)),
            depth=depth, batched=starts,
        )  # fmt: skip
        if not np.all(good):
            raise ArithmeticError(
                f"the flow did not reach time {grid[-1]:g} in {_MAX_STEPS} steps at tolerance "
                f"{tolerance:g}: it diverges or is stiff; give a shorter time or a larger tolerance"
            )
        return Flow(grid, jax.tree.map(np.asarray, out))


def _starts(problem: Problem, params: Any) -> bool:
    """Return whether there is an axis of starts, after checking the shapes."""
    leaves = jax.tree.leaves(params)
    ranks = {leaf.ndim for leaf in leaves}
    try:
        shape = jax.eval_shape(_product, params).shape
    except (TypeError, ValueError):
        shape = ()
    if len(ranks) != 1 or ranks - {2, 3} or shape[-2:] != (problem.k, problem.d):
        raise ValueError(
            f"start of shapes {[leaf.shape for leaf in leaves]}: the end-to-end matrix must be "
            f"({problem.k}, {problem.d}), with at most one axis of starts before"
        )
    return ranks == {3}


def _product(params: Any) -> Any:
    return network.end_to_end(params) if isinstance(params, tuple) else params


@partial(jax.jit, static_argnames=("depth", "batched"))
def _solve(
    problem: Problem, start: Any, times: Any, decay: Any, tolerance: Any, *, depth: float | None,
    batched: bool,
) -> tuple[Any, Any]:  # fmt: skip
    def solve(one: Any) -> tuple[Any, Any]:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(_layerwise_field if depth is None else _end_to_end_field(depth)),
            diffrax.Dopri8(),
            t0=jnp.zeros_like(times[0]),
            t1=times[-1],
            dt0=None,
            y0=one,
            args=(problem, decay),
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=_MAX_STEPS,
            throw=False,
            adjoint=diffrax.ForwardMode(),
        )
        return solution.ys, solution.result == diffrax.RESULTS.successful

    return (jax.vmap(solve) if batched else solve)(start)


def _layerwise_field(_: Any, factors: Any, args: tuple[Problem, Any]) -> Any:
    problem, decay = args
    w, pull = jax.vjp(network.end_to_end, factors)
    (gradient,) = pull(problem.gradient(w))
    return jax.tree.map(lambda factor, part: -(decay * factor + part), factors, gradient)


def _end_to_end_field(depth: float) -> Callable[[Any, Any, tuple[Problem, Any]], Any]:
    def field(_: Any, w: Any, args: tuple[Problem, Any]) -> Any:
        problem, decay = args
        decayed = decay * depth * w if np.isfinite(depth) else 0.0
        return -(decayed + precondition(w, problem.gradient(w), depth))

    return field
