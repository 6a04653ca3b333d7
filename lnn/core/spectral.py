"""The singular frame of W, and the preconditioner of the end-to-end rule in it.

Depth-N linear networks under gradient descent precondition the gradient g of L at W by
sum_j [W W^T]^((j-1)/N) g [W^T W]^((N-j)/N) (Arora, Cohen and Hazan 2018, Theorem 1 and eq. 10).
In the singular frame of W = U diag(s) V^T the entry (r, r') of U^T g V is multiplied by

    sum_j s_r^(2(j-1)/N) s_r'^(2(N-j)/N) = (a - b) / (a^(1/N) - b^(1/N)),  a = s_r^2, b = s_r'^2

(Claim 1), so the cost does not grow with N and N may be any real number >= 1. Powers are those of
positive semidefinite matrices with 0^0 = 1. Nothing here may be differentiated: derivatives of
singular vectors do not exist at repeated singular values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from lnn.core.linalg import dot


class Frame(NamedTuple):
    """Thin singular frame of W (k, d): with r = min(k, d), u (k, r), s (r,), vt (r, d).

    Singular values below the cutoff are exactly zero and so are their rows of `vt`.
    """

    u: jax.Array
    s: jax.Array
    vt: jax.Array


def _lapack_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    # Of w^T: LAPACK is up to twice as fast on a tall matrix, and reads rows of w as its columns.
    v, s, ut = jnp.linalg.svd(w.T, full_matrices=False)
    return ut.T, s, v.T


def _svd_unless_zero(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """That of w (k, d), k <= d; a zero w, as of a run that has ended, needs none: all is zero."""
    k = w.shape[0]
    return jax.lax.cond(jnp.any(w != 0), _svd, lambda w: (w[:, :k], w[:, 0], w), w)


@custom_vmap
def _svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _lapack_svd(w)


@_svd.def_vmap
def _svd_vmap(axis_size: int, in_batched: list[bool], w: jax.Array) -> tuple:  # type: ignore[type-arg]
    # A batched LAPACK call waits for workers of the thread pool it runs on, and hangs for ever
    # when several devices call it at once. On CPU the batch is a loop of single calls instead.
    del axis_size, in_batched
    out = jax.lax.platform_dependent(
        w, cpu=lambda batch: jax.lax.map(_svd_unless_zero, batch), default=jax.vmap(_lapack_svd)
    )
    return out, (True, True, True)


def singular_value_cutoff(shape: tuple[int, int], dtype: np.dtype) -> float:
    """Singular values below this multiple of the largest are taken to be zero.

    A backward-stable decomposition leaves an absolute error of a few eps * s_max (at most 4.1 in
    500 exactly rank-deficient float32 matrices up to 128 x 512), growing like the root of the size.
    """
    return float(max(6.0, 0.5 * math.sqrt(max(shape))) * jnp.finfo(dtype).eps)


def singular_frame(w: jax.Array) -> Frame:
    """The thin singular frame of w (k, d), at the accuracy of a singular value decomposition.

    A decomposition of W itself, not of W W^T: squaring loses every singular value below
    sqrt(eps) * s_max, which the power 1/N brings back to view. One row or column costs a norm.
    """
    k, d = w.shape
    if k > d:
        u, s, vt = singular_frame(w.T)
        keep = s > 0
        return Frame(jnp.where(keep, vt.T, 0), s, jnp.where(keep[:, None], u.T, 0))
    if k == 1:
        norm, unit = row_direction(w)
        return Frame(jnp.ones_like(w[:, :1]), norm[0], unit)
    u, s, vt = _svd(w)
    keep = s > singular_value_cutoff((k, d), w.dtype) * s[0]
    return Frame(u, jnp.where(keep, s, 0), jnp.where(keep[:, None], vt, 0))


def row_direction(w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Norm (1, 1) and direction (1, d) of one row w (1, d); a zero row has direction zero."""
    # Scaled first: the squares of a norm of 1e-24 underflow in float32.
    scale = jnp.max(jnp.abs(w))
    scaled = w / jnp.where(scale > 0, scale, 1)
    norm = jnp.sqrt(dot(scaled, scaled.T))
    return norm * scale, scaled / jnp.where(norm > 0, norm, 1)


def precondition(w: jax.Array, g: jax.Array, depth: float) -> jax.Array:
    """sum_j [W W^T]^((j-1)/N) g [W^T W]^((N-j)/N) for w, g (k, d) and real depth N >= 1.

    depth = inf is the limit per unit depth: the sum divided by N as N grows, in which entry (r, r')
    of the frame is multiplied by the logarithmic mean of s_r^2 and s_r'^2.

    Cost O(min(k, d)^2 max(k, d)). Source: Arora, Cohen and Hazan (2018), eq. 10 and Claim 1.
    """
    if depth == 1:
        return g
    return precondition_in(short_frame(w), g, depth)


def short_frame(w: jax.Array) -> Frame:
    """The frame in which `precondition_in` works: of w, or of w^T where that has fewer rows.

    It holds a full orthonormal basis of the small side, so that the terms j = 1 and j = N reach
    what lies outside the column space.
    """
    return singular_frame(w if w.shape[0] <= w.shape[1] else w.T)


