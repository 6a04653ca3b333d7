"""Targets of the two-point problem: distances of both weights from their labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.datasets.built_in.two_point_targets import PARTS, two_point_targets
from lnn.datasets.regression import two_point


@pytest.mark.parametrize("y1", [1.0, 3.0, 10.0, 30.0])
@pytest.mark.parametrize("p", [2.0, 4.0])
def test_a_target_is_the_suboptimality_of_the_distance(y1: float, p: float, x64: None) -> None:
    problem = two_point(y1, 1.0, p)
    zero = float(problem.loss(np.zeros(2)))
    for part, target in zip(PARTS, problem.targets, strict=True):
        reached = float(problem.loss(np.array([y1, 1 - part]))) / zero
        assert reached / 1.01 < target <= reached * (1 + 1e-12)
    assert problem.meaning == f"both weights are within 0.5, 0.2, 0.1 of their labels, {y1:g} and 1"


def test_the_papers_illustration_is_measured_by_its_small_label() -> None:
    assert two_point(10.0, 1.0).targets == (6.24e-06, 1.59e-07, 9.99e-09)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(1.1, 20))
def test_targets_are_descending_and_within_reach(y1: float, y2: float, p: float) -> None:
    targets = two_point_targets(y1, y2, p)
    assert list(targets) == sorted(set(targets), reverse=True)
    assert all(0 < target < 1 for target in targets)
    if 0 in (y1, y2):
        assert targets == ()
    for part, target in zip(PARTS, targets, strict=False):
        small, large = sorted((abs(y1), abs(y2)))
        if small > 1e-300:
            log = p * math.log(part) + p * math.log(small / large)
            assert math.log(target) <= log - math.log1p((small / large) ** p) + 1e-9
