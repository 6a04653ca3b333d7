"""Selection of the matrices among a network's parameters, and kernels as matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Mask = Any | Callable[[Any], Any]
"""A pytree of booleans, or a function of the parameters that returns one, as in `optax.masked`."""

_TEACH = (
    "give a pytree of booleans with the structure of the parameters or a prefix of it, or a "
    "function of the parameters that returns one"
)


def choose(mask: Mask | None, params: Any, layout: Layout) -> Any:
    """Return the validated mask as a pytree of booleans with the structure of the parameters.

    Empty arrays are never chosen.

    Args:
        mask: None for every floating-point leaf of two axes.
        params: any pytree of arrays, or of shapes and dtypes.
        layout: how leaves of more than two axes are matrices.

    Raises:
        ValueError: a mask that does not fit or selects nothing, or a leaf that is not a matrix.
    """
    if mask is None:
        full = jax.tree.map(lambda leaf: _is_real(leaf) and leaf.ndim == 2, params)
    else:
        # A pytree of booleans may be callable, as an Equinox module is.
        is_function = callable(mask) and jax.tree_util.all_leaves([mask])
        given = mask(params) if is_function else mask
        try:
            full = jax.tree.broadcast(given, params)
        except ValueError as error:
            raise ValueError(f"mask does not fit the parameters: {_TEACH}") from error
    named = list(zip(paths(params), jax.tree.leaves(params), jax.tree.leaves(full), strict=True))
    chosen = 0
    for path, leaf, value in named:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"mask{path} = {value!r} is not a boolean: {_TEACH}")
        if value and not (_is_real(leaf) and leaf.ndim >= 2):
            raise ValueError(
                f"mask chooses parameter {path} ({_describe(leaf)}): only "
                "floating-point arrays of two axes or more can be matrices; exclude it"
            )
        if value:
            layout.check(path, leaf)
        chosen += bool(value)
    full = jax.tree.map(lambda value, leaf: bool(value) and leaf.size > 0, full, params)
    if not chosen:
        there = [f"{path} {_describe(leaf)}" for path, leaf, _ in named]
        raise ValueError(
            f"no parameter is chosen from {', '.join(there)}: the default is all "
            "floating-point arrays of two axes; choose others with mask="
        )
    return full


def paths(tree: Any) -> list[str]:
    """Return a name for every leaf, such as "['dense']['kernel']"."""
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


@dataclass(frozen=True)
class Layout:
    """How leaves of more than two axes are matrices, or stacks of matrices.

    Attributes:
        output_axis: 0 or -1, the first or last of the axes that are not batch axes.
        batch_axes: axes that count matrices; None: none, for leaves of four axes, the kernels of
            images. Leaves of other numbers of axes are then refused: they may be either.

    Raises:
        ValueError: an argument out of range; in `check`, a leaf that it does not fit.
    """

    output_axis: int
    batch_axes: tuple[int, ...] | None

    @classmethod
    def of(cls, output_axis: int, batch_axes: int | Sequence[int] | None) -> Layout:
        """Return the layout of the arguments of `lnn.overparameterize`."""
        if output_axis not in (0, -1) or isinstance(output_axis, bool):
            raise ValueError(
                f"output_axis = {output_axis!r}: give -1 for kernels (..., inputs, outputs), as in "
                "Flax, or 0 for (outputs, inputs, ...), as in Equinox"
            )
        if batch_axes is None:
            return cls(output_axis, None)
        axes = tuple(batch_axes) if isinstance(batch_axes, Sequence) else (batch_axes,)
        if not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in axes):
            raise ValueError(
                f"batch_axes = {batch_axes!r}: give one axis or several, as 0 for kernels (layers, "
                "inputs, outputs), or () for kernels of convolutions"
            )
        return cls(output_axis, axes)

    def check(self, path: str, leaf: jax.Array) -> None:
        """Raise `ValueError` unless the leaf, of two axes or more, is matrices in this layout."""
        if leaf.ndim in (2, 4) and self.batch_axes is None:
            return
        if self.batch_axes is None:
            raise ValueError(
                f"mask chooses parameter {path} ({_describe(leaf)}), which may be one kernel or a "
                "stack of kernels: name the axes that count kernels, as batch_axes=0 for (layers, "
                "inputs, outputs), or give batch_axes=() if there are none"
            )
        axes = {axis % leaf.ndim for axis in self.batch_axes if -leaf.ndim <= axis < leaf.ndim}
        if leaf.ndim > 2 and (len(axes) < len(self.batch_axes) or leaf.ndim - len(axes) < 2):
            raise ValueError(
                f"batch_axes = {self.batch_axes}: parameter {path} ({_describe(leaf)}) needs so "
                "many different axes and two more for a matrix; exclude it, or use optax.partition "
                "for kernels of several kinds"
            )

    def as_matrix(self, leaf: jax.Array) -> jax.Array:
        """Reshape to (outputs, everything else), or (batch, outputs, everything else)."""
        if leaf.ndim == 2:
            return leaf
        batch, output, others = self._order(leaf.ndim)
        moved = jnp.transpose(leaf, (*batch, output, *others))
        count = (math.prod(leaf.shape[axis] for axis in batch),) if batch else ()
        return jnp.reshape(moved, (*count, leaf.shape[output], -1))

    def from_matrix(self, matrix: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Invert `as_matrix` for a leaf of this shape."""
        if len(shape) == 2:
            return matrix
        batch, output, others = self._order(len(shape))
        order = (*batch, output, *others)
        moved = jnp.reshape(matrix, tuple(shape[axis] for axis in order))
        return jnp.transpose(moved, tuple(np.argsort(order)))

    def _order(self, ndim: int) -> tuple[list[int], int, list[int]]:
        batch = [axis % ndim for axis in self.batch_axes or ()]
        others = [axis for axis in range(ndim) if axis not in batch]
        return batch, others.pop(self.output_axis), others


def _is_real(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _describe(leaf: Any) -> str:
    if not hasattr(leaf, "dtype"):
        return type(leaf).__name__
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
