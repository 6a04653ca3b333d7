"""A training step with the rule inside, for a network with a 1024 x 1024 matrix, and its accuracy.

A ReLU network, 64 - 1024 - 1024 - 10, in float32, whose matrix between the hidden layers is trained
at depth 2: by plain SGD, by every method of the drop-in, and as two matrices, multiplied together
first or applied one after the other. For this matrix a step of SGD on B examples costs 6 B k d
FLOP, and a product of matrices 2 k^2 d. Then the accuracy of the methods: the distance from the
weights of the rule decomposed at every step, against the way these have gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from _harness import Bench, start
from _measure import Bar, at_most, ratio

import lnn

WIDTH, INPUTS, OUTPUTS, BATCH, LARGE_BATCH = 1024, 64, 10, 128, 1024
QUICK_WIDTH = 128
DEPTH, RATE = 2, 0.02
REFRESH = (1, 10, 100)
TRAINED = 200
MILLI = 1e3
ONLY = {"first": False, "hidden": True, "out": False}
"""Which matrices the rule acts on."""


def network(shape: tuple[int, int], batch: int) -> tuple[Any, Any, Any]:
    """Parameters, the hidden matrix of this shape, and a batch with the labels of another network
    of this kind.
    """
    shapes = {"first": (INPUTS, shape[0]), "hidden": shape, "out": (shape[1], OUTPUTS)}

    def drawn(key: jax.Array) -> Any:
        keys = jax.random.split(key, len(shapes))
        return {
            name: jax.random.normal(one, shape) / shape[0] ** 0.5
            for (name, shape), one in zip(shapes.items(), keys, strict=True)
        }

    x = jax.random.normal(jax.random.key(2), (batch, INPUTS))
    return drawn(jax.random.key(0)), x, predicted(drawn(jax.random.key(1)), x)


def predicted(params: Any, x: jax.Array) -> jax.Array:
    """Outputs of the network."""
    hidden = jax.nn.relu(x @ params["first"])
    return jax.nn.relu(hidden @ params["hidden"]) @ params["out"]


@dataclass(frozen=True)
class Training:
    """A jitted loop over steps, parameters and state at the start, and weights of parameters."""

    advance: Callable[[Any, int], Any]
    begin: tuple[Any, Any]
    product: Callable[[Any], Any]

    def weights(self, steps: int) -> Any:
        """After so many steps."""
        return self.product(self.advance(self.begin, steps)[0])

    def loop(self) -> Callable[[int], Any]:
        """Steps from the second one on: what starts a state is part of the first."""
        second = jax.block_until_ready(self.advance(self.begin, 1))
        return lambda steps: jax.block_until_ready(self.advance(second, steps))


def training(
    params: Any, outputs: Callable[..., Any], data: Any, optimizer: Any, **factors: Any
) -> Training:
    """Of parameters, or of factors in their place."""
    product: Callable[[Any], Any] = lambda params: params  # noqa: E731
    if factors:
        params, product = lnn.factorize(params, DEPTH, key=jax.random.key(3), **factors)

    @jax.jit
    def train(carry: Any, data: Any, steps: Any) -> Any:
        def loss(params: Any) -> jax.Array:
            *x, y = data
            return jnp.mean((outputs(product(params), *x) - y) ** 2)

        def step(_: Any, carry: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        return jax.lax.fori_loop(0, steps, step, carry)

    begin = params, jax.jit(optimizer.init)(params)
    return Training(lambda carry, steps: train(carry, data, steps), begin, product)


def of_network(shape: tuple[int, int], batch: int, optimizer: Any, **factors: Any) -> Training:
    """Training of the network."""
    params, *data = network(shape, batch)
    options = {"mask": ONLY, **factors} if factors else {}
    return training(params, predicted, data, optimizer, **options)


def of_layer(width: int, **factors: Any) -> Training:
    """Training of one linear layer, with the gradient of its inputs as inside a network."""
    keys = jax.random.split(jax.random.key(4), 3)
    x, w, y = (
        jax.random.normal(key, (n, width))
        for key, n in zip(keys, (BATCH, width, BATCH), strict=True)
    )
    options = {"mask": {"x": False, "w": True}, **factors} if factors else {}
    params = {"x": x, "w": w / width**0.5}
    return training(
        params, lambda params: params["x"] @ params["w"], (y,), optax.sgd(RATE), **options
    )


def rule(method: str, refresh_every: int = 1) -> Any:
    """The drop-in."""
    inner = RATE if method == "factors" else optax.sgd(RATE)
    return lnn.overparameterize(inner, DEPTH, mask=ONLY, method=method, refresh_every=refresh_every)


def measure_steps(
    bench: Bench, head: str, contestants: dict[str, tuple[Training, int, Bar | None]]
) -> None:
    """Time of a step, relative to the first contestant; each with its number of steps and bar."""
    times = bench.time_calls(
        {name: partial(run.loop(), steps) for name, (run, steps, _) in contestants.items()}
    )
    for name, (_, steps, _) in contestants.items():
        bench.add(f"{head}: {name}", times[name].spread(MILLI / steps), "ms a step")
    first, *others = contestants
    for name in others:
        _, steps, bar = contestants[name]
        scale = contestants[first][1] / steps
        bench.add(f"{head}: {name} / {first}", ratio(times[name], times[first], scale), "1", bar)


def measure_networks(bench: Bench, width: int) -> None:
    """Few examples and many; each contestant in whole periods of its refresh."""
    few: dict[str, Any] = {"SGD": (of_network((width, width), BATCH, optax.sgd(RATE)), 50, None)}
    for every in REFRESH:
        name = f"decomposed every {every} steps" if every > 1 else "decomposed at every step"
        few[name] = (of_network((width, width), BATCH, rule("exact", every)), max(every, 3), None)
    for method, bar in (("tracked", None), ("polar", None), ("factors", at_most(12))):
        few[method] = (of_network((width, width), BATCH, rule(method)), 20, bar)
    for form in ("product", "layers"):
        run = of_network((width, width), BATCH, optax.sgd(RATE), form=form)
        few[f"two matrices as {form}"] = (run, 20, None)
    measure_steps(bench, f"{width} x {width}, batch {BATCH}", few)
    many: dict[str, Any] = {
        "SGD": (of_network((width, width), LARGE_BATCH, optax.sgd(RATE)), 20, None)
    }
    for method, bar in (("tracked", at_most(8)), ("polar", None), ("factors", at_most(2.5))):
        many[method] = (of_network((width, width), LARGE_BATCH, rule(method)), 10, bar)
    measure_steps(bench, f"{width} x {width}, batch {LARGE_BATCH}", many)


def measure_layers(bench: Bench, width: int) -> None:
    """One linear layer, and two in its place."""
    two = of_layer(width, form="layers")
    contestants = {"one layer": (of_layer(width), 50, None), "two": (two, 25, at_most(2.2))}
    measure_steps(bench, f"linear layer {width} x {width}, batch {BATCH}", contestants)


def measure_errors(bench: Bench, width: int) -> None:
    """Distance of the weights after training, as a share of the way gone."""
    steps = TRAINED // 4 if bench.quick else TRAINED
    begin, _, _ = network((width, width), BATCH)

    def trained(optimizer: Any, **factors: Any) -> Any:
        return of_network((width, width), BATCH, optimizer, **factors).weights(steps)

    def distance(a: Any, b: Any) -> float:
        return float(jnp.linalg.norm(a["hidden"] - b["hidden"]))

    fresh = trained(rule("exact"))
    way = distance(fresh, begin)
    norm = float(jnp.linalg.norm(begin["hidden"]))
    bench.add(f"way of the weights in {steps} steps / their norm", way / norm, "1")
    for every in REFRESH[1:]:
        error = distance(trained(rule("exact", every)), fresh) / way
        bar = at_most(0.05) if every == 10 else None
        bench.add(f"decomposed every {every} steps: error of the weights / way", error, "1", bar)
    for method, bar in (("tracked", at_most(0.003)), ("polar", None), ("factors", at_most(0.003))):
        error = distance(trained(rule(method)), fresh) / way
        bench.add(f"{method}: error of the weights / way", error, "1", bar)
    real = distance(trained(optax.sgd(RATE), form="product"), fresh) / way
    bench.add("two matrices: distance of the weights / way", real, "1")


def main() -> None:
    """All measurements."""
    bench = start("drop_in", __doc__)
    width = QUICK_WIDTH if bench.quick else WIDTH
    measure_networks(bench, width)
    measure_layers(bench, width)
    measure_errors(bench, QUICK_WIDTH if bench.quick else WIDTH // 4)
    bench.finish()


if __name__ == "__main__":
    main()
