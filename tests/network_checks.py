"""What is checked of every network: gradients, programs of other platforms, batches of seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

Loss = Callable[..., jax.Array]


def doubled(params: Any, seed: int = 0) -> Any:
    """Float64 copies, moved at random so that nothing is 0 or equal; needs x64."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.float64(leaf) + 0.3 * rng.standard_normal(leaf.shape)), params
    )


def check_by_differences(loss: Loss, params: Any, *data: Any) -> None:
    """Compare the gradient with central differences of the loss, one direction for each leaf."""
    gradient = jax.jit(jax.grad(loss))(params, *data)
    value = jax.jit(loss)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    for index, slope in enumerate(jax.tree.leaves(gradient)):
        assert slope.dtype == jnp.float64
        direction = rng.standard_normal(slope.shape)
        ends = []
        for size in (1e-5, -1e-5):
            moved = [*leaves]
            moved[index] = leaves[index] + size * direction
            ends.append(float(value(tree.unflatten(moved), *data)))
        found = float(np.sum(np.asarray(slope) * direction))
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-9)


def check_programs(loss: Loss, params: Any, *data: Any) -> None:
    """The gradient lowers for accelerators, without conversions, broadcasts or calls to Python."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        exported = jax.export.export(jax.jit(jax.grad(loss)), platforms=["tpu", "cuda"])
        program = exported(params, *data).mlir_module()
    assert "callback" not in program
    assert "f64" not in program
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert products
    assert [line for line in products if "[HIGHEST, HIGHEST]" not in line] == []


def check_seeds(loss: Loss, params: list[Any], *data: Any) -> None:
    """Networks of a leading axis have the gradients they have alone."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    axes = (0, *(None for _ in data))
    together = jax.jit(jax.vmap(jax.grad(loss), axes))(stacked, *data)
    alone = jax.jit(jax.grad(loss))
    for seed, one in enumerate(params):
        for found, true in zip(
            jax.tree.leaves(together), jax.tree.leaves(alone(one, *data)), strict=True
        ):
            np.testing.assert_allclose(found[seed], true, rtol=1e-4, atol=1e-6)


def close_gradients(found: Any, true: Any, tolerance: float = 1e-5) -> None:
    """Every leaf differs from the true one by less, relative to its largest entry."""
    assert jax.tree.structure(found) == jax.tree.structure(true)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
        assert np.abs(b).max() > 0
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
