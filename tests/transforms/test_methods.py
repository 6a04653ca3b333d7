from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lnn
from lnn.core.network import init_factors
from lnn.core.problem import Problem
from lnn.transforms.catalogue import DEEP, LAYERWISE, ONE_OUTPUT
from lnn.transforms.end_to_end import decay_factor, scale_by_end_to_end
from lnn.transforms.methods import METHODS, EndToEnd, Factored, Method, make_method
from lnn.transforms.single_output import scale_by_single_output

DEPTHS = (1, 1.5, 2, 3, 4, 8, 16, math.inf)


def problem_for(name: str, dtype: str = "float64", p: float = 4.0) -> Problem:
    k = 1 if name in ONE_OUTPUT else 2
    rng = np.random.default_rng(2)
    x = rng.standard_normal((20, 4))
    y = x @ rng.standard_normal((4, k)) + 0.1 * rng.standard_normal((20, k))
    return Problem(x.astype(dtype), y.astype(dtype), p)


def method_for(name: str) -> Method:
    return make_method(name, 3.0, (2, 3))


def start_for(method: Method, problem: Problem, dtype: str = "float64") -> Any:
    factors = init_factors(jax.random.key(0), (problem.d, 2, 3, problem.k), "balanced", 0.5)
    if isinstance(method.parameterization, Factored):
        return tuple(factor.astype(dtype) for factor in factors)
    return (factors[2] @ factors[1] @ factors[0]).astype(dtype)


def gradient_of(method: Method, problem: Problem, params: Any) -> Any:
    return jax.grad(lambda p: problem.loss(method.parameterization.end_to_end(p)))(params)


def close(found: Any, true: Any, tolerance: float) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


every_method = pytest.mark.parametrize("name", METHODS)


@every_method
def test_chained_in_optax_it_decreases_the_loss(x64: None, name: str) -> None:
    method, problem = method_for(name), problem_for(name)
    rate = 0.1 if name == "adadelta" else 0.002
    chain = optax.chain(method.transformation, optax.scale(-rate))
    params = jax.tree.map(jnp.asarray, start_for(method, problem))
    state = chain.init(params)
    losses = []
    for _ in range(10):
        losses.append(float(problem.loss(method.parameterization.end_to_end(params))))
        updates, state = chain.update(gradient_of(method, problem, params), state, params)
        params = optax.apply_updates(params, updates)
    assert np.all(np.diff(losses) < 0)


@every_method
def test_jit_changes_nothing(x64: None, name: str) -> None:
    method, problem = method_for(name), problem_for(name)
    params = start_for(method, problem)
    gradient = gradient_of(method, problem, params)
    rule = method.transformation
    state = rule.init(params)
    plain, plain_state = rule.update(gradient, state, params)
    jitted, jitted_state = jax.jit(rule.update)(gradient, state, params)
    close(jitted, plain, 1e-12)
    close(jitted_state, plain_state, 1e-12)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_even_where_float64_is_on(x64: None, name: str, dtype: str) -> None:
    method, problem = method_for(name), problem_for(name, dtype)
    params = start_for(method, problem, dtype)
    gradient = gradient_of(method, problem, params)
    state = method.transformation.init(params)
    updates, after = method.transformation.update(gradient, state, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {np.dtype(dtype)}
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(state)]
    assert [leaf.dtype for leaf in jax.tree.leaves(after)] == dtypes
    assert np.dtype("float64") not in dtypes or dtype == "float64"


@every_method
def test_finite_at_zero_parameters_and_at_zero_gradient(name: str) -> None:
    method, problem = method_for(name), problem_for(name, "float32")
    params = start_for(method, problem, "float32")
    gradient = gradient_of(method, problem, params)
    zero_params, zero_gradient = (jax.tree.map(jnp.zeros_like, tree) for tree in (params, gradient))
    rule = method.transformation
    for g, w in ((gradient, zero_params), (zero_gradient, params), (zero_gradient, zero_params)):
        state = rule.init(w)
        for _ in range(2):
            updates, state = rule.update(g, state, w)
        for leaf in jax.tree.leaves((updates, state)):
            assert np.isfinite(leaf).all()
        if g is zero_gradient:
            assert all(not leaf.any() for leaf in map(np.asarray, jax.tree.leaves(updates)))


