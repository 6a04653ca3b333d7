"""What is checked of every network: gradients, programs of other platforms, batches of seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from scipy.special import expit

Slope = Callable[..., tuple[jax.Array, Any]]
"""What `jax.jit(jax.value_and_grad(loss))` returns; a module has one, compiled once."""


def doubled(params: Any, seed: int = 0) -> Any:
    """Float64 copies, moved at random so that nothing is 0 or equal; needs x64."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.float64(leaf) + 0.3 * rng.standard_normal(leaf.shape)), params
    )


def check_by_differences(slope: Slope, params: Any, *data: Any) -> None:
    """Compare the gradient with central differences of the loss, one direction for each leaf."""
    gradient = slope(params, *data)[1]
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    for index, by_leaf in enumerate(jax.tree.leaves(gradient)):
        assert by_leaf.dtype == jnp.float64
        direction = rng.standard_normal(by_leaf.shape)
        ends = []
        for size in (1e-5, -1e-5):
            moved = [*leaves]
            moved[index] = leaves[index] + size * direction
            ends.append(float(slope(tree.unflatten(moved), *data)[0]))
        found = float(np.sum(np.asarray(by_leaf) * direction))
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-9)


def check_programs(slope: Slope, params: Any, *data: Any) -> None:
    """It lowers for accelerators, without conversions, broadcasts or calls to Python."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        exported = export.export(jax.jit(slope), platforms=["tpu", "cuda"])
        program = exported(params, *data).mlir_module()
    assert "callback" not in program
    assert "f64" not in program
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert products
    assert [line for line in products if "[HIGHEST, HIGHEST]" not in line] == []


def check_seeds(slope: Slope, params: list[Any], *data: Any) -> None:
    """Networks of a leading axis have the losses and gradients they have alone."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    together = jax.jit(jax.vmap(slope, (0, *(None for _ in data))))(stacked, *data)
    for seed, one in enumerate(params):
        close_gradients(jax.tree.map(lambda leaf, at=seed: leaf[at], together), slope(one, *data))


def close_gradients(found: Any, true: Any, tolerance: float = 1e-5) -> None:
    """Every leaf differs from the true one by less, relative to its largest entry."""
    assert jax.tree.structure(found) == jax.tree.structure(true)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
        assert float(np.abs(b).max()) > 0
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(np.abs(b).max()))


def lstm_outputs(sums: np.ndarray, recurrent: np.ndarray) -> np.ndarray:
    """Outputs (time, width) of an LSTM layer that reads `sums` (time, 4 width), step by step."""
    cell = output = np.zeros(len(recurrent))
    outputs = []
    for offset in np.float64(sums):
        i, f, o, g = np.split(offset + output @ np.float64(recurrent), 4)
        cell = expit(f) * cell + expit(i) * np.tanh(g)
        output = expit(o) * np.tanh(cell)
        outputs.append(output)
    return np.stack(outputs)
