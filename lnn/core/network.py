"""Factors W_1, ..., W_N of a deep linear network: initial points, product, balancedness.

`dims` lists the layer sizes from input to output, (d, n_1, ..., n_(N-1), k); factor j has shape
(n_j, n_(j-1)) and the network computes W_N ... W_1 x (Arora, Cohen and Hazan 2018, Section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.checks import SCHEMES
from lnn.core.linalg import dot

PAPER_STD = 0.01
"""Standard deviation of the paper's initial weights (Arora et al. 2018, Appendix C)."""

Factors = tuple[Any, ...]


def end_to_end(factors: Sequence[Any]) -> jax.Array:
    """W_e = W_N ... W_1, shape (..., k, d), for factors (W_1, ..., W_N) with any batch axes."""
    arrays = [jnp.asarray(factor) for factor in factors]
    if arrays[-1].shape[-2] <= arrays[0].shape[-1]:
        # From the end with fewer outputs than there are inputs: the products stay small.
        return reduce(dot, arrays[::-1])
    return reduce(lambda product, factor: dot(factor, product), arrays)


def conserved(factors: Sequence[Any]) -> list[jax.Array]:
    """D_j = W_(j+1)^T W_(j+1) - W_j W_j^T, each (..., n_j, n_j), for j = 1, ..., N - 1.

    Zero when balanced. Gradient flow keeps D_j constant without weight decay, and makes it
    D_j(0) exp(-2 lambda t) with it (Arora, Cohen and Hazan 2018, eq. 9 and Appendix A.1).
    """
    return [
        dot(jnp.swapaxes(above, -1, -2), above) - dot(below, jnp.swapaxes(below, -1, -2))
        for below, above in pairwise(map(jnp.asarray, factors))
    ]


def balancedness_gap(factors: Sequence[Any]) -> jax.Array:
    """max_j |W_(j+1)^T W_(j+1) - W_j W_j^T|_F, shape (...): zero when balanced (eq. 7).

    A single factor has no neighbour: its gap is zero.
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
) -> tuple[np.ndarray, ...]:
    """Initial factors for layer sizes `dims`, float64 on the host, the same bits on every device.

    Args:
        key: a JAX random key; it seeds NumPy's generator.
        dims: (d, n_1, ..., n_(N-1), k), at least two sizes.
        scheme: "balanced": W_e is a random direction of Frobenius norm `scale` (default 0.1) and
            of the given rank, split into exactly balanced factors W_j = Q_j S^(1/N) Q_(j-1)^T from
            its singular value decomposition. "near-zero": independent Gaussian entries of standard
            deviation `scale` (default 0.01, the paper's). "identity": the same plus 1 on the
            diagonal of every factor, rectangular ones too (the paper's Appendix C).
        scale: see scheme; positive.
        rank: of a balanced W_e, 1 to min(dims), which is the default.

    Raises:
        ValueError: for an unknown scheme, a size below 1, fewer than two sizes, scale <= 0.
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
    """NumPy's generator, seeded with a JAX random key: the same numbers on every device."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))


def random_direction(
    rng: np.random.Generator, k: int, d: int, rank: int, norm: float
) -> np.ndarray:
    """A Gaussian k x d matrix cut to `rank` by its leading singular pairs, of Frobenius `norm`."""
    u, s, vt = np.linalg.svd(rng.standard_normal((k, d)), full_matrices=False)
    s = np.where(np.arange(s.size) < rank, s, 0.0)
    return (u * (s * norm / np.linalg.norm(s))) @ vt


def balanced_factors(
    w: np.ndarray, dims: Sequence[int], rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Balanced factors whose product is w (k, d): W_j = Q_j S^(1/N) Q_(j-1)^T.

    S holds the singular values of w, Q_0 and Q_N its singular vectors; the hidden Q_j are random
    with orthonormal columns. Every hidden width at least the rank of w will do.

    Raises:
        ValueError: if w does not fit `dims` or a hidden width is below the rank of w.
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