@every_method
def test_init_and_update_under_vmap_equal_single_runs(x64: None, name: str) -> None:
    method, problem = method_for(name), problem_for(name)
    params = start_for(method, problem)
    batch = jax.tree.map(lambda leaf: np.stack([leaf, -2 * leaf, 0.5 * leaf]), params)
    rule = method.transformation
    state = jax.vmap(rule.init)(batch)
    gradient = jax.vmap(lambda p: gradient_of(method, problem, p))(batch)
    updates, _ = jax.vmap(rule.update)(gradient, state, batch)
    for run in range(3):
        one, g = (jax.tree.map(lambda leaf, run=run: leaf[run], t) for t in (batch, gradient))
        true, _ = rule.update(g, rule.init(one), one)
        close(jax.tree.map(lambda leaf, run=run: leaf[run], updates), true, 1e-12)


@every_method
def test_method_knows_its_name_depth_and_constants(name: str) -> None:
    method = method_for(name)
    assert method.name == name
    deep = name in DEEP
    assert method.depth == (3 if deep else 1)
    assert method.label == (f"{name}-3" if deep else name)
    assert make_method(name, 3.0, (2, 3)) is method
    assert isinstance(hash(method), int)


def test_constants_are_the_authors() -> None:
    constants = {name: dict(method_for(name).constants) for name in METHODS}
    adam = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
    assert constants == {
        "gd": {},
        "momentum": {"decay": 0.9},
        "adagrad": {"initial_accumulator_value": 0.0, "eps": 0.0},
        "adadelta": {"rho": 0.95, "eps": 1e-6},
        "adam": adam,
        **{rule: {} for rule in DEEP if rule not in LAYERWISE},
        "layerwise-gd": {},
        "layerwise-adam": adam,
    }


def gd(gradients: np.ndarray) -> list[np.ndarray]:
    return list(gradients)


def heavy_ball(gradients: np.ndarray) -> list[np.ndarray]:
    out, m = [], 0.0
    for g in gradients:
        m = 0.9 * m + g
        out.append(m)
    return out


def adagrad(gradients: np.ndarray) -> list[np.ndarray]:
    out, total = [], 0.0
    for g in gradients:
        total = total + g * g
        out.append(g / np.sqrt(total))
    return out


def adadelta(gradients: np.ndarray) -> list[np.ndarray]:
    out, eg, ex = [], 0.0, 0.0
    for g in gradients:
        eg = 0.95 * eg + 0.05 * g * g
        step = np.sqrt(ex + 1e-6) / np.sqrt(eg + 1e-6) * g
        ex = 0.95 * ex + 0.05 * step * step
        out.append(step)
    return out


