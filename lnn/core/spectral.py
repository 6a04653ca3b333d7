r"""The singular frame of W, and the preconditioner of the end-to-end rule in it.

Depth-N linear networks under gradient descent precondition the gradient g of L at W (k, d) to

$$P_W g = \sum_{j=1}^N [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$$

(Arora, Cohen and Hazan 2018, Theorem 1 and eq. 10). In the singular frame of W = U diag(s) V^T the
entry (r, q) of U^T g V is multiplied by

$$\sum_j s_r^{2(j-1)/N} s_q^{2(N-j)/N} = \frac{a - b}{a^{1/N} - b^{1/N}}, a = s_r^2, b = s_q^2$$

(Claim 1), so the cost does not grow with N and N may be any real number >= 1. Powers are those of
positive semidefinite matrices with 0^0 = 1. The rule is linear in g and may be differentiated in
it; in W only for one row or column, since derivatives of singular vectors do not exist at repeated
singular values: `ValueError`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Float

from lnn.core.linalg import Array, dot, where_finite


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


def _lapack_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    # Of w^T: LAPACK is up to twice as fast on tall matrices, and reads rows of w as columns.
    v, s, ut = where_finite(partial(jnp.linalg.svd, full_matrices=False), w.T)
    return ut.T, s, v.T


def _svd_unless_zero(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Decompose w (k, d), k <= d; skip zero matrices, as of ended runs: all is zero."""
    k = w.shape[0]
    return jax.lax.cond(jnp.any(w != 0), _svd, lambda w: (w[:, :k], w[:, 0], w), w)


@jax.custom_jvp
def _svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _batched_svd(w)


@_svd.defjvp
def _svd_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> NoReturn:
    raise ValueError(
        "the end-to-end rule was differentiated with respect to W: the singular vectors in which "
        "it acts have no derivative where singular values repeat or vanish. Differentiate through "
        "steps on the factors instead, lnn.factorize, or hold the rule constant with "
        "jax.lax.stop_gradient(params). Derivatives with respect to the gradient, and those of one "
        "output, exist"
    )


