"""Matrix products, arrays in row blocks, and tall matrices reduced to a triangular factor.

Least squares and singular values of a tall matrix are those of its triangular factor R, to the
accuracy of a QR decomposition of the whole; its Gram matrix would square the condition number. R is
found in one pass over row blocks, R <- R of [R; block]: the sequential TSQR of Demmel, Grigori,
Hoemmen and Langou (2012), "Communication-optimal parallel and sequential QR and LU factorizations",
SIAM J. Sci. Comput. 34(1), Section 4; updating a QR decomposition by rows: Golub and Van Loan
(2013), "Matrix Computations", 4th edition, Section 6.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg

from lnn.core.precision import one_blas_thread

Array = jax.Array | np.ndarray


BLOCK_ENTRIES = 2**17
"""Numbers in a block: 1 MiB as float64; larger and smaller blocks were no faster."""


def dot(a: Any, b: Any) -> jax.Array:
    """a @ b at full precision: a TPU's default rounds the factors to bfloat16."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


_PANEL = 16  # columns LAPACK reduces at a time: the fastest of 16, 32 and 64 from 30 x 6 up


def row_blocks(x: Array, rows: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of x (m, ...) in order, each block on the host in the dtype of x.

    Blocks of a NumPy array or of a JAX array on CPU devices are views, not to be written to; of
    other devices one block at a time is copied. An array sharded by rows is read shard by shard.

    Args:
        x: array of at least one axis.
        rows: the most rows in a block; None for blocks of `BLOCK_ENTRIES` numbers, but not fewer
            rows than columns.

    Yields:
        Rows as a slice of range(m), and the block (rows, ...).
    """
    if rows is None:
        columns = math.prod(x.shape[1:])
        rows = max(columns, BLOCK_ENTRIES // max(columns, 1))
    for first, piece in _pieces(x):
        for start in range(0, len(piece), rows):
            block = np.asarray(piece[start : start + rows])
            yield slice(first + start, first + start + len(block)), block


def _pieces(x: Array) -> list[tuple[int, Array]]:
    """Parts of x in the order of their first rows, as NumPy views where x lies in host memory."""
    if isinstance(x, np.ndarray):
        return [(0, x)]
    # Keyed by the first row: of replicas one is left.
    shards = {shard.index[0].start or 0: shard.data for shard in x.addressable_shards}
    if sum(map(len, shards.values())) != len(x) or any(
        data.shape[1:] != x.shape[1:] for data in shards.values()
    ):
        return [(0, x)]  # sharded by columns: JAX puts the rows of a block together
    on_host = all(device.platform == "cpu" for device in x.devices())
    return [(i, np.asarray(data) if on_host else data) for i, data in sorted(shards.items())]


def triangular_factor(
    x: Array, y: Array | None = None, *, block_rows: int | None = None
) -> np.ndarray:
    """The upper-triangular factor R of the QR decomposition of [x, y], in float64.

    R^T R = [x, y]^T [x, y], so that |[x, y] v| = |R v| for every v; the signs of its rows are
    arbitrary. Beside R and y the memory is that of a few row blocks, unless [x, y] has fewer rows
    than columns.

    Args:
        x: (m, d), floating point.
        y: (m,) or (m, k), floating point.
        block_rows: rows taken at a time; None for blocks of about 1 MiB.

    Returns:
        R, (min(m, d + k), d + k).
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
    """The triangular factor of stacked blocks; the rows themselves where they are fewer.

    Args:
        blocks: float64 arrays (any number of rows, columns), best in column-major order; they are
            overwritten.
        columns: number of columns, at least 1.

    Returns:
        (min(rows, columns), columns), with the Gram matrix of the stacked blocks.
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
        # LAPACK's update of a triangle by rows: a third of the time of a QR of [factor; rows].
        factor, _, _, _ = linalg.lapack.dtpqrt(
            0, min(_PANEL, columns), factor, rows, overwrite_a=True, overwrite_b=True
        )
    return few if factor is None else factor


def condition_number(x: Array) -> float:
    """Ratio of the largest to the smallest nonzero eigenvalue of x^T x / m, for x (m, d)."""
    values = np.linalg.svd(triangular_factor(x), compute_uv=False)
    nonzero = values[values > max(x.shape) * np.finfo(np.float64).eps * values[0]]
    return float((nonzero[0] / nonzero[-1]) ** 2)
