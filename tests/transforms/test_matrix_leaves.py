"""Which leaves are matrices, and how a leaf is one."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from rules import matrices

from lnn.transforms.matrix_leaves import as_matrix, choose, from_matrix


def test_without_a_mask_matrices_of_real_numbers_are_chosen() -> None:
    params = {
        "matrix": jnp.ones((2, 3)), "half": jnp.ones((2, 3), jnp.bfloat16), "row": jnp.ones((1, 3)),
        "vector": jnp.ones(3), "kernel": jnp.ones((3, 3, 2, 4)), "scalar": jnp.ones(()),
        "whole": jnp.ones((2, 3), jnp.int32), "complex": jnp.ones((2, 3), jnp.complex64),
        "nothing": None, "function": np.sin,
    }  # fmt: skip
    chosen = {name for name, value in choose(None, params).items() if value}
    assert chosen == {"matrix", "half", "row"}


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_a_leaf_comes_back_from_its_matrix(shape: tuple[int, ...], axis: int) -> None:
    leaf = jnp.asarray(matrices(shape)[0])
    matrix = as_matrix(leaf, axis)
    assert matrix.shape == (shape if len(shape) == 2 else (shape[axis], leaf.size // shape[axis]))
    np.testing.assert_array_equal(from_matrix(matrix, shape, axis), leaf)
