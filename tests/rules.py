"""What tests of update rules share: matrices, one update, and the true end-to-end rule."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import oracles


def matrices(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape)


def pair(shape: tuple[int, int], seed: int = 0) -> tuple[Any, Any]:
    w, g = matrices(shape, seed)
    return jnp.asarray(w), jnp.asarray(g)


def one_update(optimizer: Any, gradient: Any, params: Any) -> Any:
    return optimizer.update(gradient, optimizer.init(params), params)[0]


def true_rule(w: np.ndarray, g: np.ndarray, depth: float) -> np.ndarray:
    return oracles.end_to_end_rule(oracles.mp_frame(w), g, depth)
