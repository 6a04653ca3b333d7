"""The pass over the data: loss and gradient of all active runs, as columns of one matrix.

Columns go through both products in blocks while their residuals are in the cache. Ended runs are
left out and cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot
from lnn.core.problem import absolute_power, signed_power
from lnn.simulation.placement import ROWS, Data

BLOCK_COLUMNS = 64
"""Columns per block on CPU: more exceed the cache, fewer slow the matrix product."""

_MOST_BYTES = {"cpu": 2**25}
_BLOCK_BYTES = {"cpu": 2**20}
"""Data or residuals larger than `_MOST_BYTES` are processed in row blocks of `_BLOCK_BYTES`, which
a core's cache holds between the two products; on accelerators 2^30 and 2^28, to save memory.
"""

_FRACTIONS = (1, 3 / 4, 1 / 2, 1 / 4, 1 / 16)


class Queue(NamedTuple):
    """Runs by activity: `order` (R,), its inverse `place` (R,), and the number `running`."""

    order: jax.Array
    place: jax.Array
    running: jax.Array


def queue(active: jax.Array) -> Queue:
    """Return the queue for runs that are active (R,)."""
    order = jnp.argsort(~active, stable=True)
    return Queue(order, jnp.argsort(order), jnp.sum(active, dtype=jnp.int32))


def block_sizes(runs: int, outputs: int, platform: str) -> list[int]:
    """Return possible numbers of runs per block, ascending to that of a full block."""
    most = max(1, BLOCK_COLUMNS // outputs) if platform == "cpu" else runs
    full = min(runs, most)
    return sorted({max(1, round(full * fraction)) for fraction in _FRACTIONS})


def rows_at_once(rows: int, d: int, columns: int, itemsize: int, platform: str) -> int:
    """Return how many rows of the data are processed together: all if they fit."""
    width = max(d, columns) * itemsize
    if rows * width <= _MOST_BYTES.get(platform, 2**30):
        return rows
    return min(rows, max(64, _BLOCK_BYTES.get(platform, 2**28) // width))


class Prepared(NamedTuple):
    """Data on one device, with x^T (d, m) for faster products if processed at once."""

    data: Data
    xt: jax.Array | None


def prepare(data: Data, rows: int) -> Prepared:
    """Transpose the data once per call of a program, not in every step."""
    if rows < data.x.shape[0]:
        return Prepared(data, None)
    return Prepared(data, jax.lax.optimization_barrier(jnp.transpose(data.x)))


def data_pass(
    prepared: Prepared,
    p: float,
    examples: int,
    w: jax.Array,
    queued: Queue,
    sizes: Sequence[int],
    *,
    rows_at_once: int,
    measure: bool,
    row_shares: int,
) -> tuple[jax.Array, jax.Array]:
    """Return losses (R,), zero unless measured, and gradients (R, k, d) of the active runs.

    Called inside a `shard_map` over a mesh whose second axis has `row_shares` shares of the rows.
    """
    data = prepared.data
    runs, k, d = w.shape
    full = sizes[-1]
    room = -runs % full
    # Columns by run, outputs innermost: (d, runs * k).
    columns = jnp.reshape(w[queued.order], (runs * k, d)).T
    columns = jnp.pad(columns, ((0, 0), (0, room * k)))
    labels = jnp.reshape(data.y, (-1, 1, k))

    def through(size: int, columns: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Sum loss (size,) and gradient (d, size * k) over examples."""

        def rows(x: jax.Array, labels: jax.Array, pull: Any) -> tuple[jax.Array, jax.Array]:
            residual = jnp.reshape(dot(x, columns), (-1, size, k)) - labels
            total = jnp.zeros(size, w.dtype)
            if measure:
                total = _column_sums(absolute_power(residual, p)).sum(1)
            return total, pull(jnp.reshape(signed_power(residual, p), (-1, size * k)))

        if prepared.xt is not None:
            return rows(data.x, labels, lambda residual: dot(prepared.xt, residual))

        def block(start: Any, length: int) -> tuple[jax.Array, jax.Array]:
            x = jax.lax.dynamic_slice_in_dim(data.x, start, length)
            y = jax.lax.dynamic_slice_in_dim(labels, start, length)
            return rows(x, y, lambda residual: _transposed_dot(x, residual))

        whole, rest = divmod(data.x.shape[0], rows_at_once)
        total = jax.lax.fori_loop(
            0,
            whole,
            lambda i, sums: jax.tree.map(jnp.add, sums, block(i * rows_at_once, rows_at_once)),
            (jnp.zeros(size, w.dtype), jnp.zeros((d, size * k), w.dtype)),
        )
        if rest:
            total = jax.tree.map(jnp.add, total, block(whole * rows_at_once, rest))
        return total

    def of_size(size: int) -> Any:
        def branch(start: jax.Array) -> tuple[jax.Array, jax.Array]:
            chosen = jax.lax.dynamic_slice_in_dim(columns, start * k, size * k, axis=1)
            loss, gradient = through(size, chosen)
            spare = full - size
            return jnp.pad(loss, (0, spare)), jnp.pad(gradient, ((0, 0), (0, spare * k)))

        return branch

    branches = [of_size(size) for size in sizes]

    def step(index: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        start = index * full
        left = queued.running - start
        # A loop, since JAX 0.11.2 crashes on an empty array of sizes.
        fitting = jnp.zeros((), jnp.int32)
        for size in sizes[:-1]:
            fitting += (size < left).astype(jnp.int32)
        loss, gradient = jax.lax.switch(fitting, branches, start)
        return (
            jax.lax.dynamic_update_slice_in_dim(sums[0], loss, start, axis=0),
            jax.lax.dynamic_update_slice_in_dim(sums[1], gradient, start * k, axis=1),
        )

    blocks = -(-queued.running // full)
    loss, gradient = jax.lax.fori_loop(
        0, blocks, step, (jnp.zeros(runs + room, w.dtype), jnp.zeros_like(columns))
    )
    if row_shares > 1:
        loss, gradient = jax.lax.psum((loss, gradient), ROWS)
    gradient = jnp.reshape(gradient.T[: runs * k], (runs, k, d))[queued.place] / examples
    return loss[queued.place] / (p * examples), gradient


def _transposed_dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a^T b without copying a^T."""
    contract = (((0,), (0,)), ((), ()))
    return jax.lax.dot_general(a, b, contract, precision=jax.lax.Precision.HIGHEST)


def _column_sums(values: Any) -> jax.Array:
    """Sum over the first axis (m, ...) -> (...) in two stages, for less rounding error."""
    stride = 64
    padded = jnp.pad(values, ((0, -len(values) % stride), *((0, 0),) * (values.ndim - 1)))
    return padded.reshape(-1, stride, *values.shape[1:]).sum(0).sum(0)
