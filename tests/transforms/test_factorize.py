"""`lnn.factorize`: a network whose matrices are really products."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lnn
from lnn.core.network import balancedness_gap

KEY = jax.random.key(0)


def network() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "conv": {"kernel": jnp.asarray(rng.standard_normal((3, 3, 2, 4))), "bias": jnp.zeros(4)},
        "dense": [jnp.asarray(rng.standard_normal((8, 5))), jnp.ones(5)],
        "none": None,
    }


def close(found: Any, true: Any, tolerance: float = 1e-12) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(true)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


EVERY = {"conv": {"kernel": True, "bias": False}, "dense": [True, False], "none": None}


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("mask", [None, EVERY])
@pytest.mark.parametrize("width", [None, 11])
def test_balanced_factors_multiply_to_the_parameters(
    x64: None, depth: int, mask: Any, width: int | None
) -> None:
    params = network()
    factors, product = lnn.factorize(params, depth, key=KEY, mask=mask, width=width)
    close(product(factors), params)
    close(jax.jit(product)(factors), params)
    split = {name: value for name, value in factors.items() if isinstance(value, tuple)}
    assert len(split) == (1 if mask is None else 2)
    for name, layers in split.items():
        assert len(layers) == depth
        assert float(balancedness_gap(layers)) < 1e-12
        shape = (8, 5) if "dense" in name else (4, 18)
        assert {layer.shape[0] for layer in layers[:-1]} <= {width or min(shape)}
        assert (layers[-1].shape[0], layers[0].shape[1]) == shape


def test_kernels_with_outputs_first(x64: None) -> None:
    kernel = jnp.asarray(np.random.default_rng(1).standard_normal((5, 2, 3, 3)))
    factors, product = lnn.factorize(kernel, 2, key=KEY, mask=True, output_axis=0)
    ((first, second),) = factors.values()
    assert (first.shape, second.shape) == ((5, 18), (5, 5))
    np.testing.assert_allclose(second @ first, kernel.reshape(5, 18), atol=1e-12)
    close(product(factors), kernel)


def test_gradients_reach_the_factors_by_the_chain_rule(x64: None) -> None:
    w = jnp.asarray(np.random.default_rng(2).standard_normal((3, 5)))
    factors, product = lnn.factorize(w, 3, key=KEY)
    gradient = jax.grad(lambda f: jnp.sum(jnp.sin(product(f))))(factors)
    ((w1, w2, w3),), ((g1, g2, g3),) = factors.values(), gradient.values()
    g = jnp.cos(w3 @ w2 @ w1)
    np.testing.assert_allclose(g1, (w3 @ w2).T @ g, atol=1e-12)
    np.testing.assert_allclose(g2, w3.T @ g @ w1.T, atol=1e-12)
    np.testing.assert_allclose(g3, g @ (w2 @ w1).T, atol=1e-12)


# Layer by layer.


def loss(params: Any, x: Any) -> Any:
    filtered = jnp.sum(params["conv"]["kernel"] ** 2)
    return jnp.sum(jnp.sin(x @ params["dense"][0] + params["dense"][1][None])) + filtered


@pytest.mark.parametrize("depth", [1, 3])
def test_layers_have_values_and_gradients_of_the_product(x64: None, depth: int) -> None:
    params, x = network(), jnp.asarray(np.random.default_rng(3).standard_normal((7, 8)))
    (factors, product), (same, layers) = (
        lnn.factorize(params, depth, key=KEY, mask=EVERY, form=form)
        for form in ("product", "layers")
    )
    close(same, factors)
    by_product, by_layers = (
        jax.jit(jax.value_and_grad(lambda f, of=of: loss(of(f), x)))(factors)
        for of in (product, layers)
    )
    close(by_layers, by_product, 1e-10)
    assert isinstance(layers(factors)["conv"]["kernel"], jax.Array)  # multiplied out
    members = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), factors)
    found = jax.jit(jax.vmap(lambda f: loss(layers(f), x)))(members)
    np.testing.assert_allclose(found[0], by_product[0], rtol=1e-12)


def test_a_factored_matrix_is_multiplied_from_both_sides(x64: None) -> None:
    w = jnp.asarray(np.random.default_rng(2).standard_normal((3, 5)))
    factors, layers = lnn.factorize(w, 3, key=KEY, form="layers")
    factored = layers(factors)
    assert (factored.shape, factored.ndim, factored.dtype) == (w.shape, 2, w.dtype)
    x, y = np.arange(6.0).reshape(2, 3), np.arange(5.0)
    for left, right in ((x, factored), (jnp.asarray(x[0]), factored), (y, factored.T)):
        true = w if right is factored else w.T
        np.testing.assert_allclose(left @ right, left @ true, atol=1e-12)
    np.testing.assert_allclose(factored @ y, w @ y, atol=1e-12)
    np.testing.assert_allclose(factored @ factored.T, w @ w.T, atol=1e-12)
    np.testing.assert_allclose(factored.product(), w, atol=1e-12)
    shapes = [
        equation.outvars[0].aval.shape
        for equation in jax.make_jaxpr(lambda x: x @ factored)(jnp.asarray(x)).eqns
        if equation.primitive.name == "dot_general"
    ]
    assert shapes == [(2, 3), (2, 3), (2, 5)]  # no product of two factors
    with pytest.raises(TypeError, match="FactoredMatrix"):
        jnp.exp(factored)


# Other starts.


@pytest.mark.parametrize(("std", "expected"), [(None, 0.7), (0.1, 0.1)])
def test_gaussian_factors_are_as_wide_as_asked_or_as_what_they_replace(
    std: float | None, expected: float
) -> None:
    w = 0.7 * jax.random.normal(jax.random.key(1), (300, 200))
    factors, product = lnn.factorize(w, 3, key=KEY, start="gaussian", std=std)
    (layers,) = factors.values()
    assert [layer.shape for layer in layers] == [(200, 200), (200, 200), (300, 200)]
    for layer in layers:
        # 4 standard errors of the deviation of this many Gaussian numbers
        assert abs(float(jnp.std(layer)) / expected - 1) < 4 / np.sqrt(2 * layer.size)
        assert abs(float(jnp.mean(layer))) < 4 * expected / np.sqrt(layer.size)
    assert float(jnp.abs(product(factors) - w).max()) > 0.1
    for a, b in pairwise(layers[:2]):
        assert not np.array_equal(a, b)


def test_same_key_same_factors_and_dtypes_are_kept() -> None:
    params = {"a": jnp.ones((3, 4), jnp.bfloat16), "b": jnp.eye(3, dtype=jnp.float32)}
    one, product = lnn.factorize(params, key=KEY)
    same, _ = lnn.factorize(params, key=KEY)
    other, _ = lnn.factorize(params, key=jax.random.key(1))
    for name, layers in one.items():
        for i, layer in enumerate(layers):
            np.testing.assert_array_equal(layer, same[name][i])
            assert layer.dtype == (jnp.bfloat16 if "a" in name else jnp.float32)
    assert any(not np.array_equal(one[name][0], other[name][0]) for name in one)
    close(product(one), params, 0.05)


def test_a_zero_matrix_has_zero_factors() -> None:
    factors, product = lnn.factorize(jnp.zeros((2, 3)), 2, key=KEY)
    assert all(not layer.any() for layer in jax.tree.leaves(factors))
    close(product(factors), jnp.zeros((2, 3)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth = 0: give a whole number, 1 to 1000"),
        ({"depth": 2.5}, "depth = 2.5: give a whole number"),
        ({"width": 0}, "width = 0: give a whole number, at least 1"),
        ({"width": 1}, "hidden widths [1] are below the rank 2"),
        ({"form": "layer"}, "form = 'layer': choose one of product, layers"),
        ({"start": "zero"}, "start = 'zero': choose one of balanced, gaussian"),
        ({"std": 0.1}, "std = 0.1 with start = 'balanced'"),
        ({"start": "gaussian", "std": 0.0}, "std = 0.0 with start = 'gaussian'"),
        ({"mask": False}, "no parameter is chosen"),
        ({"output_axis": 2}, "output_axis = 2"),
    ],
)
def test_wrong_arguments_are_told(options: dict[str, Any], words: str) -> None:
    w = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
    with pytest.raises(ValueError, match=re.escape(words)):
        lnn.factorize(**{"params": w, "key": KEY, **options})


def test_wrong_values_and_foreign_factors_are_told() -> None:
    with pytest.raises(ValueError, match=re.escape("parameter ['w'] has values that are not fin")):
        lnn.factorize({"w": jnp.full((2, 3), jnp.nan)}, key=KEY)
    _, product = lnn.factorize({"w": jnp.ones((2, 3))}, key=KEY)
    with pytest.raises(ValueError, match=re.escape("factors are of ['x'], but this network has")):
        product({"x": jnp.ones((2, 3))})
