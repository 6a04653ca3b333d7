r"""The singular frame of a matrix that moves from step to step, by matrix products alone.

With U of the step before and W now, the rows of B = U^T W are orthogonal up to the motion, and
C = B B^T is nearly diagonal. One sweep turns U by I + X + X^2 / 2, X antisymmetric with

$$X_{ij} = C_{ij} D_{ij} / (D_{ij}^2 + 4 C_{ij}^2), D_{ij} = C_{jj} - C_{ii}$$

C_ij / D_ij is the rotation to first order, of the refinement of Ogita and Aishima (2018), "Iterative
refinement for symmetric eigenvalue decomposition", Japan J. Indust. Appl. Math. 35, eq. 7: off
close singular values the error is squared. The damping leaves pairs alone whose gap is smaller than
what couples them; large X are shortened. A Newton-Schulz step keeps U orthogonal. If the
sweeps do not get there, W is decomposed. Only W itself is multiplied, never W W^T, so small singular
values are as accurate as in a singular value decomposition.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Float

from lnn.core.linalg import Array, dot
from lnn.core.spectral.frames import (
    Frame,
    refuse_derivative,
    short_frame,
    singular_value_cutoff,
)

_STALLED = 0.5
"""A sweep that reduces the residual by less than this is the last."""

_LARGEST_TURN = 0.7
"""Bound of |X|: the Newton-Schulz step leaves 3e-3 of non-orthogonality there."""


def tracked_frame(
    basis: Float[Array, "r r"],
    w: Float[Array, "k d"],
    tolerance: float | None = None,
    limit: float | None = None,
) -> Frame:
    r"""Return the `short_frame` of w, r = min(k, d), from the basis of the step before.

    Args:
        basis: `u` of the frame returned for an earlier w, near this one; zeros (r, r) at first.
        w: the matrix, float32 or float64.
        tolerance: the basis is refined if the relative residual is above this; default: rounding,
            12 eps or more, as `singular_value_cutoff` grows.
        limit: the largest residual that is accepted; of matrices above it the frame is decomposed.
            Default: the tolerance.

    The residual is the smallest change of w, relative to its Frobenius norm, after which the frame
    is exact, to first order: $\sum_{i<j} C_{ij}^2 / \max(C_{ii}, C_{jj})$, rooted. Relative
    errors of an update are about as large.

    It costs 2 k^2 d multiplications, and a sweep 2 k^2 d + 4 k^3 for k <= d; one sweep is enough
    while w moves by less than a percent of the gaps of its singular values in a step.

    Singular values are in the order of the basis. Zero w returns the basis as it is. If w has an
    entry that is not finite, so is the frame throughout, and the next finite w is decomposed.

    Raises:
        ValueError: it is differentiated with respect to w, as `precondition`.

    Example:
        >>> w = jnp.array([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
        >>> basis = lnn.spectral.tracked_frame(jnp.zeros((2, 2)), w).u
        >>> u, s, vt = lnn.spectral.tracked_frame(basis, w + 0.01)
        >>> print(np.allclose(u * s[None] @ vt, w + 0.01), np.allclose(vt @ vt.T, np.eye(2)))
        True True
    """
    if w.shape[0] > w.shape[1]:
        return tracked_frame(basis, w.T, tolerance, limit)
    if tolerance is None:
        tolerance = 2 * singular_value_cutoff(w.shape, w.dtype)
    accepted = tolerance if limit is None else limit
    return _tracked(*(jnp.asarray(part, w.dtype) for part in (basis, w, tolerance, accepted)))


@jax.custom_jvp
def _tracked(basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array) -> Frame:
    return _tracked_of_batch(basis, w, tolerance, limit)


@_tracked.defjvp
def _tracked_jvp(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> NoReturn:
    refuse_derivative()


@custom_vmap
def _tracked_of_batch(
    basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array
) -> Frame:
    """Follow w (k, d), k <= d; ended runs pass zero matrices, which cost nothing."""

    def followed() -> Frame:
        fit = _refined(basis, w, tolerance, limit)
        good = fit.residual <= limit
        return jax.lax.cond(good, lambda: _frame(fit), lambda: short_frame(w))

    def unchanged() -> Frame:
        return Frame(basis, w[:, 0], w)

    return jax.lax.cond(jnp.any(w != 0), followed, unchanged)


@_tracked_of_batch.def_vmap
def _tracked_vmap(
    axis_size: int, in_batched: list[bool], *parts: jax.Array
) -> tuple[Frame, Frame]:
    batch = tuple(
        part if batched else jnp.broadcast_to(part, (axis_size, *part.shape))
        for part, batched in zip(parts, in_batched, strict=True)
    )
    frames: Frame = jax.lax.platform_dependent(
        *batch, cpu=lambda *batch: jax.lax.map(lambda one: _tracked(*one), batch), default=together
    )
    return frames, Frame(True, True, True)  # type: ignore[arg-type]


def together(basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array) -> Frame:
    """Follow a batch with batched products; if one needs to be decomposed, all are."""
    fits = jax.vmap(_refined)(basis, w, tolerance, limit)
    good, frames = fits.residual <= limit, jax.vmap(_frame)(fits)

    def chosen(fresh: jax.Array, followed: jax.Array) -> jax.Array:
        return jnp.where(good.reshape(-1, *[1] * (fresh.ndim - 1)), followed, fresh)

    return jax.lax.cond(
        good.all(), lambda: frames, lambda: jax.tree.map(chosen, jax.vmap(short_frame)(w), frames)
    )


class _Fit(NamedTuple):
    """A basis u, b = u^T w / scale, its Gram matrix, the residual now and before the last sweep."""

    u: jax.Array
    b: jax.Array
    gram: jax.Array
    residual: jax.Array
    before: jax.Array
    scale: jax.Array


def _refined(basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array) -> _Fit:
    scale = jnp.max(jnp.abs(w))  # or squares of small entries underflow
    w = w / jnp.where(scale > 0, scale, 1)
    infinite = jnp.full_like(scale, jnp.inf)
    blank = jnp.where(jnp.any(basis != 0), 0, infinite)
    first = _measured(basis, w, blank, infinite, scale)

    def more(fit: _Fit) -> jax.Array:
        wanted = jnp.where(jnp.isinf(fit.before), tolerance, limit)
        return (fit.residual > wanted) & (fit.residual < _STALLED * fit.before)

    return jax.lax.while_loop(more, lambda fit: _swept(fit, w), first)


def _measured(
    u: jax.Array, w: jax.Array, lost: jax.Array, before: jax.Array, scale: jax.Array
) -> _Fit:
    """Measure how orthogonal the rows of u^T w are; `lost` is what u lacks of being orthogonal."""
    b = dot(u.T, w)
    gram = dot(b, b.T)
    squares = jnp.diagonal(gram)
    larger = jnp.maximum(squares[:, None], squares[None])
    coupling = jnp.sum(_coupling(gram) ** 2 / jnp.where(larger > 0, larger, 1)) / 2
    total = jnp.sum(squares)
    residual = jnp.sqrt(coupling / jnp.where(total > 0, total, 1))
    return _Fit(u, b, gram, jnp.maximum(residual, lost), before, scale)


def _coupling(gram: jax.Array) -> jax.Array:
    return jnp.where(jnp.eye(len(gram), dtype=bool), 0, gram)


def _swept(fit: _Fit, w: jax.Array) -> _Fit:
    x = _rotation(fit.gram)
    square = dot(x, x)
    # The sum of the fourth powers of the singular values of x, each of which is there twice.
    size = (jnp.sum(square * square) / 2) ** 0.25
    shorter = jnp.minimum(1, _LARGEST_TURN / jnp.where(size > 0, size, 1))
    u = fit.u + dot(fit.u, shorter * x + (0.5 * shorter**2) * square)
    excess = dot(u.T, u) - jnp.eye(len(u), dtype=u.dtype)
    u = u - 0.5 * dot(u, excess)
    return _measured(u, w, 0.75 * jnp.sum(excess * excess), fit.residual, fit.scale)


def _rotation(gram: jax.Array) -> jax.Array:
    coupling, squares = _coupling(gram), jnp.diagonal(gram)
    gap = squares[None] - squares[:, None]
    below = gap * gap + 4 * coupling * coupling
    # Rounding errors of rows that should be zero are left alone.
    larger = jnp.maximum(squares[:, None], squares[None])
    least = (0.25 * jnp.finfo(gram.dtype).eps) ** 2 * jnp.max(squares)
    seen = (coupling * coupling > least * larger) & (below > 0)
    return jnp.where(seen, coupling * gap / jnp.where(seen, below, 1), 0)


def _frame(fit: _Fit) -> Frame:
    s = jnp.sqrt(jnp.diagonal(fit.gram))
    keep = ~(s <= singular_value_cutoff(fit.b.shape, s.dtype) * jnp.max(s))
    vt = jnp.where(keep[:, None], fit.b / jnp.where(keep, s, 1)[:, None], 0)
    return Frame(fit.u, jnp.where(keep, s * fit.scale, 0), vt)
