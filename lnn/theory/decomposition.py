r"""Decrease of the loss per step, split into plain GD, norm factor, projection and curvature.

One step of the end-to-end rule from W with learning rate eta is U = eta P_W g, and by the
fundamental theorem of calculus it decreases the loss by $\int_0^1 \langle g(W - s U), U \rangle
ds$. With P_W = |W|^a P_(W/|W|), a = 2 - 2/N (Arora, Cohen and Hazan 2018, eq. 10, which is
homogeneous; |W| the spectral norm), this is the sum of

    GD            eta' |g|^2                               plain GD at rate eta' from W
    norm factor   (eta |W|^a - eta') |g|^2                 another step size
    projection    eta |W|^a (<g, P_(W/|W|) g> - |g|^2)     for one output (N-1) |Pr_W g|^2 times
                                                           eta |W|^a, eq. 12
    finite step   int_0^1 <g(W - s U) - g(W), U> ds        curvature: invisible to the gradient

The first three are the instantaneous decrease, of first order in eta.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lnn.core.checks import check_depth
from lnn.core.linalg import Array
from lnn.core.precision import numerics
from lnn.core.problem import Problem, absolute_power, as_matrices
from lnn.core.spectral import precondition_in, short_frame

TERMS = ("gd", "norm_factor", "projection", "finite_step")


class Decomposition(NamedTuple):
    """Terms of one step's decrease of the loss, each (...,), in units of the loss per step.

    Attributes:
        gd, norm_factor, projection, finite_step: see the module; their sum is the decrease.
        decrease: L(W) - L(W - U), measured.
        spectral_norm: |W|.
        squared_gradient: |g|^2.
        amplification: <g, P_(W/|W|) g> / |g|^2, at least 1 at finite depth; for one output
            1 + (N-1) cos^2 of the angle between g and W.
    """

    gd: Any
    norm_factor: Any
    projection: Any
    finite_step: Any
    decrease: Any
    spectral_norm: Any
    squared_gradient: Any
    amplification: Any


def decompose(
    problem: Problem,
    w: Float[Array, "... d"],
    depth: float,
    learning_rate: float,
    gd_learning_rate: float | None = None,
) -> Decomposition:
    """Split the decrease of the loss by one step of the end-to-end rule from each W.

    Computed in float64, without weight decay: the loss is the problem's.

    Args:
        problem: the regression problem.
        w: end-to-end matrices (..., k, d), such as the recorded W of a trajectory; or (d,) for one
            output.
        depth: N >= 1 of the rule, any real number, or inf for the limit per unit depth.
        learning_rate: eta of the rule.
        gd_learning_rate: eta' of the plain GD that it is compared with; default eta.

    Raises:
        ValueError: an argument out of range, or w that does not fit the problem.

    Example:
        >>> problem, w = lnn.datasets.two_point(0.0, 0.0, p=2), np.array([[2.0, 0.0]])
        >>> parts = lnn.decompose(problem, w, depth=2, learning_rate=0.125)
        >>> print([round(float(part), 6) for part in parts[:5]])  # the last is their sum
        [0.5, 0.5, 1.0, -0.5, 1.5]
    """
    depth = check_depth(depth)
    gd_rate = learning_rate if gd_learning_rate is None else gd_learning_rate
    for name, rate in (("learning_rate", learning_rate), ("gd_learning_rate", gd_rate)):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"{name} = {rate}: give a positive number")
    matrices = as_matrices(problem, np.asarray(w, np.float64))
    if matrices.shape[-2:] != (problem.k, problem.d):
        raise ValueError(
            f"w has shape {matrices.shape}: give (..., {problem.k}, {problem.d}) for this problem"
        )
    flat = matrices.reshape(-1, problem.k, problem.d)
    with numerics("float64"):
        parts = _terms(
            problem.astype(np.float64), jnp.asarray(flat),
            jnp.asarray(float(learning_rate)), jnp.asarray(float(gd_rate)), depth=depth,
        )  # fmt: skip
        found = [np.asarray(part).reshape(matrices.shape[:-2]) for part in parts]
    return Decomposition(*found)


@partial(jax.jit, static_argnames="depth")
def _terms(
    problem: Problem, w: jax.Array, rate: jax.Array, gd_rate: jax.Array, *, depth: float
) -> Any:
    """Return the `Decomposition` of w (R, k, d), one matrix at a time."""
    exponent = 2 - 2 / depth
    # Exact for |r|^p with even p <= 16: the integrand is a polynomial of degree p - 1.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    at, weights = (nodes + 1) / 2, weights / 2

    def one(w: jax.Array) -> Decomposition:
        g = problem.gradient(w)
        frame = short_frame(w)
        direction = g if depth == 1 else precondition_in(frame, g, depth)
        step = rate * direction
        norm = frame.s[0]
        scale, squared = norm**exponent, jnp.sum(g * g)
        first = jnp.sum(g * direction)
        on_the_way = problem.gradient(w - at[:, None, None] * step)
        finite = jnp.sum(weights * jnp.sum((on_the_way - g) * step, axis=(1, 2)))
        return Decomposition(
            gd=gd_rate * squared,
            norm_factor=(rate * scale - gd_rate) * squared,
            projection=rate * (first - scale * squared),
            finite_step=finite,
            decrease=_decrease(problem, w, w - step),
            spectral_norm=norm,
            squared_gradient=squared,
            amplification=first / jnp.where(scale * squared > 0, scale * squared, 1),
        )

    return jax.lax.map(one, w)


def _decrease(problem: Problem, before: jax.Array, after: jax.Array) -> jax.Array:
    """Return L(before) - L(after), subtracted by example, which reduces rounding errors."""
    old, new = (absolute_power(problem.residual(w), problem.p) for w in (before, after))
    return jnp.sum(jnp.mean(old - new, axis=-1)) / problem.p
