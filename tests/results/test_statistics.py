"""The summary of a study against cases computed by hand, and properties that must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn.results.statistics import (
    band_name,
    band_over,
    final_suboptimality,
    ordinal,
    quantile,
    steps_to_target,
)

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.5])
def test_interpolation_is_exact_for_power_laws(slope):
    steps = np.array([1, 10, 100, 10_000])
    targets = np.array([0.3, 0.1, 0.03])
    hits = steps_to_target(steps, 1.0 * steps**-slope, targets)
    np.testing.assert_array_equal(hits, np.ceil(targets ** (-1 / slope) * (1 - 1e-9)))


def test_from_step_zero_linear_in_the_steps():
    # log(1 / 0.1) / log(1 / 0.01) = 1/2 of the way from step 0 to step 4.
    assert steps_to_target(np.array([0, 4]), np.array([1.0, 0.01]), np.array([0.1])) == 2.0


def test_nothing_is_reached_in_less_than_a_step():
    assert steps_to_target(np.array([0, 4]), np.array([0.1, 0.01]), np.array([0.1])) == 1.0
    assert steps_to_target(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.9])) == 1.0


def test_to_zero_or_below_linear_in_the_value():
    steps = np.array([1, 100])
    hit = steps_to_target(steps, np.array([1.0, 0.0]), np.array([0.5]))
    assert hit == 10.0  # half way in log(steps)
    below = steps_to_target(steps, np.array([1.0, -1.0]), np.array([0.5]))
    assert below == math.ceil(100**0.25)


def test_nan_after_the_end_and_divergence_keep_earlier_crossings():
    steps = np.array([1, 2, 4, 8])
    values = np.array([[1.0, 0.1, NAN, NAN], [1.0, 0.1, 1e9, NAN], [1.0, INF, NAN, NAN]])
    hits = steps_to_target(steps, values, np.array([0.1, 0.05]))
    np.testing.assert_allclose(hits, [[2, INF], [2, INF], [INF, INF]])


def test_first_crossing_counts():
    hits = steps_to_target(np.array([1, 2, 4, 8]), np.array([1, 0.1, 1, 0.1]), np.array([0.1]))
    assert hits == 2.0


def test_extra_axes():
    values = np.random.default_rng(0).random((2, 3, 5))
    hits = steps_to_target(np.arange(5), values, np.array([0.5, 0.2]))
    assert hits.shape == (2, 3, 2)
    one = steps_to_target(np.arange(5), values[1, 2], np.array([0.5, 0.2]))
    np.testing.assert_array_equal(hits[1, 2], one)


curves = st.lists(st.one_of(st.floats(1e-12, 10.0), st.floats(-0.1, 10.0)), min_size=2, max_size=30)


@given(curves, st.integers(0, 30), st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=5))
@settings(deadline=None)
def test_steps_to_target_properties(values, ended, targets):
    steps = np.arange(len(values)) ** 2
    curve = np.array(values)
    curve[max(1, ended) :] = NAN
    targets = np.sort(targets)[::-1]
    hits = steps_to_target(steps, curve, targets)
    assert not np.isnan(hits).any()
    assert (hits[1:] >= hits[:-1]).all()  # a harder target is never reached sooner
    for hit, target in zip(hits, targets, strict=True):
        below = np.flatnonzero(curve <= target)
        assert np.isinf(hit) == (below.size == 0)
        if below.size:
            assert hit == int(hit) >= 1
            assert steps[max(below[0] - 1, 0)] <= hit <= max(steps[below[0]], 1)


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3, 4], 0.5, 3),
        ([1, 2, INF, INF], 0.5, INF),
        ([1, 2, 3, INF], 0.8, INF),
        ([1, 2, 3, 4, 5, INF], 0.8, 5),
        ([INF, 2, 3, 1], 0.2, 1),
        (list(range(11)), 0.7, 7),
        ([5], 0.2, 5),
    ],
)
def test_quantile_by_hand(values, q, expected):
    assert quantile(np.array(values), q) == expected


@given(
    st.lists(st.one_of(st.floats(0, 1e9), st.just(INF)), min_size=1, max_size=30), st.floats(0, 1)
)
def test_quantile_properties(values, q):
    value = float(quantile(np.array(values), q))
    assert value in values
    assert quantile(np.array(values), 0.2) <= quantile(np.array(values), 0.5)
    assert quantile(np.array(values), 0.5) <= quantile(np.array(values), 0.8)
    # The share of values on the careful side is at least what the name says.
    share = np.mean(np.array(values) <= value) if q >= 0.5 else np.mean(np.array(values) >= value)
    assert share >= (q if q >= 0.5 else 1 - q) - 1e-9


@pytest.mark.parametrize("values", [[], [1.0, NAN]])
def test_quantile_refuses(values):
    with pytest.raises(ValueError, match="no NaN"):
        quantile(np.array(values), 0.5)


def test_final_suboptimality_is_the_last_record_and_infinite_after_divergence() -> None:
    values = np.array([[1.0, 0.5, np.nan], [1.0, 0.5, 0.2], [1.0, 3.0, np.nan]])
    diverged = np.array([False, False, True])
    np.testing.assert_array_equal(final_suboptimality(values, diverged), [0.5, 0.2, np.inf])


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (1, "no band, one value"),
        (5, "least and most of 5 seeds"),
        (9, "2nd and 8th of 9 seeds, 96.1 % for the median"),
        (11, "3rd and 9th of 11 seeds, 93.5 % for the median"),
    ],
)
def test_the_name_of_a_band_by_hand(count: int, name: str) -> None:
    assert band_name(count) == name


@pytest.mark.parametrize("count", range(2, 60))
def test_a_band_is_of_the_values_that_its_name_says(count: int) -> None:
    band = band_over(np.arange(1.0, count + 1))
    low, high = ordinal(int(band.low)), ordinal(int(band.high))
    whole = (low, high) == ("1st", ordinal(count))
    assert band_name(count).startswith("least and most" if whole else f"{low} and {high} of")


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th",
    ]  # fmt: skip
