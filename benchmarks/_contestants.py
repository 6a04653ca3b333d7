"""What several benchmarks let run: lnn itself, and the gradient descent of a user of plain JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lnn
from lnn.core import network
from lnn.execution.backend import cores

M, D, P = 2565, 128, 4.0
START_NORM = 0.1
RATES = (1e-6, 1e-5)
"""Learning rates of the timed runs: so low that none diverges, so all work is done."""

STEPS, RECORDS = 10_000, 222
"""Steps of a default study, and how many of them it records."""

Loop = Callable[[int], Any]


def use_all_cores() -> None:
    """One XLA device per core, as `python -m lnn.compare` does it; before the backend starts."""
    jax.config.update("jax_num_cpu_devices", cores())


@contextmanager
def x64(wanted: bool) -> Iterator[None]:
    """Float64 in JAX within the block, if wanted."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", wanted)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def starts(runs: int, k: int = 1, d: int = D) -> np.ndarray:
    """End-to-end matrices (runs, k, d) of full rank and Frobenius norm START_NORM."""
    w = np.random.default_rng(0).standard_normal((runs, k, d))
    scaled: np.ndarray = START_NORM * w / np.linalg.norm(w, axis=(1, 2), keepdims=True)
    return scaled


def factor_starts(runs: int, dims: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Balanced factors for layer sizes `dims`, a leading axis of runs on each."""
    rank = min(dims)
    # Another 16 starts would not change the speed; the singular value decompositions take time.
    each = [
        network.init_factors(jax.random.key(seed), dims, scale=START_NORM, rank=rank)
        for seed in range(min(runs, 16))
    ]
    return tuple(
        np.stack([leaves[run % len(each)] for run in range(runs)])
        for leaves in zip(*each, strict=True)
    )


def rates(runs: int) -> np.ndarray:
    """A learning rate for each run, (runs,)."""
    return np.geomspace(*RATES, runs)


def lnn_loop(
    problem: lnn.Problem, method: lnn.Method, start: Any, dtype: str = "float32", **options: Any
) -> Loop:
    """`lnn.simulate` of one run per leading entry of `start`, as a function of the steps.

    Everything a user waits for is in it: checks, copies to the devices, recording; records are
    taken as often as in a default study, which takes RECORDS in its STEPS.
    """
    runs = len(jax.tree.leaves(start)[0])

    def run(steps: int) -> lnn.Trajectories:
        records = RECORDS / STEPS * steps
        options["per_decade"] = max(1, round(records / max(1.0, math.log10(steps))))
        found = lnn.simulate(problem, method, start, rates(runs), steps, dtype=dtype, **options)
        if (found.status == lnn.Status.DIVERGED).any():
            raise RuntimeError(f"{method.label}: a timed run diverged, so work was left out")
        return found

    return run


def vmap_grad_loop(problem: lnn.Problem, start: np.ndarray, dtype: str = "float32") -> Loop:
    """What a user of plain JAX writes: vmap(grad(loss)) in a jitted loop, on the default device."""
    x, y = jnp.asarray(problem.x, dtype), jnp.asarray(problem.y, dtype)
    w, rate = jnp.asarray(start[:, 0], dtype), jnp.asarray(rates(len(start)), dtype)
    power = int(problem.p)

    def loss(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.mean((x @ w - y) ** power) / power

    @jax.jit
    def descend(w: Any, rate: Any, x: Any, y: Any, steps: Any) -> jax.Array:
        gradients = jax.vmap(jax.grad(loss), (0, None, None))
        return jax.lax.fori_loop(0, steps, lambda _, w: w - rate[:, None] * gradients(w, x, y), w)

    return lambda steps: jax.block_until_ready(descend(w, rate, x, y, steps))


def agree(name: str, found: Any, wanted: Any, start: Any, tolerance: float = 1e-3) -> None:
    """Raise unless two contestants moved from `start` to the same point: same work, same result."""
    found, wanted, start = (np.asarray(a, np.float64).squeeze() for a in (found, wanted, start))
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted - start)
    if not error <= tolerance:
        raise RuntimeError(f"{name} does not compute the same: relative difference {error:.1e}")
