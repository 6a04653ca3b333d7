"""Measurements shared by claims: ratios of steps, and choices of a learning rate."""

from __future__ import annotations

import numpy as np

from lnn.claims.measure import missed, ratio, soonest


def test_what_diverged_is_infinite_and_prints_so() -> None:
    found = missed(np.array([1.0, np.nan, np.inf, -np.inf]))
    np.testing.assert_array_equal(found, [1, np.inf, np.inf, -np.inf])
    assert f"{found[2]:g}" == "inf"


def test_a_rate_is_chosen_for_the_worst_start() -> None:
    steps = np.array([[1.0, np.inf], [9.0, 9.0], [2.0, 8.0]])
    assert soonest(steps) == 2
    assert soonest(steps[:2]) == 1
    most, none = [3.0, 3.0, np.inf], [np.inf, np.inf, np.inf]
    assert soonest(np.array([none, most])) == 1


class TestRatio:
    def test_is_paired_by_start(self) -> None:
        found = ratio(np.array([10.0, 40.0, 90.0]), np.array([10.0, 20.0, 30.0]), 100)
        assert found.least.median == found.most.median == 2
        assert found.band == (1, 3)
        assert str(found) == "2.00"

    def test_bounds_what_the_other_missed(self) -> None:
        found = ratio(np.full(3, np.inf), np.full(3, 20.0), 100)
        assert (found.least.median, found.most.median) == (5, np.inf)
        assert str(found) == "at least 5.00"

    def test_bounds_what_the_method_missed(self) -> None:
        found = ratio(np.full(3, 20.0), np.full(3, np.inf), 100)
        assert (found.least.median, found.most.median) == (0, 0.2)
        assert str(found) == "at most 0.20"

    def test_knows_nothing_where_both_missed(self) -> None:
        assert str(ratio(np.full(3, np.inf), np.full(3, np.inf), 100)).startswith("unknown")
