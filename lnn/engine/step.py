"""One step of a batch of runs. Every leaf has the runs as its leading axis."""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from lnn.problem import Problem
from lnn.rules import Method


class RunState(NamedTuple):
    """What a batch of R runs carries from step to step."""

    params: chex.ArrayTree
    optimizer: chex.ArrayTree


class Hyper(NamedTuple):
    """What differs between the runs of one program, (R,) each."""

    learning_rate: jax.Array
    weight_decay: jax.Array


def per_run(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """(R,) values shaped to broadcast against a leaf (R, ...)."""
    return jnp.reshape(values, (-1,) + (1,) * (leaf.ndim - 1))


def initial_state(method: Method, params: chex.ArrayTree) -> RunState:
    """State of a batch before its first step."""
    return RunState(params, jax.vmap(method.transformation.init)(params))


def take_step(
    problem: Problem, method: Method, state: RunState, hyper: Hyper, active: jax.Array
) -> RunState:
    """params <- params - learning_rate * update, for the runs that are active (R,).

    The gradient is taken at the end-to-end matrix, whatever the depth: the data is passed once.
    """
    w, pull = jax.vjp(method.parameterization.end_to_end, state.params)
    (gradient,) = pull(problem.gradient(w))

    def decayed(update: jax.Array, leaf: jax.Array, factor: float) -> jax.Array:
        return update + factor * per_run(hyper.weight_decay, leaf) * leaf

    transform = jax.vmap(method.transformation.update)
    if method.decay is None:
        gradient = jax.tree.map(lambda g, w: decayed(g, w, 1.0), gradient, state.params)
        update, optimizer = transform(gradient, state.optimizer, state.params)
    else:
        factor = method.decay
        update, optimizer = transform(gradient, state.optimizer, state.params)
        update = jax.tree.map(lambda u, w: decayed(u, w, factor), update, state.params)

    def moved(leaf: jax.Array, change: jax.Array) -> jax.Array:
        stepped = leaf - per_run(hyper.learning_rate, leaf) * change
        return jnp.where(per_run(active, leaf), stepped, leaf)

    return RunState(jax.tree.map(moved, state.params, update), optimizer)
