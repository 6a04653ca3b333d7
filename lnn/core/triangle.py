"""Tall matrices reduced to a few rows with the same Gram matrix, by orthogonal transformations.

Least squares and singular values of a tall matrix are those of its triangular factor R, to the
accuracy of a QR decomposition of the whole; its Gram matrix would square the condition number. R is
found in one pass over row blocks, R <- R of [R; block]: the sequential TSQR of Demmel, Grigori,
Hoemmen and Langou (2012), "Communication-optimal parallel and sequential QR and LU factorizations",
SIAM J. Sci. Comput. 34(1), Section 4; updating a QR decomposition by rows: Golub and Van Loan
(2013), "Matrix Computations", 4th edition, Section 6.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from scipy import linalg
from threadpoolctl import ThreadpoolController

from lnn.core.blocks import Array, row_blocks

_PANEL = 16  # columns LAPACK reduces at a time: the fastest of 16, 32 and 64 from 30 x 6 up

# SciPy has loaded its BLAS by now. Looked for once: to look again while another thread imports a
# compiled module can stop both for ever, each holding the lock that the other waits for.
_BLAS = ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses the thread that calls it; the user's setting comes back after.

    Row blocks are too small to share between threads. OpenBLAS shares them out nevertheless: 2
    times slower, 30 times where another process computes.
    """
    return _BLAS.limit(limits=1, user_api="blas")


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
