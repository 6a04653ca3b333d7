"""The two factors of the end-to-end rule, each alone.

The preconditioner of eq. 10 is homogeneous of degree 2 - 2/N in W, so P_W is the product of
|W|^(2-2/N) and P_(W/|W|), with |W| the largest singular value. For one output these are the two
factors of eq. 12 in Arora, Cohen and Hazan (2018), Section 6: an adaptive step size, and an
amplification of g along W.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import optax

from lnn.core.checks import check_depth
from lnn.core.spectral import precondition_in, short_frame
from lnn.transforms.catalogue import Entry
from lnn.transforms.end_to_end import map_matrices

ENTRIES = (
    Entry(
        name="norm-factor", title="Norm factor alone", family="end-to-end", order=2,
        build="scale_by_norm_factor", color="#B79AD6", dark="#3F1F69", dashes=(6, 1, 1, 1),
    ),
    Entry(
        name="projection", title="Projection alone", family="end-to-end", order=2,
        build="scale_by_projection", color="#D8B365", dark="#6B4A0F", dashes=(2, 0.8),
    ),
)  # fmt: skip


def scale_by_norm_factor(depth: float) -> optax.GradientTransformation:
    """The adaptive step alone: |W|^(2-2/N) g, for W and g (k, d) and the spectral norm |W|.

    Any real depth N >= 1; `jnp.inf` is |W|^2 g, the limit where one exists. Sign and learning rate
    are left to the chain.

    Raises:
        ValueError: depth below 1; at update, params missing or a leaf that is not a matrix.
    """
    depth = check_depth(depth)

    def rule(g: jax.Array, w: jax.Array) -> jax.Array:
        return g * short_frame(w).s[0] ** (2 - 2 / depth)

    return optax.stateless(partial(map_matrices, rule))


def scale_by_projection(depth: float) -> optax.GradientTransformation:
    """The amplification alone: P_(W/|W|) g; for one output g + (N-1) Pr_W g.

    W = 0 has no direction: g is returned unchanged. `jnp.inf` is the limit per unit depth, for one
    output Pr_W g, and zero for W = 0. Sign and learning rate are left to the chain.

    Raises:
        ValueError: as `scale_by_norm_factor`.
    """
    depth = check_depth(depth)

    def rule(g: jax.Array, w: jax.Array) -> jax.Array:
        if depth == 1:
            return g
        frame = short_frame(w)
        largest = frame.s[0]
        unit = frame._replace(s=frame.s / jnp.where(largest > 0, largest, 1))
        without = jnp.zeros_like(g) if math.isinf(depth) else g
        return jnp.where(largest > 0, precondition_in(unit, g, depth), without)

    return optax.stateless(partial(map_matrices, rule))
