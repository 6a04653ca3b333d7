"""The recurrence of a layer of long short-term memory (LSTM), with its own backward pass.

Hochreiter and Schmidhuber (1997) with the forget gate of Gers, Schmidhuber and Cummins (2000),
without peepholes: equations of Jozefowicz, Zaremba and Sutskever (2015), "An Empirical Exploration
of Recurrent Network Architectures", Section 2.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot

GATES = 4
"""Input, forget and output gate, and candidate, in this order on the last axis of weights."""

FORGET_BIAS = 1.0
"""Initial bias of forget gates, so that cells remember from the start."""


def biases(layers: int, width: int) -> jax.Array:
    """Return initial biases (layers, 4 width), float32: 0, of forget gates `FORGET_BIAS`."""
    return jnp.zeros((layers, GATES * width), jnp.float32).at[:, width : 2 * width].set(FORGET_BIAS)


@jax.custom_vjp
def recur(inputs: jax.Array, recurrent: jax.Array) -> jax.Array:
    """Return the output (time, batch, width) of each step, from output and cells 0.

    `inputs` (time, batch, 4 width) is what is added to the product of the last output and
    `recurrent` (width, 4 width): what the layer reads, times its weights, plus biases.

    Autodiff would update the gradient of `recurrent` at every step; the backward pass here keeps
    the gradients by pre-activations, and multiplies those of all times at once.
    """
    return _forward(inputs, recurrent)[0]


def _forward(inputs: jax.Array, recurrent: jax.Array) -> tuple[jax.Array, Any]:
    """Return outputs, and the gates and cells of every time."""
    width = len(recurrent)

    def step(carry: tuple[jax.Array, jax.Array], inputs: jax.Array) -> tuple[Any, Any]:
        output, cell = carry
        sums = inputs + dot(output, recurrent)
        opened = jax.nn.sigmoid(sums[:, : 3 * width])
        candidate = jnp.tanh(sums[:, 3 * width :])
        enter, keep, leave = jnp.split(opened, 3, axis=1)
        cell = keep * cell + enter * candidate
        output = leave * jnp.tanh(cell)
        return (output, cell), (output, (enter, keep, leave, candidate, cell))

    start = jnp.zeros((inputs.shape[1], width), inputs.dtype)
    return jax.lax.scan(step, (start, start), inputs)[1]


def _save(inputs: jax.Array, recurrent: jax.Array) -> tuple[jax.Array, Any]:
    outputs, activations = _forward(inputs, recurrent)
    return outputs, (outputs, activations, recurrent)


def _backward(saved: Any, by_outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the gradients by `inputs` and `recurrent`, from those by the outputs."""
    outputs, activations, recurrent = saved
    *gates, cells = activations
    transposed = recurrent.T

    def step(carry: tuple[jax.Array, jax.Array], at_time: Any) -> tuple[Any, jax.Array]:
        by_output, by_cell = carry
        arrived, (enter, keep, leave, candidate), cell, earlier = at_time
        by_output = by_output + arrived
        squashed = jnp.tanh(cell)
        by_cell = by_cell + by_output * leave * (1 - squashed**2)
        slopes = [
            by_cell * candidate * enter * (1 - enter),
            by_cell * earlier * keep * (1 - keep),
            by_output * squashed * leave * (1 - leave),
            by_cell * enter * (1 - candidate**2),
        ]
        slope = jnp.concatenate(slopes, axis=1)
        return (dot(slope, transposed), by_cell * keep), slope

    start = jnp.zeros_like(by_outputs[0])
    at_times = (by_outputs, tuple(gates), cells, _delayed(cells))
    _, slopes = jax.lax.scan(step, (start, start), at_times, reverse=True)
    flat = slopes.reshape(-1, slopes.shape[-1])
    return slopes, dot(_delayed(outputs).reshape(-1, len(recurrent)).T, flat)


def _delayed(states: jax.Array) -> jax.Array:
    """Return the state before each time: 0 before the first."""
    return jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])


recur.defvjp(_save, _backward)
