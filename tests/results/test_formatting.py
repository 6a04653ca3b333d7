"""Numbers in tables."""

from __future__ import annotations

import math

import pytest

from lnn.results import formatting
from lnn.results.formatting import speedup_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1.00"), (1234.0, "1230"), (9999.0, "10.0k"), (45_678, "45.7k"),
        (1e6, "1.00M"), (0.012345, "0.0123"), (1.2e-7, "1.20e-07"), (math.inf, "inf"),
        (math.nan, "-"), (99.96, "100"), (3e12, "3.00e+12"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_compact_numbers(value, text):
    assert formatting.compact(value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((2.0, 2.0, 2.0), "2.00"),
        ((math.inf, 12.3, math.inf), ">12.3"),
        ((0.0, 0.0, 0.5), "<0.50"),
        ((0.0, 0.0, 0.031), "<0.031"),
        ((math.inf, 0.0, math.inf), "any"),
        ((0.0, 0.0, math.inf), "any"),
        ((math.nan, 0.0, math.inf), "-"),
    ],
)
def test_speedups_as_bounds(arguments, text):
    assert speedup_text(*arguments) == text
