"""One training run (arm, learning rate, seed) as one program."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lnn.datasets.images import Images
from lnn.studies.mnist import network
from lnn.studies.mnist.config import (
    ARMS,
    BATCH,
    DROPOUT,
    EPOCH_DECAY,
    MOMENTUM,
    REFRESH_EVERY,
    STD,
    Arm,
    MnistConfig,
)
from lnn.studies.mnist.runs import Curve, TrainingRun
from lnn.transforms.factorize import factorize
from lnn.transforms.overparameterize import overparameterize

_CHUNK = 50
"""Images measured at once: ten times as many take almost twice as long each on CPU."""


@dataclass(frozen=True)
class Model:
    """`product` maps an arm's parameters to its network's, `factors` to tuples of factors."""

    product: Callable[[Any], network.Params]
    factors: Callable[[Any], Any]


def start(config: MnistConfig, arm: Arm, seed: int) -> tuple[Any, Model]:
    """Return an arm's initial parameters, float32, and model; one network per seed for all arms."""
    params = network.initial(config, seed)
    if not arm.factored:
        return params, Model(lambda params: params, lambda params: params)
    factors, product = factorize(
        params, 2, key=jax.random.key(seed), start=arm.start,
        std=STD if arm.start == "gaussian" else None,
    )  # fmt: skip
    return factors, Model(product, _nested)


def _nested(factors: dict[str, Any]) -> Any:
    """Return factors by path, such as "['dense1']['kernel']", as a tree of layers."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in factors.items():
        layer, part = path.strip("[]'").split("']['")
        found.setdefault(layer, {})[part] = value
    return found


def optimizer(
    arm: Arm, rate: Any, rows: int, momentum: float | None = MOMENTUM
) -> optax.GradientTransformation:
    """Return SGD with momentum whose rate decays at every epoch of `rows` images."""
    inner = optax.sgd(lambda step: rate * EPOCH_DECAY ** (step * BATCH // rows), momentum=momentum)
    return overparameterize(inner, 2, refresh_every=REFRESH_EVERY) if arm.rule else inner


def objective(
    model: Model, arm: Arm, params: Any, images: jax.Array, labels: jax.Array, dropout: Any
) -> jax.Array:
    """Return the trained objective: cross-entropy of a batch, and the arm's regularizer."""
    net = model.product(params)
    weights = net if arm.regularizer == "product" else model.factors(params)
    return network.cross_entropy(net, images, labels, dropout) + network.regularizer(weights)


def batches(config: MnistConfig, rows: int, seed: int) -> np.ndarray:
    """Return (steps, 64) indices of images, each epoch in random order, the same for all arms."""
    rng = np.random.default_rng([seed, 1])
    epochs = math.ceil(config.steps * BATCH / rows)
    order = np.concatenate([rng.permutation(rows) for _ in range(epochs)])
    return order[: config.steps * BATCH].reshape(config.steps, BATCH).astype(np.int32)


@cache
def program(config: MnistConfig, arm_name: str) -> Any:
    """Return the compiled run of an arm; start, rate, batches and dropout key are its arguments."""
    arm = ARMS[arm_name]
    _, model = start(config, arm, 0)
    marks = jnp.asarray(config.record_steps())

    @jax.jit
    def run(params: Any, rate: Any, order: Any, key: Any, data: tuple[jax.Array, ...]) -> Any:
        train, train_labels, test, test_labels = data
        descent = optimizer(arm, rate, len(train))

        def step(i: Any, carry: Any) -> Any:
            params, state = carry
            images, labels = network.pixels(train[order[i]]), train_labels[order[i]]
            stay = jax.random.bernoulli(
                jax.random.fold_in(key, i), 1 - DROPOUT, (BATCH, config.hidden)
            )
            gradient = jax.grad(lambda params: objective(model, arm, params, images, labels, stay))(
                params
            )
            updates, state = descent.update(gradient, state, params)
            return optax.apply_updates(params, updates), state

        def measured(params: Any) -> Any:
            net = model.product(params)
            some = (train[: config.evaluation], train_labels[: config.evaluation])
            return (
                _mean(lambda x, y: network.cross_entropy(net, x, y, None), *some),
                network.regularizer(net),
                network.regularizer(model.factors(params)),
            )

        def until(carry: Any, ends: Any) -> Any:
            # Runs stop once they are not finite.
            params, state, alive = carry
            last = jnp.where(alive, ends[1], ends[0])
            params, state = jax.lax.fori_loop(ends[0], last, step, (params, state))
            terms = measured(params)
            alive = alive & jnp.isfinite(terms[0] + terms[1])
            return (params, state, alive), terms

        carry: Any = (params, descent.init(params), jnp.array(True))
        spans = (jnp.concatenate([marks[:1], marks[:-1]]), marks)
        (params, *_), terms = jax.lax.scan(until, carry, spans)
        net = model.product(params)

        def wrong(images: jax.Array, labels: jax.Array) -> jax.Array:
            return jnp.mean(jnp.argmax(network.logits(net, images), axis=1) != labels)

        return *terms, _mean(wrong, test, test_labels)

    return run


def _mean(measure: Callable[..., jax.Array], images: jax.Array, labels: jax.Array) -> jax.Array:
    chunk = math.gcd(len(images), _CHUNK)
    chunks = (images.reshape(-1, chunk, *images.shape[1:]), labels.reshape(-1, chunk))
    return jnp.mean(jax.lax.map(lambda some: measure(network.pixels(some[0]), some[1]), chunks))


def train(config: MnistConfig, arm_name: str, rate: float, seed: int, data: Images) -> Curve:
    """Train one network in float32; `rate` is that of the first epoch, `seed` the same for all
    arms.

    Raises:
        ValueError: fewer training images than needed for measurements or a batch.
    """
    least = max(config.evaluation, BATCH)
    if len(data.train) < least:
        raise ValueError(
            f"evaluation = {config.evaluation} with {len(data.train)} training images: give at "
            f"least {least} images"
        )
    arm = ARMS[arm_name]
    params, _ = start(config, arm, seed)
    run = program(config, arm_name)
    began = time.perf_counter()
    found = run(
        params, jnp.float32(rate), batches(config, len(data.train), seed),
        jax.random.key(seed), on_device(data),
    )  # fmt: skip
    entropy, on_product, on_factors, wrong = (np.asarray(value, np.float64) for value in found)
    seconds = time.perf_counter() - began
    return Curve(config.record_steps(), entropy, on_product, on_factors, float(wrong), seconds)


def run_job(setting: tuple[MnistConfig, Images], job: TrainingRun) -> Curve:
    """Run a training run of a study."""
    config, data = setting
    return train(config, job.arm, job.rate, job.seed, data)


_placed: list[tuple[Images, tuple[jax.Array, ...]]] = []


def on_device(data: Images) -> tuple[jax.Array, ...]:
    """Return images and labels as device arrays, transferred once for many runs."""
    if not _placed or _placed[0][0] is not data:
        arrays = (data.train, data.train_labels, data.test, data.test_labels)
        _placed[:] = [(data, tuple(map(jnp.asarray, arrays)))]
    return _placed[0][1]
