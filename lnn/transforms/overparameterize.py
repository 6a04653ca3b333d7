"""The end-to-end rule for any network: the dynamics of depth without adding parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lnn.core.checks import check_depth, check_whole
from lnn.core.spectral import Frame, precondition_in, short_frame
from lnn.transforms.matrix_leaves import Layout, Mask, choose


def overparameterize(
    inner: optax.GradientTransformation,
    depth: float | jax.Array = 2,
    *,
    mask: Mask | None = None,
    output_axis: int = -1,
    batch_axes: int | Sequence[int] | None = None,
    refresh_every: int = 1,
) -> optax.GradientTransformationExtraArgs:
    r"""Train a network as if each chosen matrix were a product of `depth` balanced factors.

    The gradient g of a chosen matrix W becomes $\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$
    (Arora, Cohen and Hazan 2018, eq. 10), which is passed to `inner`. With plain gradient descent
    as `inner`, this is the step of the product of balanced factors, up to terms of order (learning
    rate)^2. Momentum or Adam act on the preconditioned gradient, which differs from acting on the
    factors. Weight decay lambda on every factor is `optax.add_decayed_weights(depth * lambda)` in
    `inner`; a regularizer of the product belongs in the loss.

    The rule is the same for W and W^T, so outputs may be rows or columns. A zero matrix stays zero,
    as the product of zero factors does. A kernel of more than two axes is reshaped to (outputs,
    everything else): a convolution followed by depth - 1 pointwise ones.

    Args:
        inner: optimizer of the preconditioned gradients, such as `optax.sgd(1e-2)`.
        depth: N >= 1, any real number; `jnp.inf` is the limit per unit depth. 1 changes nothing.
            A JAX scalar, as `optax.inject_hyperparams` makes of it, may be traced and change from
            step to step; it must be finite, and while traced it cannot be checked.
        mask: which leaves are matrices: a pytree of booleans with the structure of the parameters
            or a prefix of it, or a function of the parameters that returns one. Default: every
            floating-point leaf of two axes. Other leaves, and empty ones, are passed to `inner`
            unchanged.
        output_axis: of chosen leaves with more than two axes: -1 for kernels as in Flax (height,
            width, inputs, outputs), 0 as in Equinox (outputs, inputs, height, width). Batch axes
            are left out of the count.
        batch_axes: of chosen leaves with more than two axes: those that count matrices, as 0 for
            the kernels (layers, inputs, outputs) of a scan over layers; () for none. By default a
            leaf of four axes is the kernel of a convolution, and other numbers are refused.
        refresh_every: decompose the matrices every K-th step only, and reuse the frames, which are
            kept in the state, in between. The relative error of an update is about the relative
            change of W since then, in the worst direction. Under `vmap` this saves no time.

    A step decomposes every chosen matrix (m, n) once, O(min(m, n)^2 max(m, n)), one after the
    other; bfloat16 and float16 leaves in float32. If a matrix has an entry that is not finite, its
    update is NaN throughout; `inner` can reject the step with `optax.apply_if_finite`.

    Raises:
        ValueError: an argument out of range; at `init`, a mask that does not fit, or that selects
            no leaf or one that is not a real matrix; at `update`, params missing.

    Example:
        >>> optimizer, w = lnn.overparameterize(optax.sgd(0.1), depth=2), jnp.array([[3.0, 4.0]])
        >>> print(optimizer.update(w, optimizer.init(w), w)[0])  # g = w: -0.1 N |w| g
        [[-3. -4.]]
    """
    depth = _depth(depth)
    if not (hasattr(inner, "init") and hasattr(inner, "update")):
        raise ValueError(
            f"inner = {inner!r}: give an optax transformation, such as optax.sgd(1e-2)"
        )
    fixed: dict[str, Any] = {"refresh_every": refresh_every, "output_axis": output_axis}
    for name, value in fixed.items():
        if isinstance(value, jax.Array):
            raise ValueError(
                f"{name} is a JAX array, but decides what is compiled: give a Python number. In "
                "optax.inject_hyperparams name what stays fixed, static_args=('refresh_every', "
                "'output_axis', 'batch_axes'); a depth may change"
            )
    refresh_every = check_whole("refresh_every", refresh_every, 1)
    layout = Layout.of(output_axis, batch_axes)
    rule = _scale_matrices(depth, layout, refresh_every)
    return optax.chain(optax.masked(rule, lambda params: choose(mask, params, layout)), inner)


def _depth(depth: float | jax.Array) -> float | jax.Array:
    """Check it as far as its value is known; JAX scalars stay what they are."""
    if not isinstance(depth, jax.Array):
        return check_depth(depth)
    if depth.ndim or not jnp.issubdtype(depth.dtype, jnp.floating):
        raise ValueError(
            f"depth = {depth!r}: give one real number, or a JAX scalar of a float type"
        )
    if not isinstance(depth, jax.core.Tracer) and math.isinf(check_depth(float(depth))):
        raise ValueError("depth = inf as a JAX array: give it as a Python number, math.inf")
    return depth


class FrameState(NamedTuple):
    """Steps taken, and the frames of the matrices in the order of the leaves."""

    step: jax.Array
    frames: Any


def _scale_matrices(
    depth: float | jax.Array, layout: Layout, refresh_every: int
) -> optax.GradientTransformation:
    """Apply the rule to every leaf, of two axes or more."""
    unchanged = not isinstance(depth, jax.Array) and depth == 1

    def matrices(tree: Any) -> list[jax.Array]:
        return [layout.as_matrix(_wide(leaf)) for leaf in jax.tree.leaves(tree)]

    def init(params: optax.Params) -> optax.OptState:
        if refresh_every == 1 or unchanged:
            return optax.EmptyState()
        if not jax.tree.leaves(params):  # `optax.tree_map_params` asks for a prefix of the state
            return FrameState(jnp.zeros((), jnp.int32), jnp.zeros(()))
        blank = [_blank_frame(matrix) for matrix in jax.eval_shape(matrices, params)]
        return FrameState(jnp.zeros((), jnp.int32), tuple(blank))

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Any]:
        if params is None:
            raise ValueError("params = None: this rule depends on W; call update(g, state, params)")
        if unchanged:
            return updates, state
        now = matrices(params)
        if refresh_every == 1:
            frames = _frames(now)
        else:
            frames = jax.lax.cond(
                state.step % refresh_every == 0, _frames, lambda _: state.frames, now
            )
            state = FrameState(optax.safe_increment(state.step), frames)
        leaves, tree = jax.tree.flatten(updates)

        def changed(frame: Frame, w: jax.Array, leaf: jax.Array) -> jax.Array:
            apply = partial(precondition_in, depth=depth)
            matrix = _each(apply, w.ndim)(frame, layout.as_matrix(_wide(leaf)))
            if refresh_every > 1:  # the frame may be older than the overflow
                finite = jnp.isfinite(w).all((-2, -1), keepdims=True)
                matrix = jnp.where(finite, matrix, jnp.nan)
            return _like(layout.from_matrix(matrix, leaf.shape), leaf)

        return jax.tree.unflatten(tree, map(changed, frames, now, leaves)), state

    return optax.GradientTransformation(init, update)


def _frames(matrices: list[jax.Array]) -> tuple[Frame, ...]:
    """Return their frames, computed in turn: concurrent decompositions slow each other down."""
    frames: list[Frame] = []
    for w in matrices:
        if frames:
            w, _ = jax.lax.optimization_barrier((w, frames[-1].s))
        frames.append(_each(short_frame, w.ndim)(w))
    return tuple(frames)


def _each(function: Callable[..., Any], ndim: int) -> Callable[..., Any]:
    """Return it for a matrix, or for each of a stack of matrices, of three axes."""
    return function if ndim == 2 else jax.vmap(function)


def _blank_frame(matrix: jax.ShapeDtypeStruct) -> Frame:
    *batch, k, d = matrix.shape
    low, high = sorted((k, d))
    shapes = ((*batch, low, low), (*batch, low), (*batch, low, high))
    return Frame(*(jnp.zeros(shape, matrix.dtype) for shape in shapes))


def _wide(leaf: jax.Array) -> jax.Array:
    """Return the leaf unsharded and in float32 or wider, as decompositions need it."""
    dealt = jax.typeof(leaf).sharding
    if any(dealt.spec):  # over an explicit mesh: JAX cannot decompose sharded matrices
        whole = PartitionSpec(*[None] * leaf.ndim)
        leaf = jax.sharding.reshard(leaf, NamedSharding(dealt.mesh, whole))
    return leaf.astype(jnp.float32) if leaf.dtype.itemsize < 4 else leaf


def _like(update: jax.Array, leaf: jax.Array) -> jax.Array:
    """Return the update in the leaf's dtype and sharding."""
    update = update.astype(leaf.dtype)
    dealt = jax.typeof(leaf).sharding
    return jax.sharding.reshard(update, dealt) if any(dealt.spec) else update
