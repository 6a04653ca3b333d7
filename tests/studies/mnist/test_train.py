"""The network on MNIST, its loss and its training, beside NumPy and SciPy; images are made up."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_images import fake_images
from scipy.signal import correlate2d
from scipy.special import log_softmax

import lnn
from lnn.studies.mnist import network
from lnn.studies.mnist.config import ARMS, BATCH, MnistConfig
from lnn.studies.mnist.train import batches, objective, on_device, optimizer, start, train

TINY = MnistConfig(channels=(2, 3), hidden=6, steps=4, evaluation=100)
close = partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-5)

DATA = fake_images()


# The network.


@pytest.mark.parametrize("channels", [1, 3])
def test_convolution_is_scipys(channels: int) -> None:
    rng = np.random.default_rng(1)
    x, kernel = rng.standard_normal((8, 6, 2, channels)), rng.standard_normal((5, 5, channels, 4))
    true = np.empty((8, 6, 2, 4))
    for b in range(2):
        for o in range(4):
            true[:, :, b, o] = sum(
                correlate2d(x[:, :, b, c], kernel[:, :, c, o], "same") for c in range(channels)
            )
    close(network.convolve(jnp.asarray(x), jnp.asarray(kernel)), true)


def forward(params: Any, images: np.ndarray, stay: np.ndarray | None = None) -> np.ndarray:
    """The tutorial's network in NumPy, image by image: ReLU before pooling."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    found = []
    for b, image in enumerate(images):
        maps = [image]
        for layer in ("conv1", "conv2"):
            kernel, bias = params[layer]["kernel"], params[layer]["bias"]
            sums = [
                sum(correlate2d(m, kernel[:, :, c, o], "same") for c, m in enumerate(maps))
                for o in range(kernel.shape[-1])
            ]
            active = [np.maximum(s + bias[o], 0) for o, s in enumerate(sums)]
            maps = [a.reshape(len(a) // 2, 2, len(a) // 2, 2).max((1, 3)) for a in active]
        flat = np.stack(maps, axis=-1).ravel()
        hidden = np.maximum(flat @ params["dense1"]["kernel"] + params["dense1"]["bias"], 0)
        if stay is not None:
            hidden = np.where(stay[b], 2 * hidden, 0)
        found.append(hidden @ params["dense2"]["kernel"] + params["dense2"]["bias"])
    return np.array(found)


def test_the_network_is_the_tutorials() -> None:
    params = network.initial(TINY, 3)
    pixels = network.pixels(jnp.asarray(DATA.train[:5]))
    close(pixels, (DATA.train[:5] - 127.5) / 255)
    close(network.logits(params, pixels), forward(params, np.asarray(pixels)))
    stay = np.random.default_rng(2).random((5, 6)) < 0.5
    dropped = network.logits(params, pixels, jnp.asarray(stay))
    close(dropped, forward(params, np.asarray(pixels), stay))


def test_the_terms_of_the_loss() -> None:
    params = network.initial(TINY, 3)
    pixels, labels = network.pixels(jnp.asarray(DATA.train[:5])), DATA.train_labels[:5]
    chances = log_softmax(forward(params, np.asarray(pixels)), axis=1)
    entropy = network.cross_entropy(params, pixels, jnp.asarray(labels), None)
    close(entropy, -np.mean([chances[i, label] for i, label in enumerate(labels)]))
    squares = sum(
        float(np.sum(np.asarray(params[layer][part], np.float64) ** 2))
        for layer in ("dense1", "dense2")
        for part in ("kernel", "bias")
    )
    close(network.regularizer(params), 5e-4 * squares / 2)


def test_the_start_is_a_cut_normal_distribution() -> None:
    params = network.initial(MnistConfig(), 0)
    weights = np.asarray(params["dense1"]["kernel"])
    assert weights.shape == (784, 256)
    assert np.abs(weights).max() <= 0.2 + 1e-7
    assert weights.std() == pytest.approx(0.1 * 0.8796, rel=0.01)  # of the cut distribution
    assert not np.asarray(params["conv1"]["bias"]).any()
    np.testing.assert_array_equal(params["dense2"]["bias"], np.float32(0.1))


def test_images_are_put_on_the_device_once_and_others_in_their_place() -> None:
    first = on_device(DATA)
    assert on_device(DATA) is first
    other = replace(DATA, train=DATA.train[::-1])
    np.testing.assert_array_equal(on_device(other)[0], other.train)
    np.testing.assert_array_equal(on_device(DATA)[0], DATA.train)


# The arms.


def squares(values: Any) -> float:
    return sum(float(np.sum(np.asarray(v, np.float64) ** 2)) for v in jax.tree.leaves(values))


def test_every_arm_starts_from_the_same_network() -> None:
    normal = network.initial(TINY, 7)
    for arm in ARMS.values():
        params, model = start(TINY, arm, 7)
        net = model.product(params)
        same = arm.start != "gaussian"
        for layer, parts in normal.items():
            for part, true in parts.items():
                if same or part == "bias" or layer.startswith("conv"):
                    np.testing.assert_allclose(net[layer][part], true, rtol=1e-4, atol=1e-6)
                else:
                    assert np.abs(np.asarray(net[layer][part] - true)).max() > 0.01


def test_both_regularizers_by_hand() -> None:
    params, model = start(TINY, ARMS["factored"], 7)
    factors = {name: params[f"['{name}']['kernel']"] for name in ("dense1", "dense2")}
    assert [f.shape for f in factors["dense1"]] == [(6, 6), (147, 6)]
    assert [f.shape for f in factors["dense2"]] == [(10, 10), (6, 10)] or [
        f.shape for f in factors["dense2"]
    ] == [(6, 10), (6, 6)]
    biases = 0.01 * (6 + 10)
    products = [np.asarray(w[1], np.float64) @ np.asarray(w[0]) for w in factors.values()]
    by_product = 5e-4 / 2 * (squares(products) + biases)
    by_factors = 5e-4 / 2 * (squares(factors) + biases)
    close(network.regularizer(model.product(params)), by_product)
    close(network.regularizer(model.factors(params)), by_factors)
    images, labels = network.pixels(jnp.asarray(DATA.train[:8])), jnp.asarray(DATA.train_labels[:8])
    entropy = network.cross_entropy(model.product(params), images, labels, None)
    for arm, weights in (("factored", by_product), ("factored-factors", by_factors)):
        value = objective(model, ARMS[arm], params, images, labels, None)
        close(value, float(entropy) + weights)


def test_gaussian_factors_have_the_papers_deviation() -> None:
    params, _ = start(MnistConfig(), ARMS["factored"], 0)
    inner, outer = params["['dense1']['kernel']"]
    assert {inner.shape, outer.shape} == {(256, 256), (784, 256)}
    for factor in (inner, outer):
        assert np.asarray(factor).std() == pytest.approx(0.1, rel=0.01)


# Training.


def test_momentum_and_decay_are_a_loop() -> None:
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal((3, 2)), rng.standard_normal((9, 3, 2))
    descent = optimizer(ARMS["normal"], 0.3, 3 * BATCH)  # an epoch of three steps
    params = jnp.asarray(w, jnp.float32)
    state, velocity = descent.init(params), np.zeros_like(w)
    for i, g in enumerate(gradients):
        updates, state = descent.update(jnp.asarray(g, jnp.float32), state, params)
        params = params + updates
        velocity = 0.9 * velocity + g
        w = w - 0.3 * 0.95 ** (i // 3) * velocity
    close(params, w)


def test_every_epoch_sees_every_image_once() -> None:
    order = batches(MnistConfig(steps=20, evaluation=100), 640, 4)
    assert order.shape == (20, 64)
    for epoch in order.reshape(2, -1):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(640))
    assert (order[:10] != order[10:]).any()
    np.testing.assert_array_equal(order, batches(MnistConfig(steps=20), 640, 4))
    assert (order != batches(MnistConfig(steps=20), 640, 5)).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["factored-factors", "normal"])
def test_a_run_is_a_plain_loop(name: str) -> None:
    """Against steps written out, with gradients of a loss that is written out."""
    arm, rate, seed = ARMS[name], 0.05, 3
    found = train(TINY, name, rate, seed, DATA)
    params, model = start(TINY, arm, seed)
    order, key = batches(TINY, len(DATA.train), seed), jax.random.key(seed)
    velocity = jax.tree.map(jnp.zeros_like, params)

    def loss(params: Any, images: Any, labels: Any, stay: Any) -> Any:
        net = model.product(params)
        chances = jax.nn.log_softmax(network.logits(net, images, stay))
        dense = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)
                 if "dense" in jax.tree_util.keystr(path)]  # fmt: skip
        weights = 2.5e-4 * sum(jnp.sum(leaf**2) for leaf in dense)
        return -jnp.mean(chances[jnp.arange(BATCH), labels]) + weights

    slope = jax.jit(jax.grad(loss))
    some = network.pixels(jnp.asarray(DATA.train[:100]))
    for i in range(TINY.steps + 1):
        net = model.product(params)
        chances = log_softmax(forward(net, np.asarray(some)), axis=1)
        at = int(np.flatnonzero(found.steps == i)[0])
        true = -np.mean(chances[np.arange(100), DATA.train_labels[:100]])
        close(found.cross_entropy[at], true, rtol=1e-3)
        close(found.regularizer_product[at], network.regularizer(net), rtol=1e-4)
        close(found.regularizer_factors[at], network.regularizer(model.factors(params)), rtol=1e-4)
        if i == TINY.steps:
            break
        stay = jax.random.bernoulli(jax.random.fold_in(key, i), 0.5, (BATCH, TINY.hidden))
        images, labels = network.pixels(jnp.asarray(DATA.train[order[i]])), DATA.train_labels
        gradient = slope(params, images, labels[order[i]], stay)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
        decayed = rate * 0.95 ** (i // 2)  # an epoch of 128 images is two steps
        params = jax.tree.map(lambda w, v, r=decayed: w - r * v, params, velocity)
    guessed = forward(net, (DATA.test - 127.5) / 255).argmax(axis=1)
    assert found.test_error == pytest.approx(np.mean(guessed != DATA.test_labels))


@pytest.mark.slow
def test_a_run_that_diverges_counts_as_infinity() -> None:
    found = train(TINY, "normal", 1e20, 0, DATA)
    assert found.final == np.inf
    assert np.isfinite(found.cross_entropy[0])
    again = train(TINY, "normal", 1e-3, 0, DATA)
    assert np.isfinite(again.final)
    assert again.final == again.cross_entropy[-1] + again.regularizer_product[-1]


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"evaluation = 2000 with 128 .* at least 2000"):
        train(MnistConfig(), "normal", 0.01, 0, DATA)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("seeds", 1.5), ("hidden", True)])
