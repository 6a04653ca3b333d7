"""A singular frame that follows W from step to step."""

from __future__ import annotations

from typing import NoReturn

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Float

from lnn.core.linalg import Array
from lnn.core.spectral.frames import (
    Frame,
    refuse_derivative,
    short_frame,
)
from lnn.core.spectral.sweeps import measured, refined, scaled, singular_value_cutoff


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
        good, frame = _followed(basis, w, tolerance, limit)
        return jax.lax.cond(good, lambda: frame, lambda: short_frame(w))

    return jax.lax.cond(jnp.any(w != 0), followed, lambda: Frame(basis, w[:, 0], w))


@_tracked_of_batch.def_vmap
def _tracked_vmap(axis_size: int, in_batched: list[bool], *parts: jax.Array) -> tuple[Frame, Frame]:
    batch = tuple(
        part if batched else jnp.broadcast_to(part, (axis_size, *part.shape))
        for part, batched in zip(parts, in_batched, strict=True)
    )
    frames: Frame = jax.lax.platform_dependent(
        *batch, cpu=lambda *batch: jax.lax.map(lambda one: _tracked(*one), batch), default=together
    )
    return frames, Frame(True, True, True)  # type: ignore[arg-type]


def together(basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array) -> Frame:
    """Follow a batch with batched products; if one has to be decomposed, all are."""
    good, frames = jax.vmap(_followed)(basis, w, tolerance, limit)

    def chosen(fresh: jax.Array, followed: jax.Array) -> jax.Array:
        return jnp.where(good.reshape(-1, *[1] * (fresh.ndim - 1)), followed, fresh)

    def decomposed() -> Frame:
        return jax.tree.map(chosen, jax.vmap(short_frame)(w), frames)

    return jax.lax.cond(good.all(), lambda: frames, decomposed)


def _followed(
    basis: jax.Array, w: jax.Array, tolerance: jax.Array, limit: jax.Array
) -> tuple[jax.Array, Frame]:
    """Return whether the sweeps arrived, and the frame at which they did."""
    unit, scale = scaled(w)
    blank = jnp.where(jnp.any(basis != 0), 0, jnp.full_like(scale, jnp.inf))
    fit = refined(measured(basis, unit, blank), unit, tolerance, limit)
    s = jnp.sqrt(jnp.diagonal(fit.gram))
    keep = ~(s <= singular_value_cutoff(w.shape, w.dtype) * jnp.max(s))
    vt = jnp.where(keep[:, None], fit.b / jnp.where(keep, s, 1)[:, None], 0)
    return fit.residual <= limit, Frame(fit.u, jnp.where(keep, s * scale, 0), vt)
