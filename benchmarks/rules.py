"""A step of each rule against a plain gradient step, m = 2565, d = 128, p = 4, depth 4.

The naive form of the end-to-end rule takes eigh of W W^T and of W^T W and multiplies out all N
terms. Last, p = 2: d + k rows stand for the data in the engine; the general path takes it whole.
"""

from __future__ import annotations

from typing import Any

import _contestants as c
import jax
import jax.numpy as jnp
import numpy as np
from _harness import Bench, start
from _measure import at_least, at_most, ratio
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from threadpoolctl import threadpool_limits

import lnn

DEPTH = 4
OUTPUTS = (1, 6, 10, 32, 64, 128)
QUICK_OUTPUTS = (1, 10, 128)
BASELINES = ("momentum", "adagrad", "adadelta", "adam")
QUICK_BASELINES = ("adam",)
NAIVE_RUNS = 4
GENERAL_RUNS = 256
RULE_BARS = {
    1: at_most(1.1),
    6: at_most(1.4),
    10: at_most(1.4),
    32: at_most(1.25),
    128: at_most(1.6),
}
"""By outputs: the end-to-end rule's step over the gradient step."""

MICRO = 1e6


def runs_for(k: int) -> int:
    """Runs of a batch: 256 rows of weights in all, as a study has at k = 1, but 8 runs at least."""
    return max(8, 256 // k)


def naive_rule(w: jax.Array, g: jax.Array) -> jax.Array:
    """sum_j [W W^T]^((j-1)/N) g [W^T W]^((N-j)/N), as it is written."""
    left_values, left = jnp.linalg.eigh(w @ w.T)
    # One decomposition after the other: two at once can hang on CPU.
    w, left_values, left = jax.lax.optimization_barrier((w, left_values, left))
    right_values, right = jnp.linalg.eigh(w.T @ w)

    def power(values: jax.Array, vectors: jax.Array, exponent: float) -> jax.Array:
        if exponent == 0:
            return jnp.eye(len(values), dtype=values.dtype)
        return (vectors * jnp.maximum(values, 0) ** exponent) @ vectors.T

    terms = [
        power(left_values, left, (j - 1) / DEPTH) @ g @ power(right_values, right, 1 - j / DEPTH)
        for j in range(1, DEPTH + 1)
    ]
    return sum(terms, start=jnp.zeros_like(g))


def naive_loop(problem: lnn.Problem, begin: np.ndarray) -> c.Loop:
    """Runs of the naive rule in a jitted loop, run after run, on the default device."""
    x = jnp.asarray(problem.x, jnp.float32)
    y = jnp.asarray(problem.y, jnp.float32).reshape(problem.m, problem.k)
    w = jnp.asarray(begin, jnp.float32)
    rate = jnp.asarray(c.rates(len(begin)), jnp.float32)

    @jax.jit
    def descend(w: Any, rate: Any, x: Any, y: Any, steps: Any) -> jax.Array:
        def one(run: Any) -> jax.Array:
            w, rate = run
            residual = x @ w.T - y
            return w - rate * naive_rule(w, (residual**3).T @ x / len(x))

        return jax.lax.fori_loop(0, steps, lambda _, w: jax.lax.map(one, (w, rate)), w)

    def run(steps: int) -> jax.Array:
        # Many BLAS threads in every small decomposition would only slow it down.
        with threadpool_limits(1, user_api="blas"):
            return jax.block_until_ready(descend(w, rate, x, y, steps))

    return run


def measure_rules(bench: Bench, k: int) -> None:
    """All rules at one number of outputs."""
    problem = lnn.datasets.gaussian(c.P, outputs=k)
    runs = runs_for(k)
    w = c.starts(runs, k)
    baselines = QUICK_BASELINES if bench.quick else BASELINES
    methods = {name: lnn.make_method(name) for name in ("gd", *baselines)}
    methods["end-to-end"] = lnn.make_method("end-to-end", DEPTH)
    if k == 1:
        methods["single-output"] = lnn.make_method("single-output", DEPTH)
    loops = {name: c.lnn_loop(problem, method, w) for name, method in methods.items()}
    loops["naive end-to-end"] = naive_loop(problem, w[:NAIVE_RUNS])
    times = bench.time_loops(loops, 0.3 if bench.quick else 2.0)
    few = w[:NAIVE_RUNS]
    c.agree(
        "naive end-to-end",
        loops["naive end-to-end"](10),
        c.lnn_loop(problem, methods["end-to-end"], few)(10).params,
        few,
        tolerance=2e-2,  # the eigenvalues of a Gram matrix are rough in float32
    )
    head = f"k = {k}"
    for name, timing in times.items():
        count = NAIVE_RUNS if name.startswith("naive") else runs
        spread = timing.spread(MICRO / count)
        bench.add(f"{head}, {count} runs: {name}", spread, "us a step of a run", timing=timing)
    for name in times:
        if name != "gd":
            scale = runs / NAIVE_RUNS if name.startswith("naive") else 1.0
            bar = RULE_BARS.get(k) if name == "end-to-end" else None
            bench.add(f"{head}: {name} / gd", ratio(times[name], times["gd"], scale), "1", bar)


def general_loop(problem: lnn.Problem, begin: np.ndarray) -> c.Loop:
    """Gradient descent at p = 2 with both products over the data, runs sharded over the devices."""
    runs = len(begin)
    devices = [device for device in jax.devices() if runs % len(jax.devices()) == 0]
    mesh = Mesh(np.array(devices or jax.devices()[:1]), ("runs",))
    alike, sharded = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in ((), ("runs",)))
    x = np.asarray(problem.x, np.float32)
    data = [jax.device_put(a, alike) for a in (x, np.ascontiguousarray(x.T))]
    y = jax.device_put(np.asarray(problem.y, np.float32), alike)
    rate = jax.device_put(np.asarray(c.rates(runs) / len(x), np.float32), sharded)
    w = jax.device_put(np.asarray(begin[:, 0], np.float32), sharded)

    @jax.jit
    def descend(w: Any, rate: Any, x: Any, xt: Any, y: Any, steps: Any) -> jax.Array:
        return jax.lax.fori_loop(0, steps, lambda _, w: w - rate[:, None] * ((w @ xt - y) @ x), w)

    return lambda steps: jax.block_until_ready(descend(w, rate, *data, y, steps))


