"""The end-to-end rule for any network: the dynamics of depth without adding parameters."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lnn.core.checks import MOST_LAYERS, check_depth, check_whole, is_real, plain
from lnn.transforms.matrix_leaves import Layout, Mask, choose
from lnn.transforms.matrix_rules import Exact, Factors, MatrixRule, Polar, Rate, Tracked

METHODS = ("auto", "exact", "tracked", "factors", "polar")
"""Ways to compute the rule."""

SMALL = 64
"""Smaller side up to which a decomposition is cheap enough to be made at every step."""


def overparameterize(
    inner: optax.GradientTransformation | Rate,
    depth: float | jax.Array = 2,
    *,
    mask: Mask | None = None,
    output_axis: int = -1,
    batch_axes: int | Sequence[int] | None = None,
    refresh_every: int = 1,
    method: str = "auto",
) -> optax.GradientTransformationExtraArgs:
    r"""Train a network as if each chosen matrix were a product of `depth` balanced factors.

    The gradient g of a chosen matrix W becomes $\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$
    (Arora, Cohen and Hazan 2018, eq. 10), which is passed to `inner`. With plain gradient descent
    this is the step of the product of balanced factors, up to terms of order (learning rate)^2.
    Momentum or Adam act on the preconditioned gradient, which differs from acting on the factors.
    Weight decay lambda on every factor is `optax.add_decayed_weights(depth * lambda)` in `inner`; a
    regularizer of the product belongs in the loss.

    The rule is the same for W and W^T, so outputs may be rows or columns. A zero matrix stays zero,
    as the product of zero factors does. A kernel of more than two axes is reshaped to (outputs,
    everything else): a convolution followed by depth - 1 pointwise ones.

    Args:
        inner: optimizer of the preconditioned gradients, such as `optax.sgd(1e-2)`; or a learning
            rate, a number or a function of the step, for plain gradient descent.
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
        refresh_every: method "exact" decomposes the matrices every K-th step only, and reuses the
            frames in between. The relative error of an update is about the relative change of W
            since then, in the worst direction. Under `vmap` this saves no time.
        method: "exact": a singular value decomposition of every matrix at every step. "tracked":
            the singular vectors of the last step, kept in the state and refined by 12 matrix
            products, for updates within 0.5 %. "polar": depth 2 by 25 products, within 0.1 %.
            "factors": plain gradient descent on balanced factors kept in the state, by 3 (N - 1)
            products, for a learning rate as `inner` and a whole depth; weight decay is not
            supported, and matrices changed between steps are decomposed again. "auto": "factors"
            where allowed; else "exact" up to a smaller side of 64 or if refresh_every > 1, and for
            larger matrices "tracked", or on accelerators at depth 2 "polar".

    With c products of a k x k and a k x d matrix, a step on B examples takes 1 + c k / (3 B) times
    as long as without. bfloat16 and float16 leaves are computed in float32. If a matrix has an
    entry that is not finite, its update is NaN throughout; `optax.apply_if_finite` can reject the
    step.

    Raises:
        ValueError: an argument out of range, or a method that does not fit the others; at `init`, a
            mask that does not fit, or that selects no leaf or one that is not a real matrix; at
            `update`, params missing.

    Example:
        >>> optimizer, w = lnn.overparameterize(optax.sgd(0.1), depth=2), jnp.array([[3.0, 4.0]])
        >>> print(optimizer.update(w, optimizer.init(w), w)[0])  # g = w: -0.1 N |w| g
        [[-3. -4.]]
    """
    depth = _depth(depth)
    rate = _rate(inner)
    _check_fixed(refresh_every=refresh_every, output_axis=output_axis)
    refresh_every = check_whole("refresh_every", refresh_every, 1)
    method = _method(method, depth, rate, refresh_every)
    layout = Layout.of(output_axis, batch_axes)
    rule = _scale_matrices(depth, layout, refresh_every, method, rate)
    chosen = optax.masked(rule, lambda params: choose(mask, params, layout))
    if rate is None:
        return optax.chain(chosen, inner)
    descent = optax.sgd(rate)
    if method == "factors":  # makes the steps of its matrices
        descent = optax.masked(
            descent, lambda params: jax.tree.map(operator.not_, choose(mask, params, layout))
        )
    return optax.chain(chosen, descent)


def _rate(inner: Any) -> Rate | None:
    """Return the learning rate of plain gradient descent; None for a transformation."""
    if hasattr(inner, "init") and hasattr(inner, "update"):
        return None
    if callable(inner) or isinstance(inner, jax.core.Tracer):
        return inner
    number = plain(inner)
    if is_real(number) and 0 <= number < math.inf:
        return inner
    raise ValueError(
        f"inner = {inner!r}: give an optax transformation, such as optax.sgd(1e-2), or a learning "
        "rate of plain gradient descent, a number >= 0 or a function of the step"
    )


def _check_fixed(**values: Any) -> None:
    for name, value in values.items():
        if isinstance(value, jax.Array):
            raise ValueError(
                f"{name} is a JAX array, but decides what is compiled: give a Python number. In "
                "optax.inject_hyperparams name what stays fixed, static_args=('refresh_every', "
                "'output_axis', 'batch_axes'); a depth may change"
            )


def _method(method: str, depth: Any, rate: Rate | None, refresh_every: int) -> str:
    """Check that it fits; return "factors" for "auto" where that is allowed."""
    if method not in METHODS:
        raise ValueError(f"method = {method!r}: choose one of {', '.join(METHODS)}")
    if refresh_every > 1 and method not in ("auto", "exact"):
        raise ValueError(
            f"refresh_every = {refresh_every} with method = {method!r}: only 'exact' reuses old "
            "decompositions; leave one of them out"
        )
    known = None if isinstance(depth, jax.Array) else depth
    whole = known is not None and known % 1 == 0 and known <= MOST_LAYERS
    if method == "factors" and (rate is None or not whole):
        raise ValueError(
            f"method = 'factors' with {'a transformation' if rate is None else 'a rate'} as inner "
            f"and depth = {depth}: it is plain gradient descent on the factors, so inner must be a "
            "learning rate, as 1e-2, and depth a whole number; otherwise use method = 'tracked'"
        )
    if method == "polar" and known != 2:
        raise ValueError(
            f"method = 'polar' with depth = {depth}: it computes the rule of depth 2; use 'tracked'"
        )
    if known == 1:
        return "exact"
    if method == "auto" and refresh_every == 1 and rate is not None and whole:
        return "factors"
    return method


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


class RuleState(NamedTuple):
    """Steps taken, and what each method keeps of its matrices, in the order of the leaves."""

    step: jax.Array
    matrices: Any


def _scale_matrices(
    depth: float | jax.Array, layout: Layout, refresh_every: int, method: str, rate: Rate | None
) -> optax.GradientTransformation:
    """Apply the rule to every leaf, of two axes or more."""
    fixed = None if isinstance(depth, jax.Array) else depth
    rules: dict[str, MatrixRule] = {
        "exact": Exact(depth, refresh_every),
        "tracked": Tracked(depth, polar=method == "auto" and fixed == 2),
        "polar": Polar(),
    }
    if rate is not None and method == "factors":
        rules["factors"] = Factors(int(depth), rate)

    def groups(matrices: Any) -> dict[str, list[int]]:
        """Return the matrices of every method by their number."""
        found: dict[str, list[int]] = {}
        for i, matrix in enumerate(matrices):
            name = method
            if method == "auto":
                cheap = refresh_every > 1 or min(matrix.shape[-2:]) <= SMALL
                name = "exact" if cheap else "tracked"
            found.setdefault(name, []).append(i)
        return found

    def leaves_as_matrices(tree: Any) -> list[jax.Array]:
        return [layout.as_matrix(_whole(leaf)) for leaf in jax.tree.leaves(tree)]

    def init(params: optax.Params) -> optax.OptState:
        if fixed == 1:
            return optax.EmptyState()
        step = jnp.zeros((), jnp.int32)
        if not jax.tree.leaves(params):  # `optax.tree_map_params` asks for a prefix of the state
            return RuleState(step, jnp.zeros(()))
        ws = leaves_as_matrices(params)
        states: dict[int, Any] = {}
        for name, members in groups(ws).items():
            states |= zip(members, rules[name].init([ws[i] for i in members]), strict=True)
        return RuleState(step, tuple(states[i] for i in range(len(ws))))

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Any]:
        if params is None:
            raise ValueError("params = None: this rule depends on W; call update(g, state, params)")
        if fixed == 1:
            return updates, state
        leaves, tree = jax.tree.flatten(updates)
        gs, ws = leaves_as_matrices(updates), leaves_as_matrices(params)
        states = dict(enumerate(state.matrices))
        for name, members in groups(ws).items():
            found, new = rules[name].update(
                [gs[i] for i in members], [ws[i] for i in members],
                tuple(states[i] for i in members), state.step,
            )  # fmt: skip
            states |= zip(members, new, strict=True)
            for i, matrix in zip(members, found, strict=True):
                leaves[i] = _dealt(layout.from_matrix(matrix, leaves[i].shape), leaves[i])
        step = optax.safe_increment(state.step)
        return jax.tree.unflatten(tree, leaves), RuleState(step, tuple(states.values()))

    return optax.GradientTransformation(init, update)


def _whole(leaf: jax.Array) -> jax.Array:
    """Return the leaf unsharded: over an explicit mesh JAX cannot decompose sharded matrices."""
    dealt = jax.typeof(leaf).sharding
    if not any(dealt.spec):
        return leaf
    return jax.sharding.reshard(leaf, NamedSharding(dealt.mesh, PartitionSpec(*[None] * leaf.ndim)))


def _dealt(update: jax.Array, leaf: jax.Array) -> jax.Array:
    """Return the update in the leaf's sharding."""
    dealt = jax.typeof(leaf).sharding
    return jax.sharding.reshard(update, dealt) if any(dealt.spec) else update
