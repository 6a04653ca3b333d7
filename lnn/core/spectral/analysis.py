"""Powers of matrices and the preconditioner as a matrix, for analysis."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Float

from lnn.core.linalg import Array, dot, where_finite
from lnn.core.spectral.sweeps import singular_value_cutoff


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
