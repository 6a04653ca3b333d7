"""`lnn.overparameterize` as people use it: in optax's wrappers, saved, sharded, under settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rules import matrices, one_update, true_rule

import lnn

FIXED = ("refresh_every", "output_axis", "batch_axes")
"""Arguments of lnn.overparameterize that decide what is compiled."""


def network() -> dict[str, Any]:
    return {"kernel": jnp.asarray(matrices((3, 4))[0]), "bias": jnp.asarray(matrices((4,))[0])}


def gradient() -> dict[str, Any]:
    return {"kernel": jnp.asarray(matrices((3, 4))[1]), "bias": jnp.asarray(matrices((4,))[1])}


def rule_of(params: Any, grads: Any, depth: float) -> np.ndarray:
    return true_rule(*(np.asarray(tree["kernel"], float) for tree in (params, grads)), depth)


@pytest.fixture(params=["numpy_rank_promotion=raise", "numpy_dtype_promotion=strict"])
def strict(request: pytest.FixtureRequest) -> Iterator[None]:
    name, value = request.param.split("=")
    with getattr(jax, name)(value):
        yield


@pytest.mark.parametrize("dtype", mostly_slow(["float32", "bfloat16", "float16"], "bfloat16"))
@pytest.mark.slow
@pytest.mark.parametrize("refresh_every", [1, 2])
def test_strict_promotion_changes_nothing(strict: None, refresh_every: int, dtype: str) -> None:
    params, grads = (
        jax.tree.map(lambda leaf: leaf.astype(dtype), tree) for tree in (network(), gradient())
    )
    optimizer = lnn.overparameterize(optax.sgd(1.0), 3, refresh_every=refresh_every)
    update = one_update(optimizer, grads, params)
    assert update["kernel"].dtype == dtype
    bound = 20 * float(jnp.finfo(dtype).eps)
    true = rule_of(params, grads, 3)
    np.testing.assert_allclose(-np.asarray(update["kernel"], float), true, rtol=bound, atol=bound)


@pytest.mark.parametrize("value", mostly_slow([np.inf, np.nan], np.inf))
@pytest.mark.parametrize("rows", mostly_slow([1, 5, 64], 5))
@pytest.mark.parametrize("refresh_every", mostly_slow([1, 3], 3))
def test_an_overflow_is_nan_at_once_and_the_step_can_be_rejected(
    refresh_every: int, rows: int, value: float
) -> None:
    shape = (rows, 64)
    w, g = jnp.ones(shape), jnp.full(shape, 0.5)
    plain = lnn.overparameterize(optax.sgd(0.1), refresh_every=refresh_every)
    _, state = plain.update(g, plain.init(w), w)  # a frame of before
    bad = w.at[0, 2].set(value)
    update, _ = jax.jit(plain.update)(g, state, bad)
    assert np.isnan(update).all()
    safe = lnn.overparameterize(
        optax.apply_if_finite(optax.sgd(0.1), 5), refresh_every=refresh_every
    )
    assert not one_update(safe, g, bad).any()


def test_the_depth_may_follow_a_schedule(x64: None) -> None:
    params, grads = network(), gradient()
    schedule = optax.linear_schedule(1.0, 4.0, 3)
    optimizer = optax.inject_hyperparams(lnn.overparameterize, static_args=FIXED)(
        optax.sgd(1.0), depth=schedule
    )
    state, step = optimizer.init(params), jax.jit(optimizer.update)
    for depth in (1, 2, 3, 4, 4):
        update, state = step(grads, state, params)
        np.testing.assert_allclose(-update["kernel"], rule_of(params, grads, depth), rtol=1e-10)


def test_what_must_be_fixed_is_named() -> None:
    optimizer = optax.inject_hyperparams(lnn.overparameterize)(optax.sgd(1.0), depth=2.0)
    with pytest.raises(ValueError, match=r"refresh_every is a JAX array.*static_args=\('refresh"):
        optimizer.init(network())
    message = r"depth = .*: a network has depth 1 or more"
    with pytest.raises(ValueError, match=message):
        lnn.overparameterize(optax.sgd(1.0), jnp.asarray(0.5))
    for depth, message in ((jnp.inf, "give it as a Python number"), (jnp.ones(2), "one real")):
        with pytest.raises(ValueError, match=message):
            lnn.overparameterize(optax.sgd(1.0), jnp.asarray(depth))


def test_empty_leaves_and_none_pass_through() -> None:
    params = {**network(), "empty": jnp.ones((0, 5)), "nothing": None}
    for mask in (None, {"kernel": True, "bias": False, "empty": True, "nothing": None}):
        update = one_update(lnn.overparameterize(optax.sgd(1.0), mask=mask), params, params)
        assert update["empty"].shape == (0, 5)
        np.testing.assert_allclose(-update["kernel"], rule_of(params, params, 2), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("refresh_every", [1, 2])
def test_a_stack_of_kernels_is_its_kernels(x64: None, refresh_every: int) -> None:
    """As of a scan over layers: (layers, inputs, outputs)."""
    ws, gs = map(jnp.asarray, matrices((3, 4, 5)))
    optimizer = lnn.overparameterize(
        optax.sgd(1.0), 3, mask=True, batch_axes=0, refresh_every=refresh_every
    )
    update = one_update(optimizer, gs, ws)
    for found, w, g in zip(update, ws, gs, strict=True):
        np.testing.assert_allclose(-found, true_rule(np.asarray(w), np.asarray(g), 3), rtol=1e-9)
    factors, product = lnn.factorize(ws, 2, key=jax.random.key(0), mask=True, batch_axes=0)
    assert [factor.shape for factor in factors[""]] == [(3, 4, 4), (3, 5, 4)]
    np.testing.assert_allclose(product(factors), ws, rtol=1e-10, atol=1e-12)


def test_two_kinds_of_kernels_go_by_partition(x64: None) -> None:
    params = {"stack": jnp.asarray(matrices((3, 4, 5))[0]), "conv": jnp.ones((5, 2, 3))}
    optimizer = optax.partition(
        {
            "stack": lnn.overparameterize(optax.sgd(1.0), mask=True, batch_axes=0),
            "conv": lnn.overparameterize(optax.sgd(1.0), mask=True, batch_axes=()),
        },
        {"stack": "stack", "conv": "conv"},
    )
    update = one_update(optimizer, params, params)
    w = np.asarray(params["stack"][1])
    np.testing.assert_allclose(-update["stack"][1], true_rule(w, w, 2), rtol=1e-9)
    assert update["conv"].shape == (5, 2, 3)


@pytest.mark.slow
def test_derivatives_exist_in_the_gradient_and_for_one_output(x64: None) -> None:
    w, g = map(jnp.asarray, matrices((1, 4)))
    ahead, seed = 1e-6, np.ones((1, 4))

    def norm(w: Any, g: Any) -> Any:
        optimizer = lnn.overparameterize(optax.sgd(1.0), 3)
        return jnp.sum(one_update(optimizer, g, w) ** 2)

    for argument in (0, 1):
        slope = jax.grad(norm, argument)(w, g)
        steps = [
            [part + sign * ahead * seed if i == argument else part for i, part in enumerate((w, g))]
            for sign in (1, -1)
        ]
        difference = (norm(*steps[0]) - norm(*steps[1])) / (2 * ahead)
        assert float(jnp.sum(slope * seed)) == pytest.approx(float(difference), rel=1e-6)
    wide, other = map(jnp.asarray, matrices((3, 4)))
    assert np.isfinite(jax.grad(norm, 1)(wide, other)).all()
    message = "differentiated with respect to W.*lnn.factorize"
    for derivative in (jax.grad(norm), jax.jit(jax.grad(norm))):
        with pytest.raises(ValueError, match=message):
            derivative(wide, other)
    with pytest.raises(ValueError, match=message):
        jax.vmap(jax.grad(norm), (0, None))(wide[None], other)


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("refresh_every", [1, 3])
def test_states_are_mapped_and_sharded(refresh_every: int) -> None:
    params = network()
    optimizer = lnn.overparameterize(optax.adam(0.1), refresh_every=refresh_every)
    state = optimizer.init(params)
    doubled = optax.tree_map_params(optimizer, lambda leaf: leaf + 1, state)
    assert jax.tree.structure(doubled) == jax.tree.structure(state)
    changed = [
        bool(np.any(a != b))
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(doubled), strict=True)
    ]
    assert sum(changed) == 4  # the two moments of two leaves
    mesh = Mesh(np.array(jax.devices()[:1]), ("d",))
    over = NamedSharding(mesh, PartitionSpec("d"))
    whole = NamedSharding(mesh, PartitionSpec())
    shardings = optax.tree_map_params(
        optimizer, lambda _: over, state, transform_non_params=lambda _: whole
    )
    placed = jax.device_put(state, shardings)
    update, _ = jax.jit(optimizer.update)(gradient(), placed, params)
    assert jax.tree.structure(update) == jax.tree.structure(params)


def wrapped(name: str) -> optax.GradientTransformation:
    """The rule of depth 2 with a step of 1, inside a wrapper that leaves the first update alone."""
    rule = lnn.overparameterize(optax.sgd(1.0), 2, refresh_every=2)
    wrappers: dict[str, Any] = {
        "MultiSteps": lambda: optax.MultiSteps(rule, 1).gradient_transformation(),
        "masked": lambda: optax.masked(rule, {"kernel": True, "bias": True}),
        "apply_if_finite": lambda: optax.apply_if_finite(rule, 3),
        "with_extra_args_support": lambda: optax.with_extra_args_support(rule),
        "conditionally_transform": lambda: optax.conditionally_transform(
            rule, lambda step: step >= 0
        ),
    }
    return wrappers[name]()  # type: ignore[no-any-return]


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize(
    "name",
    [
        "MultiSteps",
        "masked",
        "apply_if_finite",
        "with_extra_args_support",
        "conditionally_transform",
    ],
)
def test_wrappers_leave_the_update_alone(x64: None, name: str) -> None:
    params, grads, optimizer = network(), gradient(), wrapped(name)
    state = optimizer.init(params)
    for _ in range(2):
        update, state = jax.jit(optimizer.update)(grads, state, params)
        np.testing.assert_allclose(-update["kernel"], rule_of(params, grads, 2), rtol=1e-9)
        np.testing.assert_allclose(-update["bias"], grads["bias"])


def loss(params: Any) -> Any:
    return jnp.sum((params["kernel"] - 1) ** 2) + jnp.sum(params["bias"] ** 2)


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("name", ["lookahead", "schedule_free", "linesearch"])
def test_wrappers_with_a_way_of_their_own_decrease_the_loss(name: str) -> None:
    rule = lnn.overparameterize(optax.sgd(0.01), 2)
    params: Any = network()
    begin = float(loss(params))
    optimizer: Any
    if name == "lookahead":
        optimizer = optax.lookahead(rule, 3, 0.5)
        params = optax.LookaheadParams.init_synced(params)
    elif name == "schedule_free":
        optimizer = optax.contrib.schedule_free(rule, 0.01)
    else:
        optimizer = optax.chain(rule, optax.scale_by_backtracking_linesearch(5))
    state = optimizer.init(params)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        fast = params.fast if name == "lookahead" else params
        value, grads = jax.value_and_grad(loss)(fast)
        extra = {"value": value, "grad": grads, "value_fn": loss} if name == "linesearch" else {}
        update, state = optimizer.update(grads, state, params, **extra)
        return optax.apply_updates(params, update), state

    for _ in range(30):
        params, state = step(params, state)
    assert float(loss(params.slow if name == "lookahead" else params)) < 0.9 * begin


def states_agree(one: Any, other: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("refresh_every", mostly_slow([1, 2], 2))
def test_a_state_is_saved_and_restored(refresh_every: int, tmp_path: Path) -> None:
    serialization = pytest.importorskip("flax.serialization")
    optimizer = lnn.overparameterize(optax.adam(0.1), refresh_every=refresh_every)
    params, grads = network(), gradient()
    _, state = optimizer.update(grads, optimizer.init(params), params)
    text = serialization.to_bytes(state)
    states_agree(serialization.from_bytes(optimizer.init(params), text), state)
    checkpoint = pytest.importorskip("orbax.checkpoint")
    with checkpoint.StandardCheckpointer() as saver:
        saver.save(tmp_path / "state", state)
        saver.wait_until_finished()
        states_agree(saver.restore(tmp_path / "state", optimizer.init(params)), state)


def test_a_train_state_of_flax() -> None:
    train_state = pytest.importorskip("flax.training.train_state")
    params, grads = network(), gradient()
    state = train_state.TrainState.create(
        apply_fn=None, params=params, tx=lnn.overparameterize(optax.sgd(1.0), 2)
    )
    after = jax.jit(lambda state, grads: state.apply_gradients(grads=grads))(state, grads)
    expected = np.asarray(params["kernel"]) - rule_of(params, grads, 2)
    np.testing.assert_allclose(after.params["kernel"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [lnn.scale_by_end_to_end, lnn.scale_by_single_output])
def test_a_weight_vector_is_one_output(x64: None, make: Any) -> None:
    w, g = (part[0] for part in map(jnp.asarray, matrices((1, 5))))
    update = one_update(make(3), g, w)
    true = true_rule(np.asarray(w)[None], np.asarray(g)[None], 3)[0]
    np.testing.assert_allclose(update, true, rtol=1e-10)
    with pytest.raises(ValueError, match=re.escape("gradient (2, 2, 2)")):
        one_update(make(3), jnp.ones((2, 2, 2)), jnp.ones((2, 2, 2)))
