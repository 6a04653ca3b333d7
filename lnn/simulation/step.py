"""One step of the runs of one method. Every leaf has the runs as its leading axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from lnn.core.status import Status
from lnn.transforms.methods import Method

_SMALL = 128
"""Numbers in a leaf of one run: fewer do not fill the lanes of a TPU."""


class Runs(NamedTuple):
    """State of the R runs of one method between steps; arrays (R,) unless stated otherwise.

    Attributes:
        params: parameters, leaves (R, ...).
        low: accumulated rounding errors, leaves like `params`, so that params + low is the exact
            sum of the steps. None without compensation.
        optimizer: state of the transformation, leaves (R, ...); see `shared`.
        learning_rate, weight_decay: may differ between runs of one program.
        status: a `Status` each.
    """

    params: chex.ArrayTree
    low: chex.ArrayTree | None
    optimizer: chex.ArrayTree
    learning_rate: jax.Array
    weight_decay: jax.Array
    status: jax.Array


def per_run(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """Reshape (R,) values to broadcast against a leaf (R, ...)."""
    return jnp.reshape(values, (-1,) + (1,) * (leaf.ndim - 1))


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return a + b rounded, and its exact rounding error (Knuth, TAOCP 2, Section 4.2.2)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def shared(method: Method, runs: Runs) -> Runs:
    """Hold integers of the optimizer's state that are the same in all runs, counts of steps, once.

    They are scalars inside a program; `restored` makes them (R,) again.
    """
    optimizer = runs.optimizer
    # All runs take all steps, but for those that have ended.
    first = jnp.argmax(runs.status == Status.RUNNING)

    def one(leaf: jax.Array) -> jax.Array:
        whole = leaf.ndim == 1 and jnp.issubdtype(leaf.dtype, jnp.integer)
        return leaf[first] if whole else leaf

    once = jax.tree.map(one, optimizer)
    if all(leaf.ndim for leaf in jax.tree.leaves(once)):
        return runs
    try:
        init = jax.vmap(method.transformation.init, out_axes=_axes(once))
        jax.eval_shape(init, runs.params)
        jax.eval_shape(_vmapped(method, once), runs.params, once, runs.params)
    except ValueError:  # one of them depends on the run
        return runs
    return runs._replace(optimizer=once)


def restored(runs: Runs) -> Runs:
    """Invert `shared`."""
    count = len(runs.status)
    optimizer = jax.tree.map(
        lambda leaf: leaf if leaf.ndim else jnp.broadcast_to(leaf, count), runs.optimizer
    )
    return runs._replace(optimizer=optimizer)


def _axes(optimizer: Any) -> Any:
    """Return the axis of runs of every leaf; None for scalars, which all runs share."""
    return jax.tree.map(lambda leaf: 0 if leaf.ndim else None, optimizer)


def _vmapped(method: Method, optimizer: Any) -> Callable[[Any, Any, Any], Any]:
    """Return the transformation's update of all runs; scalars of the state are theirs together."""
    axes = _axes(optimizer)
    return jax.vmap(method.transformation.update, in_axes=(0, axes, 0), out_axes=(0, axes))


def take_step(
    method: Method,
    runs: Runs,
    gradient: jax.Array,
    pull: Callable[[Any], Any],
    active: jax.Array,
    decay: jax.Array,
    *,
    skips: bool,
) -> Runs:
    """params <- params - learning_rate * update, for the `active` runs (R,).

    The gradient (R, k, d) is with respect to the end-to-end matrix, whatever the depth: the data is
    passed once, and `pull` maps it to the parameters. `decay` (R,) is what weight decay adds to the
    update, as a multiple of the parameters. With `skips` nothing is computed if no run is active.

    With `runs.low` the sum of steps is compensated: rounding errors are added to the next step.
    Otherwise a run freezes once its steps are below half an ulp of its parameters.
    """

    def updated(runs: Runs) -> Runs:
        params = runs.params
        if skips:  # Ended runs pass a zero matrix to the rule, which needs no decomposition.
            params = jax.tree.map(lambda leaf: jnp.where(per_run(active, leaf), leaf, 0), params)

        def decayed(update: jax.Array, leaf: jax.Array) -> jax.Array:
            return update + per_run(decay, leaf) * leaf

        transform = _vmapped(method, runs.optimizer)
        (change,) = pull(gradient)
        if method.decay is None:
            change = jax.tree.map(decayed, change, params)
        change, optimizer = transform(change, runs.optimizer, params)
        if method.decay is not None:
            change = jax.tree.map(decayed, change, params)

        def moved(leaf: jax.Array, low: jax.Array | None, update: jax.Array) -> Any:
            def kept(new: jax.Array, old: Any) -> jax.Array:
                return jnp.where(per_run(active, new), new, old)

            # XLA fuses the steps of many leaves if small ones are selected last, others first.
            small = leaf.size < _SMALL * len(leaf)
            step = per_run(runs.learning_rate, leaf) * (update if small else kept(update, 0))
            if low is None:
                return kept(leaf - step, leaf) if small else leaf - step
            new = two_sum(leaf, low - step)
            return tuple(map(kept, new, (leaf, low))) if small else new

        if runs.low is None:
            params = jax.tree.map(lambda leaf, u: moved(leaf, None, u), runs.params, change)
            return runs._replace(params=params, optimizer=optimizer)
        sums = jax.tree.map(moved, runs.params, runs.low, change)
        params, low = jax.tree.transpose(jax.tree.structure(change), None, sums)
        return runs._replace(params=params, low=low, optimizer=optimizer)

    if not skips:
        return updated(runs)
    return jax.lax.cond(active.any(), updated, lambda runs: runs, runs)
