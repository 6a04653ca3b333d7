"""Which leaves are matrices, and how a leaf is one."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from rules import matrices

from lnn.transforms.matrix_leaves import Layout, choose


def test_without_a_mask_matrices_of_real_numbers_are_chosen() -> None:
    params = {
        "matrix": jnp.ones((2, 3)), "half": jnp.ones((2, 3), jnp.bfloat16), "row": jnp.ones((1, 3)),
        "vector": jnp.ones(3), "kernel": jnp.ones((3, 3, 2, 4)), "scalar": jnp.ones(()),
        "whole": jnp.ones((2, 3), jnp.int32), "complex": jnp.ones((2, 3), jnp.complex64),
        "nothing": None, "function": np.sin,
    }  # fmt: skip
    chosen = {name for name, value in choose(None, params, Layout.of(-1, None)).items() if value}
    assert chosen == {"matrix", "half", "row"}


@pytest.mark.parametrize("output_axis", [0, -1])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_a_leaf_comes_back_from_its_matrix(shape: tuple[int, ...], output_axis: int) -> None:
    layout = Layout.of(output_axis, ())
    leaf = jnp.asarray(matrices(shape)[0])
    matrix = layout.as_matrix(leaf)
    outputs = shape[output_axis]
    assert matrix.shape == (shape if len(shape) == 2 else (outputs, leaf.size // outputs))
    np.testing.assert_array_equal(layout.from_matrix(matrix, shape), leaf)


@pytest.mark.parametrize("output_axis", [0, -1])
@pytest.mark.parametrize(
    ("shape", "batch_axes"),
    [((2, 3, 4), 0), ((2, 3, 4), -1), ((2, 3, 4, 5), (0, 2)), ((2, 3, 4, 5, 6), (0,))],
)
def test_a_stack_is_its_matrices(shape: tuple[int, ...], batch_axes: Any, output_axis: int) -> None:
    """Every slice along the batch axes is what the same slice is as a leaf of its own."""
    layout, plain = Layout.of(output_axis, batch_axes), Layout.of(output_axis, ())
    leaf = jnp.asarray(matrices(shape)[0])
    stack = layout.as_matrix(leaf)
    np.testing.assert_array_equal(layout.from_matrix(stack, shape), leaf)
    axes = batch_axes if isinstance(batch_axes, tuple) else (batch_axes,)
    front = np.moveaxis(np.asarray(leaf), axes, range(len(axes)))
    slices = front.reshape(-1, *front.shape[len(axes) :])
    assert len(stack) == len(slices)
    for matrix, one in zip(stack, slices, strict=True):
        found = plain.as_matrix(jnp.asarray(one))
        if one.ndim == 2 and output_axis == -1:  # the rule is the same for the transpose
            found = found.T
        np.testing.assert_array_equal(matrix, found)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5, 6)])
def test_an_ambiguous_leaf_is_refused_until_its_batch_axes_are_named(
    shape: tuple[int, ...],
) -> None:
    params = {"kernel": jnp.ones(shape)}
    with pytest.raises(
        ValueError, match=r"\['kernel'\] .*may be one kernel or a stack.*batch_axes"
    ):
        choose(True, params, Layout.of(-1, None))
    for batch_axes in (0, (), [1]):
        assert choose(True, params, Layout.of(-1, batch_axes)) == {"kernel": True}
    with pytest.raises(ValueError, match=r"batch_axes = \(0, 1, 2, 3\): parameter .*needs"):
        choose(True, params, Layout.of(-1, (0, 1, 2, 3)))
    with pytest.raises(ValueError, match=r"batch_axes = 'layers': give one axis or several"):
        Layout.of(-1, "layers")


def test_empty_arrays_are_no_matrices() -> None:
    params = {"matrix": jnp.ones((2, 3)), "empty": jnp.ones((0, 5))}
    for mask in (None, True):
        assert choose(mask, params, Layout.of(-1, None)) == {"matrix": True, "empty": False}
