"""At which steps a run is recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lnn.simulation import record_steps


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 12345, 10**7])
def test_recorded_steps_are_dense_and_hold_both_ends(steps: int) -> None:
    grid = record_steps(steps)
    assert grid[0] == 0
    assert grid[-1] == steps
    assert np.all(np.diff(grid) >= 1)
    gaps = np.diff(grid)
    ratios = grid[2:] / grid[1:-1]
    # At least 40 a decade, or every step where there are fewer.
    assert np.all((gaps[1:] == 1) | (ratios <= 10 ** (1 / 40)) | (gaps[1:] <= 2))
    for low in 10 ** np.arange(2, math.floor(math.log10(steps)) if steps > 99 else 0):
        assert np.sum((grid >= low) & (grid < 10 * low)) >= 40
    assert grid.size <= 60 * max(1.0, np.log10(steps)) + 3


def test_density_is_a_choice() -> None:
    assert record_steps(10**6, 1).size <= 9
    assert np.array_equal(record_steps(50, 10**6), np.arange(51))
