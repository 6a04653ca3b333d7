"""Speed-ups, their bounds and bands, sign tests and false discoveries."""

from __future__ import annotations

from math import comb
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from lnn.results.statistics import coverage, order_statistic
from lnn.studies.phase.comparison import adjusted, least_p_value, sign_test, speedups
from lnn.studies.phase.config import FDR, QUICK, MapConfig

pytestmark = pytest.mark.once


def summarized(gd: list[float], deep: list[float], order: int = 1) -> dict[str, float]:
    steps = np.stack([gd, deep], axis=1)[None, None, :, :, None, None].astype(float)
    found = speedups(steps, 100, order)
    return {name: float(values.item()) for name, values in found.items()}


def test_speedups_and_their_bounds() -> None:
    inf = np.inf
    plain = summarized([10, 20, 30, 30, 40, 50], [5, 4, 10, 10, 20, 10])
    assert plain == {
        "speedup": 3.0, "bound": 0, "low": 2.0, "high": 5.0, "sign": 1, "p_value": 1 / 32
    }  # fmt: skip
    narrower = summarized([10, 20, 30, 30, 40, 50], [5, 4, 10, 10, 20, 10], order=2)
    assert (narrower["low"], narrower["high"], narrower["p_value"]) == (2.0, 5.0, 1 / 32)
    slower = summarized([10, 20, 30, 30, 40, 50], [20, 40, 60, 60, 80, inf])
    assert slower == {
        "speedup": 0.5, "bound": 0, "low": 0.0, "high": 0.5, "sign": -1, "p_value": 1 / 32
    }  # fmt: skip
    missed = summarized([inf, inf, 30, inf, inf, 50], [5, 4, 10, 10, 20, 25])
    assert (missed["speedup"], missed["bound"]) == (10.0, 1)  # 100 / 10
    assert (missed["low"], missed["high"], missed["sign"]) == (2.0, inf, 1)
    lost = summarized([5, 4, 10, 20, 25], [inf, inf, 30, inf, 50])
    assert (lost["speedup"], lost["bound"]) == (0.1, -1)
    both = summarized([inf] * 5, [inf] * 5)
    assert np.isnan(both["speedup"])
    assert np.isnan(both["p_value"])
    assert (both["low"], both["high"], both["sign"]) == (0.0, inf, 0)
    assert summarized([1] * 5, [1] * 5)["speedup"] == 1


@pytest.mark.parametrize(("count", "order"), [(1, 1), (5, 1), (6, 1), (9, 2), (15, 4), (20, 6)])
def test_the_band_covers_the_median_as_often_as_it_says(count: int, order: int) -> None:
    assert order_statistic(count) == order
    values = np.sort(np.random.default_rng(0).standard_normal((40_000, count)), axis=1)
    inside = np.mean((values[:, order - 1] < 0) & (values[:, -order] > 0))
    expected = coverage(count, order)
    assert abs(inside - expected) < 4 * np.sqrt(0.25 / 40_000)
    assert expected >= 0.95 or order == 1


def test_ties_and_draws_that_both_missed_are_dropped() -> None:
    """Six draws decide, five of which are faster, whatever is equal or missed beside them."""
    inf = np.inf
    gd, deep = [9.0, 9, 9, 9, 9, 9], [8.0, 8, 8, 8, 8, 10]
    expected = stats.binomtest(5, 6).pvalue
    assert summarized(gd, deep)["p_value"] == pytest.approx(expected)
    more = summarized([*gd, 7, 7, inf, inf], [*deep, 7, 7, inf, inf])
    assert (more["p_value"], more["sign"]) == (pytest.approx(expected), 1)
    # A draw that only one of them missed is known to be faster or slower.
    known = summarized([*gd, inf], [*deep, 90])
    assert known["p_value"] == pytest.approx(stats.binomtest(6, 7).pvalue)
    assert summarized([7.0] * 4, [7.0] * 4)["p_value"] == 1


def test_p_values_are_those_of_the_binomial_test() -> None:
    faster, slower = (values.ravel() for values in np.mgrid[:18, :18])
    expected = [
        stats.binomtest(int(k), int(k + m)).pvalue if k + m else 1.0
        for k, m in zip(faster, slower, strict=True)
    ]
    np.testing.assert_allclose(sign_test(faster, slower), expected, rtol=1e-12)
    # 9 draws, one of them slower, by counting: (1 + 9) of 512 outcomes on either side.
    assert sign_test(np.array(8), np.array(1)) == pytest.approx(2 * (1 + comb(9, 1)) / 2**9)


def rejected(values: np.ndarray, rate: float, method: str) -> np.ndarray:
    """The procedure as published: up to the largest i with p_(i) <= i q / m, in any order."""
    count = values.size
    by_any = sum(1 / i for i in range(1, count + 1)) if method == "by" else 1.0
    ordered = sorted(values.tolist())
    passing = [p for i, p in enumerate(ordered, 1) if p <= i * rate / (count * by_any)]
    return values <= max(passing, default=-1.0)


@pytest.mark.parametrize("method", ["bh", "by"])
def test_false_discoveries_are_controlled_as_published(method: Literal["bh", "by"]) -> None:
    rng = np.random.default_rng(0)
    for some in (0.0, 0.1, 0.5, 0.9):
        draws = rng.binomial(15, np.where(rng.random((2, 30, 10)) < some, 0.97, 0.5))
        values = sign_test(draws, 15 - draws)
        missing = rng.random(values.shape) < 0.2
        values[missing] = np.nan
        found = adjusted(values, method)
        assert (np.isnan(found) == missing).all()
        for one, of in zip(values, found, strict=True):
            expected = rejected(one[np.isfinite(one)], FDR, method)
            np.testing.assert_array_equal(of[np.isfinite(one)] <= FDR, expected)


def test_each_exponent_is_a_family_of_its_own() -> None:
    values = np.array([[0.01, 1.0, 1.0, np.nan], [0.01, 0.01, np.nan, np.nan]])
    expected = [[0.03, 1.0, 1.0, np.nan], [0.01, 0.01, np.nan, np.nan]]
    np.testing.assert_allclose(adjusted(values), expected)
    assert np.isnan(adjusted(np.full((1, 3), np.nan))).all()


def test_draws_suffice_for_a_single_cell_and_one_less_does_not() -> None:
    """Of m p-values, the least is significant by itself up to 0.05 / m."""
    config = MapConfig()
    each = FDR * len(config.p) / config.studies
    assert least_p_value(config.seeds) == 2.0 ** (1 - config.seeds) <= each
    assert least_p_value(config.seeds - 1) > each
    quick = MapConfig(**QUICK)
    assert least_p_value(quick.seeds) <= FDR * len(quick.p) / quick.studies
    alone = np.ones((1, config.studies // len(config.p)))
    alone[0, 0] = least_p_value(config.seeds)
    assert (adjusted(alone) <= FDR).sum() == 1
