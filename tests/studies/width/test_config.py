"""Setups of the study of width, and what is refused."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from lnn.studies.width.config import SCALES, SPACING, SYSTEMS, Setup, WidthConfig

EVERY = [setup for scale in SCALES.values() for setup in scale.values()]


@pytest.mark.parametrize("setup", EVERY, ids=lambda setup: f"{setup.system}-{setup.steps}")
def test_evaluations_are_spread_over_the_run(setup: Setup) -> None:
    found = setup.evaluations
    assert found[:2] == (0, setup.first)
    assert found[-1] == setup.steps
    for before, after in pairwise(found[1:-1]):
        assert after - before == max(setup.every, round(SPACING * before))
    assert 0 < found[-1] - found[-2] <= max(setup.every, round(SPACING * found[-2]))


def test_a_short_run_is_evaluated_at_its_ends() -> None:
    assert replace(EVERY[0], steps=7, first=100).evaluations == (0, 7)
    assert replace(EVERY[0], steps=25, first=3, every=10).evaluations == (0, 3, 13, 23, 25)


@pytest.mark.parametrize("setup", EVERY, ids=lambda setup: f"{setup.system}-{setup.steps}")
def test_scales_can_be_run(setup: Setup) -> None:
    assert len(setup.widths) >= 2
    for values in (setup.widths, setup.sizes, setup.tuned):
        assert list(values) == sorted(set(values))
    assert setup.sizes[0] > setup.length
    assert setup.validation > setup.length
    assert setup.first < setup.least < setup.steps
    ratios = [b / a for a, b in pairwise(setup.tuned)]
    assert all(math.isclose(ratio, ratios[0]) for ratio in ratios)  # the range can be extended
    assert setup.rate_of(setup.optimizers[0]) == setup.rates[0]


def test_what_is_given_replaces_the_scales() -> None:
    (setup,) = WidthConfig(systems=("words",), widths=(9, 3, 9), sizes=(900, 80), seeds=2).setups
    assert (setup.widths, setup.sizes, setup.seeds) == ((3, 9), (80, 900), 2)
    assert (setup.middle_width, setup.middle_size) == (9, 900)
    assert WidthConfig().setups == tuple(SCALES["reduced"][system] for system in SYSTEMS)
    assert WidthConfig(systems=["speech", "words", "speech"]).systems == ("speech", "words")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "rates", "other"),
    [
        ({"optimizers": ("adam",)}, (0.002,), 0.8),
        ({"optimizers": ("adam", "sgd")}, (0.002,), 0.8),
        ({"optimizers": ("adam",), "rates": (0.01, 0.1)}, (0.01, 0.1), 0.8),
        ({"rates": (0.5, 0.1, 0.5)}, (0.5, 0.1), 0.002),
        ({"optimizers": ("sgd",)}, (0.8, 0.3), 0.002),
    ],
)
def test_rates_belong_to_the_first_optimizer(
    given: dict[str, Any], rates: tuple[float, ...], other: float
) -> None:
    (setup,) = WidthConfig(systems=("characters",), **given).setups
    assert (setup.rates, setup.other_rate, setup.tuned) == (rates, other, ())
    assert SCALES["reduced"]["characters"].tuned == (1.6, 3.2, 6.4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"systems": ("letters",)}, "system 'letters' is unknown: choose from characters, words"),
        ({"systems": ()}, "no system is named: choose from characters, words, speech"),
        ({"scale": "huge"}, "scale = 'huge': choose from reduced, full, quick"),
        ({"widths": (1, 4)}, "widths = 1: give a whole number, 2 to 65536"),
        ({"widths": (True, 4)}, "widths = True: give a whole number"),
        ({"widths": (4,)}, "widths = (4,): give at least two, whose steps are compared"),
        ({"widths": (4, 4)}, "widths = (4,): give at least two"),
        ({"sizes": (0,)}, "sizes = 0: give a whole number, 1 to"),
        ({"sizes": (50, 900)}, "sizes = 50: give more than 50, the length of a training window"),
        ({"depths": (0,)}, "depths = 0: give a whole number, 1 to 64"),
        ({"depths": (2.5,)}, "depths = 2.5: give a whole number"),
        ({"rates": (0.0,)}, "rate = 0.0: give positive numbers"),
        ({"rates": (-1.0,)}, "rate = -1.0: give positive numbers"),
        ({"rates": (math.nan,)}, "rate = nan: give positive numbers"),
        ({"rates": (math.inf,)}, "rate = inf: give positive numbers"),
        ({"rates": ("1",)}, "rate = '1': give positive numbers"),
        ({"optimizers": ("lion",)}, "optimizer 'lion' is unknown: choose from sgd, adam"),
        ({"seeds": 0}, "seeds = 0: give a whole number, 1 to 1000"),
    ],
)
def test_what_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(told)}.*$"):
        WidthConfig(**{"systems": ("characters",), **given})


def test_axes_belong_to_one_system() -> None:
    with pytest.raises(ValueError, match="--sizes with words and speech: units and ranges differ"):
        WidthConfig(systems=("words", "speech"), sizes=(500,))
