"""Language model with layers of long short-term memory.

Jozefowicz, Vinyals, Schuster, Shazeer and Wu (2016), "Exploring the Limits of Language Modeling",
with the whole softmax, without peepholes and projections.
"""

from __future__ import annotations

import jax

from lnn.studies.width.systems import language, lstm_layer
from lnn.studies.width.systems.language import GROUPS, Params

__all__ = ["GROUPS", "initial", "loss"]


def initial(key: jax.Array, vocabulary: int, width: int, layers: int = 2) -> Params:
    """Return parameters, float32.

    Hidden `input` and `recurrent` are (layers, width, 4 width), `bias` (layers, 4 width), with
    gates on the last axis in the order of `lstm_layer`. Embeddings are from N(0, 1), other weights
    from N(0, 1 / width); biases are 0, those of forget gates 1.
    """
    rows, inputs, recurrent, outputs = jax.random.split(key, 4)
    shape = (layers, width, lstm_layer.GATES * width)
    return {
        "embedding": language.embedding(rows, vocabulary, width),
        "hidden": {
            "input": language.normal(inputs, *shape),
            "recurrent": language.normal(recurrent, *shape),
            "bias": lstm_layer.biases(layers, width),
        },
        "softmax": language.softmax(outputs, width, vocabulary),
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
