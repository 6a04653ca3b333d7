"""Compensated sums, what rounding takes from a step is added to the next one; shared counts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import mostly_slow
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lnn
from lnn.core.network import init_factors
from lnn.core.status import Status
from lnn.simulation.step import Runs, restored, shared, two_sum
from lnn.transforms.methods import METHODS, EndToEnd, Method, make_method

floats = st.floats(min_value=-(2.0**40), max_value=2.0**40, width=32).filter(
    lambda value: value == 0 or abs(value) > 2.0**-40
)


@settings(max_examples=200)
@given(floats, floats)
@example(1.0, 2.0**-24)
@example(2.0**-24, 1.0)
@example(-1.0, 1.0)
def test_two_sum_is_exact(a: float, b: float) -> None:
    """Knuth, TAOCP 2, Section 4.2.2, Theorem B: total and rest add up to a + b exactly."""
    total, rest = jax.jit(two_sum)(jnp.float32(a), jnp.float32(b))
    assert float(total) == float(np.float32(a) + np.float32(b))
    assert Fraction(float(total)) + Fraction(float(rest)) == Fraction(a) + Fraction(b)


def test_a_run_that_would_freeze_goes_on() -> None:
    """(1/4)(w - 1)^4 at rate 0.1: by w' = (1 - w)^3 the distance falls like (2 eta t)^(-1/2)."""
    problem = lnn.Problem(np.ones((1, 1)), np.ones(1), 4.0)
    kinds: tuple[dict[str, Any], ...] = ({"dtype": "float64"}, {}, {"compensation": False})
    exact, ours, plain = (
        (4 * lnn.simulate(problem, make_method("gd"), np.zeros((1, 1)), 0.1, 10**6, **kind).loss)
        ** 0.25
        for kind in kinds
    )
    assert exact[-1] == pytest.approx((2 * 0.1 * 1e6) ** -0.5, rel=1e-3)
    np.testing.assert_allclose(ours, exact, rtol=1e-4)
    assert plain[-1] == pytest.approx(6.7e-3, rel=1e-2)


@pytest.mark.parametrize("name", mostly_slow(METHODS, "end-to-end", "layerwise-adam"))
def test_steps_below_an_ulp_add_up_in_every_method(name: str) -> None:
    """From parameters near 1, 4000 steps of about 1e-9 each: without compensation nothing moves."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    problem = lnn.Problem(x, x @ [3.0, -2.0, 1.0], 2.0)
    method = make_method(name, 2.0, (1,) if name.startswith("layerwise") else ())
    factors = init_factors(jax.random.key(1), (3, 1, 1), "balanced", 1.0)
    start: Any = factors[1] @ factors[0]
    if not isinstance(method.parameterization, EndToEnd):
        start = factors
    rates = {"momentum": 1e-10, "adagrad": 1e-8, "adadelta": 1e-6}
    rate = rates.get(name, 1e-9)

    def moved(**kind: Any) -> np.ndarray:
        out = lnn.simulate(problem, method, start, rate, 4000, **kind)
        first = jax.tree.map(lambda leaf: np.asarray(leaf, out.loss.dtype), start)
        ends = zip(jax.tree.leaves(out.params), jax.tree.leaves(first), strict=True)
        return np.concatenate([np.ravel(end - begin) for end, begin in ends])

    exact = moved(dtype="float64")
    assert np.abs(exact).max() > 1e-7
    np.testing.assert_allclose(moved(), exact, atol=6e-8)  # half an ulp of a parameter below 1
    assert np.abs(moved(compensation=False) - exact).max() > 0.5 * np.abs(exact).max()


def test_the_start_is_kept_to_the_bits_that_float32_lacks() -> None:
    problem = lnn.Problem(np.ones((1, 1)), np.ones(1), 2.0)
    out = lnn.simulate(problem, make_method("gd"), np.full((1, 1), 1 / 3), 1e-30, 1)
    kept = float(out.state.params[0, 0]) + float(out.state.low[0, 0])
    assert kept == pytest.approx(1 / 3, rel=1e-14)
    assert float(out.state.params[0, 0]) == np.float32(1 / 3)


@pytest.mark.parametrize(
    ("dtype", "compensation", "kept"),
    [("float32", True, True), ("float32", False, False), ("float64", True, False)],
)
def test_compensation_is_for_float32(dtype: str, compensation: bool, kept: bool) -> None:
    problem = lnn.Problem(np.ones((1, 1)), np.ones(1), 2.0)
    out = lnn.simulate(
        problem, make_method("gd"), np.zeros((1, 1)), 0.1, 1, dtype=dtype,
        compensation=compensation,
    )  # fmt: skip
    assert (out.state.low is not None) == kept


def runs_of(method: Method, status: list[int]) -> Runs:
    params = np.ones((len(status), 1, 3), np.float32)
    state = jax.vmap(method.transformation.init)(params)
    rates = np.ones(len(status), np.float32)
    return Runs(params, None, state, rates, rates, jnp.asarray(status))


def test_counts_of_steps_are_held_once_and_come_back(standard_promotion: None) -> None:
    adam = make_method("adam")
    runs = runs_of(adam, [Status.REACHED, Status.RUNNING, Status.RUNNING])
    # A count of an ended run may be older: that of a running one holds.
    state = runs.optimizer._replace(count=jnp.array([2, 5, 5], jnp.int32))
    once = shared(adam, runs._replace(optimizer=state))
    assert once.optimizer.count.shape == ()
    assert once.optimizer.mu.shape == (3, 1, 3)
    assert np.array_equal(restored(once).optimizer.count, [5, 5, 5])


def test_integers_that_depend_on_the_run_stay_its_own(standard_promotion: None) -> None:
    def positive(params: Any) -> jax.Array:
        return jnp.sum(params > 0, dtype=jnp.int32)

    careful = optax.apply_if_finite(optax.scale_by_adam(), 3)
    counting = optax.GradientTransformation(positive, lambda g, state, _: (g, state))
    for transformation in (careful, counting):
        method = lnn.Method("mine", EndToEnd(), transformation)
        runs = runs_of(method, [Status.RUNNING] * 2)
        kept = jax.tree.leaves(shared(method, runs).optimizer)
        assert all(leaf.shape[0] == 2 for leaf in kept)
