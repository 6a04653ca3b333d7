"""The end-to-end update as a vector field: it is the gradient of no function.

For one output, depth N turns a field phi (the gradient of the loss, say) into

    F_phi(w) = |w|^(2-2/N) (phi(w) + (N-1) <phi(w), w/|w|> w/|w|),   F_phi(0) = 0 for N > 1,

(Arora, Cohen and Hazan 2018, eqs. 12 and 13). Theorem 2: for N > 2 its integral along the closed
curve Gamma_(r,R) does not vanish, so that no regularizer has these dynamics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.linalg import dot

Field = Callable[[jax.Array], jax.Array]
"""w (d,) -> a vector (d,)."""


def transformed_field(field: Field, depth: float) -> Field:
    """F_phi for a field phi on R^d, and depth N >= 1; differentiable away from 0."""

    def transformed(w: jax.Array) -> jax.Array:
        phi = field(w)
        if depth == 1:
            return phi
        square = dot(w, w)
        safe = jnp.where(square > 0, square, 1.0)
        along = (dot(phi, w) / safe) * w
        return jnp.where(square > 0, safe ** (1 - 1 / depth) * (phi + (depth - 1) * along), 0.0)

    return transformed


class Piece(NamedTuple):
    """A smooth piece of a curve: `point` and `tangent` map a parameter in [0, 1] to (d,)."""

    point: Callable[[jax.Array], jax.Array]
    tangent: Callable[[jax.Array], jax.Array]


def segment(start: jax.Array, end: jax.Array) -> Piece:
    """The straight line from start (d,) to end (d,)."""
    return Piece(lambda t: start + t * (end - start), lambda t: end - start)


def half_circle(radius: float, start: jax.Array, normal: jax.Array) -> Piece:
    """From radius * start over radius * normal to -radius * start, orthogonal unit vectors."""

    def point(t: jax.Array) -> jax.Array:
        return radius * (jnp.cos(jnp.pi * t) * start + jnp.sin(jnp.pi * t) * normal)

    def tangent(t: jax.Array) -> jax.Array:
        return radius * jnp.pi * (jnp.cos(jnp.pi * t) * normal - jnp.sin(jnp.pi * t) * start)

    return Piece(point, tangent)


def gamma(r: float, R: float, e: jax.Array, normal: jax.Array) -> tuple[Piece, ...]:
    """The closed curve Gamma_(r,R): -R e to -r e, over a half circle to r e, to R e, and back.

    e and normal (d,) are orthogonal unit vectors; e is the direction of the gradient at 0 (Arora,
    Cohen and Hazan 2018, Section 6 and Figure 1).

    Raises:
        ValueError: radii out of order, or vectors that are not orthonormal.
    """
    if not 0 < r < R < np.inf:
        raise ValueError(f"r = {r}, R = {R}: give 0 < r < R")
    frame = np.stack([np.asarray(e, np.float64), np.asarray(normal, np.float64)])
    if np.max(np.abs(frame @ frame.T - np.eye(2))) > 1e-6:
        raise ValueError("e and normal: give orthogonal vectors of norm 1")
    return (
        segment(-R * e, -r * e),
        half_circle(r, -e, normal),
        segment(r * e, R * e),
        half_circle(R, e, normal),
    )


def line_integral(field: Field, curve: tuple[Piece, ...], points: int = 64) -> jax.Array:
    """The integral of the field along the curve, by Gauss-Legendre with `points` nodes a piece."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    t, weight = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)

    def along(piece: Piece) -> jax.Array:
        values = jax.vmap(lambda s: dot(field(piece.point(s)), piece.tangent(s)))(t)
        return dot(weight, values)

    return sum((along(piece) for piece in curve), start=jnp.zeros(()))


def loop_integral_of_constant(depth: float, r: float, R: float) -> float:
    """The integral of F_e over Gamma_(r,R) for the constant unit field e, in closed form.

    (2N/a - 2)(R^a - r^a) with a = 3 - 2/N: Arora, Cohen and Hazan (2018), Lemma 3. The factor is
    2(N-1)(N-2)/(3N-2), zero at N = 1 and N = 2.
    """
    a = 3 - 2 / depth
    return float((2 * depth / a - 2) * (R**a - r**a))


def curl(field: Field, w: jax.Array) -> jax.Array:
    """J - J^T (d, d), J being the Jacobian of the field at w (d,): zero for a gradient."""
    jacobian = jax.jacfwd(field)(w)
    return jacobian - jacobian.T


def potential_at_depth_2(curvature: float, u: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """The function whose gradient is F_phi at N = 2 for phi(w) = a w - u: there one exists.

    (2a/3)|w|^3 - |w| <w, u>; a = 0 is a constant field, a > 0 whitened l2 regression.
    """

    def potential(w: jax.Array) -> jax.Array:
        norm = jnp.sqrt(dot(w, w))
        return 2 * curvature / 3 * norm**3 - norm * dot(w, u)

    return potential
