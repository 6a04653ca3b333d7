"""Language model with layers of long short-term memory.

Jozefowicz, Vinyals, Schuster, Shazeer and Wu (2016), "Exploring the Limits of Language Modeling",
with the whole softmax, without peepholes and projections.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lnn.studies.width.systems import language, lstm_layer
from lnn.studies.width.systems.language import GROUPS, Params

__all__ = ["GROUPS", "initial", "loss"]


@partial(jax.jit, static_argnames=("vocabulary", "width", "layers"))
def initial(key: jax.Array, vocabulary: int, width: int, layers: int = 2) -> Params:
    """Return parameters, float32.

    Hidden `input` and `recurrent` are (layers, width, 4 width), `bias` (layers, 4 width), with
    gates on the last axis in the order of `lstm_layer`. Embeddings are from N(0, 1), other weights
    from N(0, 1 / width); biases are 0, those of forget gates 1.
    """
    shape = (layers, width, lstm_layer.GATES * width)
    # A symbol is one input: its row is from N(0, 1).
    rows, inputs, recurrent, outputs = language.draw(
        key, (vocabulary, 1, width), shape, shape, (width, vocabulary)
    )
    return {
        "embedding": {"rows": rows[:, 0]},
        "hidden": {
            "input": inputs,
            "recurrent": recurrent,
            "bias": lstm_layer.biases(layers, width),
        },
        "softmax": {"weights": outputs, "bias": jnp.zeros(vocabulary, jnp.float32)},
    }


def loss(params: Params, symbols: jax.Array) -> jax.Array:
    """Return the mean of -log p(next symbol), in nats, over windows (batch, length + 1), int32.

    Each window starts from outputs and cells 0.
    """
    hidden = params["hidden"]
    x = language.embed(params["embedding"], symbols)
    for weights, recurrent, bias in zip(
        hidden["input"], hidden["recurrent"], hidden["bias"], strict=True
    ):
        x = lstm_layer.recur(language.affine(x, weights, bias), recurrent)
    return language.cross_entropy(params["softmax"], x, symbols)
