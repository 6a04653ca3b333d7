"""One step of the runs of one method. Every leaf has the runs as its leading axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from lnn.core.status import Status
from lnn.transforms.methods import Method


class Runs(NamedTuple):
    """What the R runs of one method carry from step to step; arrays (R,) where not said otherwise.

    Attributes:
        params: the parameters, leaves (R, ...).
        low: what rounding has taken from every parameter so far, leaves as those of `params`: the
            sum params + low is what the steps have added up to. None without compensation.
        optimizer: the state of the transformation, leaves (R, ...).
        learning_rate, weight_decay: what differs between the runs of one program.
        status: a `Status` each.
        bound: the loss above which a run counts as diverged; infinite until it has been measured.
    """

    params: chex.ArrayTree
    low: chex.ArrayTree | None
    optimizer: chex.ArrayTree
    learning_rate: jax.Array
    weight_decay: jax.Array
    status: jax.Array
    bound: jax.Array


def per_run(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """(R,) values shaped to broadcast against a leaf (R, ...)."""
    return jnp.reshape(values, (-1,) + (1,) * (leaf.ndim - 1))


def two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """a + b rounded, and exactly what rounding took from it (Knuth, TAOCP 2, Section 4.2.2)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def take_step(
    method: Method, runs: Runs, gradient: jax.Array, pull: Callable[[Any], Any], moves: jax.Array
) -> Runs:
    """params <- params - learning_rate * update, for the running runs, if anything moves at all.

    The gradient (R, k, d) is that at the end-to-end matrix, whatever the depth: the data is passed
    once, and `pull` takes it back to the parameters.

    With `runs.low` the sum over the steps is compensated: what a step loses to rounding is added to
    the next one. Without, a run freezes once its steps are below half an ulp of its parameters.
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

        def moved(leaf: jax.Array, stepped: jax.Array) -> jax.Array:
            return jnp.where(per_run(active, leaf), stepped, leaf)

        def scaled(leaf: jax.Array) -> jax.Array:
            return per_run(runs.learning_rate, leaf) * leaf

        if runs.low is None:
            stepped = jax.tree.map(lambda leaf, u: leaf - scaled(u), runs.params, change)
            params = jax.tree.map(moved, runs.params, stepped)
            return runs._replace(params=params, optimizer=optimizer)
        sums = jax.tree.map(
            lambda leaf, low, u: two_sum(leaf, low - scaled(u)), runs.params, runs.low, change
        )
        stepped, low = jax.tree.transpose(jax.tree.structure(change), None, sums)
        return runs._replace(
            params=jax.tree.map(moved, runs.params, stepped),
            low=jax.tree.map(moved, runs.low, low),
            optimizer=optimizer,
        )

    return jax.lax.cond(active.any(), updated, lambda runs: runs, runs)
