r"""The end-to-end update as a vector field that is not the gradient of any function.

For one output, depth N turns a field phi (the gradient of the loss, say) into

$$F(w) = \|w\|^{2-2/N} (\phi(w) + (N-1) \langle \phi(w), u \rangle u), u = w / \|w\|$$

with F(0) = 0 for N > 1 (Arora, Cohen and Hazan 2018, eqs. 12 and 13). Theorem 2: for N > 2 its
integral along the closed curve Gamma_(r,R) does not vanish, so no regularizer has these dynamics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lnn.core.linalg import dot

Field = Callable[[Float[Array, " d"]], Float[Array, " d"]]
"""A vector field on R^d."""

Place = float | Float[Array, ""]
"""A parameter in [0, 1]: where on a piece of a curve."""


def transformed_field(field: Field, depth: float) -> Field:
    """Return F for a field phi on R^d, and depth N >= 1; differentiable away from 0.

    Example:
        >>> field = lnn.line_integrals.transformed_field(lambda w: jnp.array([0.0, 1.0]), depth=4)
        >>> print(field(jnp.array([0.0, 1.0])), field(jnp.array([1.0, 0.0])))
        [0. 4.] [0. 1.]
    """

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
    """A smooth piece of a curve: `point` and `tangent` at a parameter in [0, 1].

    Example:
        >>> piece = lnn.line_integrals.Piece(lambda t: t**2, lambda t: 2 * t)
        >>> print(piece.point(0.5), piece.tangent(0.5))
        0.25 1.0
    """

    point: Callable[[Place], Float[Array, " d"]]
    tangent: Callable[[Place], Float[Array, " d"]]


def segment(start: Float[Array, " d"], end: Float[Array, " d"]) -> Piece:
    """Return the straight line from start to end.

    Example:
        >>> print(lnn.line_integrals.segment(jnp.zeros(2), jnp.array([2.0, 4.0])).point(0.5))
        [1. 2.]
    """
    return Piece(lambda t: start + t * (end - start), lambda t: end - start)


def half_circle(radius: float, start: Float[Array, " d"], normal: Float[Array, " d"]) -> Piece:
    """Return the arc from radius * start over radius * normal to -radius * start (orthonormal).

    Example:
        >>> arc = lnn.line_integrals.half_circle(2.0, *jnp.eye(2))
        >>> print(np.allclose(arc.point(0.5), [0, 2], atol=1e-6))
        True
    """

    def point(t: Place) -> Float[Array, " d"]:
        return radius * (jnp.cos(jnp.pi * t) * start + jnp.sin(jnp.pi * t) * normal)

    def tangent(t: Place) -> Float[Array, " d"]:
        return radius * jnp.pi * (jnp.cos(jnp.pi * t) * normal - jnp.sin(jnp.pi * t) * start)

    return Piece(point, tangent)


def gamma(
    r: float, R: float, e: Float[Array, " d"], normal: Float[Array, " d"]
) -> tuple[Piece, ...]:
    """Return the closed curve Gamma_(r,R): -R e to -r e, by a half circle to r e, to R e, and back.

    e and normal are orthogonal unit vectors; e is the direction of the gradient at 0 (Arora,
    Cohen and Hazan 2018, Section 6 and Figure 1).

    Raises:
        ValueError: radii out of order, or vectors that are not orthonormal.

    Example:
        >>> curve = lnn.line_integrals.gamma(1.0, 2.0, *jnp.eye(2))
        >>> [piece.point(0.0)[0].item() for piece in curve]
        [-2.0, -1.0, 1.0, 2.0]
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


def line_integral(field: Field, curve: tuple[Piece, ...], points: int = 64) -> Float[Array, ""]:
    """Integrate the field along the curve, by Gauss-Legendre with `points` nodes per piece.

    Example:
        >>> line = lnn.line_integrals.segment(jnp.zeros(2), jnp.array([2.0, 0.0]))
        >>> print(f"{lnn.line_integrals.line_integral(lambda w: w, (line,)):.4f}")
        2.0000
    """
    nodes, weights = np.polynomial.legendre.leggauss(points)
    t, weight = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)

    def along(piece: Piece) -> jax.Array:
        values = jax.vmap(lambda s: dot(field(piece.point(s)), piece.tangent(s)))(t)
        return dot(weight, values)

    return sum((along(piece) for piece in curve), start=jnp.zeros(()))


def loop_integral_of_constant(depth: float, r: float, R: float) -> float:
    r"""Return the integral of F over Gamma_(r,R) for the constant unit field e, in closed form.

    $\frac{2(N-1)(N-2)}{3N-2} (R^a - r^a)$, a = 3 - 2/N: Arora, Cohen and Hazan (2018), Lemma 3.
    Zero at N = 1 and N = 2.

    Example:
        >>> [round(lnn.line_integrals.loop_integral_of_constant(n, 1.0, 4.0), 4) for n in (2, 4)]
        [0.0, 37.2]
    """
    a = 3 - 2 / depth
    return float((2 * depth / a - 2) * (R**a - r**a))


def curl(field: Field, w: Float[Array, " d"]) -> Float[Array, "d d"]:
    """Return J - J^T for the Jacobian J of the field at w: zero for a gradient.

    Example:
        >>> print(lnn.line_integrals.curl(lambda w: jnp.array([-w[1], w[0]]), jnp.ones(2)))
        [[ 0. -2.]
         [ 2.  0.]]
    """
    jacobian = jax.jacfwd(field)(w)
    return jacobian - jacobian.T


def potential_at_depth_2(
    curvature: float, u: Float[Array, " d"]
) -> Callable[[Float[Array, " d"]], Float[Array, ""]]:
    r"""Return the function whose gradient is F at N = 2 for phi(w) = a w - u.

    $\frac{2a}{3} \|w\|^3 - \|w\| \langle w, u \rangle$; a = 0 is a constant field, a > 0 whitened
    l2 regression.

    Example:
        >>> w, u = jnp.array([3.0, 4.0]), jnp.array([1.0, 0.0])
        >>> field = lnn.line_integrals.transformed_field(lambda w: -u, depth=2)
        >>> print(jax.grad(lnn.line_integrals.potential_at_depth_2(0.0, u))(w), field(w))
        [-6.8 -2.4] [-6.8 -2.4]
    """

    def potential(w: Float[Array, " d"]) -> Float[Array, ""]:
        norm = jnp.sqrt(dot(w, w))
        return 2 * curvature / 3 * norm**3 - norm * dot(w, u)

    return potential
