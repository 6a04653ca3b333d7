"""Two-dimensional convolution as matrix products, for loops on CPU."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot

_GROUP = 8
"""Most outputs along the frequency by one product: fewer columns make slow products, more outputs
more products with 0; 8 is the fastest of 4, 8 and 16."""


def convolve(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
    """Cross-correlate x (time, batch, frequency, channels) with a kernel (times, bins, channels,
    outputs) of an odd number of times.

    In time x is continued by zeros, and outputs are centred on inputs 0, s, 2 s, ... for stride s:
    time // s of them. In frequency only whole windows count: (frequency - bins) // stride + 1.

    XLA's own convolution takes five times as long in a loop on CPU as outside. Here a group of
    outputs next to each other in frequency is one product of all they read and a banded matrix.
    """
    (step, hop), (times, bins, _, outputs) = strides, kernel.shape
    time, batch, frequency, channels = x.shape
    length, count = time // step, (frequency - bins) // hop + 1
    groups = -(-count // _GROUP)
    group = -(-count // groups)
    width = bins + hop * (group - 1)
    missing = max(0, (groups - 1) * group * hop + width - frequency)
    x = jnp.pad(x, ((times // 2, times // 2), (0, 0), (0, missing), (0, 0)))
    x = x.reshape(*x.shape[:2], -1)
    shifted = [x[t : t + (length - 1) * step + 1 : step] for t in range(times)]
    matrix = _banded(kernel, hop, group)
    found = []
    for first in range(0, groups * group * hop * channels, group * hop * channels):
        window = [s[:, :, first : first + width * channels] for s in shifted]
        found.append(dot(jnp.concatenate(window, axis=2).reshape(length * batch, -1), matrix))
    y = jnp.concatenate(found, axis=1).reshape(length, batch, -1, outputs)
    return y[:, :, :count]


def _banded(kernel: jax.Array, hop: int, group: int) -> jax.Array:
    """Return the matrix of a group of outputs: its columns are shifted copies of the kernel."""
    room = hop * (group - 1)
    shifts = range(0, room + 1, hop)
    copies = [jnp.pad(kernel, ((0, 0), (s, room - s), (0, 0), (0, 0))) for s in shifts]
    return jnp.stack(copies, axis=3).reshape(-1, group * kernel.shape[-1])
