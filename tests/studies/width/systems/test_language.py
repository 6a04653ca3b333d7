"""What the language models share, beside NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from lnn.studies.width.systems import language

RNG = np.random.default_rng(0)
SYMBOLS = RNG.integers(0, 6, (3, 5)).astype(np.int32)


def test_weights_are_cut_from_one_draw() -> None:
    key = jax.random.key(3)
    wide, narrow = language.draw(key, (4, 3), (2, 9, 5))
    numbers = np.asarray(jax.random.normal(key, (12 + 90,), jnp.float32))
    np.testing.assert_allclose(wide, numbers[:12].reshape(4, 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(narrow, numbers[12:].reshape(2, 9, 5) / 3, rtol=1e-6)


def test_affine_is_a_product_along_the_last_axis() -> None:
    x, weights, bias = (
        RNG.standard_normal(s).astype(np.float32) for s in ((2, 3, 4), (4, 5), (5,))
    )
    found = language.affine(jnp.asarray(x), jnp.asarray(weights), jnp.asarray(bias))
    np.testing.assert_allclose(found, np.einsum("abi,io->abo", x, weights) + bias, rtol=2e-5)


def test_rows_of_symbols_by_time() -> None:
    rows = RNG.standard_normal((6, 2)).astype(np.float32)
    found = language.embed({"rows": jnp.asarray(rows)}, SYMBOLS)
    assert found.shape == (4, 3, 2)
    for time in range(4):
        for window in range(3):
            np.testing.assert_array_equal(found[time, window], rows[SYMBOLS[window, time]])


def test_cross_entropy_is_of_the_next_symbol() -> None:
    (weights,) = language.draw(jax.random.key(0), (2, 6))
    group = {"weights": weights, "bias": jnp.zeros(6)}
    states = RNG.standard_normal((4, 3, 2)).astype(np.float32)
    logits = np.float64(states) @ np.float64(group["weights"])
    chances = log_softmax(logits, axis=-1)
    terms = [-chances[t, b, SYMBOLS[b, t + 1]] for t in range(4) for b in range(3)]
    found = language.cross_entropy(group, jnp.asarray(states), SYMBOLS)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-6)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    group = {"weights": jnp.full((2, 6), 1.0).at[:, 0].set(1e30), "bias": jnp.zeros(6)}
    states, symbols = jnp.full((4, 3, 2), 10.0), np.zeros((3, 5), np.int32)
    value, slope = jax.value_and_grad(language.cross_entropy, 1)(group, states, symbols)
    assert float(value) == 0
    assert np.isfinite(slope).all()
