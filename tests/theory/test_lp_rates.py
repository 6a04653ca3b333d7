"""Rates on the l_p loss against loops over weights, closed forms, autodiff and mpmath."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import optimize

from lnn.theory import lp_rates
from lnn.theory.power_law import fit_power_law

pytestmark = pytest.mark.usefixtures("x64")

LABELS = np.array([2.0, 1.0])
VECTOR = np.array([0.05, 0.2])


def weights_descend(y, p, rate, steps, s, m):
    """Gradient descent on (s, m) itself, with gradients by autodiff."""
    gradient = jax.jit(jax.grad(lp_rates.scaled_loss), static_argnums=2)
    parameters = jnp.concatenate([jnp.array([s]), jnp.asarray(m)])
    for _ in range(steps):
        parameters = parameters - rate * gradient(parameters, jnp.asarray(y), p)
    return float(parameters[0]), np.asarray(parameters[0] * parameters[1:] - y)


@pytest.mark.parametrize("p", [2.0, 2.5, 4.0, 6.0])
def test_descent_is_that_of_the_weights(p):
    rate = 0.4 / LABELS[0] ** (p - 2)
    found = lp_rates.descend(LABELS, p, rate, np.array([1, 7, 60]))
    w = np.zeros(2)
    for step in range(1, 61):
        r = w - LABELS
        w = w - rate * np.sign(r) * np.abs(r) ** (p - 1)
        if step in found.time:
            (k,) = np.flatnonzero(found.time == step)
            assert np.allclose(found.delta[k, 0], w - LABELS, rtol=1e-10, atol=1e-15)
    assert np.array_equal(found.scale, np.ones((3, 1)))


@pytest.mark.parametrize("p", [2.0, 4.0])
def test_descent_with_a_scalar_is_that_of_the_weights(p):
    found = lp_rates.descend_scaled(LABELS, p, 0.05, np.array([3, 40]), 0.3, VECTOR)
    for k, steps in enumerate((3, 40)):
        s, delta = weights_descend(LABELS, p, 0.05, steps, 0.3, VECTOR)
        assert found.scale[k, 0] == pytest.approx(s, rel=1e-10)
        assert np.allclose(found.delta[k, 0], delta, rtol=1e-9)


@pytest.mark.slow
def test_a_batch_is_its_runs():
    y = np.array([[2.0, 1.0], [3.0, 1.0]])
    powers, rates, record = np.array([4.0, 6.0]), np.array([0.1, 0.004]), np.array([10, 100])
    together = lp_rates.descend_scaled(y, powers, rates, record, 0.1, VECTOR)
    alone = lp_rates.descend(y, powers, rates, record)
    for r in range(2):
        one = lp_rates.descend_scaled(y[r], powers[r], rates[r], record, 0.1, VECTOR)
        assert np.allclose(one.delta[:, 0], together.delta[:, r], rtol=1e-13)
        one = lp_rates.descend(y[r], powers[r], rates[r], record)
        assert np.allclose(one.delta[:, 0], alone.delta[:, r], rtol=1e-13)


def test_the_error_does_not_stall():
    """Late errors in 50 digits, where weights in float64 have lost most of theirs."""
    y, p, rate, steps = 1.0, 4, 0.1, 2000
    found = lp_rates.descend(np.array([y]), float(p), rate, np.array([steps]))
    with mpmath.workdps(50):
        delta = mpmath.mpf(-y)
        for _ in range(steps):
            delta = delta - mpmath.mpf(rate) * delta ** (p - 1)
        assert float(found.delta[0, 0, 0] / delta - 1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("p", [4.0, 6.0])
def test_descent_tends_to_the_flow(p):
    """The error of Euler's method is of the first order in the rate."""
    flow = lp_rates.flow_scaled(LABELS, p, np.array([2.0]), 0.2, VECTOR)
    errors = []
    for steps in (4000, 8000, 16000):
        found = lp_rates.descend_scaled(LABELS, p, 2.0 / steps, np.array([steps]), 0.2, VECTOR)
        errors.append(np.abs(found.delta[-1, 0] - flow.delta[-1, 0]).max())
    assert np.diff(np.log2(errors)) == pytest.approx([-1, -1], abs=0.05)


