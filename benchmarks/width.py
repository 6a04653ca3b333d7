"""A training step of the recurrent networks of `lnn.width`, on one core as in a worker process.

    python benchmarks/width.py [--quick]

The bare gradient of a minibatch; the same by autodiff where the recurrence has its own backward
pass; the step of the study, with sampling, descent, and all lengths and angles; and its share of
the best matrix product. Evaluations are added at the study's cadence, over the first 1000 steps.
"""

from __future__ import annotations

import os

os.environ |= {"JAX_NUM_CPU_DEVICES": "1", "NPROC": "1", "OPENBLAS_NUM_THREADS": "1"}

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from _harness import start
from _measure import Timing, at_least, at_most, ratio

from lnn.core.linalg import dot
from lnn.studies.width.config import SCALES, Setup
from lnn.studies.width.runs import RecurrentRun
from lnn.studies.width.study import runs
from lnn.studies.width.systems import rhn
from lnn.studies.width.tasks import Task, load_system, place, task
from lnn.studies.width.train import program

SIDE = 1024
CASES = (
    ("characters", 32), ("characters", 128), ("words", 8), ("words", 64), ("speech", 8),
    ("speech", 32),
)  # fmt: skip
SHARE = ("characters", 128)
"""Where the share of the matrix product is measured."""


def main() -> None:
    """Run it."""
    bench = start("width", __doc__)
    seconds = 0.2 if bench.quick else 1.0
    matrix = jax.random.normal(jax.random.key(0), (SIDE, SIDE), jnp.float32)
    loops: dict[str, Callable[[int], object]] = {"product": repeated(dot, matrix, matrix)}
    setups = {}
    for system, width in CASES:
        setup = SCALES["reduced"][system]
        setup = replace(setup, sizes=setup.sizes[:1])
        own = task(setup, load_system(setup, None))
        run = runs(setup, (width,), setup.sizes, (0,))[0]
        setups[system, width] = setup, run
        loops |= contestants(setup, own, run)
    times = bench.time_loops(loops, seconds)
    gemm = times["product"].rate(2 * SIDE**3 / 1e9)
    bench.add("matrix product", gemm, "GFLOP/s")
    for case, (setup, run) in setups.items():
        name = f"{case[0]}, width {case[1]}"
        bare, step, held_out = (times[f"{name}: {what}"] for what in ("bare", "step", "held out"))
        bench.add(f"{name}: bare gradient", bare.spread(1e3), "ms", timing=bare)
        bench.add(f"{name}: step / bare gradient", ratio(step, bare), "1", at_most(1.3))
        count = sum(at <= 1000 for at in setup.evaluations)
        rounds = zip(step.rounds, held_out.rounds, strict=True)
        whole = Timing(tuple(one + other * count / 1000 for one, other in rounds))
        bench.add(f"{name}: step with evaluations / bare gradient", ratio(whole, bare), "1")
        if case[0] == "characters":
            plain = times[f"{name}: autodiff"]
            bench.add(f"{name}: autodiff / own backward pass", ratio(plain, bare), "1")
        if case == SHARE:
            share = ratio(times["product"], bare, flops(setup, run) / (2 * SIDE**3))
            bench.add(f"{name}: share of the matrix product", share, "1", at_least(0.45))
    bench.finish()


def repeated(function: Callable[..., Any], *arguments: Any) -> Callable[[int], object]:
    """Return a loop of calls, which returns when all work is done."""
    compiled = jax.jit(function)

    def loop(count: int) -> object:
        for _ in range(count):
            found = compiled(*arguments)
        return jax.block_until_ready(found)

    return loop


def contestants(setup: Setup, own: Task, run: RecurrentRun) -> dict[str, Callable[[int], object]]:
    """Return the loops of one system and width, by name."""
    name = f"{run.system}, width {run.width}"
    made, key, data = program(setup, own, run), jax.random.key(0), place(own)
    data = jax.tree.map(jnp.array, data)
    size, rate = jnp.int32(run.size), jnp.float32(1e-3)
    state = jax.jit(made.begin)(key)
    batch = own.sample(key, size, data)

    @jax.jit
    def steps(count: Any, state: Any) -> Any:
        return jax.lax.fori_loop(
            0, count, lambda _, state: made.step(state, key, size, rate, data), state
        )

    found: dict[str, Callable[[int], object]] = {
        f"{name}: bare": repeated(jax.grad(own.loss), state.params, batch),
        f"{name}: step": lambda count: jax.block_until_ready(steps(count, state)),
        f"{name}: held out": repeated(own.validate, state.params, data),
    }
    if run.system == "characters":
        found[f"{name}: autodiff"] = repeated(jax.grad(_plain), state.params, batch)
    return found


def _plain(params: Any, symbols: jax.Array) -> jax.Array:
    """Return the loss with the recurrence left to autodiff."""
    module: Any = rhn
    own, module.highway = module.highway, module.highway.fun
    try:
        return rhn.loss(params, symbols)
    finally:
        module.highway = own


def flops(setup: Setup, run: RecurrentRun) -> float:
    """Return the operations of the products of a gradient of the highway network."""
    tokens, width = setup.batch * setup.length, run.width
    forward = 2 * tokens * (run.depth + 1) * width * 2 * width
    softmax = 2 * tokens * width * 103
    return 3.0 * (forward + softmax)


if __name__ == "__main__":
    main()
