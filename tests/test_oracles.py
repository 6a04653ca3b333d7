"""The oracles agree with each other."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import oracles
import pytest
from oracles import case, relative_error


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (10, 10)], ids=str)
def test_the_two_oracles_agree(shape: tuple[int, int]) -> None:
    if not oracles.LONG_DOUBLE:
        pytest.skip("long double is not wider than double here")
    w, g = case(shape, 1e6, 0, "float64")
    for depth in (1, 1.5, 2, 3, 4, 7.3, 8, 16, math.inf):
        answer = oracles.end_to_end_rule(oracles.mp_frame(w), g, depth)
        other = oracles.end_to_end_rule(oracles.long_frame(w), g, depth)
        assert relative_error(other, answer) < 1e-14


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_the_oracle_sum_and_its_closed_form_agree(depth: int) -> None:
    w, g = case((3, 5), 1e3, 0, "float64")
    frame = oracles.mp_frame(w)
    with mp.workdps(oracles.DIGITS):
        pairs = oracles._pairs(frame, oracles._to_mp(g), depth).astype(np.float64)
    assert relative_error(pairs, oracles.end_to_end_rule(frame, g, depth)) < 1e-15
