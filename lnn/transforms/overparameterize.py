"""The end-to-end rule for any network: the dynamics of depth without adding parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lnn.core.checks import check_depth, check_whole
from lnn.core.spectral import Frame, precondition_in, short_frame
from lnn.transforms.matrix_leaves import Mask, as_matrix, check_output_axis, choose, from_matrix


def overparameterize(
    inner: optax.GradientTransformation,
    depth: float = 2,
    *,
    mask: Mask | None = None,
    output_axis: int = -1,
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
        mask: which leaves are matrices: a pytree of booleans with the structure of the parameters
            or a prefix of it, or a function of the parameters that returns one. Default: every
            floating-point leaf of two axes. Other leaves are passed to `inner` unchanged.
        output_axis: of chosen leaves with more than two axes: -1 for kernels as in Flax (height,
            width, inputs, outputs), 0 as in Equinox (outputs, inputs, height, width).
        refresh_every: decompose the matrices every K-th step only, and reuse the frames, which are
            kept in the state, in between. The relative error of an update is about the relative
            change of W since then, in the worst direction. Under `vmap` this saves no time.

    A step decomposes every chosen matrix (m, n) once, O(min(m, n)^2 max(m, n)), one after the
    other; bfloat16 and float16 leaves in float32.

    Raises:
        ValueError: an argument out of range; at `init`, a mask that does not fit, or that selects
            no leaf or one that is not a real matrix; at `update`, params missing.

    Example:
        >>> optimizer, w = lnn.overparameterize(optax.sgd(0.1), depth=2), jnp.array([[3.0, 4.0]])
        >>> print(optimizer.update(w, optimizer.init(w), w)[0])  # g = w: -0.1 N |w| g
        [[-3. -4.]]
    """
    depth = check_depth(depth)
    if not (hasattr(inner, "init") and hasattr(inner, "update")):
        raise ValueError(
            f"inner = {inner!r}: give an optax transformation, such as optax.sgd(1e-2)"
        )
    refresh_every = check_whole("refresh_every", refresh_every, 1)
    check_output_axis(output_axis)
    rule = _scale_matrices(depth, output_axis, refresh_every)
    return optax.chain(optax.masked(rule, lambda params: choose(mask, params)), inner)


class FrameState(NamedTuple):
    """Steps taken, and the frames of the matrices in the order of the leaves."""

    step: jax.Array
    frames: tuple[Frame, ...]


def _scale_matrices(
    depth: float, output_axis: int, refresh_every: int
) -> optax.GradientTransformation:
    """Apply the rule to every leaf, of two axes or more."""

    def matrices(tree: Any) -> list[jax.Array]:
        return [as_matrix(_wide(leaf), output_axis) for leaf in jax.tree.leaves(tree)]

    def init(params: optax.Params) -> optax.OptState:
        if refresh_every == 1 or depth == 1:
            return optax.EmptyState()
        blank = [_blank_frame(matrix) for matrix in jax.eval_shape(matrices, params)]
        return FrameState(jnp.zeros((), jnp.int32), tuple(blank))

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Any]:
        if params is None:
            raise ValueError("params = None: this rule depends on W; call update(g, state, params)")
        if depth == 1:
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

        def changed(frame: Frame, leaf: jax.Array) -> jax.Array:
            matrix = precondition_in(frame, as_matrix(_wide(leaf), output_axis), depth)
            return _like(from_matrix(matrix, leaf.shape, output_axis), leaf)

        return jax.tree.unflatten(tree, map(changed, frames, leaves)), state

    return optax.GradientTransformation(init, update)


def _frames(matrices: list[jax.Array]) -> tuple[Frame, ...]:
    """Return their frames, computed in turn: concurrent decompositions slow each other down."""
    frames: list[Frame] = []
    for w in matrices:
        if frames:
            w, _ = jax.lax.optimization_barrier((w, frames[-1].s))
        frames.append(short_frame(w))
    return tuple(frames)


def _blank_frame(matrix: jax.ShapeDtypeStruct) -> Frame:
    low, high = sorted(matrix.shape)
    shapes = ((low, low), (low,), (low, high))
    return Frame(*(jnp.zeros(shape, matrix.dtype) for shape in shapes))


def _wide(leaf: jax.Array) -> jax.Array:
    """Return the leaf unsharded and in float32 or wider, as decompositions need it."""
    dealt = jax.typeof(leaf).sharding
    if any(dealt.spec):  # over an explicit mesh: JAX cannot decompose sharded matrices
        whole = PartitionSpec(*[None] * leaf.ndim)
        leaf = jax.sharding.reshard(leaf, NamedSharding(dealt.mesh, whole))
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))


def _like(update: jax.Array, leaf: jax.Array) -> jax.Array:
    """Return the update in the leaf's dtype and sharding."""
    update = update.astype(leaf.dtype)
    dealt = jax.typeof(leaf).sharding
    return jax.sharding.reshard(update, dealt) if any(dealt.spec) else update
