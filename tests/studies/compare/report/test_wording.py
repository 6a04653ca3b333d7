"""Words and numbers that several parts of the report share."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from fake_study import STUDIES, fake_study

from lnn.studies.compare.report import table
from lnn.studies.compare.report.appendix import appendix
from lnn.studies.compare.report.wording import (
    band_heading,
    caption,
    header,
    own_rates_note,
    untouched_note,
)
from lnn.studies.compare.rows import Comparison
from lnn.studies.compare.summary import summarize


@pytest.mark.parametrize(
    ("seeds", "heading", "name"),
    [
        (5, "median [least and most of 5 seeds]", "least and most of 5 seeds"),
        (9, "median [2nd and 8th of 9 seeds]", "2nd and 8th of 9 seeds, 96.1 % for the median"),
        (11, "median [3rd and 9th of 11 seeds]", "3rd and 9th of 11 seeds, 93.5 % for the median"),
    ],
)
def test_bands_are_called_what_they_are(seeds: int, heading: str, name: str) -> None:
    study = fake_study(("gd", "end-to-end-4"), seeds=seeds)
    summary = summarize(study)
    assert band_heading(summary) == heading
    assert f"Medians and bands ({name}) are order statistics, not interp" in caption(summary)
    text = " ".join(table.plain_text(summary, 200).split())
    assert f"(L_0 - L*): {heading}, number of seeds that reached it if" in text
    assert f"paired by seed: {heading}" in text
    for found in (text, appendix(study, summary).replace("\\", "")):
        assert name in found
        assert not re.search(r"20-80|20 %|80 %", found)


def test_one_seed_has_no_band() -> None:
    summary = summarize(fake_study(("gd", "end-to-end-4"), seeds=1))
    assert band_heading(summary) == "median"
    assert "One seed, so no band." in caption(summary)


def test_start_note_follows_the_scheme():
    study = STUDIES["three"].assign_attrs(init="near-zero", init_norm=math.nan)
    assert "different end-to-end matrices" in caption(summarize(study))
    assert "same end-to-end matrix" in caption(summarize(STUDIES["three"]))


def with_own_rates(fewest: dict[str, list[float]], seeds: int = 3) -> Comparison:
    """A study with these fewest steps to the hardest target, for every tuning seed."""
    labels, targets = ("gd", "end-to-end-2"), (0.1, 0.01)
    study = fake_study(labels, targets=targets, speed={"gd": 1.0, "end-to-end-2": 2.0})
    study = study.drop_dims(["rate", "tuning_seed"], errors="ignore")
    tried = np.full((2, 2, seeds, 2), np.inf)
    for i, label in enumerate(labels):
        tried[i, 0] = np.array(fewest[label])[:, None]
    study["tuning_steps_to_target"] = (("algorithm", "rate", "tuning_seed", "target"), tried)
    return summarize(study.assign_attrs(tuning_seeds=seeds))


def test_what_the_best_rate_for_each_start_would_give() -> None:
    found = with_own_rates({"gd": [100, 200, 300], "end-to-end-2": [10, 25, 100]})
    assert found.rows[1].targets[-1].own_rates == 8.0  # of 10, 8 and 3
    assert found.rows[0].targets[-1].own_rates == 1.0
    note = own_rates_note(found)
    assert "the end-to-end rule at depth 2 2.81 and 8.00. The difference is how finely" in note
    assert "for each of the 3 tuning seeds" in note
    # Where both agree, or few starts were tuned on, there is nothing to say.
    alike = {"gd": [100, 200, 300], "end-to-end-2": [50, 100, 150]}
    assert own_rates_note(with_own_rates(alike)) == ""
    assert own_rates_note(with_own_rates({"gd": [100], "end-to-end-2": [9]}, seeds=1)) == ""
    missed = with_own_rates({"gd": [math.inf] * 3, "end-to-end-2": [math.inf] * 3})
    assert missed.rows[1].targets[-1].own_rates is None
    assert own_rates_note(missed) == ""


def test_targets_that_most_labels_do_not_matter_for_are_named() -> None:
    study = fake_study(("gd",), targets=(0.3, 0.1, 0.01))
    study["untouched_labels"] = ("target", [0.99, 0.5, 0.4])
    note = untouched_note(summarize(study))
    assert "still reach a target: 99 % at 0.3, 50 % at 0.1; such a target measures" in note
    study["untouched_labels"] = ("target", [0.4, 0.2, 0.1])
    assert untouched_note(summarize(study)) == ""


def test_what_counts_as_diverged_is_said() -> None:
    study = STUDIES["three"].assign_attrs(divergence=1000.0)
    assert "ending above 1000 times the loss at W = 0) on" in header(summarize(study))["Runs"]
    study = STUDIES["three"].assign_attrs(divergence=math.inf)
    assert "diverged: not finite) on" in header(summarize(study))["Runs"]
