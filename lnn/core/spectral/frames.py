"""The thin singular frame of W by decomposition."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Float

from lnn.core.linalg import Array, dot, where_finite
from lnn.core.spectral.gram import gram_svd
from lnn.core.spectral.sweeps import singular_value_cutoff


class Frame(NamedTuple):
    """Thin singular frame of W (k, d), r = min(k, d): W = u diag(s) vt.

    Singular values below the cutoff are exactly zero and so are their rows of `vt`.

    Example:
        >>> u, s, vt = lnn.spectral.singular_frame(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
        >>> print(s, np.allclose(u * s[None] @ vt, [[0, 2], [1, 0]]))
        [2. 1.] True
    """

    u: Float[jax.Array, "k r"]
    s: Float[jax.Array, " r"]
    vt: Float[jax.Array, "r d"]


MOST_ROWS_OF_GRAM = 512
"""Up to here accelerators take `gram_svd`, whose accuracy has been measured to this size; their
singular value decompositions are slow for many small matrices above all.
"""


def _lapack_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Decompose w (k, d), k <= d."""
    # Of w^T: LAPACK is up to twice as fast on tall matrices, and reads rows of w as columns.
    v, s, ut = where_finite(partial(jnp.linalg.svd, full_matrices=False), w.T)
    return ut.T, s, v.T


def _accelerator_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return where_finite(gram_svd, w) if len(w) <= MOST_ROWS_OF_GRAM else _lapack_svd(w)


def _svd_unless_zero(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Decompose w (k, d), k <= d; skip zero matrices, as of ended runs: all is zero."""
    k = w.shape[0]
    return jax.lax.cond(jnp.any(w != 0), _svd, lambda w: (w[:, :k], w[:, 0], w), w)


@jax.custom_jvp
def _svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _batched_svd(w)


@_svd.defjvp
def _svd_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> NoReturn:
    refuse_derivative()


def refuse_derivative() -> NoReturn:
    """Raise the `ValueError` of a derivative with respect to W."""
    raise ValueError(
        "the end-to-end rule was differentiated with respect to W: the singular vectors in which "
        "it acts have no derivative where singular values repeat or vanish. Differentiate through "
        "steps on the factors instead, lnn.factorize, or hold the rule constant with "
        "jax.lax.stop_gradient(params). Derivatives with respect to the gradient, and those of one "
        "output, exist"
    )


@custom_vmap
def _batched_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    parts: tuple[jax.Array, jax.Array, jax.Array] = jax.lax.platform_dependent(
        w, cpu=_lapack_svd, default=_accelerator_svd
    )
    return parts


@_batched_svd.def_vmap
def _batched_svd_vmap(axis_size: int, in_batched: list[bool], w: jax.Array) -> tuple:  # type: ignore[type-arg]
    # A batched LAPACK call waits for workers of its own thread pool, and hangs if several devices
    # call it at once. On CPU the batch is a loop of single calls instead.
    del axis_size, in_batched
    out = jax.lax.platform_dependent(
        w,
        cpu=lambda batch: jax.lax.map(_svd_unless_zero, batch),
        default=jax.vmap(_accelerator_svd),
    )
    return out, (True, True, True)


def singular_frame(w: Float[Array, "k d"]) -> Frame:
    """Return the thin singular frame of w, as accurate as a singular value decomposition.

    W itself is decomposed, not W W^T: squaring loses singular values below sqrt(eps) * s_max, which
    the power 1/N magnifies. One row or column costs a norm.

    Example:
        >>> print(lnn.spectral.singular_frame(jnp.array([[3.0, 4.0]])).s)
        [5.]
    """
    k, d = w.shape
    if k > d:
        u, s, vt = singular_frame(w.T)
        keep = s != 0
        return Frame(jnp.where(keep[None], vt.T, 0), s, jnp.where(keep[:, None], u.T, 0))
    if k == 1:
        norm, unit = row_direction(jnp.asarray(w))
        return Frame(jnp.ones_like(w[:, :1]), norm[0], unit)
    u, s, vt = _svd(w)
    keep = ~(s <= singular_value_cutoff((k, d), w.dtype) * s[0])  # and NaN stays NaN
    return Frame(u, jnp.where(keep, s, 0), jnp.where(keep[:, None], vt, 0))


def row_direction(
    w: Float[jax.Array, "1 d"],
) -> tuple[Float[jax.Array, "1 1"], Float[jax.Array, "1 d"]]:
    """Return norm and direction of one row; a zero row has direction zero.

    Example:
        >>> print(*lnn.spectral.row_direction(jnp.array([[3.0, 4.0]])))
        [[5.]] [[0.6 0.8]]
    """
    # Scaled first: the squares of a norm of 1e-24 underflow in float32.
    scale = jnp.max(jnp.abs(w))
    scaled = w / jnp.where(scale > 0, scale, 1)
    norm = jnp.sqrt(dot(scaled, scaled.T))
    return norm * scale, scaled / jnp.where(norm > 0, norm, 1)


def short_frame(w: Float[Array, "k d"]) -> Frame:
    """Return the frame for `precondition_in`: of w, or of w^T if that has fewer rows.

    It contains a full orthonormal basis of the small side, so the terms j = 1 and j = N also act
    outside the column space.

    Example:
        >>> print([part.shape for part in lnn.spectral.short_frame(jnp.ones((7, 2)))])
        [(2, 2), (2,), (2, 7)]
    """
    return singular_frame(w if w.shape[0] <= w.shape[1] else w.T)
