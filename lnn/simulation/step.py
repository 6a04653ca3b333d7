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
    """State of the R runs of one method between steps; arrays (R,) unless stated otherwise.

    Attributes:
        params: parameters, leaves (R, ...).
        low: accumulated rounding errors, leaves like `params`, so that params + low is the exact
            sum of the steps. None without compensation.
        optimizer: state of the transformation, leaves (R, ...).
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


def take_step(
    method: Method, runs: Runs, gradient: jax.Array, pull: Callable[[Any], Any], moves: jax.Array
) -> Runs:
    """params <- params - learning_rate * update, for the active runs, if `moves`.

    The gradient (R, k, d) is with respect to the end-to-end matrix, whatever the depth: the data is
    passed once, and `pull` maps it to the parameters.

    With `runs.low` the sum of steps is compensated: rounding errors are added to the next step.
    Otherwise a run freezes once its steps are below half an ulp of its parameters.
    """
    active = (runs.status == Status.RUNNING) & moves

    def updated(runs: Runs) -> Runs:
        # Ended runs pass a zero matrix to the rule, which needs no decomposition.
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
