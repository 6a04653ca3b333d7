"""What `simulate` accepts beside a method and a start of the right shape."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
import pytest
from cases import mostly_slow
from small_problems import problem_of

import lnn
from lnn.simulation import simulate

FACTORS = (np.full((3, 6), 0.1), np.full((1, 3), 0.2))
OPTIONS: dict[str, Any] = {"dtype": "float64"}


@pytest.fixture(scope="module")
def problem() -> lnn.Problem:
    return problem_of(k=1)


def by_hand(problem: lnn.Problem, rates: Any) -> np.ndarray:
    """W after gradient descent from zero at these rates, one a step."""
    w = np.zeros((1, problem.d))
    for rate in rates:
        residual = np.asarray(problem.x) @ w[0] - np.asarray(problem.y).ravel()
        pull = np.sign(residual) * np.abs(residual) ** (problem.p - 1)
        w = w - rate * (pull @ np.asarray(problem.x)) / problem.m
    return w


def test_a_label_stands_for_a_method(problem: lnn.Problem) -> None:
    start = np.full((1, 6), 0.1)
    for label, method in (
        ("gd", lnn.make_method("gd")), ("end-to-end-2.5", lnn.make_method("end-to-end", 2.5)),
    ):  # fmt: skip
        ours, theirs = (simulate(problem, m, start, 0.01, 20) for m in (label, method))
        np.testing.assert_array_equal(ours.loss, theirs.loss)


@pytest.mark.parametrize("label", mostly_slow(["layerwise-gd", "layerwise-gd-2"], "layerwise-gd"))
def test_depth_and_widths_are_those_of_the_factors(problem: lnn.Problem, label: str) -> None:
    given = simulate(problem, lnn.make_method("layerwise-gd", 2, [3]), FACTORS, 0.01, 20)
    derived = simulate(problem, label, FACTORS, 0.01, 20)
    np.testing.assert_array_equal(given.loss, derived.loss)


def test_one_number_for_all_hidden_widths() -> None:
    assert lnn.make_method("layerwise-gd", 3, 10) is lnn.make_method("layerwise-gd", 3, [10, 10])
    assert lnn.make_method("layerwise-gd", 3, np.array([4, 5])).parameterization.hidden == (4, 5)


@pytest.mark.parametrize("label", ["layerwise-gd-3", "layerwise-adam-4"])
def test_a_label_that_contradicts_the_factors_is_refused(problem: lnn.Problem, label: str) -> None:
    with pytest.raises(ValueError, match=r"the factors .* of the start, which has 2 of them"):
        simulate(problem, label, FACTORS, 0.01, 20)


@pytest.mark.parametrize(
    ("method", "start"),
    [
        (lnn.make_method("layerwise-gd", 2), FACTORS),  # width 3 where 1 is meant
        (lnn.make_method("layerwise-gd", 3), FACTORS),
        (lnn.make_method("layerwise-gd", 2, (3,)), (FACTORS[0], np.eye(3), FACTORS[1])),
        (lnn.make_method("gd"), FACTORS),
    ],
)
def test_factors_that_contradict_their_method_are_refused(
    problem: lnn.Problem, method: Any, start: Any
) -> None:
    with pytest.raises(ValueError, match=r"start (has leaves of shape|is a tuple of \d:) .*needs "):
        simulate(problem, method, start, 0.01, 20)


def test_an_optax_optimizer_in_the_methods_place(problem: lnn.Problem) -> None:
    out = simulate(problem, optax.sgd(0.01), np.zeros((1, 6)), None, 15, **OPTIONS)
    np.testing.assert_allclose(out.params, by_hand(problem, [0.01] * 15), rtol=1e-10)
    layers = simulate(problem, optax.adam(0.01), FACTORS, None, 15, **OPTIONS)
    method = lnn.make_method("layerwise-adam", 2, 3)
    ours = simulate(problem, method, FACTORS, 0.01, 15, **OPTIONS)
    np.testing.assert_allclose(layers.loss, ours.loss, rtol=1e-9)
    with pytest.raises(ValueError, match="learning_rate beside an optax optimizer"):
        simulate(problem, optax.sgd(0.01), np.zeros((1, 6)), 0.1, 15)


def test_a_schedule_of_learning_rates(problem: lnn.Problem) -> None:
    schedule = optax.cosine_decay_schedule(0.02, 12)
    rates = [float(schedule(step)) for step in range(12)]
    out = simulate(problem, "gd", np.zeros(6), schedule, 12, **OPTIONS)
    np.testing.assert_allclose(out.params, by_hand(problem, rates), rtol=1e-6)
    with pytest.raises(ValueError, match="its decay would not follow the schedule"):
        simulate(problem, "end-to-end-2", np.ones(6), schedule, 12, weight_decay=0.1)


def test_one_start_serves_all_rates_and_a_weight_vector_is_a_matrix(problem: lnn.Problem) -> None:
    rates = np.array([0.01, 0.02, 0.005])
    vector = np.linspace(-0.2, 0.3, 6)
    whole = simulate(problem, "gd", np.stack([vector[None]] * 3), rates, 10)
    for start in (vector, vector[None], np.stack([vector] * 3)):
        np.testing.assert_array_equal(simulate(problem, "gd", start, rates, 10).loss, whole.loss)
    layers = simulate(problem, "layerwise-gd", FACTORS, rates, 10)
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 3), FACTORS)
    method = lnn.make_method("layerwise-gd", 2, 3)
    np.testing.assert_array_equal(simulate(problem, method, batch, rates, 10).loss, layers.loss)


@pytest.mark.parametrize(
    "start",
    [
        (np.zeros((1, 6)),), {"w": np.zeros((1, 6))}, (np.zeros(6), np.zeros(1)), [[0.0] * 6] * 2,
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["gd", "end-to-end-2", "layerwise-gd", optax.sgd(0.1)])
def test_starts_of_another_structure_are_refused(
    problem: lnn.Problem, method: Any, start: Any
) -> None:
    rate = None if isinstance(method, optax.GradientTransformation) else 0.1
    with pytest.raises(ValueError, match=r"start (is|has)|of the start, which has"):
        simulate(problem, method, start, rate, 3)


def test_a_list_of_numbers_is_a_weight_vector(problem: lnn.Problem) -> None:
    listed = simulate(problem, "end-to-end-2", [0.1] * 6, 0.01, 5)
    array = simulate(problem, "end-to-end-2", np.full(6, 0.1), 0.01, 5)
    np.testing.assert_array_equal(listed.loss, array.loss)


def test_steps_to_record(problem: lnn.Problem) -> None:
    out = simulate(problem, "gd", np.zeros(6), 0.01, 20, record=[7, 3, 3])
    assert list(out.steps) == [0, 3, 7, 20]
    all_steps = simulate(problem, "gd", np.zeros(6), 0.01, 20, record=range(21))
    np.testing.assert_array_equal(all_steps.loss[[0, 3, 7, 20]], out.loss)
    with pytest.raises(ValueError, match="record = 21: give a whole number, 0 to 20"):
        simulate(problem, "gd", np.zeros(6), 0.01, 20, record=[21])


@pytest.mark.parametrize(
    "dtype", mostly_slow([np.float64, np.dtype("float64"), jax.numpy.float64], np.float64)
)
def test_a_dtype_by_its_type(problem: lnn.Problem, dtype: Any) -> None:
    assert simulate(problem, "gd", np.zeros(6), 0.01, 2, dtype=dtype).loss.dtype == np.float64
    assert lnn.StudyConfig(dtype=dtype).dtype == "float64"


@pytest.mark.parametrize(
    ("method", "rate", "error", "message"),
    [
        ("sgd", 0.1, ValueError, "method 'sgd' is unknown: choose from gd, .*'end-to-end-2'"),
        ("end-to-end", 0.1, ValueError, "needs a depth: give for example 'end-to-end-2'"),
        ("end-to-end-0.5", 0.1, ValueError, "depth = 0.5: a network has depth 1 or more"),
        ("end-to-end-x", 0.1, ValueError, "method 'end-to-end-x' is unknown"),
        ("gd", None, ValueError, "learning_rate is None: give a positive number"),
        (7, 0.1, TypeError, "method is a int: give a Method"),
    ],
)
def test_what_is_no_method_is_named(
    problem: lnn.Problem, method: Any, rate: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulate(problem, method, np.zeros(6), rate, 5)