def measure_square_loss(bench: Bench) -> None:
    """p = 2 by the engine, beside the general path and beside p = 4."""
    w = c.starts(GENERAL_RUNS)
    gd = lnn.make_method("gd")
    square, quartic = lnn.datasets.synthetic(2.0), lnn.datasets.synthetic(c.P)
    loops = {
        "p = 2, lnn": c.lnn_loop(square, gd, w),
        "p = 2, general path": general_loop(square, w),
        "p = 4, lnn": c.lnn_loop(quartic, gd, w),
    }
    times = bench.time_loops(loops, 0.3 if bench.quick else 2.0)
    c.agree("the general path", loops["p = 2, general path"](50), loops["p = 2, lnn"](50).params, w)
    for name, timing in times.items():
        spread = timing.spread(MICRO / GENERAL_RUNS)
        bench.add(f"{GENERAL_RUNS} runs: {name}", spread, "us a step of a run", timing=timing)
    ours = times["p = 2, lnn"]
    gain = ratio(times["p = 2, general path"], ours)
    bench.add("p = 2: lnn against the general path", gain, "x", at_least(8.0))
    bench.add("p = 2 against p = 4, both lnn", ratio(times["p = 4, lnn"], ours), "x")


def main() -> None:
    """Run it."""
    bench = start("rules", __doc__)
    c.use_all_cores()
    for k in QUICK_OUTPUTS if bench.quick else OUTPUTS:
        measure_rules(bench, k)
    measure_square_loss(bench)
    bench.finish()


if __name__ == "__main__":
    main()
