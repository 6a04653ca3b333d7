"""The LSTM language model beside its equations in NumPy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import network_checks as checks
import numpy as np
import pytest
from scipy.special import log_softmax

from lnn.studies.width.systems import lstm

V, WIDTH = 7, 5
SYMBOLS = np.random.default_rng(0).integers(0, V, (4, 7)).astype(np.int32)
SLOPE = jax.jit(jax.value_and_grad(lstm.loss))


def start(seed: int = 0) -> lstm.Params:
    return lstm.initial(jax.random.key(seed), V, WIDTH)


def reference(params: Any, symbols: np.ndarray) -> float:
    """Window by window and layer by layer."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    hidden, total = p["hidden"], 0.0
    for window in symbols:
        x = p["embedding"]["rows"][window[:-1]]
        for layer in range(len(hidden["bias"])):
            sums = x @ hidden["input"][layer] + hidden["bias"][layer]
            x = checks.lstm_outputs(sums, hidden["recurrent"][layer])
        chances = log_softmax(x @ p["softmax"]["weights"] + p["softmax"]["bias"], axis=1)
        total -= sum(chances[time, following] for time, following in enumerate(window[1:]))
    return total / symbols[:, 1:].size


@pytest.mark.parametrize("layers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_loss_is_that_of_the_equations(layers: int) -> None:
    params = lstm.initial(jax.random.key(1), V, WIDTH, layers)
    params = jax.tree.map(lambda leaf: 1.5 * leaf, params)
    assert float(SLOPE(params, SYMBOLS)[0]) == pytest.approx(reference(params, SYMBOLS), rel=2e-6)


@pytest.mark.slow
def test_gradient_is_that_of_differences(x64: None) -> None:
    checks.check_by_differences(SLOPE, checks.doubled(start()), SYMBOLS)


@pytest.mark.slow
def test_gradients_of_seeds_and_programs() -> None:
    checks.check_seeds(SLOPE, [start(0), start(1)], SYMBOLS)
    checks.check_programs(SLOPE, start(), SYMBOLS)


@pytest.mark.slow
def test_initial_weights() -> None:
    width = 100
    params = lstm.initial(jax.random.key(0), 200, width)
    assert tuple(params) == lstm.GROUPS
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    hidden = params["hidden"]
    weights = [*hidden["input"], *hidden["recurrent"], params["softmax"]["weights"]]
    for matrix in weights:
        assert float(matrix.std()) == pytest.approx(width**-0.5, rel=0.05)
    assert float(params["embedding"]["rows"].std()) == pytest.approx(1, rel=0.05)
    entries = {float(w[0, 0]) for w in (*weights, params["embedding"]["rows"])}
    assert len(entries) == len(weights) + 1  # every array has a key of its own
    assert not params["softmax"]["bias"].any()
    same, other = (lstm.initial(jax.random.key(k), 200, width) for k in (0, 1))
    assert all(map(np.array_equal, jax.tree.leaves(same), jax.tree.leaves(params)))
    assert not np.array_equal(other["hidden"]["input"], params["hidden"]["input"])


@pytest.mark.slow
def test_at_the_start_it_knows_nothing() -> None:
    symbols = np.random.default_rng(0).integers(0, 1000, (16, 36)).astype(np.int32)
    loss = jax.jit(lstm.loss)(lstm.initial(jax.random.key(0), 1000, 32), symbols)
    assert float(loss) == pytest.approx(np.log(1000), rel=0.05)
