from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow

from lnn.core.network import init_factors
from lnn.core.problem import Problem
from lnn.transforms.catalogue import DEEP, ONE_OUTPUT
from lnn.transforms.methods import METHODS, EndToEnd, Factored, Method, make_method


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
few_methods = pytest.mark.parametrize(
    "name", mostly_slow(METHODS, "adagrad", "end-to-end", "momentum-10", "layerwise-adam")
)


@pytest.mark.usefixtures("standard_promotion")
@few_methods
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


@pytest.mark.usefixtures("standard_promotion")
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


@pytest.mark.usefixtures("standard_promotion")
@few_methods
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


@pytest.mark.usefixtures("standard_promotion")
@few_methods
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


@pytest.mark.usefixtures("standard_promotion")
@few_methods
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
        (("layerwise-gd", 3, (2, 0)), r"hidden = 0: give a whole number, at least 1"),
    ],
)
def test_make_method_says_what_was_wrong(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_method(*arguments)


def test_hidden_widths_default_to_one() -> None:
    assert make_method("layerwise-gd", 4).parameterization == Factored((1, 1, 1))
    assert make_method("layerwise-gd", 1).parameterization == Factored(())
    assert Factored((2, 3)).depth == 3
    assert make_method("gd", 4).parameterization == EndToEnd()


def test_the_end_to_end_rules_take_any_depth() -> None:
    for name in ("end-to-end", "single-output"):
        assert make_method(name, 1e300).depth == 1e300
