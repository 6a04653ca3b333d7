"""One step of the runs of one method. Every leaf has the runs as its leading axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from lnn.rules import Method
from lnn.status import Status


class Runs(NamedTuple):
    """What the R runs of one method carry from step to step; arrays (R,) where not said otherwise.

    Attributes:
        params: the parameters, leaves (R, ...).
        optimizer: the state of the transformation, leaves (R, ...).
        learning_rate, weight_decay: what differs between the runs of one program.
        status: a `Status` each.
        bound: the loss above which a run counts as diverged; infinite until it has been measured.
    """

    params: chex.ArrayTree
    optimizer: chex.ArrayTree
    learning_rate: jax.Array
    weight_decay: jax.Array
    status: jax.Array
    bound: jax.Array


def per_run(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """(R,) values shaped to broadcast against a leaf (R, ...)."""
    return jnp.reshape(values, (-1,) + (1,) * (leaf.ndim - 1))


def take_step(
    method: Method, runs: Runs, gradient: jax.Array, pull: Callable[[Any], Any], moves: jax.Array
) -> Runs:
    """params <- params - learning_rate * update, for the running runs, if anything moves at all.

    The gradient (R, k, d) is that at the end-to-end matrix, whatever the depth: the data is passed
    once, and `pull` takes it back to the parameters.
    """
    active = (runs.status == Status.RUNNING) & moves

    def updated(runs: Runs) -> Runs:
        # An ended run shows the rule a zero matrix, which needs no decomposition.
        params = jax.tree.map(lambda leaf: jnp.where(per_run(active, leaf), leaf, 0), runs.params)

        def decayed(update: jax.Array, leaf: jax.Array, factor: float) -> jax.Array:
            return update + factor * per_run(runs.weight_decay, leaf) * leaf

        transform = jax.vmap(method.transformation.update)
        (change,) = pull(gradient)
        if method.decay is None:
            change = jax.tree.map(lambda g, w: decayed(g, w, 1.0), change, params)
            change, optimizer = transform(change, runs.optimizer, params)
        else:
            factor = method.decay
            change, optimizer = transform(change, runs.optimizer, params)
            change = jax.tree.map(lambda u, w: decayed(u, w, factor), change, params)

        def moved(leaf: jax.Array, change: jax.Array) -> jax.Array:
            stepped = leaf - per_run(runs.learning_rate, leaf) * change
            return jnp.where(per_run(active, leaf), stepped, leaf)

        return runs._replace(params=jax.tree.map(moved, runs.params, change), optimizer=optimizer)

    return jax.lax.cond(active.any(), updated, lambda runs: runs, runs)
