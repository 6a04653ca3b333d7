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
from lnn.core.spectral import precondition
from lnn.simulation.simulate import Group, simulate_groups
from lnn.transforms.catalogue import DEEP, LAYERWISE
from lnn.transforms.end_to_end import LEAST_TRACKED, decay_factor, scale_by_end_to_end
from lnn.transforms.methods import METHODS, EndToEnd, Method, make_method
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


@pytest.mark.slow
def test_many_outputs_are_followed_exactly_and_resumed_with_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    k, d = LEAST_TRACKED, LEAST_TRACKED + 2
    problem = Problem(rng.standard_normal((60, d)), rng.standard_normal((60, k)), 2.0)
    start, rates = 0.2 * rng.standard_normal((2, k, d)), np.array([1e-3, 3e-3])
    tracked = make_method("end-to-end", 3)
    fresh = optax.stateless(lambda g, w: precondition(w, g, 3))
    exact = Method("exact", EndToEnd(), fresh, 3.0, 3.0)
    whole = lnn.simulate(problem, tracked, start, rates, 40)
    true = lnn.simulate(problem, exact, start, rates, 40)
    assert whole.state.optimizer.bases.shape == (2, k, k)
    way = np.linalg.norm(true.params - start)
    assert np.linalg.norm(whole.params - true.params) < 1e-5 * way
    half = lnn.simulate(problem, tracked, start, rates, 20)
    group = Group(tracked, start, rates, np.zeros(2), half.state)
    status = np.full(2, lnn.Status.RUNNING, np.int32)
    group = group._replace(state=half.state._replace(status=status))
    grid = list(range(41))
    (rest,) = simulate_groups(problem, [group], 40, record=grid, begin=(20, 20))
    assert rest.params.tobytes() == whole.params.tobytes()


@pytest.mark.slow
def test_leaves_of_all_sizes_have_bases_of_their_own(x64: None) -> None:
    rng = np.random.default_rng(0)
    shapes = {"wide": (24, 30), "tall": (40, 25), "small": (3, 5), "one": (4,)}
    params = {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}
    rule = scale_by_end_to_end(2)
    state = rule.init(params)
    assert [leaf.shape[0] for leaf in jax.tree.leaves(state)] == [0, 0, 25, 24]
    for _ in range(2):
        updates, state = jax.jit(rule.update)(params, state, params)
        exact, _ = rule.update(params, optax.EmptyState(), params)
        for ours, theirs in zip(jax.tree.leaves(updates), jax.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
        params = jax.tree.map(lambda w: w + 1e-4, params)
    assert isinstance(scale_by_end_to_end(1).init(params), optax.EmptyState)


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
