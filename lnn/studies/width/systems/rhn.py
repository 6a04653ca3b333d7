"""Recurrent highway network: a language model whose step is several layers deep.

Zilly, Srivastava, Koutnik and Schmidhuber (2017), "Recurrent Highway Networks", ICML, equations 6
to 9, with the carry gate coupled to the transform gate, c = 1 - t.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot
from lnn.studies.width.systems import language
from lnn.studies.width.systems.language import GROUPS, Params

__all__ = ["GROUPS", "TRANSFORM_BIAS", "initial", "loss"]

TRANSFORM_BIAS = -1.0
"""Initial bias of transform gates: negative, so that layers carry more than they transform."""


@partial(jax.jit, static_argnames=("vocabulary", "width", "depth"))
def initial(key: jax.Array, vocabulary: int, width: int, depth: int) -> Params:
    """Return parameters, float32, with `depth` highway layers in every step.

    The last axis of hidden weights has the candidates, then the transform gates: `input`
    (width, 2 width) is read by the first layer; `recurrent` (depth, width, 2 width) and `bias`
    (depth, 2 width) are the layers'. Embeddings are from N(0, 1), other weights from
    N(0, 1 / inputs); biases are 0, those of transform gates `TRANSFORM_BIAS`.
    """
    # A symbol is one input: its row is from N(0, 1).
    rows, inputs, recurrent, outputs = language.draw(
        key,
        (vocabulary, 1, width),
        (width, 2 * width),
        (depth, width, 2 * width),
        (width, vocabulary),
    )
    bias = jnp.zeros((depth, 2 * width), jnp.float32).at[:, width:].set(TRANSFORM_BIAS)
    return {
        "embedding": {"rows": rows[:, 0]},
        "hidden": {"input": inputs, "recurrent": recurrent, "bias": bias},
        "softmax": {"weights": outputs, "bias": jnp.zeros(vocabulary, jnp.float32)},
    }


def loss(params: Params, symbols: jax.Array) -> jax.Array:
    """Return the mean of -log p(next symbol), in nats, over windows (batch, length + 1), int32.

    Each window starts from state 0.
    """
    hidden = params["hidden"]
    first = language.affine(
        language.embed(params["embedding"], symbols), hidden["input"], hidden["bias"][0]
    )
    states = highway(first, hidden["recurrent"], hidden["bias"][1:])
    return language.cross_entropy(params["softmax"], states, symbols)


@jax.custom_vjp
def highway(first: jax.Array, recurrent: jax.Array, bias: jax.Array) -> jax.Array:
    """Return the state (time, batch, width) after each step, from state 0.

    `first` (time, batch, 2 width) is what the first layer adds to its product with the state, its
    bias included, `bias` (depth - 1, 2 width) what the others add.

    Autodiff would update the gradient of `recurrent` at every step; the backward pass here keeps
    the gradients by pre-activations, and multiplies those of all times at once.
    """
    return _forward(first, recurrent, bias)[0]


def _forward(first: jax.Array, recurrent: jax.Array, bias: jax.Array) -> tuple[jax.Array, Any]:
    """Return states, and each layer's incoming state, candidate and gate at every time."""
    depth, width, _ = recurrent.shape
    weights = list(recurrent)  # sliced here: in the loop every step would copy them

    def step(state: jax.Array, first: jax.Array) -> tuple[jax.Array, Any]:
        activations = []
        for layer in range(depth):
            offset = bias[layer - 1 : layer] if layer else first
            gates = dot(state, weights[layer]) + offset
            candidate, gate = jnp.tanh(gates[:, :width]), jax.nn.sigmoid(gates[:, width:])
            activations.append((state, candidate, gate))
            state = state + gate * (candidate - state)
        return state, (state, activations)

    start = jnp.zeros((first.shape[1], width), first.dtype)
    return jax.lax.scan(step, start, first)[1]


def _save(first: jax.Array, recurrent: jax.Array, bias: jax.Array) -> tuple[jax.Array, Any]:
    states, activations = _forward(first, recurrent, bias)
    return states, (activations, recurrent)


def _backward(saved: Any, by_states: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the gradients by `first`, `recurrent` and `bias`, from those by the states."""
    activations, recurrent = saved
    transposed = [weights.T for weights in recurrent]

    def step(slope: jax.Array, at_time: Any) -> tuple[jax.Array, Any]:
        by_state, layers = at_time
        slope = slope + by_state
        slopes = []
        for (state, candidate, gate), weights in zip(layers[::-1], transposed[::-1], strict=True):
            by_candidate = slope * gate * (1 - candidate**2)
            by_gate = slope * (candidate - state) * gate * (1 - gate)
            slopes.append(jnp.concatenate([by_candidate, by_gate], axis=1))
            slope = slope * (1 - gate) + dot(slopes[-1], weights)
        return slope, slopes[::-1]

    start = jnp.zeros_like(by_states[0])
    _, slopes = jax.lax.scan(step, start, (by_states, activations), reverse=True)
    flat = [slope.reshape(-1, slope.shape[-1]) for slope in slopes]
    incoming = [state.reshape(-1, state.shape[-1]) for state, _, _ in activations]
    by_recurrent = jnp.stack([dot(s.T, f) for s, f in zip(incoming, flat, strict=True)])
    by_bias = jnp.stack([f.sum(axis=0) for f in flat])[1:]
    return slopes[0], by_recurrent, by_bias


highway.defvjp(_save, _backward)
