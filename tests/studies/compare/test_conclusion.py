"""The sentence that concludes a study."""

from __future__ import annotations

import re

import pytest
from fake_study import EIGHT, SPEED, TWELVE, fake_study

from lnn.studies.compare.summary import summarize


def said(labels, **options) -> str:
    text = summarize(fake_study(labels, **options)).conclusion
    assert text.endswith(".")
    assert not re.search(r"\bnan\b|\binf\b times|\.\.|  ", text)
    assert text.count(". ") == 0  # one sentence
    return text


TWO = ("gd", "end-to-end-4")


def test_depth_helps():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 3.0})
    assert text.startswith("The end-to-end rule at depth 4 is the fastest to a relative subopt")
    assert "depth helps here: the end-to-end rule at depth 4 is" in text
    assert "times as fast as tuned GD to 0.01" in text


@pytest.mark.parametrize("faster", [3.0, 1.02, 0.4])
def test_the_band_is_called_what_it_is(faster):
    for seeds, name in ((5, "least and most of 5"), (11, "3rd and 9th of 11")):
        text = said(TWO, speed={"gd": 1.0, "end-to-end-4": faster}, seeds=seeds, wobble=0.02)
        assert re.search(rf"to 0\.01.*; brackets: {name} seeds", text)
    assert "brackets" not in said(TWO, speed={"gd": 1.0, "end-to-end-4": faster}, seeds=1)


def test_depth_does_not_help():
    text = said(TWO, speed={"gd": 3.0, "end-to-end-4": 1.0})
    assert text.startswith("GD is the fastest")
    assert "depth does not help here: the end-to-end rule at depth 4 is 0." in text


def test_no_clear_difference_when_the_band_holds_one():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 0.8}, wobble=0.4)
    assert "depth makes no clear difference here" in text
    assert "spacing" not in text


def test_no_clear_difference_within_the_spacing_of_rates():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 1.5}, spacing=5.0)
    assert "depth makes no clear difference here" in text
    assert "less than the spacing of the learning rates tried (a factor 5.00)" in text


def test_gd_missed():
    text = said(TWO, speed={"gd": 0.1, "end-to-end-4": 3.0})
    assert re.search(r"is more than [\d.]+ times \[>[\d.]+, >[\d.]+\] as fast as tuned GD", text)
    assert "which tuned GD does not reach on half of the seeds within 10000 steps" in text


def test_deep_missed():
    text = said(TWO, speed={"gd": 3.0, "end-to-end-4": 0.01})
    assert "depth does not help here: the end-to-end rule at depth 4 does not reach 0.01" in text
    assert "tuned GD does (median" in text


def test_hardest_target_that_any_reaches():
    text = said(TWO, speed={"gd": 0.05, "end-to-end-4": 0.06})
    assert "the hardest target reached" in text


def test_several_depths():
    text = said(TWELVE)
    assert "the best of 6 deep rules, the end-to-end rule at depth 2," in text
    assert "depths 1.5, 2, 4, inf differ by a factor" in text
    some = said(TWELVE, speed={"end-to-end-inf": 0.01})
    assert "that reach it differ by a factor" in some
    assert "depth inf misses it" in some


def test_nothing_reached():
    slow = {name: 1e-4 * value for name, value in SPEED.items()}
    text = said(EIGHT, speed=slow)
    assert "No method reaches even the easiest target, 0.3" in text
    assert "--steps" in text


def test_deep_and_gd_reach_nothing_but_adam_does():
    text = said(("gd", "adam", "end-to-end-4"), speed={"gd": 1e-4, "end-to-end-4": 1e-4})
    assert text.startswith("Adam is the fastest")
    assert "neither GD nor a deep rule reaches a target" in text


def test_everything_diverged():
    text = said(TWO, diverging={"gd": 9, "end-to-end-4": 9})
    assert text.startswith("Every reported run diverged")
    assert "--lr-range" in text


def test_only_baselines():
    assert "no deep method was run" in said(("gd", "adam"))
    assert "layerwise Adam also changes the optimizer" in said(("gd", "layerwise-adam-4"))


def test_without_gd():
    assert "add the method gd" in said(("adam", "end-to-end-2", "end-to-end-4"))
    lost = {"end-to-end-4": 1e-4}
    assert "GD was not run and no deep rule" in said(("adam", "end-to-end-4"), speed=lost)


def test_one_method():
    assert said(("adam",)).startswith("Adam reaches a relative suboptimality of 0.01 (median")


def test_edge_is_told():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 3.0}, edges={"end-to-end-4": 1})
    assert "the tuned rate of the end-to-end rule at depth 4 lies at an end" in text
