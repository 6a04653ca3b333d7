"""Arrays read in blocks of rows on the host, so that no work needs a second copy of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator

import jax
import numpy as np

Array = jax.Array | np.ndarray

BLOCK_ENTRIES = 2**17
"""Numbers in a block: 1 MiB as float64; larger and smaller blocks were no faster."""


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
