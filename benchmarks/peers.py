"""The same study done the ways users do it today, depth 4, p = 4, m = 2565, d = 128.

A network of four layers with hidden width 1, trained by gradient descent on every layer. Loops
train one run at a time, so a study of 256 runs takes 256 times one run; batched peers hold all
runs in one program, and of several forms the peer's fastest counts. At depth 1 the batched peers do
plain gradient descent.
"""

from __future__ import annotations

from typing import Any

import _contestants as c
import _torch_peers
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _harness import Bench, start
from _measure import Bar, at_least, ratio

import lnn
from lnn.core import network

DEPTH = 4
RUNS = (64, 256, 1024)
LOOP_RUNS = 256
BATCHED_BARS = {64: at_least(1.3), 256: at_least(3.0), 1024: at_least(3.0)}
LOOP_BARS = {
    "PyTorch loop, layers": at_least(70.0),
    "PyTorch loop, collapsed": None,
    "optax step from Python": at_least(25.0),
}
SIZES = tuple((depth, runs) for depth in (DEPTH, 1) for runs in RUNS)
QUICK_SIZES = tuple((DEPTH, runs) for runs in RUNS)
MICRO = 1e6


def chain_loss(factors: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """(1/4) mean |W_N ... W_1 x - y|^4, the data pushed through the layers."""
    out = x
    for factor in factors:
        out = out @ factor.T
    return jnp.mean((out[:, 0] - y) ** 4) / 4


def optax_step_from_python(problem: lnn.Problem, first: tuple[np.ndarray, ...]) -> c.Loop:
    """One run: a jitted optax step, called from a Python loop."""
    x, y = jnp.asarray(problem.x, jnp.float32), jnp.asarray(problem.y, jnp.float32)
    optimizer = optax.sgd(float(c.rates(1)[0]))

    @jax.jit
    def step(params: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
        loss, gradient = jax.value_and_grad(chain_loss)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    def run(steps: int) -> jax.Array:
        params: Any = tuple(jnp.asarray(factor[0], jnp.float32) for factor in first)
        state = optimizer.init(params)
        for _ in range(steps):
            params, state, _ = step(params, state, x, y)
        jax.block_until_ready(params)
        return network.end_to_end(params)

    return run


def vmapped_optax(problem: lnn.Problem, first: tuple[np.ndarray, ...]) -> c.Loop:
    """All runs: vmap over optax in a jitted loop, on the default device."""
    x, y = jnp.asarray(problem.x, jnp.float32), jnp.asarray(problem.y, jnp.float32)
    begin = tuple(jnp.asarray(factor, jnp.float32) for factor in first)
    rate = jnp.asarray(c.rates(len(first[0])), jnp.float32)

    @jax.jit
    def train(params: Any, rate: Any, x: Any, y: Any, steps: Any) -> Any:
        def one(params: Any, rate: Any) -> Any:
            optimizer = optax.sgd(rate)

            def step(_: Any, carry: Any) -> Any:
                params, state = carry
                gradient = jax.grad(chain_loss)(params, x, y)
                updates, state = optimizer.update(gradient, state, params)
                return optax.apply_updates(params, updates), state

            return jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]

        return jax.vmap(one)(params, rate)

    def run(steps: int) -> jax.Array:
        params = jax.block_until_ready(train(begin, rate, x, y, steps))
        return network.end_to_end(params)

    return run


def contestants(
    problem: lnn.Problem, runs: int, depth: int, torch: bool
) -> tuple[dict[str, c.Loop], dict[str, c.Loop], c.Loop, np.ndarray]:
    """Those that train all runs at once, those that train one, what all equal, W_e of the start."""
    dims = (problem.d,) + (1,) * depth
    first = c.factor_starts(runs, dims)
    method = lnn.make_method("layerwise-gd", depth)
    together = {"lnn": c.lnn_loop(problem, method, first)}
    single: dict[str, c.Loop] = {}
    if torch:
        together |= _torch_peers.batched(problem, first)
    if depth == DEPTH:
        together["vmap over optax"] = vmapped_optax(problem, first)
    if depth == DEPTH and runs == LOOP_RUNS:
        single["optax step from Python"] = optax_step_from_python(problem, first)
        if torch:
            single |= _torch_peers.loops_of_one_run(problem, first)
    # Peers add up their steps plainly, which shows at such low rates: so does what they must equal.
    plain = c.lnn_loop(problem, method, first, compensation=False)
    return together, single, plain, np.asarray(network.end_to_end(first))


def check(
    together: dict[str, c.Loop], single: dict[str, c.Loop], plain: c.Loop, begin: np.ndarray
) -> None:
    """All go the same way."""
    ours = plain(20)
    w = np.asarray(network.end_to_end(ours.params))
    for name, loop in together.items():
        if name != "lnn":
            c.agree(name, loop(20), w, begin)
    for name, loop in single.items():
        c.agree(name, loop(20), w[:1], begin[:1])


def measure(bench: Bench, problem: lnn.Problem, runs: int, depth: int, torch: bool) -> None:
    """All rows of one size."""
    together, single, plain, begin = contestants(problem, runs, depth, torch)
    times = bench.time_loops({**together, **single}, 0.1 if bench.quick else 2.0)
    check(together, single, plain, begin)
    head = f"depth {depth}, {runs} runs"
    for name, timing in times.items():
        per_run = timing.spread(MICRO / (runs if name in together else 1))
        bench.add(f"{head}: {name}", per_run, "us a step of a run", timing=timing)

    def against(family: str, bar: Bar | None, scale: float = 1.0) -> None:
        found = [name for name in times if name.startswith(family)]
        if found:
            best = min(found, key=lambda name: times[name].spread().value)
            gain = ratio(times[best], times["lnn"], scale)
            bench.add(f"{head}: lnn against {best}", gain, "x", bar)

    against("PyTorch batched", BATCHED_BARS[runs] if depth == DEPTH else None)
    against("vmap over optax", None)
    for family, bar in LOOP_BARS.items():
        against(family, bar, scale=runs)


def main() -> None:
    """Run it."""
    bench = start("peers", __doc__)
    c.use_all_cores()
    torch = _torch_peers.available()
    if not torch:
        bench.note(_torch_peers.INSTALL)
    problem = lnn.datasets.synthetic(c.P)
    for depth, runs in QUICK_SIZES if bench.quick else SIZES:
        measure(bench, problem, runs, depth, torch)
    bench.finish()


if __name__ == "__main__":
    main()
