"""The momentum form of the end-to-end rule for one output, truncated.

Eq. 12 moves by |W|^(2-2/N) (g + (N-1) <g, W>/|W|^2 W). The last W is the start plus the sum of all
steps, which Arora, Cohen and Hazan (2018), Sections 3 and 6, interpret as momentum. Here this W is
replaced by W(t) - W(t-M), the sum of the last M steps, or by W(t) - W(0), the sum of all steps
without the start. Its factors are unchanged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from lnn.core.checks import check_depth, check_whole
from lnn.core.linalg import dot
from lnn.core.spectral import row_direction
from lnn.transforms.catalogue import Entry
from lnn.transforms.end_to_end import map_matrices
from lnn.transforms.single_output import check_one_output

ENTRIES = (
    Entry(
        name="momentum-all", title="Momentum of all steps", family="end-to-end", order=3,
        build="scale_by_momentum_window", one_output=True,
        color="#E89AC7", dark="#7A1F57", dashes=(9, 1.5),
    ),
    Entry(
        name="momentum-100", title="Momentum of 100 steps", family="end-to-end", order=3,
        build="scale_by_momentum_window", arguments=(100,), one_output=True,
        color="#C48FB5", dark="#5E2A50", dashes=(5, 1.5),
    ),
    Entry(
        name="momentum-10", title="Momentum of 10 steps", family="end-to-end", order=3,
        build="scale_by_momentum_window", arguments=(10,), one_output=True,
        color="#A6849F", dark="#44303F", dashes=(1.5, 1),
    ),
)  # fmt: skip


class WindowState(NamedTuple):
    """Steps taken, and for every leaf (1, d) a ring of the last M values of W (M, 1, d).

    If all steps count, M is 1 and the value is W(0).
    """

    step: jax.Array
    past: optax.Params


def scale_by_momentum_window(
    depth: float, steps: int | None = None
) -> optax.GradientTransformation:
    """The end-to-end rule for one output with momentum of the last `steps` steps.

    Sign and learning rate are left to the chain; steps are derived from the parameters.

    Args:
        depth: N >= 1, any real number; `jnp.inf` is the limit per unit depth.
        steps: M >= 1; None for all steps.

    Raises:
        ValueError: depth or steps below 1; at update, params missing or a leaf that is not (1, d).
    """
    depth = check_depth(depth)
    if steps is not None:
        check_whole("steps", steps, 1)
    window = steps or 1

    def init(params: optax.Params) -> WindowState:
        past = jax.tree.map(lambda w: jnp.broadcast_to(w, (window, *w.shape)), params)
        return WindowState(jnp.zeros((), jnp.int32), past)

    def rule(g: jax.Array, w: jax.Array, earlier: jax.Array) -> jax.Array:
        check_one_output(w)
        if depth == 1:
            return g
        norm, direction = row_direction(w)
        momentum = dot(g, direction.T) * (w - earlier) / jnp.where(norm > 0, norm, 1)
        if math.isinf(depth):
            return norm**2 * momentum
        return norm ** (2 - 2 / depth) * (g + (depth - 1) * momentum)

    def update(
        updates: optax.Updates, state: WindowState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, WindowState]:
        # W(t) replaces W(t - M) in the ring, which is W(0) before step M.
        at = state.step % window
        earlier = jax.tree.map(lambda past: past[at], state.past)
        changed = map_matrices(rule, updates, params, earlier)
        past = state.past
        if steps is not None:
            past = jax.tree.map(lambda old, w: old.at[at].set(w), past, params)
        return changed, WindowState(optax.safe_increment(state.step), past)

    return optax.GradientTransformation(init, update)