def adam(gradients: np.ndarray) -> list[np.ndarray]:
    out, m, v = [], 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        out.append(m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return out


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("gd", gd),
        ("momentum", heavy_ball),
        ("adagrad", adagrad),
        ("adadelta", adadelta),
        ("adam", adam),
        ("layerwise-gd", gd),
        ("layerwise-adam", adam),
    ],
)
@pytest.mark.parametrize("size", [1e-4, 1.0, 30.0])
def test_baselines_follow_the_published_recurrences(
    x64: None, name: str, published: Any, size: float
) -> None:
    gradients = size * np.random.default_rng(4).standard_normal((12, 2, 3))
    rule = method_for(name).transformation
    params = np.zeros((2, 3))
    state = rule.init(params)
    for g, true in zip(gradients, published(gradients), strict=True):
        update, state = rule.update(jnp.asarray(g), state, params)
        np.testing.assert_allclose(update, true, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm", [1e-3, 0.7, 50.0])
def test_single_output_form_is_the_general_rule_at_one_output(
    x64: None, depth: float, norm: float
) -> None:
    rng = np.random.default_rng(9)
    for d in (1, 2, 7, 128):
        w, g = rng.standard_normal((2, 1, d))
        w *= norm / np.linalg.norm(w)
        single, general = (
            np.asarray(rule(depth).update(g, optax.EmptyState(), w)[0])
            for rule in (scale_by_single_output, scale_by_end_to_end)
        )
        assert np.linalg.norm(single - general) <= 1e-13 * np.linalg.norm(general)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("name", ["single-output", "end-to-end"])
def test_one_decayed_step_is_claim_2(depth: int, name: str) -> None:
    rng = np.random.default_rng(depth)
    x, y = rng.standard_normal((15, 7)), rng.standard_normal(15)
    problem, rate, decay = Problem(x, y, 2.0), 0.07, 0.3
    w = rng.standard_normal((1, 7))
    out = lnn.simulate(
        problem, make_method(name, depth), w, rate, 1, weight_decay=decay, dtype="float64"
    )
    g = ((x @ w[0] - y) @ x / 15)[None]
    norm = np.linalg.norm(w)
    along = (g @ w.T / norm**2) * w
    true = (1 - rate * decay * depth) * w
    true = true - rate * norm ** (2 - 2 / depth) * (g + (depth - 1) * along)
    np.testing.assert_allclose(out.params, true, rtol=1e-12, atol=1e-13)


def test_decay_of_the_deep_rules_is_depth_times_lambda_and_that_of_the_others_one() -> None:
    assert [decay_factor(depth) for depth in (1, 1.5, 4, math.inf)] == [1, 1.5, 4, 1]
    for name in METHODS:
        expected = 3 if name in DEEP and name not in LAYERWISE else None
        assert method_for(name).decay == expected
    assert make_method("end-to-end", math.inf).decay == 1


def test_infinite_depth_is_the_limit_per_unit_depth(x64: None) -> None:
    rng = np.random.default_rng(3)
    w, g = rng.standard_normal((2, 3, 5))
    limit = scale_by_end_to_end(jnp.inf).update(g, optax.EmptyState(), w)[0]
    for depth in (1e3, 1e5):
        deep = scale_by_end_to_end(depth).update(g, optax.EmptyState(), w)[0]
        error = np.abs(np.asarray(deep) / depth - np.asarray(limit)).max()
        assert 0 < error < 50 / depth


def test_rules_map_over_trees_and_leave_masked_leaves_alone(x64: None) -> None:
    rng = np.random.default_rng(3)
    params = {"a": rng.standard_normal((2, 3)), "b": rng.standard_normal((4, 2))}
    gradient = jax.tree.map(np.ones_like, params)
    rule = scale_by_end_to_end(2)
    updates, _ = rule.update(gradient, rule.init(params), params)
    for name, w in params.items():
        alone, _ = rule.update(gradient[name], optax.EmptyState(), w)
        np.testing.assert_allclose(updates[name], alone, rtol=1e-14)
    with_bias = {**params, "bias": np.ones(3)}
    masked = optax.masked(rule, {"a": True, "b": True, "bias": False})
    ones = jax.tree.map(np.ones_like, with_bias)
    updates, _ = masked.update(ones, masked.init(with_bias), with_bias)
    assert np.array_equal(updates["bias"], np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sgd",), r"method 'sgd' is unknown: choose from gd, momentum, adagrad"),
        (("end-to-end", 0.5), r"depth = 0.5: a network has depth 1 or more"),
        (("end-to-end", math.nan), r"depth = nan: a network has depth 1 or more"),
        (("single-output", -math.inf), r"depth = -inf"),
        (("layerwise-gd", 1.5), r"layerwise-gd at depth 1.5: .* needs a whole depth"),
        (("layerwise-adam", math.inf), r"layerwise-adam at depth inf: .* needs a whole depth"),
        (("layerwise-gd", 3, (2,)), r"has 2 hidden layers, but 1 widths were given: \[2\]"),
        (("layerwise-gd", 3, (2, 0)), r"hidden widths \[2, 0\]: each must be at least 1"),
    ],
)
def test_make_method_says_what_was_wrong(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_method(*arguments)


@pytest.mark.parametrize("rule", [scale_by_end_to_end, scale_by_single_output])
def test_rules_say_what_they_need(rule: Any) -> None:
    for depth in (0, 0.99, -2, math.nan, True, "2"):
        with pytest.raises(ValueError, match=r"depth = .*: a network has depth 1 or more"):
            rule(depth)
    made, w = rule(2), jnp.ones((1, 3))
    state = made.init(w)
    with pytest.raises(ValueError, match=r"params = None: this rule depends on W"):
        made.update(w, state)
    with pytest.raises(ValueError, match=r"gradient \(3,\) and parameter \(3,\): .*matrix"):
        made.update(w[0], state, w[0])
    with pytest.raises(ValueError, match=r"gradient \(1, 3\) and parameter \(1, 2\)"):
        made.update(w, state, jnp.ones((1, 2)))


def test_single_output_form_refuses_more_outputs() -> None:
    w = jnp.ones((2, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\): the single-output form needs one"):
        scale_by_single_output(3).update(w, optax.EmptyState(), w)


def test_hidden_widths_default_to_one() -> None:
    assert make_method("layerwise-gd", 4).parameterization == Factored((1, 1, 1))
    assert make_method("layerwise-gd", 1).parameterization == Factored(())
    assert Factored((2, 3)).depth == 3
    assert make_method("gd", 4).parameterization == EndToEnd()


def test_the_end_to_end_rules_take_any_depth() -> None:
    for name in ("end-to-end", "single-output"):
        assert make_method(name, 1e300).depth == 1e300
