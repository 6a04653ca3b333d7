"""The methods of `lnn.overparameterize`, and factors kept in its state."""

from __future__ import annotations

import math
import re
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow
from rules import matrices, one_update, true_rule

import lnn
from lnn.core.network import balanced_factors
from lnn.core.spectral import Frame
from lnn.transforms.matrix_rules import FactorState, _in_turn, _together

SHAPES = ((3, 5), (5, 3), (4, 4), (1, 6), (6, 1))
close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)


def factors_of(rate: Any, depth: int = 2, **options: Any) -> Any:
    return lnn.overparameterize(rate, depth, method="factors", **options)


def target(shape: tuple[int, ...]) -> np.ndarray:
    """Of the loss |W - target|^2 / 2, whose gradient is W - target."""
    return matrices(shape, 7)[0]


def descend(optimizer: Any, w: Any, steps: int) -> Any:
    """The matrix after so many steps."""
    goal = jnp.asarray(target(w.shape), w.dtype)

    @jax.jit
    def run(w: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            w, state = carry
            update, state = optimizer.update(w - goal, state, w)
            return (optax.apply_updates(w, update), state), None

        return jax.lax.scan(step, (w, optimizer.init(w)), length=steps)[0][0]

    return run(w)


def chain(parts: list[np.ndarray], size: int) -> np.ndarray:
    product = np.eye(size)
    for part in parts:
        product = part @ product
    return product


def on_factors(w: np.ndarray, depth: int, rates: list[float]) -> np.ndarray:
    """Train explicit balanced factors in float64, by the definition of their gradients."""
    k, d = w.shape
    dims = (d, *[min(k, d) + 1] * (depth - 1), k)
    layers = list(balanced_factors(w, dims, np.random.default_rng(0)))

    for rate in rates:
        g = chain(layers, d) - target(w.shape)
        gradients = [
            chain(layers[j + 1 :], len(layers[j])).T @ g @ chain(layers[:j], d).T
            for j in range(depth)
        ]
        layers = [layer - rate * part for layer, part in zip(layers, gradients, strict=True)]
    return chain(layers, d)


# Factors in the state.


@pytest.mark.parametrize(
    ("shape", "depth"),
    mostly_slow([(s, n) for s in SHAPES for n in (2, 3, 5)], ((3, 5), 3), ((5, 3), 2)),
)
@pytest.mark.parametrize("dtype", mostly_slow(["float64", "float32"], "float64"))
def test_it_is_gradient_descent_on_balanced_factors(
    x64: None, shape: tuple[int, int], depth: int, dtype: str
) -> None:
    def schedule(step: Any) -> Any:
        return 0.01 + 0.001 * jnp.asarray(step, float)

    w = matrices(shape)[0]
    true = on_factors(w, depth, [float(schedule(step)) for step in range(20)])
    assert np.linalg.norm(true - w) > 0.1
    found = descend(factors_of(schedule, depth), jnp.asarray(w, dtype), 20)
    bound = 20 * float(jnp.finfo(dtype).eps)
    assert np.linalg.norm(found - true) < bound * np.linalg.norm(true)


@pytest.mark.parametrize("depth", mostly_slow([2, 3], 3))
def test_it_differs_from_the_rule_by_the_square_of_the_rate(x64: None, depth: int) -> None:
    w, g = map(jnp.asarray, matrices((4, 6)))

    @jax.jit
    def difference(rate: Any) -> Any:
        found, rule = (
            one_update(lnn.overparameterize(rate, depth, method=method), g, w)
            for method in ("factors", "exact")
        )
        return jnp.linalg.norm(found - rule)

    rates = 0.01 / 2.0 ** np.arange(6)
    differences = [float(difference(rate)) for rate in rates]
    slope = np.polyfit(np.log(rates), np.log(differences), 1)[0]
    assert abs(slope - 2) < 0.02, differences


@pytest.mark.parametrize(
    ("shape", "depth"),
    mostly_slow(product([(96, 192), (192, 96)], [2, 3, 6]), ((96, 192), 2), ((192, 96), 3)),
)
def test_a_step_is_three_products_a_layer(shape: tuple[int, int], depth: int) -> None:
    optimizer, w = factors_of(0.1, depth), jax.ShapeDtypeStruct(shape, jnp.float32)
    state = jax.eval_shape(optimizer.init, w)
    program = jax.make_jaxpr(optimizer.update)(w, state, w)
    names = [equation.primitive.name for equation in program.eqns]
    assert names.count("dot_general") == 3 * (depth - 1)
    assert names.count("cond") == 1  # where the decomposition is
    assert "svd" not in names


@pytest.mark.parametrize(
    ("dtype", "jitted"),
    mostly_slow(
        [(d, j) for d in ("float32", "bfloat16", "float16") for j in (True, False)],
        ("float32", True),
        ("bfloat16", True),
    ),
)
def test_rounding_is_no_change_from_outside(dtype: str, jitted: bool) -> None:
    w = jnp.asarray(matrices((6, 9))[0], dtype)
    goal = jnp.asarray(target((6, 9)), dtype)
    optimizer = factors_of(0.05)

    def step(w: Any, state: Any) -> Any:
        update, state = optimizer.update(w - goal, state, w)
        return optax.apply_updates(w, update), state

    state = optimizer.init(w)
    update = jax.jit(step) if jitted else step
    for _ in range(30 if jitted else 5):
        w, state = update(w, state)
        kept: FactorState = state[0].inner_state.matrices[0]
        assert kept.expected.dtype == w.dtype
        np.testing.assert_array_equal(kept.expected, w)


@pytest.mark.parametrize(("shape", "depth"), mostly_slow([((4, 6), 2), ((6, 4), 4)], ((6, 4), 4)))
def test_what_is_changed_from_outside_is_decomposed_again(
    shape: tuple[int, int], depth: int
) -> None:
    w, g = (jnp.asarray(part, jnp.float32) for part in matrices(shape))
    optimizer = factors_of(0.002, depth)
    update, init = jax.jit(optimizer.update), jax.jit(optimizer.init)
    state = init(w)
    for _ in range(20):
        moved, state = update(g, state, w)
        w = optax.apply_updates(w, moved)
    for changed in (w * (1 - 1e-5), w.at[1, 2].set(0), w.at[1, 2].multiply(1 + 5e-7)):
        found, after = update(g, state, changed)
        again, fresh = update(g, init(changed), changed)
        assert 0.01 < np.abs(again).max() < 1
        np.testing.assert_allclose(found, again, rtol=1e-5, atol=1e-7)
        for a, b in zip(
            *(s[0].inner_state.matrices[0].factors for s in (after, fresh)), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", mostly_slow([(s,) for s in SHAPES], (SHAPES[0],)))
def test_a_zero_matrix_stays_zero_and_a_low_rank_is_kept(shape: tuple[int, int]) -> None:
    g = jnp.asarray(matrices(shape)[1], jnp.float32)
    optimizer = factors_of(0.1, 3)
    update = jax.jit(partial(one_update, optimizer))
    np.testing.assert_array_equal(update(g, jnp.zeros_like(g)), jnp.zeros(shape))
    rng = np.random.default_rng(0)
    w = rng.standard_normal((shape[0], 1)) @ rng.standard_normal((1, shape[1]))
    found = descend(optimizer, jnp.asarray(w, jnp.float32), 10)
    true = on_factors(w, 3, [0.1] * 10)
    assert np.linalg.norm(found - true) < 1e-5 * np.linalg.norm(true)


@pytest.mark.parametrize("value", mostly_slow([np.inf, np.nan], np.inf))
def test_after_an_overflow_it_recovers(value: float) -> None:
    w, g = (jnp.asarray(part, jnp.float32) for part in matrices((4, 6)))
    optimizer = factors_of(0.1)
    update, init = jax.jit(optimizer.update), jax.jit(optimizer.init)
    first, state = update(g, init(w), w)
    bad, broken = update(g, state, w.at[0, 2].set(value))
    assert np.isnan(bad).all()
    for lost in (broken, update(g.at[1, 1].set(value), state, w)[1]):
        np.testing.assert_allclose(update(g, lost, w)[0], first, rtol=1e-5)


@pytest.mark.slow
def test_stacks_and_kernels_are_their_matrices(x64: None) -> None:
    ws, gs = map(jnp.asarray, matrices((3, 4, 5)))
    single = jax.jit(partial(one_update, factors_of(0.1, 3)))
    stacked = factors_of(0.1, 3, mask=True, batch_axes=0)
    for update, w, g in zip(jax.jit(partial(one_update, stacked))(gs, ws), ws, gs, strict=True):
        close(update, single(g, w))
    kernel, g = map(jnp.asarray, matrices((3, 2, 4, 5)))  # height, width, inputs, outputs
    update = jax.jit(partial(one_update, factors_of(0.1, 3, mask=True)))(g, kernel)
    flat = single(*(part.reshape(24, 5) for part in (g, kernel)))
    close(update, flat.reshape(kernel.shape))


@pytest.mark.slow
def test_members_under_vmap(x64: None) -> None:
    members = jnp.asarray(np.stack([matrices((4, 6), seed)[0] for seed in range(3)]))
    run = partial(descend, factors_of(0.02, 3), steps=5)
    for one, w in zip(jax.vmap(run)(members), members, strict=True):
        close(one, run(w))


def test_other_leaves_are_descended_plainly() -> None:
    params = {"w": jnp.asarray(matrices((3, 4))[0], jnp.float32), "b": jnp.ones(4)}
    optimizer = factors_of(lambda step: 0.1 * jnp.asarray(step + 1, float))
    update, _ = jax.jit(optimizer.update)(params, jax.jit(optimizer.init)(params), params)
    np.testing.assert_allclose(update["b"], -0.1 * params["b"], rtol=1e-6)


def test_a_rate_may_be_injected_and_matrices_partitioned() -> None:
    w, g = (jnp.asarray(part, jnp.float32) for part in matrices((3, 4)))
    fixed = ("refresh_every", "output_axis", "batch_axes", "depth")
    injected = optax.inject_hyperparams(lnn.overparameterize, static_args=fixed)(
        optax.linear_schedule(0.1, 0.2, 1), depth=2, method="factors"
    )
    state = injected.init(w)
    first, state = jax.jit(injected.update)(g, state, w)
    parts = optax.partition({"a": factors_of(0.1), "b": factors_of(0.2)}, {"a": "a", "b": "b"})
    update = jax.jit(partial(one_update, parts))({"a": g, "b": g}, {"a": w, "b": w})
    np.testing.assert_allclose(first, update["a"], rtol=1e-5)
    second, _ = jax.jit(injected.update)(g, state, w)
    np.testing.assert_allclose(second, update["b"], rtol=1e-5)


# The other methods.


@pytest.mark.parametrize(
    ("method", "depth"),
    mostly_slow(
        [("exact", 3), ("tracked", 3), ("tracked", 1.5), ("tracked", math.inf), ("polar", 2)],
        ("tracked", 3),
        ("polar", 2),
    ),
)
@pytest.mark.parametrize("shape", mostly_slow([(s,) for s in ((3, 5), (5, 3))], ((5, 3),)))
def test_every_method_is_the_rule(
    x64: None, shape: tuple[int, int], method: str, depth: float
) -> None:
    optimizer = lnn.overparameterize(optax.sgd(0.5), depth, method=method)
    w, g = matrices(shape)
    step = matrices(shape, 1)[0]
    state, update = jax.jit(optimizer.init)(jnp.asarray(w)), jax.jit(optimizer.update)
    for i in range(3):
        now = w + 0.01 * i * step
        found, state = update(jnp.asarray(g), state, jnp.asarray(now))
        true = -0.5 * true_rule(now, g, depth)
        bound = {"exact": 1e-9, "tracked": 5e-3 if i else 1e-9, "polar": 1e-3}[method]
        assert np.linalg.norm(found - true) < bound * np.linalg.norm(true)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tracked", "polar", "factors"])
def test_every_method_takes_half_precision_stacks_and_none(method: str) -> None:
    params: Any = {
        "stack": jnp.asarray(matrices((2, 3, 4))[0], jnp.bfloat16),
        "matrix": jnp.asarray(matrices((5, 3))[0], jnp.float32), "none": None, "b": jnp.ones(3),
    }  # fmt: skip
    mask = {"stack": True, "matrix": True, "none": None, "b": False}
    optimizer = lnn.overparameterize(1e-3, mask=mask, batch_axes=0, method=method)
    update, state = jax.jit(optimizer.update)(params, jax.jit(optimizer.init)(params), params)
    assert [update[name].dtype for name in ("stack", "matrix")] == [jnp.bfloat16, jnp.float32]
    plain = lnn.overparameterize(1e-3, mask=mask, batch_axes=0, method="exact")
    true = jax.jit(partial(one_update, plain))(params, params)
    for found, expected in zip(*map(jax.tree.leaves, (update, true)), strict=True):
        np.testing.assert_allclose(
            np.asarray(found, float), np.asarray(expected, float), rtol=0.02, atol=1e-5
        )
    doubled = optax.tree_map_params(optimizer, lambda leaf: leaf + 1, state)
    assert jax.tree.structure(doubled) == jax.tree.structure(state)


def test_auto_chooses_by_what_is_cheap_and_allowed() -> None:
    def kept(inner: Any, side: int, **options: Any) -> Any:
        optimizer = lnn.overparameterize(inner, **options)
        w = jax.ShapeDtypeStruct((side, 200), jnp.float32)
        return jax.eval_shape(optimizer.init, w)[0].inner_state.matrices[0]

    assert kept(optax.sgd(0.1), 64) == ()
    assert kept(optax.sgd(0.1), 65).shape == (65, 65)
    assert isinstance(kept(optax.sgd(0.1), 65, refresh_every=2), Frame)
    assert isinstance(kept(0.1, 65, refresh_every=2), Frame)
    for side in (3, 65):
        assert isinstance(kept(0.1, side), FactorState)
        assert len(kept(lambda step: 0.1 / (step + 1), side, depth=3).factors) == 3
    assert kept(0.1, 65, depth=2.5).shape == (65, 65)


@pytest.mark.parametrize(
    ("platform", "depth", "decomposes"), [("cpu", 2, True), ("cuda", 2, False), ("cuda", 3, True)]
)
def test_auto_at_depth_2_is_products_alone_on_accelerators(
    platform: str, depth: int, decomposes: bool
) -> None:
    w = jax.ShapeDtypeStruct((65, 80), jnp.float32)
    optimizer = lnn.overparameterize(optax.sgd(0.1), depth)
    traced = jax.jit(optimizer.update).trace(w, jax.eval_shape(optimizer.init, w), w)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("custom_call" in program) is decomposes
    assert "dot_general" in program


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "fast"}, "method = 'fast': choose one of auto, exact, tracked, factors, polar"),
        ({"method": "factors"}, "method = 'factors' with a transformation as inner and depth = 2"),
        ({"inner": 0.1, "method": "factors", "depth": 2.5}, "with a rate as inner and depth = 2.5"),
        ({"method": "polar", "depth": 3}, "method = 'polar' with depth = 3"),
        ({"method": "tracked", "refresh_every": 3}, "refresh_every = 3 with method = 'tracked'"),
        ({"inner": -0.1}, "inner = -0.1: give an optax transformation"),
        ({"inner": jnp.ones(2)}, "give an optax transformation"),
        ({"inner": math.nan}, "inner = nan: give an optax transformation"),
    ],
)
def test_methods_that_do_not_fit_are_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        lnn.overparameterize(**{"inner": optax.sgd(0.1), **options})


def test_depth_one_is_plain_descent_by_every_method() -> None:
    w = jnp.asarray(matrices((3, 4))[0], jnp.float32)
    for method in ("auto", "tracked", "factors"):
        close(one_update(lnn.overparameterize(0.5, 1, method=method), w, w), -0.5 * w)


@pytest.mark.slow
def test_frames_of_equal_shapes_together_are_those_in_turn(x64: None) -> None:
    shapes = ((3, 5), (5, 3), (2, 3, 5), (1, 2))
    ws = [jnp.asarray(matrices(shape, seed)[0]) for seed, shape in enumerate(shapes)]
    found = zip(jax.jit(_together)(*ws), jax.jit(_in_turn)(*ws), ws, strict=True)
    for together, alone, w in found:
        assert [part.shape for part in together] == [part.shape for part in alone]
        u, s, vt = together
        close(u * s[..., None, :] @ vt, w if w.shape[-2] <= w.shape[-1] else w.mT)
        close(s, alone.s)
