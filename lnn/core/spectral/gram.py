"""A singular value decomposition by symmetric eigendecompositions, for accelerators.

Their symmetric eigensolvers are several times as fast as their singular value decompositions. The
eigenvectors of W W^T resolve singular values down to sqrt(eps) times the largest. Sweeps on W make
the larger ones accurate; those below `_SMALL` times the largest, uncoupled from the others, have an
eigendecomposition of their own, at their own scale.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot
from lnn.core.spectral.sweeps import measured, refined, scaled, singular_value_cutoff

_SMALL = 0.01


@jax.jit
def gram_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return u (k, k), s (k,) in descending order and vt (k, d) of a finite w (k, d), k <= d.

    Rows of vt are normalized, and orthogonal to rounding times the largest over their own singular
    value. A QR decomposition first would spare nothing: d enters only by products.
    """
    w, scale = scaled(w)
    goal = jnp.asarray(2 * singular_value_cutoff(w.shape, w.dtype), w.dtype)
    fit = refined(measured(_eigenvectors(dot(w, w.T)), w), w, goal, goal)
    fit = measured(dot(fit.u, _eigenvectors(_small_apart(fit.gram))), w)
    fit = refined(fit, w, goal, goal)
    s = jnp.sqrt(jnp.diagonal(fit.gram))
    order = jnp.argsort(-s)
    vt = fit.b / jnp.where(s > 0, s, 1)[:, None]
    return fit.u[:, order], (s * scale)[order], vt[order]


def _eigenvectors(a: jax.Array) -> jax.Array:
    vectors: jax.Array = jnp.linalg.eigh(a)[1][:, ::-1]
    return vectors


def _small_apart(gram: jax.Array) -> jax.Array:
    """Return a matrix like it: the small ones from 0 to 1, uncoupled from the others above 2."""
    squares = jnp.diagonal(gram)
    largest = jnp.max(squares)
    small = squares <= _SMALL**2 * largest
    own = jnp.max(jnp.where(small, squares, 0))
    block = jnp.where(small[:, None] & small[None], gram / jnp.where(own > 0, own, 1), 0)
    above = jnp.where(small, 0, 2 + jnp.sqrt(squares / jnp.where(largest > 0, largest, 1)))
    return block + jnp.diag(above)
