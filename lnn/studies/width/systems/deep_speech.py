"""Speech recognition: two convolutions, bidirectional LSTM layers, and a softmax over letters.

Amodei et al. (2016), "Deep Speech 2: End-to-End Speech Recognition in English and Mandarin", ICML,
Section 3, with LSTM layers and, for small scale, fewer channels and smaller kernels; without batch
normalization. Trained by connectionist temporal classification: Graves, Fernandez, Gomez and
Schmidhuber (2006), ICML.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import optax

from lnn.studies.width.systems import language, lstm_layer
from lnn.studies.width.systems.convolution import convolve
from lnn.studies.width.systems.language import Params

GROUPS = ("convolutions", "hidden", "softmax")
"""Groups of the parameters."""

SUBSAMPLING = 2
"""Frames for each output; of `frames` frames there are frames // 2 outputs."""

BLANK = 0
"""The symbol between letters, which are 1, 2, ..."""

_KERNELS = ((5, 11), (3, 7))
"""Times and frequency bins of the convolutions; the paper's, 11 x 41 and 11 x 21, cost 2.5 times as
much at small scale.
"""

_STRIDES = ((SUBSAMPLING, 2), (1, 2))
_CEILING = 20.0


@partial(jax.jit, static_argnames=("bins", "width", "letters", "channels", "layers"))
def initial(
    key: jax.Array, bins: int, width: int, letters: int, channels: int = 8, layers: int = 4
) -> Params:
    """Return parameters, float32, for spectrograms of `bins` bins, 23 or more.

    Kernels are (times, bins, inputs, outputs). Hidden weights have the directions, forward and
    backward, on an axis of 2 and gates on the last, in the order of `lstm_layer`: `first`
    (2, inputs, 4 width), `input` (layers - 1, 2, width, 4 width), `recurrent`
    (layers, 2, width, 4 width), `bias` (layers, 2, 4 width). The softmax has letters + 1 outputs.
    Weights are from N(0, 1 / inputs), kernels, followed by rectifiers, from N(0, 2 / inputs);
    biases are 0, those of forget gates 1.
    """
    inputs = channels * _bands(_bands(bins, 0), 1)
    gates = lstm_layer.GATES * width
    (times1, bins1), (times2, bins2) = _KERNELS
    kernel1, kernel2, first, others, recurrent, outputs = language.draw(
        key,
        (times1 * bins1, channels),
        (times2 * bins2 * channels, channels),
        (2, inputs, gates),
        (layers - 1, 2, width, gates),
        (layers, 2, width, gates),
        (width, letters + 1),
    )
    root = math.sqrt(2)
    return {
        "convolutions": {
            "kernel1": root * kernel1.reshape(times1, bins1, 1, channels),
            "bias1": jnp.zeros(channels, jnp.float32),
            "kernel2": root * kernel2.reshape(times2, bins2, channels, channels),
            "bias2": jnp.zeros(channels, jnp.float32),
        },
        "hidden": {
            "first": first,
            "input": others,
            "recurrent": recurrent,
            "bias": lstm_layer.biases(2 * layers, width).reshape(layers, 2, gates),
        },
        "softmax": {"weights": outputs, "bias": jnp.zeros(letters + 1, jnp.float32)},
    }


def _bands(frequency: int, convolution: int) -> int:
    return (frequency - _KERNELS[convolution][1]) // _STRIDES[convolution][1] + 1


def loss(
    params: Params, features: jax.Array, frames: jax.Array, labels: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Return the sum of -log p(labels) over the batch, divided by its letters: nats a letter.

    Of `features` (batch, time, bins) the first `frames` (batch,) count, of `labels`
    (batch, letters), whose letters are 1, 2, ..., the first `lengths` (batch,). An utterance needs
    at least as many outputs, frames // 2, as letters and repetitions.
    """
    outputs = logits(params, features, frames)
    past = _from(frames // SUBSAMPLING, outputs.shape[1]).astype(outputs.dtype)
    unused = _from(lengths, labels.shape[1]).astype(outputs.dtype)
    with jax.default_matmul_precision("highest"):  # optax picks the labels' rows by a product
        terms = optax.ctc_loss(outputs, past, labels, unused, blank_id=BLANK)
    # Of float32 optax makes float64 where JAX has it.
    return jnp.sum(terms.astype(outputs.dtype)) / jnp.sum(lengths).astype(outputs.dtype)


def logits(params: Params, features: jax.Array, frames: jax.Array) -> jax.Array:
    """Return log-odds (batch, time // 2, letters + 1); those beyond frames // 2 mean nothing."""
    x = _within(jnp.moveaxis(features, 0, 1)[..., None], frames)
    for layer in (1, 2):
        kernel, bias = (params["convolutions"][f"{name}{layer}"] for name in ("kernel", "bias"))
        x = convolve(x, kernel, _STRIDES[layer - 1]) + bias[None, None, None]
        # The next layer is to find zeros beyond the end, as the first does.
        x = _within(jnp.clip(x, 0, _CEILING), frames // SUBSAMPLING)
    x = x.reshape(*x.shape[:2], -1)
    hidden = params["hidden"]
    for weights, recurrent, bias in zip(
        [hidden["first"], *hidden["input"]], hidden["recurrent"], hidden["bias"], strict=True
    ):
        x = _both_ways(x, weights, recurrent, bias, frames // SUBSAMPLING)
    return jnp.moveaxis(language.affine(x, **params["softmax"]), 0, 1)


def _both_ways(
    x: jax.Array, weights: jax.Array, recurrent: jax.Array, bias: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Return the sum (time, batch, width) of a forward and a backward layer's outputs.

    Beyond the end of an utterance gates and candidates read 0, which leaves a backward layer's
    state at 0 until the end: it starts there as if there was nothing behind.
    """
    forward, backward = (
        _within(language.affine(x, weights[way], bias[way]), lengths) for way in (0, 1)
    )
    outputs = jax.vmap(lstm_layer.recur)(jnp.stack([forward, backward[::-1]]), recurrent)
    return outputs[0] + outputs[1, ::-1]


def _within(x: jax.Array, lengths: jax.Array) -> jax.Array:
    """Return x (time, batch, ...) with 0 at times `lengths` (batch,) and later."""
    outside = _from(lengths, len(x)).T
    return jnp.where(outside.reshape(*outside.shape, *(1 for _ in x.shape[2:])), 0, x)


def _from(lengths: jax.Array, total: int) -> jax.Array:
    """Return whether positions (batch, total) are at or beyond `lengths` (batch,)."""
    return jnp.arange(total, dtype=jnp.int32)[None] >= lengths[:, None]
