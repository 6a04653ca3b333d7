"""`lnn.overparameterize` in the loops of Flax and Equinox."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow
from rules import matrices, true_rule

import lnn
from lnn.transforms.factorize import FactoredMatrix

DATA = tuple(map(jnp.asarray, (matrices((30, 4), 1)[0], matrices((30, 3), 2)[0])))


@pytest.mark.slow
def test_flax_nnx() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Model(nnx.Module):  # type: ignore[misc]
        def __init__(self, rngs: Any) -> None:
            self.conv = nnx.Conv(1, 3, (3, 3), rngs=rngs)
            self.dense = nnx.Linear(48, 3, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.dense(nnx.relu(self.conv(x)).reshape(len(x), -1))

    images, labels = jnp.reshape(DATA[0][:24], (6, 4, 4, 1)), DATA[1][:6]
    model = Model(nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.state(model, nnx.Param))
    optimizer = nnx.Optimizer(model, lnn.overparameterize(optax.sgd(0.1), 2), wrt=nnx.Param)

    def loss(model: Any) -> Any:
        return jnp.mean((model(images) - labels) ** 2)

    gradient = nnx.grad(loss)(model)

    @nnx.jit
    def step(model: Any, optimizer: Any) -> None:
        optimizer.update(model, nnx.grad(loss)(model))

    step(model, optimizer)
    flat = [
        {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        for leaves in map(
            jax.tree_util.tree_leaves_with_path, (before, gradient, nnx.state(model, nnx.Param))
        )
    ]
    chosen = 0
    for path, w in flat[0].items():
        g, after = flat[1][path], flat[2][path]
        assert np.abs(g).max() > 0
        true = true_rule(w.astype(float), g.astype(float), 2) if w.ndim == 2 else g
        np.testing.assert_allclose(after, w - 0.1 * true, rtol=1e-5, atol=1e-6)
        chosen += w.ndim == 2
    assert chosen == 1


@pytest.mark.slow
@pytest.mark.parametrize("by_module", mostly_slow([False, True], True))
def test_equinox(by_module: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import equinox as eqx
    model = eqx.nn.MLP(4, 3, 5, 2, key=jax.random.key(0))
    params = eqx.filter(model, eqx.is_inexact_array)
    # A module of booleans is a mask, though it can be called.
    mask = jax.tree.map(lambda leaf: leaf.ndim == 2, params) if by_module else None
    optimizer = lnn.overparameterize(optax.sgd(0.1), 2, mask=mask)
    x, y = (jnp.asarray(a, jnp.float32) for a in DATA)

    def loss(model: Any) -> Any:
        return jnp.mean((jax.vmap(model)(x) - y) ** 2)

    @eqx.filter_jit
    def step(model: Any, state: Any) -> Any:
        gradient = eqx.filter_grad(loss)(model)
        updates, state = optimizer.update(gradient, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    gradient = eqx.filter_grad(loss)(model)
    after, _ = step(model, optimizer.init(params))
    for before, g, now in zip(model.layers, gradient.layers, after.layers, strict=True):
        w, dw = (np.asarray(a, np.float64) for a in (before.weight, g.weight))
        np.testing.assert_allclose(now.weight, w - 0.1 * true_rule(w, dw, 2), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(now.bias, before.bias - 0.1 * g.bias, rtol=1e-6, atol=1e-7)


def test_layers_of_equinox_take_factored_matrices() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import equinox as eqx
    model = eqx.nn.MLP(4, 3, 5, 2, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    x, y = (jnp.asarray(a, jnp.float32) for a in DATA)

    def gradient(form: str) -> Any:
        factors, build = lnn.factorize(params, 2, key=jax.random.key(1), form=form)

        def loss(factors: Any) -> Any:
            whole = eqx.combine(
                build(factors), static, is_leaf=lambda leaf: isinstance(leaf, FactoredMatrix)
            )
            return jnp.mean((jax.vmap(whole)(x) - y) ** 2)

        return jax.jit(jax.grad(loss))(factors)

    by_product, by_layers = (jax.tree.leaves(gradient(form)) for form in ("product", "layers"))
    for a, b in zip(by_layers, by_product, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
