"""The end-to-end update rule of a depth-N linear network, for any number of outputs."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import optax

from lnn.core.checks import check_depth
from lnn.core.spectral import precondition
from lnn.transforms.catalogue import Entry

ENTRIES = (
    Entry(
        name="end-to-end", title="End-to-end rule", family="end-to-end", order=0,
        build="scale_by_end_to_end", default=True, depth_alone=True,
        color="#6DB7EE", dark="#08306B",
    ),
)  # fmt: skip


def scale_by_end_to_end(depth: float) -> optax.GradientTransformation:
    r"""Precondition gradients as a depth-N linear network does, without building it.

    `update(g, state, params)` returns, for every leaf W (k, d), or (d,), and its gradient g,
    $\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$: Arora, Cohen and Hazan (2018), eq. 10. Sign and
    learning rate are left to the chain. Depth 1 returns g itself; any real depth >= 1 is allowed,
    and `jnp.inf` is the limit per unit depth (the sum divided by N).

    Raises:
        ValueError: depth below 1; at update, params missing or a leaf that is not a matrix.

    Example:
        >>> rule, w = lnn.scale_by_end_to_end(depth=2), jnp.array([[3.0, 4.0]])
        >>> g = jnp.array([[4.0, -3.0]])  # orthogonal to w
        >>> print(rule.update(g, rule.init(w), w)[0])  # |w| g
        [[ 20. -15.]]
    """
    depth = check_depth(depth)

    def rule(g: jax.Array, w: jax.Array) -> jax.Array:
        return precondition(w, g, depth)

    return optax.stateless(partial(map_matrices, rule))


def map_matrices(
    rule: Any, updates: optax.Updates, params: optax.Params | None, *others: Any
) -> optax.Updates:
    """Apply rule(g, w, *others) to every leaf, all of one shape: a matrix, or one output (d,)."""
    if params is None:
        raise ValueError("params = None: this rule depends on W; call update(g, state, params)")

    def checked(g: Any, w: Any, *others: Any) -> Any:
        if g.ndim not in (1, 2) or g.shape != w.shape:
            raise ValueError(
                f"gradient {g.shape} and parameter {w.shape}: both must be one (k, d) matrix, or "
                "(d,) for one output; wrap the rule in optax.masked to exclude other leaves"
            )
        if g.ndim == 1:
            return rule(*(part[None] for part in (g, w, *others)))[0]
        return rule(g, w, *others)

    return jax.tree.map(checked, updates, params, *others)


def decay_factor(depth: float) -> float:
    """Return the effect of weight decay lambda on N factors on W_e: N lambda W_e (Theorem 1)."""
    return depth if math.isfinite(depth) else 1.0
