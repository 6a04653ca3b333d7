"""The network of the TensorFlow MNIST tutorial in plain JAX, and the two terms of its loss.

Two blocks of 5 x 5 convolution, ReLU and 2 x 2 pooling, a dense layer with ReLU and dropout, and a
dense layer: `tutorials/image/mnist/convolutional.py` of the TensorFlow models, used by Arora, Cohen
and Hazan (2018) for Figure 5 (right).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.linalg import dot
from lnn.datasets.images import CLASSES, SIDE
from lnn.studies.mnist.config import DROPOUT, REGULARIZER, STD, MnistConfig

Params = dict[str, dict[str, Any]]

KERNEL = 5
_DENSE = ("dense1", "dense2")


def initial(config: MnistConfig, seed: int) -> Params:
    """Return weights from a normal distribution truncated at two deviations, biases 0 and 0.1."""
    rng = np.random.default_rng([seed, 0])
    first, second = config.channels
    shapes = {
        "conv1": (KERNEL, KERNEL, 1, first),
        "conv2": (KERNEL, KERNEL, first, second),
        "dense1": ((SIDE // 4) ** 2 * second, config.hidden),
        "dense2": (config.hidden, CLASSES),
    }
    return {
        name: {
            "kernel": jnp.asarray(STD * _truncated(rng, shape), jnp.float32),
            "bias": jnp.full(shape[-1], 0.0 if name == "conv1" else 0.1, jnp.float32),
        }
        for name, shape in shapes.items()
    }


def _truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.standard_normal(shape)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.standard_normal(int(far.sum()))
    return values


def pixels(images: jax.Array) -> jax.Array:
    """Convert bytes to numbers from -0.5 to 0.5."""
    return (images.astype(jnp.float32) - 127.5) / 255


def logits(params: Params, images: jax.Array, dropout: jax.Array | None = None) -> jax.Array:
    """Return log-odds (B, 10) of `pixels` (B, 28, 28), keeping the units `dropout` (B, hidden)."""
    # Images on the third axis make windows along the first two contiguous blocks.
    x = jnp.moveaxis(images, 0, 2)[..., None]
    for name in ("conv1", "conv2"):
        # ReLU and bias after pooling give the same values as before it, from a quarter of the work.
        x = jax.nn.relu(pool(convolve(x, params[name]["kernel"])) + params[name]["bias"])
    x = jnp.moveaxis(x, 2, 0).reshape(len(images), -1)
    x = jax.nn.relu(dot(x, params["dense1"]["kernel"]) + params["dense1"]["bias"])
    if dropout is not None:
        x = jnp.where(dropout, x / (1 - DROPOUT), 0)
    return dot(x, params["dense2"]["kernel"]) + params["dense2"]["bias"]


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Cross-correlate with zero padding: (H, W, B, C) and (5, 5, C, O) give (H, W, B, O).

    As matrix products: XLA's own convolution takes four to twelve times as long in a loop on CPU.
    """
    height, width, batch, channels = x.shape
    size, outputs = kernel.shape[0], kernel.shape[-1]
    pad = (size // 2, size // 2)
    x = jnp.pad(x, (pad, pad, (0, 0), (0, 0)))
    windows = jnp.concatenate([x[:, j : j + width] for j in range(size)], axis=-1)
    if channels == 1:  # too few columns for a product: add the window's rows
        windows = jnp.concatenate([windows[i : i + height] for i in range(size)], axis=-1)
        flat = dot(windows.reshape(-1, size * size), kernel.reshape(-1, outputs))
    else:
        flat = sum(
            (
                dot(windows[i : i + height].reshape(-1, size * channels),
                    kernel[i].reshape(-1, outputs))
                for i in range(size)
            ),
            start=jnp.zeros((), x.dtype),
        )  # fmt: skip
    return flat.reshape(height, width, batch, outputs)


def pool(x: jax.Array) -> jax.Array:
    """Return the maximum of every 2 x 2 window: (H, W, B, C) to (H/2, W/2, B, C)."""
    height, width, *rest = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, *rest).max((1, 3))


def cross_entropy(params: Params, images: jax.Array, labels: jax.Array, dropout: Any) -> jax.Array:
    """Return the mean over images of -log p(label), in nats."""
    chances = jax.nn.log_softmax(logits(params, images, dropout))
    return -jnp.mean(jnp.take_along_axis(chances, labels[:, None].astype(jnp.int32), axis=1))


def regularizer(params: Params) -> jax.Array:
    """Return 5e-4 times half the sum of squares of dense weights (or factors) and biases."""
    leaves = jax.tree.leaves([params[name] for name in _DENSE])
    return REGULARIZER / 2 * sum((jnp.sum(leaf**2) for leaf in leaves), start=jnp.zeros(()))
