r"""Sweeps that make the rows of U^T W orthogonal, from a U that nearly does, by matrix products.

The rows of B = U^T W are orthogonal up to small angles, and C = B B^T is nearly diagonal. A sweep
turns U by I + X + X^2 / 2, X antisymmetric with

$$X_{ij} = C_{ij} D_{ij} / (D_{ij}^2 + 4 C_{ij}^2), D_{ij} = C_{jj} - C_{ii}$$

C_ij / D_ij is the rotation to first order, as in Ogita and Aishima (2018), "Iterative refinement
for symmetric eigenvalue decomposition", Japan J. Indust. Appl. Math. 35, 1007-1035: off close
singular values a sweep squares the error. The damping leaves pairs alone whose gap is smaller than
what couples them, and large X are shortened. A Newton-Schulz step keeps U orthogonal. W itself is
multiplied, not W W^T, so small singular values are as accurate as in a decomposition of W.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.linalg import dot

_STALLED = 0.5
"""A sweep that reduces the residual by less than this is the last."""

_LARGEST_TURN = 0.25
"""Bound of |X|: up to here a sweep leaves U orthogonal to 1e-6."""


def singular_value_cutoff(shape: tuple[int, ...], dtype: np.dtype) -> float:
    """Return the multiple of the largest singular value below which others count as zero.

    A backward-stable decomposition leaves an absolute error of a few eps * s_max (at most 4.1 in
    500 exactly rank-deficient float32 matrices up to 128 x 512), growing like the root of the size.

    Example:
        >>> cutoff = lnn.spectral.singular_value_cutoff((128, 512), np.dtype("float32"))
        >>> print(round(cutoff / float(np.finfo(np.float32).eps), 1))
        11.3
    """
    return float(max(6.0, 0.5 * math.sqrt(max(shape))) * jnp.finfo(dtype).eps)


class Fit(NamedTuple):
    """A basis u, b = u^T w, its Gram matrix, the residual now and before the last sweep.

    The residual is that of `tracked_frame`; `before` is infinite if there was no sweep.
    """

    u: jax.Array
    b: jax.Array
    gram: jax.Array
    residual: jax.Array
    before: jax.Array


def scaled(w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return w with largest entry 1, since squares of small ones underflow, and what it was."""
    scale = jnp.max(jnp.abs(w))
    scale = jnp.where(scale > 0, scale, 1)
    return w / scale, scale


def measured(u: jax.Array, w: jax.Array, lost: float | jax.Array = 0.0) -> Fit:
    """Measure how orthogonal the rows of u^T w are; `lost` is what u lacks of being orthogonal."""
    b = dot(u.T, w)
    gram = dot(b, b.T)
    squares = jnp.diagonal(gram)
    larger = jnp.maximum(squares[:, None], squares[None])
    coupling = jnp.sum(_coupling(gram) ** 2 / jnp.where(larger > 0, larger, 1)) / 2
    total = jnp.sum(squares)
    residual = jnp.sqrt(coupling / jnp.where(total > 0, total, 1))
    return Fit(u, b, gram, jnp.maximum(residual, lost), jnp.full_like(residual, jnp.inf))


def refined(fit: Fit, w: jax.Array, tolerance: jax.Array, limit: jax.Array) -> Fit:
    """Sweep if the residual is above the tolerance, and again while it is above the limit.

    Stops before that if a sweep gains little. A residual that is not finite is left as it is.
    """

    def more(fit: Fit) -> jax.Array:
        wanted = jnp.where(jnp.isinf(fit.before), tolerance, limit)
        return (fit.residual > wanted) & (fit.residual < _STALLED * fit.before)

    return jax.lax.while_loop(more, lambda fit: swept(fit, w), fit)


def swept(fit: Fit, w: jax.Array) -> Fit:
    """Turn the basis once."""
    x = _rotation(fit.gram)
    square = dot(x, x)
    # The sum of the fourth powers of the singular values of x, each of which is there twice.
    size = (jnp.sum(square * square) / 2) ** 0.25
    shorter = jnp.minimum(1, _LARGEST_TURN / jnp.where(size > 0, size, 1))
    u = fit.u + dot(fit.u, shorter * x + (0.5 * shorter**2) * square)
    excess = dot(u.T, u) - jnp.eye(len(u), dtype=u.dtype)
    u = u - 0.5 * dot(u, excess)
    now = measured(u, w, 0.75 * jnp.sum(excess * excess))
    return now._replace(before=fit.residual)


def _coupling(gram: jax.Array) -> jax.Array:
    return jnp.where(jnp.eye(len(gram), dtype=bool), 0, gram)


def _rotation(gram: jax.Array) -> jax.Array:
    coupling, squares = _coupling(gram), jnp.diagonal(gram)
    gap = squares[None] - squares[:, None]
    # Between rows that are equal to rounding, large rotations would follow rounding errors.
    larger = jnp.maximum(squares[:, None], squares[None])
    noise = jnp.finfo(gram.dtype).eps * jnp.sqrt(jnp.max(squares) * larger)
    seen = (jnp.abs(coupling) > noise) | (jnp.abs(gap) > 64 * noise)
    below = jnp.where(seen, gap * gap + 4 * coupling * coupling, 1)
    return jnp.where(seen, coupling * gap / below, 0)
