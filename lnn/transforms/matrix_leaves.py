"""Selection of the matrices among a network's parameters, and kernels as matrices."""

from __future__ import annotations

from collections.abc import Callable
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


def choose(mask: Mask | None, params: Any) -> Any:
    """Return the validated mask as a pytree of booleans with the structure of the parameters.

    Args:
        mask: None for every floating-point leaf of two axes.
        params: any pytree of arrays, or of shapes and dtypes.

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
        chosen += bool(value)
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


def as_matrix(leaf: jax.Array, output_axis: int) -> jax.Array:
    """Reshape a leaf of more than two axes to (outputs, everything else); keep matrices."""
    if leaf.ndim == 2:
        return leaf
    return jnp.reshape(jnp.moveaxis(leaf, output_axis, 0), (leaf.shape[output_axis], -1))


def from_matrix(matrix: jax.Array, shape: tuple[int, ...], output_axis: int) -> jax.Array:
    """Invert `as_matrix` for a leaf of this shape."""
    if len(shape) == 2:
        return matrix
    others = [size for axis, size in enumerate(shape) if axis != output_axis % len(shape)]
    return jnp.moveaxis(jnp.reshape(matrix, (shape[output_axis], *others)), 0, output_axis)


def check_output_axis(output_axis: int) -> None:
    """Raise `ValueError` unless it is 0 or -1."""
    if output_axis not in (0, -1) or isinstance(output_axis, bool):
        raise ValueError(
            f"output_axis = {output_axis!r}: give -1 for kernels (..., inputs, outputs), as in "
            "Flax, or 0 for (outputs, inputs, ...), as in Equinox"
        )


def _is_real(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _describe(leaf: Any) -> str:
    if not hasattr(leaf, "dtype"):
        return type(leaf).__name__
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
