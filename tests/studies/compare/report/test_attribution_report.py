"""The advantage of depth in words, files and a figure."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnn.studies.compare.attribution import FACTORS, Advantage
from lnn.studies.compare.report import attribution_report
from lnn.studies.compare.report.attribution_report import sentences


def made_up(ratio: np.ndarray, moving: int = 0) -> Advantage:
    """A median seed with this ratio of speeds, all by one factor; the others 10 % off."""
    level = np.geomspace(1, 0.01, ratio.size)
    factors = np.ones((4, 3, ratio.size))
    factors[moving] = ratio * np.array([0.9, 1.0, 1.1])[:, None]
    steps = np.tile(np.arange(1.0, ratio.size + 1), (3, 1))
    return Advantage("end-to-end-2", "end-to-end", 2.0, level, factors, steps, 2 * steps)


def test_sentences_tell_when_it_arises_and_when_it_ends() -> None:
    up_and_down = np.concatenate([np.geomspace(0.25, 4, 21), np.geomspace(4, 0.5, 20)])
    text = sentences(made_up(up_and_down, FACTORS.index("projection")))
    # log2 of the ratio is -2 at first, 0 at the 11th level, 2 at the 21st, and below 0 at the 36th.
    level = np.geomspace(1, 0.01, 41)
    assert f"from a suboptimality of {level[11]:.3g} (step 12) on, as the projection" in text
    assert f"until a suboptimality of {level[33]:.3g} (step 34)" in text
    assert f"largest at a suboptimality of {level[20]:.2g}00 (step 21), 4.00 [3.60, 4.40]" in text
    assert "from there on as the projection factor falls from 4.00 to 1.08" in text


def test_sentences_name_what_else_makes_it() -> None:
    found = made_up(np.geomspace(0.1, 4, 30))
    found.factors[0] /= 2
    found.factors[1] *= 2
    assert "as the step size factor rises from 0.0500 to 0.5" in sentences(found)
    assert " beside a projection factor of 2.00, and to the lowest loss" in sentences(found)


def test_sentences_for_an_advantage_that_lasts_and_for_none() -> None:
    rising = np.geomspace(1.5, 3, 30)
    text = sentences(made_up(rising))
    assert "faster than tuned GD from the start, and to the lowest loss that both reach" in text
    assert "step size 3.00 [2.70, 3.30], projection 1.00, gradient 1.00 and curvature 1.00." in text
    text = sentences(made_up(np.geomspace(0.2, 0.8, 30)))
    assert "is nowhere faster than tuned GD: at best 0.800 [0.720, 0.880] times as fast" in text


def seeds_of(found: Advantage, count: int, left_out: int = 0) -> Advantage:
    """The same with this number of seeds, by repetition."""
    rows = np.arange(count) % found.steps.shape[0]
    return replace(
        found, factors=found.factors[:, rows], steps=found.steps[rows],
        gd_steps=found.gd_steps[rows], left_out=left_out,
    )  # fmt: skip


def test_the_caption_says_what_the_band_is() -> None:
    found = made_up(np.geomspace(0.5, 2, 10))
    for count, name in (
        (1, "Lines are of one seed; in the grey"),
        (5, "Lines are medians; band: least and most of 5 seeds; in the grey"),
        (11, "Lines are medians; band: 3rd and 9th of 11 seeds, 93.5 % for the median; in"),
    ):
        assert name in attribution_report.caption([seeds_of(found, count)])
    some = seeds_of(found, 9, left_out=2)
    assert "9 seeds, 96.1 % for the median (2 diverged and" in attribution_report.caption([some])
    both = attribution_report.caption([some, seeds_of(found, 11)])
    name = "3rd and 9th of 11 seeds, 93.5 % for the median or 2nd and 8th of 9 seeds, 96.1 % for"
    assert f"band: {name} the median (up to 2 diverged and are excluded)" in both


def test_files_say_the_same(tmp_path: Path) -> None:
    found = made_up(np.geomspace(0.5, 2, 10))
    attribution_report.write([found], tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"decomposition.{kind}" for kind in ("csv", "pdf", "png", "txt")}
    assert sentences(found) in (tmp_path / "decomposition.txt").read_text()
    with (tmp_path / "decomposition.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["speed_over_gd_median"]) for row in rows] == pytest.approx(
        np.geomspace(0.5, 2, 10), rel=1e-5
    )
    assert float(rows[3]["step_size_factor_high"]) == pytest.approx(
        1.1 * 0.5 * 4 ** (3 / 9), rel=1e-5
    )
