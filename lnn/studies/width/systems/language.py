"""What the language models share: the table of symbols, the softmax and the loss."""

from __future__ import annotations

import math
from itertools import accumulate

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot

Params = dict[str, dict[str, jax.Array]]
"""Arrays by group and name."""

GROUPS = ("embedding", "hidden", "softmax")
"""Groups of a language model's parameters."""


def draw(key: jax.Array, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """Return float32 weights (..., inputs, outputs) from N(0, 1 / inputs).

    They are cut from one draw: each draw would take half a second to compile.
    """
    sizes = [math.prod(shape) for shape in shapes]
    flat = jax.random.normal(key, (sum(sizes),), jnp.float32)
    ends = list(accumulate(sizes))
    return [
        flat[end - size : end].reshape(shape) * (1 / math.sqrt(shape[-2]))
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]


def affine(x: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    """Return x (..., inputs) times weights (inputs, outputs), plus bias, as one product."""
    flat = dot(x.reshape(-1, x.shape[-1]), weights) + bias[None]
    return flat.reshape(*x.shape[:-1], len(bias))


def embed(group: dict[str, jax.Array], symbols: jax.Array) -> jax.Array:
    """Return rows (length, batch, width) of all but the last symbol of windows (batch, length + 1).

    Time is the leading axis, as of all that a recurrence reads.
    """
    return group["rows"][symbols[:, :-1].T]


def cross_entropy(group: dict[str, jax.Array], states: jax.Array, symbols: jax.Array) -> jax.Array:
    """Return the mean of -log p(next symbol), in nats, over windows and times.

    `states` (length, batch, width) are those after each but the last of `symbols`
    (batch, length + 1).
    """
    chances = jax.nn.log_softmax(affine(states, group["weights"], group["bias"]))
    # A mask's gradient is elementwise; that of indexing would be scattered one by one.
    hit = jax.nn.one_hot(symbols[:, 1:].T, chances.shape[-1], dtype=chances.dtype)
    return -jnp.sum(chances * hit) / (states.shape[0] * states.shape[1])
