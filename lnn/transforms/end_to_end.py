"""The end-to-end update rule of a depth-N linear network, for any number of outputs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lnn.core.checks import check_depth
from lnn.core.spectral import Frame, precondition, precondition_in, tracked_frame
from lnn.transforms.catalogue import Entry

ENTRIES = (
    Entry(
        name="end-to-end", title="End-to-end rule", family="end-to-end", order=0,
        build="scale_by_end_to_end", default=True, depth_alone=True,
        color="#6DB7EE", dark="#08306B",
    ),
)  # fmt: skip


LEAST_TRACKED = 24
"""Smaller sides are decomposed at every step: there the sweeps of `tracked_frame` gain nothing."""


def scale_by_end_to_end(depth: float) -> optax.GradientTransformation:
    r"""Precondition gradients as a depth-N linear network does, without building it.

    `update(g, state, params)` returns, for every leaf W (k, d), or (d,), and its gradient g,
    $\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$: Arora, Cohen and Hazan (2018), eq. 10. Sign and
    learning rate are left to the chain. Depth 1 returns g itself; any real depth >= 1 is allowed,
    and `jnp.inf` is the limit per unit depth (the sum divided by N).

    For leaves with k and d of 24 or more the state keeps singular vectors, with which
    `lnn.spectral.tracked_frame` starts at the next step; updates are as accurate with them as
    without, up to rounding.

    Raises:
        ValueError: depth below 1; at update, params missing or a leaf that is not a matrix.

    Example:
        >>> rule, w = lnn.scale_by_end_to_end(depth=2), jnp.array([[3.0, 4.0]])
        >>> g = jnp.array([[4.0, -3.0]])  # orthogonal to w
        >>> print(rule.update(g, rule.init(w), w)[0])  # |w| g
        [[ 20. -15.]]
    """
    depth = check_depth(depth)

    def blank(w: jax.Array) -> jax.Array:
        rows = min(w.shape) if w.ndim == 2 else 1
        return jnp.zeros((rows, rows) if rows >= LEAST_TRACKED else (0, 0), w.dtype)

    def init(params: optax.Params) -> optax.OptState:
        bases = jax.tree.map(blank, params)
        tracked = depth > 1 and any(basis.size for basis in jax.tree.leaves(bases))
        return Bases(bases) if tracked else optax.EmptyState()

    def rule(g: jax.Array, w: jax.Array, frame: Frame | None = None) -> jax.Array:
        return precondition(w, g, depth) if frame is None else precondition_in(frame, g, depth)

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        if params is None or not isinstance(state, Bases):
            return map_matrices(rule, updates, params), state
        frames = jax.tree.map(_followed, params, state.bases)
        bases = jax.tree.map(
            lambda _, frame, basis: basis if frame is None else frame.u,
            params, frames, state.bases,
        )  # fmt: skip
        return map_matrices(rule, updates, params, frames), Bases(bases)

    return optax.GradientTransformation(init, update)


class Bases(NamedTuple):
    """Singular vectors of every leaf on its small side, (r, r); (0, 0) if it is not tracked."""

    bases: optax.Params


def _followed(w: jax.Array, basis: jax.Array) -> Frame | None:
    return tracked_frame(basis, w) if basis.size else None


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
            return rule(*jax.tree.map(lambda part: part[None], (g, w, *others)))[0]
        return rule(g, w, *others)

    return jax.tree.map(checked, updates, params, *others)


def decay_factor(depth: float) -> float:
    """Return the effect of weight decay lambda on N factors on W_e: N lambda W_e (Theorem 1)."""
    return depth if math.isfinite(depth) else 1.0