def test_the_flow_keeps_the_balance_and_ends_where_balance_says():
    time = np.geomspace(0.1, 1e20, 60)
    flow = lp_rates.flow_scaled(LABELS, 4.0, time, 0.2, VECTOR)
    vector = (flow.delta[:, 0] + LABELS) / flow.scale
    gap = flow.scale[:, 0] ** 2 - np.sum(vector**2, axis=1)
    assert np.allclose(gap, 0.2**2 - VECTOR @ VECTOR, atol=1e-9)
    square = flow.scale[-1, 0] ** 2
    assert square * (square - gap[-1]) == pytest.approx(LABELS @ LABELS, rel=1e-8)


def test_without_a_scalar_the_leading_order_is_right():
    record = lp_rates.log_spaced(100_000)
    for p in (3.0, 4.0, 8.0):
        found = lp_rates.descend(np.array([1.0]), p, 0.1, record)
        size = np.abs(found.delta[:, 0, 0])
        assert size[-1] == pytest.approx(lp_rates.predicted_error(p, 0.1, 1e5), rel=1e-3)
        fit = fit_power_law(record, size, (1e4, 1e5))
        assert fit.exponent == pytest.approx(-1 / (p - 2), abs=1e-3)


@pytest.mark.parametrize("p", [4.0, 6.0, 8.0])
@pytest.mark.parametrize("y", [(2.0, 1.0), (4.0, 1.0), (1.0, 1.0), (1.2, 1.0, 1.0)])
def test_the_asymptote_rests_and_returns(y, p):
    labels = np.array(y)
    found = lp_rates.asymptote_scaled(labels, p)
    size = np.linalg.norm(labels)
    metric = size * np.eye(labels.size) + np.outer(labels, labels) / size
    assert np.allclose(found.constant / (p - 2), metric @ found.constant ** (p - 1), rtol=1e-9)
    jacobian = optimize.approx_fprime(
        found.constant, lambda c: c / (p - 2) - metric @ c ** (p - 1), 1e-7
    )
    assert np.allclose(np.sort(np.linalg.eigvals(jacobian).real), found.return_rates, atol=1e-5)
    # A shift in time is a deviation that decays as 1 / t.
    assert found.return_rates[0] == pytest.approx(-1, abs=1e-9)


def test_errors_of_both_signs_are_not_passed_off_as_of_one():
    labels = np.array([3.0, 2.0, 1.0])
    with pytest.raises(RuntimeError, match="one sign"):
        lp_rates.asymptote_scaled(labels, 4.0)
    flow = lp_rates.flow_scaled(labels, 4.0, np.array([1e14]), 0.01, np.full(3, 0.01 / 3**0.5))
    assert flow.delta[-1, 0, 0] > 0 > flow.delta[-1, 0, 1]


def test_equal_labels_have_a_closed_constant():
    """Along (1, 1) the metric is 2 |y|: c / (p-2) = 2 |y| c^(p-1)."""
    found = lp_rates.asymptote_scaled(np.array([1.0, 1.0]), 4.0)
    assert found.constant == pytest.approx((4 * np.sqrt(2)) ** -0.5)


@pytest.mark.parametrize("p", [4.0, 6.0])
def test_the_hessian_at_the_saddle(p):
    found = lp_rates.hessian_at_zero(LABELS, p)
    gradient = lp_rates.gradient_at_zero(LABELS, p)
    expected = np.zeros((3, 3))
    expected[0, 1:] = expected[1:, 0] = gradient
    assert np.allclose(found, expected)
    step = 1e-6
    numeric = [
        (np.sum((step * e - LABELS) ** p) - np.sum((-step * e - LABELS) ** p)) / (2 * step * p)
        for e in np.eye(2)
    ]
    assert np.allclose(gradient, numeric, rtol=1e-6)


def test_steps_are_even_in_their_logarithm():
    steps = lp_rates.log_spaced(10_000, per_decade=10)
    assert steps[0] == 1
    assert steps[-1] == 10_000
    late = np.diff(np.log(steps[steps > 100]))
    assert np.allclose(late, np.log(10) / 10, atol=0.02)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lp_rates.descend(LABELS, 1.5, 0.1, np.array([1])), "at least 2"),
        (lambda: lp_rates.descend(LABELS, 4.0, 0.1, np.array([2, 1])), "ascending"),
        (lambda: lp_rates.descend(LABELS, 4.0, 0.1, np.array([0, 1])), "ascending"),
        (lambda: lp_rates.flow_scaled(LABELS, 4.0, np.array([1.0]), 0.0, VECTOR), "positive"),
        (lambda: lp_rates.asymptote_scaled(LABELS, 2.0), "p > 2"),
        (lambda: lp_rates.asymptote_scaled(-LABELS, 4.0), "positive labels"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
