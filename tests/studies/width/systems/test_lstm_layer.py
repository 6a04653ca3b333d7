"""The LSTM's recurrence beside NumPy and autodiff."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import network_checks as checks
import numpy as np

from lnn.studies.width.systems import lstm_layer

TIMES, BATCH, WIDTH = 6, 3, 5
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((TIMES, BATCH, 4 * WIDTH)).astype(np.float32)
RECURRENT = RNG.standard_normal((WIDTH, 4 * WIDTH)).astype(np.float32)
WEIGHTING = RNG.standard_normal((TIMES, BATCH, WIDTH)).astype(np.float32)


def plain(inputs: jax.Array, recurrent: jax.Array) -> jax.Array:
    """The recurrence for autodiff."""
    cell = output = jnp.zeros((BATCH, WIDTH))
    outputs = []
    for offset in inputs:
        i, f, o, g = jnp.split(offset + output @ recurrent, 4, axis=1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        output = jax.nn.sigmoid(o) * jnp.tanh(cell)
        outputs.append(output)
    return jnp.stack(outputs)


def test_outputs_are_those_of_the_equations() -> None:
    found = jax.jit(lstm_layer.recur)(INPUTS, RECURRENT)
    for b in range(BATCH):
        true = checks.lstm_outputs(INPUTS[:, b], RECURRENT)
        np.testing.assert_allclose(found[:, b], true, rtol=1e-5, atol=1e-6)


def test_own_backward_pass_is_autodiffs() -> None:
    def slopes(recur: Any) -> tuple[jax.Array, jax.Array]:
        def total(inputs: jax.Array, recurrent: jax.Array) -> jax.Array:
            return jnp.sum(WEIGHTING * recur(inputs, recurrent))

        return jax.jit(jax.grad(total, (0, 1)))(jnp.asarray(INPUTS), jnp.asarray(RECURRENT))

    checks.close_gradients(slopes(lstm_layer.recur), slopes(plain))


def test_forget_gates_start_open() -> None:
    bias = lstm_layer.biases(2, 3)
    row = [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(bias, np.float32([row, row]))
