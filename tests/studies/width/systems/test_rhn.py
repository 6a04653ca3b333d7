"""The recurrent highway network beside its equations in NumPy, and beside autodiff."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import network_checks as checks
import numpy as np
import pytest
from scipy.special import expit

from lnn.studies.width.systems import rhn

V, WIDTH, DEPTH = 7, 5, 3
SYMBOLS = np.random.default_rng(0).integers(0, V, (4, 7)).astype(np.int32)
SLOPE = jax.jit(jax.value_and_grad(rhn.loss))


def start(seed: int = 0) -> rhn.Params:
    return rhn.initial(jax.random.key(seed), V, WIDTH, DEPTH)


def reference(params: Any, symbols: np.ndarray) -> float:
    """Equations 6 to 9, window by window and layer by layer, with h, t and c = 1 - t apart."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    depth, width, _ = p["hidden"]["recurrent"].shape
    total = 0.0
    for window in symbols:
        s = np.zeros(width)
        for now, following in pairwise(window):
            x = p["embedding"]["rows"][now]
            for layer in range(depth):
                recurrent, bias = p["hidden"]["recurrent"][layer], p["hidden"]["bias"][layer]
                h = s @ recurrent[:, :width] + bias[:width]
                t = s @ recurrent[:, width:] + bias[width:]
                if layer == 0:
                    h = h + x @ p["hidden"]["input"][:, :width]
                    t = t + x @ p["hidden"]["input"][:, width:]
                h, t = np.tanh(h), expit(t)
                s = h * t + s * (1 - t)
            logits = s @ p["softmax"]["weights"] + p["softmax"]["bias"]
            total += np.log(np.sum(np.exp(logits))) - logits[following]
    return total / symbols[:, 1:].size


def plain(first: jax.Array, recurrent: jax.Array, bias: jax.Array) -> jax.Array:
    """The recurrence for autodiff."""
    depth, width, _ = recurrent.shape

    def step(state: jax.Array, offset: jax.Array) -> tuple[jax.Array, jax.Array]:
        for layer in range(depth):
            sums = state @ recurrent[layer] + (bias[layer - 1] if layer else offset)
            gate = jax.nn.sigmoid(sums[:, width:])
            state = jnp.tanh(sums[:, :width]) * gate + state * (1 - gate)
        return state, state

    return jax.lax.scan(step, jnp.zeros((first.shape[1], width)), first)[1]


def test_loss_is_that_of_the_equations() -> None:
    for seed in range(3):
        params = jax.tree.map(lambda leaf: 1.5 * leaf, start(seed))
        assert float(SLOPE(params, SYMBOLS)[0]) == pytest.approx(
            reference(params, SYMBOLS), rel=2e-6
        )


@pytest.mark.slow
def test_one_layer_is_enough() -> None:
    params = rhn.initial(jax.random.key(1), V, WIDTH, 1)
    assert float(SLOPE(params, SYMBOLS)[0]) == pytest.approx(reference(params, SYMBOLS), rel=2e-6)


@pytest.mark.slow
def test_gradient_is_that_of_differences(x64: None) -> None:
    checks.check_by_differences(SLOPE, checks.doubled(start()), SYMBOLS)


def test_own_backward_pass_is_autodiffs(
    monkeypatch: pytest.MonkeyPatch, standard_promotion: None
) -> None:
    found = SLOPE(start(), SYMBOLS)
    monkeypatch.setattr(rhn, "highway", plain)
    checks.close_gradients(found, jax.jit(jax.value_and_grad(rhn.loss))(start(), SYMBOLS))


@pytest.mark.slow
def test_gradients_of_seeds_and_programs() -> None:
    checks.check_seeds(SLOPE, [start(0), start(1)], SYMBOLS)
    checks.check_programs(SLOPE, start(), SYMBOLS)


def test_initial_weights() -> None:
    width, depth = 100, 4
    params = rhn.initial(jax.random.key(0), 200, width, depth)
    assert tuple(params) == rhn.GROUPS
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    hidden = params["hidden"]
    weights = [hidden["input"], *hidden["recurrent"], params["softmax"]["weights"]]
    for matrix in weights:
        assert float(matrix.std()) == pytest.approx(width**-0.5, rel=0.05)
    assert float(params["embedding"]["rows"].std()) == pytest.approx(1, rel=0.05)
    entries = {float(w[0, 0]) for w in (*weights, params["embedding"]["rows"])}
    assert len(entries) == len(weights) + 1  # every array has a key of its own
    assert (hidden["bias"][:, :width] == 0).all()
    assert (hidden["bias"][:, width:] == -1).all()
    assert not params["softmax"]["bias"].any()
    same, other = (rhn.initial(jax.random.key(k), 200, width, depth) for k in (0, 1))
    assert all(map(np.array_equal, jax.tree.leaves(same), jax.tree.leaves(params)))
    assert not np.array_equal(other["hidden"]["input"], params["hidden"]["input"])


@pytest.mark.slow
def test_at_the_start_it_knows_nothing() -> None:
    symbols = np.random.default_rng(0).integers(0, 65, (16, 51)).astype(np.int32)
    loss = jax.jit(rhn.loss)(rhn.initial(jax.random.key(0), 65, 32, 4), symbols)
    assert float(loss) == pytest.approx(np.log(65), rel=0.05)
