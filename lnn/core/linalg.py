"""Matrix products, arrays in row blocks, and tall matrices reduced to a triangular factor.

Least squares and singular values of a tall matrix equal those of its triangular factor R, as
accurately as by a QR decomposition of the matrix; its Gram matrix would square the condition
number. R is computed in one pass over row blocks, R <- R of [R; block]: the sequential TSQR of
Demmel, Grigori, Hoemmen and Langou (2012), "Communication-optimal parallel and sequential QR and LU
factorizations", SIAM J. Sci. Comput. 34(1), Section 4; updating a QR decomposition by rows: Golub
and Van Loan (2013), "Matrix Computations", 4th edition, Section 6.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg

from lnn.core.precision import one_blas_thread

Array = jax.Array | np.ndarray
BLOCK_ENTRIES = 2**17
"""Numbers in a block: 1 MiB as float64; other sizes were no faster."""


def dot(a: Any, b: Any) -> jax.Array:
    """Return a @ b at full precision; a TPU's default rounds the factors to bfloat16."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def where_finite(decompose: Callable[[jax.Array], Any], a: Array) -> Any:
    """Return decompose(a), or NaN throughout if a has an entry that is not finite.

    Of such a matrix LAPACK may never return, and its answer need not be NaN.
    """
    finite = jnp.isfinite(a).all()
    parts = decompose(jnp.where(finite, a, 0))
    return jax.tree.map(lambda part: jnp.where(finite, part, jnp.nan), parts)


_PANEL = 16  # columns per LAPACK update: the fastest of 16, 32 and 64 from 30 x 6 up


def row_blocks(x: Array, rows: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the rows of x (m, ...) in order, as slices of range(m) and blocks (rows, ...) on the
    host.

    Blocks of NumPy arrays and of JAX arrays on CPU are views, not to be written to; of other
    devices one block at a time is copied. Arrays sharded by rows are read shard by shard. By
    default blocks have `BLOCK_ENTRIES` numbers, but at least as many rows as columns.
    """
    if rows is None:
        columns = math.prod(x.shape[1:])
        rows = max(columns, BLOCK_ENTRIES // max(columns, 1))
    for first, piece in _pieces(x):
        for start in range(0, len(piece), rows):
            block = np.asarray(piece[start : start + rows])
            yield slice(first + start, first + start + len(block)), block


def _pieces(x: Array) -> list[tuple[int, Array]]:
    """Return parts of x by first row, as NumPy views if x is in host memory."""
    if isinstance(x, np.ndarray):
        return [(0, x)]
    # Keyed by the first row, which removes replicas.
    shards = {shard.index[0].start or 0: shard.data for shard in x.addressable_shards}
    if sum(map(len, shards.values())) != len(x) or any(
        data.shape[1:] != x.shape[1:] for data in shards.values()
    ):
        return [(0, x)]  # sharded by columns: JAX assembles the rows of a block
    on_host = all(device.platform == "cpu" for device in x.devices())
    return [(i, np.asarray(data) if on_host else data) for i, data in sorted(shards.items())]


def triangular_factor(
    x: Array, y: Array | None = None, *, block_rows: int | None = None
) -> np.ndarray:
    """Return the upper-triangular factor R of the QR decomposition of [x, y], in float64.

    For x (m, d) and y (m,) or (m, k), R is (min(m, d + k), d + k) with R^T R = [x, y]^T [x, y], so
    |[x, y] v| = |R v| for every v; the signs of its rows are arbitrary. Needs memory for R, y and a
    few blocks of `block_rows` rows, unless [x, y] has fewer rows than columns.
    """
    labels = None if y is None else np.asarray(y).reshape(x.shape[0], -1)
    columns = x.shape[1] + (0 if labels is None else labels.shape[1])

    def joined() -> Iterator[np.ndarray]:
        for rows, block in row_blocks(x, block_rows):
            out = np.empty((len(block), columns), order="F")
            out[:, : x.shape[1]] = block
            if labels is not None:
                out[:, x.shape[1] :] = labels[rows]
            yield out

    with one_blas_thread():
        reduced = reduced_rows(joined(), columns)
        return reduced if len(reduced) == columns else linalg.qr(reduced, mode="r")[0]


def reduced_rows(blocks: Iterable[np.ndarray], columns: int) -> np.ndarray:
    """Return the triangular factor of stacked blocks, or the rows themselves if they are fewer.

    Blocks are float64 (any number of rows, columns), preferably column-major, and overwritten.
    """
    few = np.empty((0, columns))
    factor: np.ndarray | None = None
    for block in blocks:
        rows = block
        if factor is None:
            rows = np.vstack([few, block]) if len(few) else block
            if len(rows) < columns:
                few = rows
                continue
            factor = np.zeros((columns, columns), order="F")
        # LAPACK's row update of a triangle takes a third of the time of a QR of [factor; rows].
        factor, _, _, _ = linalg.lapack.dtpqrt(
            0, min(_PANEL, columns), factor, rows, overwrite_a=True, overwrite_b=True
        )
    return few if factor is None else factor


def condition_number(x: Array) -> float:
    """Return the largest over the smallest nonzero eigenvalue of x^T x / m, for x (m, d)."""
    values = np.linalg.svd(triangular_factor(x), compute_uv=False)
    nonzero = values[values > max(x.shape) * np.finfo(np.float64).eps * values[0]]
    return float((nonzero[0] / nonzero[-1]) ** 2)
