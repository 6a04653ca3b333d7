"""`lnn.overparameterize`: the end-to-end rule inside any optax loop, for any pytree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rules import matrices, one_update, true_rule
from threadpoolctl import threadpool_limits

import lnn
from lnn.core.problem import Problem

SHAPES = ((3, 5), (5, 3), (1, 6), (6, 1), (4, 4))
DEPTHS = (1.5, 2, 3, math.inf)
close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)


def network(seed: int = 0, hidden: int = 7) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "first": {"kernel": jnp.asarray(rng.standard_normal((4, hidden)) / 2),
                  "bias": jnp.asarray(0.1 * rng.standard_normal(hidden))},
        "second": {"kernel": jnp.asarray(rng.standard_normal((hidden, 3)) / 2)},
    }  # fmt: skip


DATA = tuple(map(jnp.asarray, (matrices((30, 4), 1)[0], matrices((30, 3), 2)[0])))


def data(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    return DATA[0].astype(kernel.dtype), DATA[1].astype(kernel.dtype)


def relu_loss(params: Any) -> jax.Array:
    x, y = data(params["first"]["kernel"])
    hidden = jax.nn.relu(x @ params["first"]["kernel"] + params["first"]["bias"][None])
    return jnp.mean((hidden @ params["second"]["kernel"] - y) ** 2)


def linear_loss(params: Any) -> jax.Array:
    x, y = data(params["kernel"])
    return jnp.mean((x @ params["kernel"] - y) ** 2)


# What it does to a linear model.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_one_matrix_gets_the_rule(x64: None, shape: tuple[int, int], depth: float) -> None:
    w, g = matrices(shape)
    optimizer = lnn.overparameterize(optax.sgd(0.25), depth)
    close(one_update(optimizer, jnp.asarray(g), jnp.asarray(w)), -0.25 * true_rule(w, g, depth))


@pytest.mark.parametrize("depth", [2, 3, math.inf])
def test_a_linear_model_goes_the_way_of_the_end_to_end_method(x64: None, depth: float) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((40, 5)), rng.standard_normal((40, 3))
    problem, start = Problem(x, y, 4.0), 0.3 * rng.standard_normal((3, 5))
    simulated = lnn.simulate(
        problem, lnn.make_method("end-to-end", depth), start, 0.01, 200, dtype="float64"
    ).params
    optimizer = lnn.overparameterize(optax.sgd(0.01), depth)

    @jax.jit
    def step(w: Any, state: Any) -> Any:
        gradient = jax.grad(problem.loss)(w)
        updates, state = optimizer.update(gradient, state, w)
        return optax.apply_updates(w, updates), state

    w, state = jnp.asarray(start), optimizer.init(jnp.asarray(start))
    for _ in range(200):
        w, state = step(w, state)
    assert np.linalg.norm(w - start) > 0.1
    close(w, simulated)


def test_depth_one_changes_nothing(x64: None) -> None:
    params = network()
    gradient = jax.grad(relu_loss)(params)
    found = one_update(lnn.overparameterize(optax.sgd(0.1), 1), gradient, params)
    for a, b in zip(*map(jax.tree.leaves, (found, gradient)), strict=True):
        np.testing.assert_array_equal(a, -0.1 * b)


# Beside a network whose matrices are really products.


def trainer(loss: Callable[[Any], Any], optimizer: Callable[[Any], Any]) -> Callable[..., Any]:
    """From these parameters at this rate for so many steps: one program for all rates."""

    @jax.jit
    def run(params: Any, rate: Any, steps: Any) -> Any:
        chosen = optimizer(rate)

        def step(_: Any, carry: Any) -> Any:
            params, state = carry
            updates, state = chosen.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        return jax.lax.fori_loop(0, steps, step, (params, chosen.init(params)))[0]

    return run


def convolution_loss(params: Any) -> jax.Array:
    x, y = data(params["kernel"])
    images = jnp.reshape(x[:24], (6, 4, 4, 1))
    filtered = jax.lax.conv_general_dilated(
        images, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jnp.mean((jax.nn.relu(filtered).mean((1, 2)) @ params["out"] - y[:6]) ** 2)


def convolution_params() -> dict[str, Any]:
    kernel, out = matrices((3, 3, 1, 5), 4)[0], matrices((5, 3), 5)[0]
    return {"kernel": jnp.asarray(kernel), "out": jnp.asarray(out)}


@pytest.mark.parametrize("depth", mostly_slow([2, 3], 3))
@pytest.mark.parametrize(
    ("loss", "params", "mask", "tolerance"),
    [
        (linear_loss, lambda: {"kernel": network()["first"]["kernel"][:, :3]}, None, 0.02),
        # At a kink of a ReLU the constant of the order jumps.
        (relu_loss, network, None, 0.1),
        (convolution_loss, convolution_params, True, 0.1),
    ],
    ids=["linear", "two layers with ReLU", "convolution"],
)
def test_the_difference_from_real_depth_is_of_the_order_of_the_rate(
    x64: None, loss: Any, params: Callable[[], Any], mask: Any, tolerance: float, depth: int
) -> None:  # fmt: skip
    start = params()
    factors, product = lnn.factorize(start, depth, key=jax.random.key(1), mask=mask)
    rule = trainer(loss, lambda rate: lnn.overparameterize(optax.sgd(rate), depth, mask=mask))
    layers = trainer(lambda factors: loss(product(factors)), optax.sgd)
    differences, rates = [], 0.01 / 2.0 ** np.arange(6)
    for rate in rates:
        steps = round(0.5 / rate)
        by_rule, real = rule(start, rate, steps), product(layers(factors, rate, steps))
        pairs = list(zip(*map(jax.tree.leaves, (by_rule, real, start)), strict=True))
        assert sum(float(jnp.linalg.norm(a - c)) for a, _, c in pairs) > 0.1
        differences.append(sum(float(jnp.linalg.norm(a - b)) for a, b, _ in pairs))
    slope = np.polyfit(np.log(rates), np.log(differences), 1)[0]
    assert abs(slope - 1) < tolerance, differences


# Which leaves are matrices.


def test_other_leaves_go_to_the_inner_transformation_as_they_are(x64: None) -> None:
    params = network()
    gradient = jax.grad(relu_loss)(params)
    found = one_update(lnn.overparameterize(optax.sgd(0.1), 3), gradient, params)
    plain = one_update(optax.sgd(0.1), gradient, params)
    np.testing.assert_array_equal(found["first"]["bias"], plain["first"]["bias"])
    for layer in ("first", "second"):
        w, g = (np.asarray(tree[layer]["kernel"]) for tree in (params, gradient))
        close(found[layer]["kernel"], -0.1 * true_rule(w, g, 3))


@pytest.mark.parametrize(
    "mask",
    [
        {"first": False, "second": {"kernel": True}},
        {"first": {"kernel": False, "bias": False}, "second": True},
        lambda params: {name: name == "second" for name in params},
    ],
    ids=["tree", "prefix", "function"],
)
def test_a_mask_chooses(x64: None, mask: Any) -> None:
    params = network()
    gradient = jax.grad(relu_loss)(params)
    found = one_update(lnn.overparameterize(optax.sgd(1.0), 2, mask=mask), gradient, params)
    np.testing.assert_array_equal(found["first"]["kernel"], -gradient["first"]["kernel"])
    w, g = (np.asarray(tree["second"]["kernel"]) for tree in (params, gradient))
    close(found["second"]["kernel"], -true_rule(w, g, 2))


def test_convolution_kernels_are_matrices_of_outputs_by_all_else(x64: None) -> None:
    w, g = matrices((3, 2, 4, 5))  # height, width, inputs, outputs
    flat = [np.reshape(a, (24, 5)) for a in (w, g)]
    true = np.reshape(true_rule(*flat, 2), w.shape)
    found = one_update(
        lnn.overparameterize(optax.sgd(1.0), 2, mask=True), jnp.asarray(g), jnp.asarray(w)
    )
    close(found, -true)
    # The same kernel with its outputs first.
    turned = [jnp.asarray(np.transpose(a, (3, 2, 0, 1))) for a in (g, w)]
    optimizer = lnn.overparameterize(optax.sgd(1.0), 2, mask=True, output_axis=0)
    close(one_update(optimizer, *turned), -np.transpose(true, (3, 2, 0, 1)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0.5}, "depth = 0.5: a network has depth 1 or more"),
        ({"depth": "two"}, "depth = 'two'"),
        ({"refresh_every": 0}, "refresh_every = 0: give a whole number, at least 1"),
        ({"refresh_every": 2.5}, "refresh_every = 2.5"),
        ({"refresh_every": True}, "refresh_every = True"),
        ({"output_axis": 1}, "output_axis = 1: give -1 for kernels"),
        ({"inner": "sgd"}, "inner = 'sgd': give an optax transformation, such as optax.sgd"),
    ],
)
def test_wrong_arguments_are_told_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        lnn.overparameterize(**{"inner": optax.sgd(0.1), **options})


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"w": 1, "b": False}, "mask['w'] = 1 is not a boolean"),
        ({"w": True}, "mask does not fit the parameters: give a pytree of booleans"),
        ([True, False], "mask does not fit the parameters"),
        ({"w": True, "b": True}, "mask chooses parameter ['b'] (float32[3])"),
        (lambda _: False, "no parameter is chosen from ['b'] float32[3], ['w'] float32[2,3]"),
    ],
)
def test_wrong_masks_are_told_at_init(mask: Any, words: str) -> None:
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    with pytest.raises(ValueError, match=re.escape(words)):
        lnn.overparameterize(optax.sgd(0.1), mask=mask).init(params)


def test_params_are_needed_at_update() -> None:
    w = jnp.ones((2, 3))
    optimizer = lnn.overparameterize(optax.sgd(0.1))
    with pytest.raises(ValueError, match="params = None: this rule depends on W"):
        optimizer.update(w, optimizer.init(w))


# Special matrices.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", mostly_slow([2, 3, math.inf], 2, math.inf))
def test_a_zero_matrix_stays_zero(shape: tuple[int, int], depth: float) -> None:
    g = jnp.asarray(matrices(shape)[1], jnp.float32)
    update = one_update(lnn.overparameterize(optax.sgd(0.1), depth), g, jnp.zeros_like(g))
    np.testing.assert_array_equal(update, jnp.zeros(shape))


@pytest.mark.parametrize("shape", mostly_slow([(s,) for s in SHAPES], (SHAPES[0],), (SHAPES[3],)))
@pytest.mark.parametrize("norm", [1e-30, 1e-8, 1e6])
def test_near_zero_and_large_matrices(shape: tuple[int, int], norm: float) -> None:
    w, g = (a.astype(np.float32) for a in matrices(shape))
    scaled = jnp.asarray(w * np.float32(norm))
    update = one_update(lnn.overparameterize(optax.sgd(1.0), 2), jnp.asarray(g), scaled)
    true = true_rule(np.asarray(scaled, np.float64), g.astype(np.float64), 2)
    assert np.linalg.norm(update + true) < 3e-6 * np.linalg.norm(true)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_a_rank_deficient_matrix(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((shape[0], 2)) @ rng.standard_normal((2, shape[1]))
    g = rng.standard_normal(shape)
    found = one_update(
        lnn.overparameterize(optax.sgd(1.0), 4),
        jnp.asarray(g, jnp.float32), jnp.asarray(w, jnp.float32),
    )  # fmt: skip
    true = true_rule(w, g, 4)
    assert np.linalg.norm(found + true) < 1e-5 * np.linalg.norm(true)


# How it is used: jit, donation, vmap, sharding, half precision, other libraries.


@pytest.mark.parametrize("refresh_every", [1, 3])
def test_compiles_once_and_takes_donated_buffers(refresh_every: int) -> None:
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), network())
    optimizer = lnn.overparameterize(optax.sgd(0.05, momentum=0.9), refresh_every=refresh_every)
    traced = []

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any) -> Any:
        traced.append(None)
        loss, gradient = jax.value_and_grad(relu_loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    state, losses, first = optimizer.init(params), [], params
    for _ in range(8):
        params, state, loss = step(params, state)
        losses.append(float(loss))
    assert len(traced) == 1
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("refresh_every", mostly_slow([1, 2]))
def test_an_ensemble_under_vmap_equals_its_members(x64: None, refresh_every: int) -> None:
    members = [network(seed) for seed in range(3)]
    optimizer = lnn.overparameterize(optax.sgd(0.1), 3, refresh_every=refresh_every)

    def two_steps(params: Any) -> Any:
        state = optimizer.init(params)
        for _ in range(3):
            updates, state = optimizer.update(jax.grad(relu_loss)(params), state, params)
            params = optax.apply_updates(params, updates)
        return params

    jitted = jax.jit(two_steps)
    together = jax.jit(jax.vmap(two_steps))(jax.tree.map(lambda *a: jnp.stack(a), *members))
    for i, member in enumerate(members):
        alone = jax.tree.leaves(jitted(member))
        for a, b in zip(jax.tree.leaves(together), alone, strict=True):
            close(a[i], b)


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("spec", [PartitionSpec("x"), PartitionSpec(None, "x")])
@pytest.mark.parametrize("refresh_every", [1, 2])
def test_sharded_parameters(
    x64: None, kind: AxisType, spec: PartitionSpec, refresh_every: int
) -> None:
    mesh = Mesh(np.array(jax.local_devices()), ("x",), axis_types=(kind,))
    params = {"w": matrices((4, 6))[0], "b": matrices((6,))[0]}
    gradient = {"w": matrices((4, 6))[1], "b": matrices((6,))[1]}
    where = {"w": NamedSharding(mesh, spec), "b": NamedSharding(mesh, PartitionSpec())}
    optimizer = lnn.overparameterize(optax.sgd(0.1), 2, refresh_every=refresh_every)
    with threadpool_limits(1, user_api="blas"):
        placed, moving = jax.device_put(params, where), jax.device_put(gradient, where)
        found = jax.block_until_ready(
            jax.jit(lambda g, p: optimizer.update(g, optimizer.init(p), p)[0])(moving, placed)
        )
    close(found["w"], -0.1 * true_rule(params["w"], gradient["w"], 2))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_parameters_have_a_frame_in_float32(dtype: Any) -> None:
    w, g = (jnp.asarray(a, dtype) for a in matrices((6, 9)))
    optimizer = lnn.overparameterize(optax.identity(), 3)
    found = one_update(optimizer, g, w)
    assert found.dtype == dtype
    wide = one_update(optimizer, g.astype(jnp.float32), w.astype(jnp.float32))
    np.testing.assert_array_equal(found, wide.astype(dtype))
    true = true_rule(np.asarray(w, np.float64), np.asarray(g, np.float64), 3)
    assert np.linalg.norm(wide - true) < 1e-5 * np.linalg.norm(true)


def test_extra_arguments_reach_the_inner_transformation() -> None:
    heard = []

    def update(updates: Any, state: Any, params: Any = None, *, value: Any, **_: Any) -> Any:
        heard.append(value)
        return updates, state

    inner = optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)
    w, g = (jnp.asarray(a, jnp.float32) for a in matrices((2, 3)))
    optimizer = lnn.overparameterize(inner)
    optimizer.update(g, optimizer.init(w), w, value=3.0)
    assert heard == [3.0]


# A frame that is refreshed now and then.


def test_between_refreshes_the_frame_of_the_last_one_is_used(x64: None) -> None:
    optimizer = lnn.overparameterize(optax.identity(), 2, refresh_every=3)
    ws = [matrices((3, 4), seed)[0] for seed in range(7)]
    g = matrices((3, 4), 9)[1]
    state, update = optimizer.init(jnp.asarray(ws[0])), jax.jit(optimizer.update)
    for step, w in enumerate(ws):
        found, state = update(jnp.asarray(g), state, jnp.asarray(w))
        close(found, true_rule(ws[step - step % 3], g, 2))


def test_the_error_of_an_old_frame_grows_with_what_it_has_missed(x64: None) -> None:
    w, g = matrices((5, 8))
    change = matrices((5, 8), 1)[0]
    change *= np.linalg.norm(w) / np.linalg.norm(change)
    optimizer = lnn.overparameterize(optax.identity(), 2, refresh_every=2)
    update = jax.jit(optimizer.update)
    errors, parts = [], 0.1 / 2.0 ** np.arange(6)
    for part in parts:
        now = w + part * change
        _, state = update(jnp.asarray(g), optimizer.init(jnp.asarray(w)), jnp.asarray(w))
        stale, _ = update(jnp.asarray(g), state, jnp.asarray(now))
        true = true_rule(now, g, 2)
        errors.append(np.linalg.norm(stale - true) / np.linalg.norm(true))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(parts))
    assert abs(slopes[-1] - 1) < 0.05
    assert errors[0] < parts[0]
