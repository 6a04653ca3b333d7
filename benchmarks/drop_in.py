"""A training step with the rule inside, for a network with a 1024 x 1024 matrix, and old frames.

A two-layer ReLU network, 1024 - 1024 - 10, batch 128, float32, depth 2: plain SGD, the rule with
its frame refreshed at every step, every 10th and every 100th, and the network whose matrices are
really products of two. Then what an old frame costs in accuracy: the distance from the weights of
the rule that is always fresh, against the way these have gone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from _harness import Bench, start
from _measure import at_most, ratio

import lnn

WIDTH, OUTPUTS, BATCH = 1024, 10, 128
QUICK_WIDTH = 128
DEPTH, RATE = 2, 0.02
REFRESH = (1, 10, 100)
TRAINED = 200
MILLI = 1e3


def network(width: int, inputs: int | None = None, batch: int = BATCH) -> tuple[Any, Any, Any]:
    """Parameters, and a batch with the labels of another network of this kind."""
    inputs = width if inputs is None else inputs

    def drawn(key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        return {
            "first": jax.random.normal(first, (inputs, width)) / jnp.sqrt(inputs),
            "second": jax.random.normal(second, (width, OUTPUTS)) / jnp.sqrt(width),
        }

    x = jax.random.normal(jax.random.key(2), (batch, inputs))
    return drawn(jax.random.key(0)), x, predicted(drawn(jax.random.key(1)), x)


def predicted(params: Any, x: jax.Array) -> jax.Array:
    """Outputs of the network."""
    return jax.nn.relu(x @ params["first"]) @ params["second"]


def trainer(
    width: int, optimizer: Any, factored: bool = False, **shape: int
) -> Callable[[int], Any]:
    """So many steps from the start; gives the weights back. `shape`: as of `network`."""
    params, x, y = network(width, **shape)
    product: Callable[[Any], Any] = lambda params: params  # noqa: E731
    if factored:
        params, product = lnn.factorize(params, DEPTH, key=jax.random.key(3))

    @jax.jit
    def train(params: Any, x: jax.Array, y: jax.Array, steps: Any) -> Any:
        def loss(params: Any) -> jax.Array:
            return jnp.mean((predicted(product(params), x) - y) ** 2)

        def step(_: Any, carry: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        return product(jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0])

    return lambda steps: jax.block_until_ready(train(params, x, y, steps))


def rule(refresh_every: int) -> Any:
    """The drop-in."""
    return lnn.overparameterize(optax.sgd(RATE), DEPTH, refresh_every=refresh_every)


def measure_steps(bench: Bench, width: int) -> None:
    """Time of a step, each contestant in whole periods of its refresh."""
    contestants = {"sgd": (trainer(width, optax.sgd(RATE)), 50)}
    for every in REFRESH:
        name = f"rule, frame of every {every}" if every > 1 else "rule, fresh frame"
        contestants[name] = (trainer(width, rule(every)), max(every, 3))
    contestants["real products"] = (trainer(width, optax.sgd(RATE), factored=True), 50)
    for train, _ in contestants.values():
        train(1)  # compiles
    times = bench.time_calls(
        {name: partial(train, steps) for name, (train, steps) in contestants.items()}
    )
    head = f"{width} x {width}"
    for name, (_, steps) in contestants.items():
        bench.add(f"{head}: {name}", times[name].spread(MILLI / steps), "ms a step")
    for name, (_, steps) in contestants.items():
        if name != "sgd":
            scale = contestants["sgd"][1] / steps
            bench.add(f"{head}: {name} / sgd", ratio(times[name], times["sgd"], scale), "1")


def measure_errors(bench: Bench, width: int) -> None:
    """Distance of the weights after training, as a share of the way gone."""
    steps = TRAINED // 4 if bench.quick else TRAINED
    begin, _, _ = network(width)
    fresh = trainer(width, rule(1))(steps)

    def distance(a: Any, b: Any) -> float:
        return float(optax.tree.norm(jax.tree.map(jnp.subtract, a, b)))

    way = distance(fresh, begin)
    bench.add(f"way of the weights in {steps} steps / their norm", way / _norm(begin), "1")
    for every in REFRESH[1:]:
        error = distance(trainer(width, rule(every))(steps), fresh) / way
        bar = at_most(0.05) if every == 10 else None
        bench.add(f"frame of every {every}: error of the weights / way", error, "1", bar)
    real = distance(trainer(width, optax.sgd(RATE), factored=True)(steps), fresh) / way
    bench.add("real products: distance of the weights / way", real, "1")


def _norm(tree: Any) -> float:
    return float(optax.tree.norm(tree))


def main() -> None:
    """All measurements."""
    bench = start("drop_in", __doc__)
    measure_steps(bench, QUICK_WIDTH if bench.quick else WIDTH)
    measure_errors(bench, QUICK_WIDTH if bench.quick else WIDTH // 4)
    bench.finish()


if __name__ == "__main__":
    main()