def test_a_wrong_size_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} = .*give a whole number, at least 1"):
        MnistConfig(**{name: value})


@pytest.mark.slow
def test_the_rule_approaches_balanced_factors_as_the_rate_falls() -> None:
    """Without momentum; for the same product of rate and steps."""
    images = network.pixels(jnp.asarray(DATA.train[:32]))
    labels = jnp.asarray(DATA.train_labels[:32])

    def training(name: str) -> Any:
        arm = ARMS[name]
        params, model = start(TINY, arm, 1)

        @jax.jit
        def run(rate: Any, steps: Any) -> Any:
            descent = optimizer(arm, rate, 10**6, momentum=None)

            def step(_: Any, carry: Any) -> Any:
                params, state = carry
                gradient = jax.grad(
                    lambda params: objective(model, arm, params, images, labels, None)
                )(params)
                updates, state = descent.update(gradient, state, params)
                return jax.tree.map(jnp.add, params, updates), state

            last = jax.lax.fori_loop(0, steps, step, (params, descent.init(params)))[0]
            return model.product(last)["dense1"]["kernel"]

        return lambda rate, steps: np.asarray(run(rate, steps), np.float64)

    each = {name: training(name) for name in ("rule", "balanced", "normal")}
    began = np.asarray(network.initial(TINY, 1)["dense1"]["kernel"])
    apart = []
    for rate, steps in ((0.04, 50), (0.01, 200)):
        rule, factors, normal = (run(rate, steps) for run in each.values())
        apart.append(np.linalg.norm(rule - factors) / np.linalg.norm(factors - began))
        assert np.linalg.norm(rule - normal) > 0.3 * np.linalg.norm(normal - began)
    assert apart[1] < 0.4 * apart[0]
    assert apart[1] < 0.05


@pytest.mark.slow
def test_the_network_of_the_command_is_the_drop_in() -> None:
    """The rule arm is `lnn.overparameterize` on the dense matrices alone."""
    params = network.initial(TINY, 1)
    gradient = jax.tree.map(jnp.ones_like, params)
    descent = optimizer(ARMS["rule"], 1.0, 10**6, momentum=None)
    updates = jax.jit(lambda g, p: descent.update(g, descent.init(p), p)[0])(gradient, params)
    for layer, parts in params.items():
        np.testing.assert_array_equal(updates[layer]["bias"], -np.ones_like(parts["bias"]))
        w = parts["kernel"]
        plain = -np.ones(w.shape)
        if layer.startswith("dense"):
            plain = -lnn.core.spectral.precondition(w, jnp.ones_like(w), 2)
        close(updates[layer]["kernel"], plain)
