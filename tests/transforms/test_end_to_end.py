"""The end-to-end rule as a transformation."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow

import lnn
from lnn.core.problem import Problem
from lnn.transforms.catalogue import DEEP, LAYERWISE
from lnn.transforms.end_to_end import decay_factor, scale_by_end_to_end
from lnn.transforms.methods import METHODS, make_method
from lnn.transforms.single_output import scale_by_single_output


@pytest.mark.parametrize("depth", mostly_slow([1, 2, 3, 4, 8], 1, 3))
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
        assert make_method(name, 3.0, (2, 3)).decay == expected
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


@pytest.mark.parametrize("rule", [scale_by_end_to_end, scale_by_single_output])
def test_rules_say_what_they_need(rule: Any) -> None:
    for depth in (0, 0.99, -2, math.nan, True, "2"):
        with pytest.raises(ValueError, match=r"depth = .*: a network has depth 1 or more"):
            rule(depth)
    made, w = rule(2), jnp.ones((1, 3))
    state = made.init(w)
    with pytest.raises(ValueError, match=r"params = None: this rule depends on W"):
        made.update(w, state)
    with pytest.raises(
        ValueError, match=r"gradient \(1, 1, 3\) and parameter \(1, 1, 3\): .*matrix"
    ):
        made.update(w[None], state, w[None])
    with pytest.raises(ValueError, match=r"gradient \(1, 3\) and parameter \(1, 2\)"):
        made.update(w, state, jnp.ones((1, 2)))
