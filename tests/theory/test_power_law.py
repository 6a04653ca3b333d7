"""Fits of power laws against their closed forms, SciPy's own covariance and repeated noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from lnn.theory.power_law import fit_power_law, fit_power_law_with_offset, local_exponent

SIZES = 2.0 ** np.arange(8)


@given(
    exponent=st.floats(-4, 4),
    log_constant=st.floats(-20, 20),
    window=st.sampled_from([None, (1e2, 1e4), (1.0, 1e3)]),
)
def test_a_power_law_is_recovered(exponent, log_constant, window):
    t = np.geomspace(1, 1e5, 60)
    found = fit_power_law(t, math.exp(log_constant) * t**exponent, window)
    assert found.exponent == pytest.approx(exponent, abs=1e-10)
    assert found.log_constant == pytest.approx(log_constant, abs=1e-9)
    assert found.constant == pytest.approx(math.exp(log_constant), rel=1e-9)
    assert abs(found.drift) < 1e-9
    assert found.standard_error < 1e-6
    assert np.allclose(local_exponent(t, t**exponent)[1], exponent, atol=1e-10)


def test_the_window_is_what_is_fitted():
    t = np.geomspace(1, 1e6, 121)
    value = np.where(t < 1e3, t**-1.0, 1e-3 * (t / 1e3) ** -0.5)
    assert fit_power_law(t, value, (1, 900)).exponent == pytest.approx(-1)
    assert fit_power_law(t, value, (1e3, 1e6)).exponent == pytest.approx(-0.5)
    whole = fit_power_law(t, value)
    assert whole.drift == pytest.approx(0.5, abs=0.03)
    assert fit_power_law(t, value, (1e3, 1e6)).points == 61


def test_drift_sees_a_curve_that_is_no_power_law():
    t = np.geomspace(1, 100, 200)
    found = fit_power_law(t, np.exp(-0.1 * t))
    # d log value / d log t = -0.1 t: steeper and steeper.
    assert found.drift < -1
    times, exponents = local_exponent(t, np.exp(-0.1 * t))
    assert np.allclose(exponents, -0.1 * times, rtol=1e-3)


def test_the_standard_error_is_the_scatter_of_repeated_fits():
    rng = np.random.default_rng(0)
    t = np.geomspace(1, 1e4, 30)
    fits = [fit_power_law(t, t**-0.5 * np.exp(rng.normal(0, 0.1, 30))) for _ in range(400)]
    scatter = np.std([fit.exponent for fit in fits])
    mean = np.sqrt(np.mean([fit.standard_error**2 for fit in fits]))
    assert mean == pytest.approx(scatter, rel=0.15)


@pytest.mark.parametrize(
    ("t", "value", "window", "words"),
    [
        (np.arange(5.0), np.ones(5), (0, 4), "0 < low < high"),
        (np.arange(1, 6.0), np.ones(5), (2, 3), "holds 2 of 5"),
        (np.arange(1, 6.0), np.array([1, 1, 0, 1, 1.0]), None, "positive"),
        (np.arange(1, 6.0), np.array([1, 1, np.nan, 1, 1.0]), None, "finite"),
        (np.arange(1, 6.0), np.ones(4), None, "same length"),
        (np.array([1, 1, 1, 9.0]), np.ones(4), None, "halves"),
    ],
)
def test_bad_input_is_refused(t, value, window, words):
    with pytest.raises(ValueError, match=words):
        fit_power_law(t, value, window)


def test_bad_curves_have_no_local_exponent():
    for t, value in (([2.0, 1.0], [1.0, 1.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0], [1.0])):
        with pytest.raises(ValueError, match="increasing positive"):
            local_exponent(np.array(t), np.array(value))


@given(
    a=st.floats(0.1, 1e3) | st.floats(-1e3, -0.1),
    k=st.floats(-3, -0.2) | st.floats(0.2, 3),
    b=st.floats(-1e2, 1e2),
    unit=st.sampled_from([1.0, 1e-3, 64.0]),
)
def test_an_exact_curve_is_recovered_in_any_units(a, k, b, unit):
    x = SIZES * unit
    found = fit_power_law_with_offset(x, a * SIZES**k + b)
    assert found.identifiable, found.reason
    assert found.k == pytest.approx(k, rel=1e-5)
    assert found.a * unit**k == pytest.approx(a, rel=1e-5)
    size = abs(a) * np.ptp(SIZES**k)
    assert found.b == pytest.approx(b, abs=1e-5 * (size + abs(a)))
    assert np.allclose(found.at(x), a * SIZES**k + b, atol=1e-6 * size)


def test_errors_are_those_of_scipy_in_the_original_units():
    rng = np.random.default_rng(3)
    x = 64 * SIZES
    sigma = np.full(8, 0.02)
    y = 30 * x**-0.8 + 1.5 + rng.normal(0, 0.02, 8)
    found = fit_power_law_with_offset(x, y, sigma, confidence=0.9)
    best, covariance = optimize.curve_fit(
        lambda x, a, k, b: a * x**k + b, x, y, (30, -0.8, 1.5), sigma, absolute_sigma=True
    )
    assert np.allclose([found.a, found.k, found.b], best, rtol=1e-4)
    errors = np.sqrt(np.diag(covariance))
    assert np.allclose([found.a_error, found.k_error, found.b_error], errors, rtol=1e-3)
    half = stats.norm.ppf(0.95) * found.k_error
    assert found.k_interval == pytest.approx((found.k - half, found.k + half))


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        found = fit_power_law_with_offset(SIZES, 3 * SIZES**-0.7 + 2 + rng.normal(0, 0.02, 8))
        truths = zip(
            (found.a_interval, found.k_interval, found.b_interval), (3, -0.7, 2), strict=True
        )
        covered.append([low <= truth <= high for (low, high), truth in truths])
    assert np.allclose(np.mean(covered, axis=0), 0.95, atol=0.035)


def test_a_logarithm_and_a_constant_and_noise_are_not_identifiable():
    rng = np.random.default_rng(0)
    logarithm = fit_power_law_with_offset(SIZES, 3 * np.log(SIZES) + rng.normal(0, 0.05, 8))
    assert not logarithm.identifiable
    assert "includes 0" in logarithm.reason
    assert abs(logarithm.correlation) > 0.999
    constant = fit_power_law_with_offset(SIZES, np.full(8, 2.0))
    assert not constant.identifiable
    assert "rank" in constant.reason
    assert constant.k_interval == (-math.inf, math.inf)
    assert constant.at(SIZES) == pytest.approx(2.0)
    noise = fit_power_law_with_offset(SIZES, rng.normal(0, 1, 8))
    assert not noise.identifiable


def test_weights_decide_which_points_count():
    y = 3 * SIZES**-0.7 + 2
    wrong = y.copy()
    wrong[3] += 1.0
    sigma = np.full(8, 1e-3)
    sigma[3] = 1e3
    assert fit_power_law_with_offset(SIZES, wrong, sigma).k == pytest.approx(-0.7, abs=1e-6)
    assert abs(fit_power_law_with_offset(SIZES, wrong).k + 0.7) > 0.05


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (SIZES[:3], SIZES[:3], {}, "at least four"),
        (-SIZES, SIZES, {}, "positive"),
        (SIZES, SIZES[:7], {}, "same length"),
        (SIZES, SIZES, {"confidence": 95}, "between 0 and 1"),
        (SIZES, SIZES, {"sigma": 0 * SIZES}, "sigma"),
    ],
)
def test_bad_input_of_the_offset_fit_is_refused(x, y, options, words):
    with pytest.raises(ValueError, match=words):
        fit_power_law_with_offset(x, y, **options)
