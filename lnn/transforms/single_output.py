"""The end-to-end update rule in its single-output form."""

from __future__ import annotations

import math
from functools import partial

import jax
import optax

from lnn.core.checks import check_depth
from lnn.core.linalg import dot
from lnn.core.spectral import row_direction
from lnn.transforms.catalogue import Entry
from lnn.transforms.end_to_end import map_matrices

# Equal to the end-to-end rule for one output, so not a default method.
ENTRIES = (
    Entry(
        name="single-output", title="Single-output rule", family="end-to-end", order=1,
        build="scale_by_single_output", one_output=True, depth_alone=True,
        color="#4FC3C7", dark="#0B5A5E", dashes=(3, 1),
    ),
)  # fmt: skip


def scale_by_single_output(depth: float) -> optax.GradientTransformation:
    r"""The end-to-end rule for one output: a norm factor and an amplified projection.

    `update(g, state, params)` returns $\|W\|^{2-2/N} (g + (N-1) \mathrm{Pr}_W g)$, Pr_W g being the
    projection of g on W, (1, d) or (d,): Arora, Cohen and Hazan (2018), eq. 12 (Claim 2). Zero W
    gives zero for N > 1; depth 1 returns g; `jnp.inf` is the limit per unit depth, |W|^2 Pr_W g.

    Raises:
        ValueError: depth below 1; at update, params missing or a leaf of more than one output.

    Example:
        >>> rule, w = lnn.scale_by_single_output(depth=2), jnp.array([[3.0, 4.0]])
        >>> print(rule.update(w, rule.init(w), w)[0])  # g = w: N |w| g
        [[30. 40.]]
    """
    depth = check_depth(depth)

    def rule(g: jax.Array, w: jax.Array) -> jax.Array:
        check_one_output(w)
        if depth == 1:
            return g
        norm, direction = row_direction(w)
        projection = dot(g, direction.T) * direction
        if math.isinf(depth):
            return norm**2 * projection
        return norm ** (2 - 2 / depth) * (g + (depth - 1) * projection)

    return optax.stateless(partial(map_matrices, rule))


def check_one_output(w: jax.Array) -> None:
    """Raise `ValueError` unless w is (1, d)."""
    if w.shape[0] != 1:
        raise ValueError(
            f"parameter of shape {w.shape}: the single-output form needs one output, (1, d); "
            "use scale_by_end_to_end"
        )
