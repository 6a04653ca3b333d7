"""Tuned learning rates of the map."""

from __future__ import annotations

import numpy as np
import pytest

from lnn.studies.phase.config import COARSE, PER_DECADE, RATES, TUNING
from lnn.studies.phase.tuning import tuned

pytestmark = pytest.mark.once


def test_the_papers_grid_is_part_of_the_fine_one() -> None:
    coarse = np.array(RATES)[list(COARSE)]
    paper = sorted([10.0**k for k in range(-6, 2)] + [5 * 10.0**k for k in range(-6, 1)])
    np.testing.assert_allclose(coarse, paper, rtol=0.003)
    np.testing.assert_allclose(np.diff(np.log10(RATES)), 1 / PER_DECADE)


def hits_of(rows: list[list[list[float]]]) -> np.ndarray:
    """Steps (draws, rates) of each method as hits of one cell and target."""
    found = np.full((1, 1, len(rows[0]), len(rows), 1, len(rows[0][0]), 1), np.inf)
    found[0, 0, :, :, 0, :, 0] = np.swapaxes(np.array(rows), 0, 1)
    return found


def test_the_rate_is_the_best_on_the_worst_tuning_draw() -> None:
    inf = np.inf
    gd = [[5, 9, 7, 1], [5, 1, 7, 1], [5, 1, 6, inf], [50, 60, 70, 80], [51, 61, 71, 81]]
    deep = [[9, 5, 5, 9], [9, 4, 4, 9], [9, 3, 4, 9], [1, 2, 3, 4], [5, inf, 7, 8]]
    rarely = [[inf, 9.0, inf, inf], [1, inf, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    # The third tuning draw stands for all others.
    rows = [[*row[:3], *[row[2]] * (TUNING - 3), *row[3:]] for row in (gd, deep, rarely)]
    steps, rates, edge = tuned(hits_of(rows), np.arange(4))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[50, 2, 1], [51, inf, 1]])
    np.testing.assert_allclose(rates[0, 0, :, 0, 0], [RATES[0], RATES[1], RATES[0]])
    np.testing.assert_array_equal(edge[0, 0, :, 0, 0], [-1, 0, -1])
    # Of the first and third rate only: 5 against 7, and 9 against 5.
    steps, rates, edge = tuned(hits_of(rows), np.array([0, 2]))
    np.testing.assert_array_equal(steps[0, 0, :, :2, 0, 0], [[50, 3], [51, 7]])
    np.testing.assert_allclose(rates[0, 0, :2, 0, 0], [RATES[0], RATES[2]])
    np.testing.assert_array_equal(edge[0, 0, :2, 0, 0], [-1, 1])


def test_a_miss_on_one_tuning_draw_is_no_miss_on_the_draws_that_report() -> None:
    """A rate that reached the target on some tuning draws is measured; else there is none."""
    inf = np.inf
    gd = [[inf, inf], *[[9, inf]] * (TUNING - 1), [7, 1], [8, 1]]
    nothing = [*[[inf, inf]] * TUNING, [7, 1], [8, 1]]
    steps, rates, _ = tuned(hits_of([gd, nothing]), np.arange(2))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[7, inf], [8, inf]])
    np.testing.assert_allclose(rates[0, 0, :, 0, 0], [RATES[0], np.nan])


def test_steps_are_whole() -> None:
    """A target that is passed within the first step is reached after one step."""
    gd = [[0.1]] * TUNING + [[0.2], [0.0], [3.0]]
    deep = [[2.5]] * TUNING + [[2.5], [1.0], [np.inf]]
    steps, _, _ = tuned(hits_of([gd, deep]), np.arange(1))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[1, 3], [0, 1], [3, np.inf]])