def precondition_in(frame: Frame, g: jax.Array, depth: float) -> jax.Array:
    """`precondition` of g (k, d) for depth N > 1, in the `short_frame` of some w (k, d)."""
    if g.shape[0] > g.shape[1]:  # the rule of the transposed matrices is the transposed rule
        return precondition_in(frame, g.T, depth).T
    u, s, vt = frame
    rotated = dot(u.T, g)
    factor = _pair_factor(s, depth)
    if math.isinf(depth):
        return dot(u, dot(dot(rotated, vt.T) * factor, vt))
    # Outside the row space only the term j = N is left, a factor s_r^(2 - 2/N); it is among the
    # terms inside too, so that the whole of g gets it and the inside what remains.
    last = s[:, None] ** (2 - 2 / depth)
    inside = dot(dot(rotated, vt.T) * (factor - last), vt)
    return dot(u, inside + last * rotated)


def _pair_factor(s: jax.Array, depth: float) -> jax.Array:
    """The factor of every pair of singular values, (r, r), for s descending; see the module.

    With x = log(low^2 / high^2) <= 0 it is high^(2-2/N) expm1(x) / expm1(x / N), and high^2
    expm1(x) / x at depth inf. These are smooth in x, so that x may be a difference of logarithms
    of single values: the exponentials are then the only functions of pairs.
    """
    positive = s > 0
    logs = jnp.log(jnp.where(positive, s / jnp.where(positive[0], s[0], 1), 1))
    both = positive[:, None] & positive
    x = jnp.where(both, -2 * jnp.abs(logs[:, None] - logs), -jnp.inf)
    equal = x == 0
    safe = jnp.where(equal, -1, x)
    if math.isinf(depth):
        power, ratio = s**2, jnp.where(equal, 1, jnp.expm1(safe) / safe)
    else:
        power = s ** (2 - 2 / depth)
        ratio = jnp.where(equal, depth, jnp.expm1(safe) / jnp.expm1(safe / depth))
    return jnp.maximum(power[:, None], power) * ratio


def psd_power(a: jax.Array, exponent: float) -> jax.Array:
    """a^exponent for a symmetric positive semidefinite a (n, n), with 0^0 = 1, for analysis.

    Eigenvalues below n * eps * the largest, negative ones included, are taken to be zero; the
    zeroth power is the identity, not a projector.

    Raises:
        ValueError: if a is not a square matrix or the exponent is negative.
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"a has shape {a.shape}: give a square (n, n) matrix")
    if not exponent >= 0:
        raise ValueError(f"exponent = {exponent}: give a number >= 0 (a may be singular)")
    if exponent == 0:
        return jnp.eye(a.shape[0], dtype=a.dtype)
    values, vectors = jnp.linalg.eigh(a)
    cutoff = a.shape[0] * jnp.finfo(a.dtype).eps * values[-1]
    powers = jnp.where(values > cutoff, jnp.where(values > 0, values, 1) ** exponent, 0)
    return dot(vectors * powers, vectors.T)


def preconditioner_matrix(w: jax.Array, depth: int) -> jax.Array:
    """P_W (kd, kd) with vec(update) = P_W vec(g), vec stacking columns, for w (k, d); for analysis.

    P_W = sum_j [W^T W]^((N-j)/N) kron [W W^T]^((j-1)/N), positive semidefinite: Arora, Cohen and
    Hazan (2018), eq. 11. Formed from its definition, term by term.

    Raises:
        ValueError: if depth is not a positive integer.
    """
    layers = _layers(depth)
    left, right = dot(w, w.T), dot(w.T, w)
    terms = (
        jnp.kron(psd_power(right, (depth - j) / depth), psd_power(left, (j - 1) / depth))
        for j in layers
    )
    return sum(terms, start=jnp.zeros((w.size, w.size), w.dtype))


def preconditioner_eigenpairs(w: jax.Array, depth: float) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues (kd,) and eigenvectors (kd, kd), as columns, of P_W by formula; for analysis.

    vec(u_r v_r'^T) has the eigenvalue sum_j s_r^(2(j-1)/N) s_r'^(2(N-j)/N), with zero singular
    values beyond the rank and 0^0 = 1: Arora, Cohen and Hazan (2018), Claim 1. In the order of
    r' k + r, so that column r' k + r belongs to (r, r').

    Raises:
        ValueError: if depth is not a positive integer.
    """
    layers = _layers(depth)
    k, d = w.shape
    u, s, vt = jnp.linalg.svd(w, full_matrices=True)
    s = jnp.where(s > singular_value_cutoff((k, d), w.dtype) * s[0], s, 0)
    left = jnp.zeros(k, w.dtype).at[: s.size].set(s)
    right = jnp.zeros(d, w.dtype).at[: s.size].set(s)
    values = sum(
        (
            right[:, None] ** (2 * (depth - j) / depth) * left ** (2 * (j - 1) / depth)
            for j in layers
        ),
        start=jnp.zeros((d, k), w.dtype),
    )
    return values.ravel(), jnp.kron(vt.T, u)


def _layers(depth: float) -> range:
    """j = 1, ..., N of the sums that are formed from their definition."""
    if depth < 1 or int(depth) != depth:
        raise ValueError(f"depth = {depth}: the sum over layers needs a positive integer")
    return range(1, int(depth) + 1)
