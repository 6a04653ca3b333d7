r"""Factors W_1, ..., W_N of a deep linear network: initial points, product, balancedness.

`dims` lists the layer sizes from input to output, (d, n_1, ..., n_(N-1), k); factor j has shape
(n_j, n_(j-1)) and the network computes $W_N \cdots W_1 x$ (Arora, Cohen and Hazan 2018, Section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lnn.core.checks import SCHEMES
from lnn.core.linalg import dot

PAPER_STD = 0.01
"""Standard deviation of the paper's initial weights (Arora et al. 2018, Appendix C)."""

Factors = Sequence[Float[Array | np.ndarray, "*batch _ _"]]
"""W_1, ..., W_N, with any batch axes."""


def end_to_end(factors: Factors) -> Float[Array, "*batch k d"]:
    r"""$W_e = W_N \cdots W_1$, for factors (W_1, ..., W_N).

    Example:
        >>> print(lnn.network.end_to_end([np.array([[1.0, 2.0]]), np.array([[3.0]])]))
        [[3. 6.]]
    """
    arrays = [jnp.asarray(factor) for factor in factors]
    if arrays[-1].shape[-2] <= arrays[0].shape[-1]:
        # Starting at the smaller end keeps the products small.
        return reduce(dot, arrays[::-1])
    return reduce(lambda product, factor: dot(factor, product), arrays)


def conserved(factors: Factors) -> list[Float[Array, "*batch _ _"]]:
    """$D_j = W_{j+1}^T W_{j+1} - W_j W_j^T$, each (..., n_j, n_j), for j = 1, ..., N - 1.

    Zero when balanced. Gradient flow at time t, in units of the learning rate, has D_j(0)
    exp(-2 lambda t) with weight decay lambda (Arora, Cohen and Hazan 2018, eq. 9 and Appendix A.1).

    Example:
        >>> print(*lnn.network.conserved([np.array([[3.0]]), np.array([[5.0]])]))
        [[16.]]
    """
    return [
        dot(jnp.swapaxes(above, -1, -2), above) - dot(below, jnp.swapaxes(below, -1, -2))
        for below, above in pairwise(map(jnp.asarray, factors))
    ]


def balancedness_gap(factors: Factors) -> Float[Array, "*batch"]:
    r"""$\max_j \|W_{j+1}^T W_{j+1} - W_j W_j^T\|_F$: zero when balanced (eq. 7), or at depth 1.

    Example:
        >>> factors = lnn.network.init_factors(jax.random.key(0), dims=(3, 2, 1))
        >>> print(f"{lnn.network.balancedness_gap(factors):.5f}")
        0.00000
    """
    gaps = [jnp.linalg.norm(d, axis=(-2, -1)) for d in conserved(factors)]
    if not gaps:
        return jnp.zeros(jnp.shape(factors[0])[:-2], jnp.result_type(factors[0]))
    return jnp.max(jnp.stack(gaps), axis=0)