@custom_vmap
def _batched_svd(w: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _lapack_svd(w)


@_batched_svd.def_vmap
def _batched_svd_vmap(axis_size: int, in_batched: list[bool], w: jax.Array) -> tuple:  # type: ignore[type-arg]
    # A batched LAPACK call waits for workers of its own thread pool, and hangs if several devices
    # call it at once. On CPU the batch is a loop of single calls instead.
    del axis_size, in_batched
    out = jax.lax.platform_dependent(
        w, cpu=lambda batch: jax.lax.map(_svd_unless_zero, batch), default=jax.vmap(_lapack_svd)
    )
    return out, (True, True, True)


def singular_value_cutoff(shape: tuple[int, int], dtype: np.dtype) -> float:
    """Return the multiple of the largest singular value below which others count as zero.

    A backward-stable decomposition leaves an absolute error of a few eps * s_max (at most 4.1 in
    500 exactly rank-deficient float32 matrices up to 128 x 512), growing like the root of the size.

    Example:
        >>> cutoff = lnn.spectral.singular_value_cutoff((128, 512), np.dtype("float32"))
        >>> print(round(cutoff / float(np.finfo(np.float32).eps), 1))
        11.3
    """
    return float(max(6.0, 0.5 * math.sqrt(max(shape))) * jnp.finfo(dtype).eps)


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
    # Squares of a norm of 1e-24 underflow in float32, and of 1e24 overflow: squares are summed at
    # three scales, of the numbers that may decide at each (Blue 1978, ACM TOMS 4, 15-23), which
    # cost an accelerator one operation. Factors are selected, since XLA merges constant ones.
    far = 2.0 ** (jnp.finfo(w.dtype).maxexp // 2)
    up = jnp.where(jnp.abs(w) < far**-0.5, jnp.asarray(far, w.dtype), 0)
    down = jnp.where(jnp.abs(w) > 1, jnp.asarray(1 / far, w.dtype), 0)
    plain, enlarged, reduced = (dot(part, part.T) for part in (w, w * up, w * down))
    tiny, huge = plain < 1 / far, plain > far
    scale = jnp.where(tiny, far, jnp.where(huge, 1 / far, 1)).astype(w.dtype)
    norm = jnp.sqrt(jnp.where(tiny, enlarged, jnp.where(huge, reduced, plain)))
    norm = jnp.where(norm < jnp.inf, norm, jnp.nan)  # of an entry that is not finite
    return norm / scale, w * scale / jnp.where(norm == 0, 1, norm)


def precondition(
    w: Float[Array, "k d"], g: Float[Array, "k d"], depth: float
) -> Float[jax.Array, "k d"]:
    r"""$\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$ for real depth N >= 1.

    depth = inf is the limit per unit depth: the sum divided by N as N grows, in which entry (r, q)
    of the frame is multiplied by the logarithmic mean of s_r^2 and s_q^2.

    Cost O(min(k, d)^2 max(k, d)). Source: Arora, Cohen and Hazan (2018), eq. 10 and Claim 1.

    Example:
        >>> w, g = jnp.diag(jnp.array([2.0, 3.0])), jnp.ones((2, 2))
        >>> print(lnn.spectral.precondition(w, g, depth=2))  # |W| g + g |W|
        [[4. 5.]
         [5. 6.]]
    """
    if depth == 1:
        return jnp.asarray(g)
    return precondition_in(short_frame(w), g, depth)


def short_frame(w: Float[Array, "k d"]) -> Frame:
    """Return the frame for `precondition_in`: of w, or of w^T if that has fewer rows.

    It contains a full orthonormal basis of the small side, so the terms j = 1 and j = N also act
    outside the column space.

    Example:
        >>> print([part.shape for part in lnn.spectral.short_frame(jnp.ones((7, 2)))])
        [(2, 2), (2,), (2, 7)]
    """
    return singular_frame(w if w.shape[0] <= w.shape[1] else w.T)


def precondition_in(
    frame: Frame, g: Float[Array, "k d"], depth: float | Float[jax.Array, ""]
) -> Float[jax.Array, "k d"]:
    """`precondition` of g for depth N > 1, in the `short_frame` of some w (k, d).

    A depth that is a JAX scalar may be traced; it must be finite.

    Example:
        >>> frame = lnn.spectral.short_frame(jnp.array([[3.0, 4.0]]))
        >>> print(lnn.spectral.precondition_in(frame, jnp.array([[4.0, -3.0]]), 2))  # |W| g
        [[ 20. -15.]]
    """
    if g.shape[0] > g.shape[1]:  # the rule commutes with transposition
        return precondition_in(frame, g.T, depth).T
    u, s, vt = frame
    if isinstance(depth, jax.Array):
        depth = depth.astype(s.dtype)
    rotated = dot(u.T, g)
    factor = _pair_factor(s, depth)
    if _is_infinite(depth):
        return dot(u, dot(dot(rotated, vt.T) * factor, vt))
    # Outside the row space only the term j = N remains, a factor s_r^(2 - 2/N); since it also
    # occurs inside, it is applied to all of g, and the other terms inside.
    last = s[:, None] ** (2 - 2 / depth)
    inside = dot(dot(rotated, vt.T) * (factor - last), vt)
    return dot(u, inside + last * rotated)


def _is_infinite(depth: float | jax.Array) -> bool:
    return not isinstance(depth, jax.Array) and math.isinf(depth)


def _pair_factor(s: jax.Array, depth: float | jax.Array) -> jax.Array:
    """Return the factor of every pair of singular values, (r, r), for s descending; see the module.

    With x = log(low^2 / high^2) <= 0 it is high^(2-2/N) expm1(x) / expm1(x / N), and high^2
    expm1(x) / x at depth inf. These are smooth in x, so x may be a difference of logarithms of
    single values, and only the exponentials are functions of pairs.
    """
    positive = s > 0
    logs = jnp.log(jnp.where(positive, s / jnp.where(positive[0], s[0], 1), 1))
    both = positive[:, None] & positive[None]
    x = jnp.where(both, -2 * jnp.abs(logs[:, None] - logs[None]), -jnp.inf)
    equal = x == 0
    safe = jnp.where(equal, -1, x)
    if _is_infinite(depth):
        power, ratio = s**2, jnp.where(equal, 1, jnp.expm1(safe) / safe)
    else:
        power = s ** (2 - 2 / depth)
        ratio = jnp.where(equal, depth, jnp.expm1(safe) / jnp.expm1(safe / depth))
    return jnp.maximum(power[:, None], power[None]) * ratio


def psd_power(a: Float[Array, "n n"], exponent: float) -> Float[jax.Array, "n n"]:
    """a^exponent of a symmetric positive semidefinite matrix, with 0^0 = 1, for analysis.

    Eigenvalues below n * eps * the largest, including negative ones, count as zero; the
    zeroth power is the identity, not a projector.

    Raises:
        ValueError: a is not a square matrix, or the exponent is negative.

    Example:
        >>> root = lnn.spectral.psd_power(jnp.array([[5.0, 4.0], [4.0, 5.0]]), 0.5)
        >>> print(root)
        [[2. 1.]
         [1. 2.]]
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"a has shape {a.shape}: give a square (n, n) matrix")
    if not exponent >= 0:
        raise ValueError(f"exponent = {exponent}: give a number >= 0 (a may be singular)")
    if exponent == 0:
        return jnp.eye(a.shape[0], dtype=a.dtype)
    values, vectors = where_finite(jnp.linalg.eigh, a)
    cutoff = a.shape[0] * jnp.finfo(a.dtype).eps * values[-1]
    powers = jnp.where(values <= cutoff, 0, jnp.where(values <= 0, 1, values) ** exponent)
    return dot(vectors * powers[None], vectors.T)


def preconditioner_matrix(w: Float[Array, "k d"], depth: int) -> Float[jax.Array, "k*d k*d"]:
    r"""P_W with vec(update) = P_W vec(g), vec stacking columns; for analysis.

    $P_W = \sum_j [W^T W]^{(N-j)/N} \otimes [W W^T]^{(j-1)/N}$, positive semidefinite: Arora, Cohen
    and Hazan (2018), eq. 11. Formed from its definition, term by term.

    Raises:
        ValueError: depth is not a positive integer.

    Example:
        >>> print(jnp.linalg.eigvalsh(lnn.spectral.preconditioner_matrix(jnp.array([[0.0, 1]]), 3)))
        [1. 3.]
    """
    layers = _layers(depth)
    left, right = dot(w, w.T), dot(w.T, w)
    terms = (
        jnp.kron(psd_power(right, (depth - j) / depth), psd_power(left, (j - 1) / depth))
        for j in layers
    )
    return sum(terms, start=jnp.zeros((w.size, w.size), w.dtype))


def preconditioner_eigenpairs(
    w: Float[Array, "k d"], depth: float
) -> tuple[Float[jax.Array, " k*d"], Float[jax.Array, "k*d k*d"]]:
    r"""Eigenvalues and eigenvectors, as columns, of P_W by formula; for analysis.

    vec(u_r v_q^T) has the eigenvalue $\sum_j s_r^{2(j-1)/N} s_q^{2(N-j)/N}$, with zero singular
    values beyond the rank and 0^0 = 1: Arora, Cohen and Hazan (2018), Claim 1. Column q k + r
    belongs to (r, q).

    Raises:
        ValueError: depth is not a positive integer.

    Example:
        >>> values, vectors = lnn.spectral.preconditioner_eigenpairs(jnp.array([[0.0, 2.0]]), 3)
        >>> print(values)  # N times as much along W as across
        [7.5595 2.5198]
    """
    layers = _layers(depth)
    k, d = w.shape
    u, s, vt = where_finite(partial(jnp.linalg.svd, full_matrices=True), w)
    s = jnp.where(s <= singular_value_cutoff((k, d), w.dtype) * s[0], 0, s)
    left = jnp.zeros(k, w.dtype).at[: s.size].set(s)
    right = jnp.zeros(d, w.dtype).at[: s.size].set(s)
    values = sum(
        (
            right[:, None] ** (2 * (depth - j) / depth) * left[None] ** (2 * (j - 1) / depth)
            for j in layers
        ),
        start=jnp.zeros((d, k), w.dtype),
    )
    return values.ravel(), jnp.kron(vt.T, u)


def _layers(depth: float) -> range:
    if depth < 1 or int(depth) != depth:
        raise ValueError(f"depth = {depth}: the sum over layers needs a positive integer")
    return range(1, int(depth) + 1)
