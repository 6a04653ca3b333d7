"""The pass over the data: loss and gradient of all active runs, as the columns of one matrix.

On CPU columns go through both products in blocks while their residuals are in the cache, and ended
runs are left out and cost nothing. Accelerators take all runs, ended ones too, as rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot
from lnn.core.problem import absolute_power, signed_power
from lnn.simulation.placement import ROWS, Data

BLOCK_COLUMNS = 64
"""Columns per block on CPU: more exceed the cache, fewer slow the matrix product."""

_MOST_BYTES = {"cpu": 12 * 2**20}
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
    """Data on one device: x (m, d), and x^T (d, m) for columns.

    Labels are (m * k,), outputs innermost with x^T, examples innermost without.
    """

    x: jax.Array
    labels: jax.Array
    xt: jax.Array | None


def prepare(data: Data, *, transposed: bool) -> Prepared:
    """Lay the data out for the products once per call of a program, not in every step."""
    xt = data.x.T if transposed else None
    labels = jnp.ravel(data.y if transposed else data.y.T)
    labels, xt = jax.lax.optimization_barrier((labels, xt))
    return Prepared(data.x, labels, xt)


def data_pass(
    prepared: Prepared,
    p: float,
    examples: int,
    w: jax.Array,
    queued: Queue | None,
    sizes: Sequence[int],
    *,
    rows_at_once: int,
    measure: bool,
    row_shares: int,
) -> tuple[jax.Array, jax.Array]:
    """Return losses (R,), zero unless measured, and gradients (R, k, d).

    With a queue, of its running runs only, in blocks of these sizes; without one, of all in one
    block. Called inside a `shard_map` over a mesh whose second axis has `row_shares` shares of the
    rows.
    """
    runs, k, d = w.shape

    def through(w: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _by_rows(prepared, p, k, rows_at_once, measure, w)

    def through_columns(columns: jax.Array) -> tuple[jax.Array, jax.Array]:
        if prepared.xt is not None:
            return _by_columns(prepared, p, k, measure, columns)
        # Not merged with the product, which would be slower.
        loss, gradient = through(jax.lax.optimization_barrier(columns.T))
        return loss, gradient.T

    if queued is None:
        loss, gradient = through(jnp.reshape(w, (runs * k, d)))
    else:
        # Columns by run, outputs innermost: (d, runs * k).
        columns = jnp.reshape(w[queued.order], (runs * k, d)).T
        loss, gradient = _in_blocks(through_columns, columns, k, queued.running, sizes)
        gradient = gradient.T
    if row_shares > 1:
        loss, gradient = jax.lax.psum((loss, gradient), ROWS)
    gradient = jnp.reshape(gradient, (runs, k, d))
    if queued is not None:
        loss, gradient = loss[queued.place], gradient[queued.place]
    return loss * (1 / (p * examples)), gradient * (1 / examples)


def _by_columns(
    prepared: Prepared, p: float, k: int, measure: bool, columns: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum losses (runs,), zero unless measured, and gradients (d, runs * k) over the examples.

    The fastest form on CPU, with the data twice: x for the residuals, x^T for the gradients.
    """
    x, labels, xt = prepared
    runs = columns.shape[1] // k
    residual = jnp.reshape(dot(x, columns), (-1, runs, k)) - jnp.reshape(labels, (-1, 1, k))
    total = jnp.zeros(runs, columns.dtype)
    if measure:
        total = _sums(absolute_power(residual, p), 0).sum(1)
    return total, dot(xt, jnp.reshape(signed_power(residual, p), (-1, runs * k)))


def _by_rows(
    prepared: Prepared, p: float, k: int, rows_at_once: int, measure: bool, w: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum losses (runs,), zero unless measured, and gradients (runs * k, d) over the examples.

    For w (runs * k, d), with the data once, in blocks of its rows.
    """
    x, labels = prepared.x, jnp.reshape(prepared.labels, (k, -1))
    runs = len(w) // k

    def rows(x: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        product = jax.lax.dot_general(
            w, x, (((1,), (1,)), ((), ())), precision=jax.lax.Precision.HIGHEST
        )
        residual = jnp.reshape(product, (runs, k, -1)) - labels[None]
        total = jnp.zeros(runs, w.dtype)
        if measure:
            total = _sums(absolute_power(residual, p), 2).sum(1)
        return total, dot(jnp.reshape(signed_power(residual, p), (runs * k, -1)), x)

    if rows_at_once >= len(x):
        return rows(x, labels)

    def block(start: Any, length: int) -> tuple[jax.Array, jax.Array]:
        return rows(
            jax.lax.dynamic_slice_in_dim(x, start, length),
            jax.lax.dynamic_slice_in_dim(labels, start, length, axis=1),
        )

    whole, rest = divmod(len(x), rows_at_once)
    total = jax.lax.fori_loop(
        0,
        whole,
        lambda i, sums: jax.tree.map(jnp.add, sums, block(i * rows_at_once, rows_at_once)),
        (jnp.zeros(runs, w.dtype), jnp.zeros_like(w)),
    )
    if rest:
        total = jax.tree.map(jnp.add, total, block(whole * rows_at_once, rest))
    return total


def _in_blocks(
    through: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    columns: jax.Array,
    k: int,
    running: jax.Array,
    sizes: Sequence[int],
) -> tuple[jax.Array, jax.Array]:
    """Call `through` on the columns (d, runs * k) of the first `running` runs, block by block."""
    runs, full = columns.shape[1] // k, sizes[-1]
    room = -runs % full
    columns = jnp.pad(columns, ((0, 0), (0, room * k)))

    def of_size(size: int) -> Any:
        def branch(start: jax.Array) -> tuple[jax.Array, jax.Array]:
            chosen = jax.lax.dynamic_slice_in_dim(columns, start * k, size * k, axis=1)
            loss, gradient = through(chosen)
            spare = full - size
            return jnp.pad(loss, (0, spare)), jnp.pad(gradient, ((0, 0), (0, spare * k)))

        return branch

    branches = [of_size(size) for size in sizes]

    def step(index: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        start = index * full
        left = running - start
        # A loop, since JAX 0.11.2 crashes on an empty array of sizes.
        fitting = jnp.zeros((), jnp.int32)
        for size in sizes[:-1]:
            fitting += (size < left).astype(jnp.int32)
        loss, gradient = jax.lax.switch(fitting, branches, start)
        return (
            jax.lax.dynamic_update_slice_in_dim(sums[0], loss, start, axis=0),
            jax.lax.dynamic_update_slice_in_dim(sums[1], gradient, start * k, axis=1),
        )

    loss, gradient = jax.lax.fori_loop(
        0,
        -(-running // full),
        step,
        (jnp.zeros(runs + room, columns.dtype), jnp.zeros_like(columns)),
    )
    return loss[:runs], gradient[:, : runs * k]


def _sums(values: Any, axis: int) -> Any:
    """Sum over an axis in two stages, for less rounding error."""
    stride, shape = 64, values.shape
    widths = [(0, -size % stride if i == axis else 0) for i, size in enumerate(shape)]
    padded = jnp.pad(values, widths)
    return padded.reshape(*shape[:axis], -1, stride, *shape[axis + 1 :]).sum(axis).sum(axis)