def init_factors(
    key: jax.Array,
    dims: Sequence[int],
    scheme: str = "balanced",
    scale: float | None = None,
    rank: int | None = None,
) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """Return initial factors for layer sizes `dims`: float64 on the host, bitwise reproducible.

    Args:
        key: a JAX random key; it seeds NumPy's generator.
        dims: (d, n_1, ..., n_(N-1), k), at least two sizes.
        scheme: "balanced": W_e is a random direction of Frobenius norm `scale` (default 0.1) and
            the given rank, split by `balanced_factors`. "near-zero": independent Gaussian entries
            of standard deviation `scale` (default 0.01). "identity": the same plus 1 on the
            diagonal of every factor, rectangular ones too (Arora et al. 2018, Appendix C).
        scale: see scheme; positive.
        rank: of a balanced W_e, 1 to min(dims), which is the default.

    Raises:
        ValueError: unknown scheme, fewer than two sizes, a size below 1, scale <= 0, or rank
            outside its range.

    Example:
        >>> factors = lnn.network.init_factors(jax.random.key(0), dims=(3, 2, 1), scale=0.5)
        >>> print([w.shape for w in factors], np.linalg.norm(factors[1] @ factors[0]).round(12))
        [(2, 3), (1, 2)] 0.5
    """
    if len(dims) < 2 or any(int(n) != n or n < 1 for n in dims):
        raise ValueError(f"dims = {list(dims)}: give at least two layer sizes, each at least 1")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme = {scheme!r}: choose one of {', '.join(SCHEMES)}")
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale = {scale}: give a positive number")
    rng = generator(key)
    if scheme == "balanced":
        norm, rank = 0.1 if scale is None else scale, min(dims) if rank is None else rank
        if not 1 <= rank <= min(dims):
            raise ValueError(f"rank = {rank}: layer sizes {list(dims)} allow 1 to {min(dims)}")
        w = random_direction(rng, dims[-1], dims[0], rank, norm)
        return balanced_factors(w, dims, rng)
    std = PAPER_STD if scale is None else scale
    offset = 1.0 if scheme == "identity" else 0.0
    return tuple(
        std * rng.standard_normal((above, below)) + offset * np.eye(above, below)
        for below, above in pairwise(dims)
    )


def generator(key: jax.Array) -> np.random.Generator:
    """Return NumPy's generator seeded with a JAX random key: equal numbers on every device.

    Example:
        >>> first, again = (lnn.network.generator(jax.random.key(0)) for _ in range(2))
        >>> bool(first.normal() == again.normal())
        True
    """
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))


def random_direction(
    rng: np.random.Generator, k: int, d: int, rank: int, norm: float
) -> Float[np.ndarray, "k d"]:
    """Return a Gaussian k x d matrix truncated to rank `rank` and scaled to norm `norm`.

    Example:
        >>> w = lnn.network.random_direction(np.random.default_rng(0), k=3, d=5, rank=2, norm=7.0)
        >>> print(np.linalg.matrix_rank(w), np.linalg.norm(w).round(12))
        2 7.0
    """
    u, s, vt = np.linalg.svd(rng.standard_normal((k, d)), full_matrices=False)
    s = np.where(np.arange(s.size) < rank, s, 0.0)
    return (u * (s * norm / np.linalg.norm(s))) @ vt


def balanced_factors(
    w: Float[np.ndarray, "k d"], dims: Sequence[int], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """Balanced factors of layer sizes `dims` whose product is w: $W_j = Q_j S^{1/N} Q_{j-1}^T$.

    S holds the singular values of w, Q_0 and Q_N its singular vectors; the hidden Q_j are random
    with orthonormal columns.

    Raises:
        ValueError: w does not fit `dims`, or a hidden width is below the rank of w.

    Example:
        >>> w, rng = np.array([[3.0, 0.0], [0.0, 4.0]]), np.random.default_rng(0)
        >>> first, second = lnn.network.balanced_factors(w, dims=(2, 5, 2), rng=rng)
        >>> print(np.allclose(second @ first, w), np.allclose(second.T @ second, first @ first.T))
        True True
    """
    if w.shape != (dims[-1], dims[0]):
        raise ValueError(f"w has shape {w.shape}, but dims = {list(dims)} ends in another shape")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    rank = max(1, int(np.sum(s > max(w.shape) * np.finfo(np.float64).eps * s[0])))
    if min(dims[1:-1], default=rank) < rank:
        raise ValueError(
            f"hidden widths {list(dims[1:-1])} are below the rank {rank} of the end-to-end matrix: "
            f"give widths of at least {rank}, or a start of lower rank"
        )
    root = s[:rank] ** (1.0 / (len(dims) - 1))
    frames = [vt[:rank].T]
    frames += [np.linalg.qr(rng.standard_normal((n, rank)))[0] for n in dims[1:-1]]
    frames += [u[:, :rank]]
    return tuple((after * root) @ before.T for before, after in pairwise(frames))
