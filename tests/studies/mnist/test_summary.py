"""What a study on MNIST concludes and writes: table, words and figure, from made-up curves."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from small_mnist import SMALL, bowl

from lnn.results.dataset import load_dataset, save_dataset
from lnn.studies.mnist import summary
from lnn.studies.mnist.conclusion import faster, lower, statements
from lnn.studies.mnist.config import ARMS
from lnn.studies.mnist.figures import caption, draw
from lnn.studies.mnist.report import markdown, to_csv
from lnn.studies.mnist.runs import Curve
from lnn.studies.mnist.study import run_study
from lnn.studies.mnist.summary import Row, summarize

FACTS = {"network": "small", "evaluation": 100, "refresh_every": 10, "protocol": "a search"}


# What is concluded.


def study_of(change: Callable[[str, str, int, Curve], Curve], seeds: int = 3) -> xr.Dataset:
    """A dataset in which every arm has the same straight curves, before the change."""
    config = replace(SMALL, seeds=seeds)
    steps = config.record_steps()
    make, _ = bowl(dict.fromkeys(ARMS, 2))
    study = run_study(config, make)
    for run in list(study.curves):
        if run.seed < seeds:
            setting = "tuned" if run.power == 2 else "hard-coded"
            base = Curve(steps, 2 - steps / 64 + 0.01 * run.seed, np.full(steps.size, 0.5),
                         np.full(steps.size, 0.7), 0.02, 1.0)  # fmt: skip
            study.curves[run] = change(setting, run.arm, run.seed, base)
    return summary.dataset(config, study, FACTS)


def changed(base: Curve, **values: Any) -> Curve:
    return Curve(**{**vars(base), **values})


def rows_of(found: xr.Dataset) -> dict[tuple[str, str], Row]:
    return {(row.setting, row.arm): row for row in summarize(found)}


def same(setting: str, arm: str, seed: int, base: Curve) -> Curve:
    return base


def twice(setting: str, arm: str, seed: int, base: Curve) -> Curve:
    """The factored network goes twice as fast in the cross-entropy, at the tuned rate."""
    if (setting, arm) != ("tuned", "factored"):
        return base
    return changed(base, cross_entropy=base.cross_entropy - base.steps / 64)


def test_speed_and_differences_by_hand() -> None:
    rows = rows_of(study_of(twice))
    row = rows["tuned", "factored"]
    assert row.seeds == row.reached == 3
    # The normal network ends at 1.5 after 64 steps; this one is there after 32.
    assert row.speedup.median == pytest.approx(2, rel=1e-3)
    assert row.speedup_cross_entropy.median == pytest.approx(2, rel=1e-3)
    assert (row.end.steps, row.early.steps) == (64, 16)
    assert row.end.cross_entropy.median == pytest.approx(-1)
    assert row.early.cross_entropy.median == pytest.approx(-0.25)
    assert row.end.regularizer.median == 0
    assert row.objective.low == pytest.approx(0.5)
    assert row.objective.high == pytest.approx(0.52)
    assert rows["tuned", "normal"].speedup.median == 1
    assert rows["hard-coded", "factored"].speedup.median == 1
    # What is trained has the regularizer on the factors there, 0.2 more.
    assert rows["tuned", "factored-factors"].speedup_trained.median == 0
    assert rows["tuned", "factored-factors"].speedup.median == 1
    assert rows["tuned", "normal"].learning_rate == pytest.approx(10**-1.5)
    assert rows["hard-coded", "rule"].learning_rate == 0.01


def test_runs_that_diverge_are_infinity() -> None:
    def blown(setting: str, arm: str, seed: int, base: Curve) -> Curve:
        if arm == "rule" or (arm == "normal" and seed == 0 and setting == "tuned"):
            return changed(base, cross_entropy=np.where(base.steps > 20, np.nan, 1.0))
        return base

    found = study_of(blown)
    assert not np.isnan(found["cross_entropy"].values).any()
    rows = rows_of(found)
    assert rows["hard-coded", "rule"].diverged == 3
    assert rows["hard-coded", "rule"].objective.median == np.inf
    assert rows["hard-coded", "rule"].speedup.high == 0
    assert rows["tuned", "normal"].diverged == 1
    assert rows["tuned", "factored"].speedup.median == 1  # of the seeds that can be compared
    assert "0 if not reached, without seeds whose" in markdown(found, summarize(found))
    told = " ".join(statements(summarize(found)))
    assert "Diverged runs" in told
    assert "3 of the drop-in rule (hard-coded)" in told

    def all_blown(setting: str, arm: str, seed: int, base: Curve) -> Curve:
        return changed(base, cross_entropy=np.full(base.steps.size, np.nan))

    told = " ".join(statements(summarize(study_of(all_blown))))
    assert "cannot be compared, as the normal network diverged" in told
    assert "nan" not in told


def shifted(entropy: float, weights: float, arms: Iterable[str]) -> Any:
    """From the start on, both terms of these arms differ by so much at both settings."""

    def change(setting: str, arm: str, seed: int, base: Curve) -> Curve:
        if arm not in arms:
            return base
        return changed(
            base,
            cross_entropy=base.cross_entropy + entropy,
            regularizer_product=base.regularizer_product + weights,
        )

    return change


FACTORED = ("factored", "factored-factors", "balanced")


@pytest.mark.parametrize(
    ("entropy", "weights", "expected"),
    [
        (0.1, -0.3, ["both hold for", "is faster", "all of it in the regularizer"]),
        (0.0, -0.3, ["both hold for", "is faster", "all of it in the regularizer"]),
        (0.1, 0.3, ["the first holds, the second does not for", "is slower",
                    "most of it in the regularizer"]),
        (-0.3, -0.1, ["the first does not hold, the second does for", "is faster",
                      "most of it in the cross-entropy"]),
        (-0.3, 0.1, ["the first does not hold, the second neither for", "is faster",
                     "all of it in the cross-entropy"]),
        (0.0, 0.0, ["the first holds, the second does not for",
                    "is neither clearly faster nor slower"]),
    ],
)  # fmt: skip
def test_the_words_agree_with_the_numbers(
    entropy: float, weights: float, expected: list[str]
) -> None:
    told = statements(summarize(study_of(shifted(entropy, weights, FACTORED))))
    whole = " ".join(told)
    hou = next(text for text in told if text.startswith("Hou et al."))
    assert expected[0] in hou
    assert hou.count(" rate") == 6
    line = next(text for text in told if text.startswith("At tuned rates, the factored network "))
    assert all(part in line for part in expected[1:])
    arora = next(text for text in told if text.startswith("Arora et al."))
    assert f"the factored network {expected[1]}" in arora
    # The rule was left as the normal network: is that what balanced factors do?
    verdict = "has the same effects as" if entropy == weights == 0 else "differs from"
    assert f"the drop-in rule, which adds no parameters, {verdict}" in whole
    assert told[0].count("the drop-in rule is neither clearly faster nor slower") == 2
    # The first sentence answers for all of them, with the term.
    term = f" nats, {expected[2]})" if len(expected) > 2 else ""
    for arm in FACTORED:
        assert told[0].count(f"{ARMS[arm].phrase} {expected[1]}") == 2
    assert told[0].count(term) == 6 if term else "nats" not in told[0]


def test_a_rule_like_balanced_factors_is_told() -> None:
    told = statements(summarize(study_of(shifted(-0.2, -0.1, ("balanced", "rule")))))
    assert sum("has the same effects as balanced factors" in text for text in told) == 2
    assert "the drop-in rule is faster" in told[0]
    assert "the factored network is neither" in told[0]


def test_an_edge_is_told() -> None:
    make, _ = bowl({**dict.fromkeys(ARMS, 0), "rule": 30})
    found = summary.dataset(SMALL, run_study(SMALL, make), FACTS)
    told = " ".join(statements(summarize(found)))
    assert "Warning: the tuned rate of the drop-in rule, 1.78, is the highest tried" in told
    assert "1.78 (highest)" in markdown(found, summarize(found))


def test_sides_of_a_band() -> None:
    band = summary.Band
    assert faster(band(2, 1.1, 3)) == "faster"
    assert faster(band(0.5, 0, 0.9)) == "slower"
    assert faster(band(1.5, 0.9, 3)).startswith("neither")
    assert faster(band(1, 1, 1)).startswith("neither")
    assert lower(band(-1, -2, -0.1)) == "lower"
    assert lower(band(1, 0.1, 2)) == "higher"
    assert lower(band(0, 0, 0)) == "not clearly different"
    assert lower(band(np.nan, np.nan, np.nan)) == "not comparable"


def test_the_start_is_told() -> None:
    found = study_of(shifted(0.0, 0.5, ("factored", "factored-factors")))
    told = " ".join(statements(summarize(found)))
    assert "2.00 times the normal network's with Gaussian factors" in told


@pytest.mark.parametrize(
    ("seeds", "name"),
    [(5, "least and most of 5 seeds"), (11, "3rd and 9th of 11 seeds, 93.5 % for the median")],
)
def test_bands_are_called_what_they_are(seeds: int, name: str) -> None:
    found = study_of(twice, seeds)
    rows = summarize(found)
    assert f"median and band ({name})" in caption(found)
    assert f"bands in brackets: {name})" in statements(rows)[0]
    text = markdown(found, rows)
    assert f"\nMedian [{name}], at the last step" in text
    assert "0 if not reached. At the start" in text
    assert not re.search(r"20-80|20 %|80 %", text)


def worse(setting: str, arm: str, seed: int, base: Curve) -> Curve:
    """The factored network never gets there at the tutorial's rate, on all seeds but the last."""
    if (setting, arm) != ("hard-coded", "factored") or seed == 10:
        return base
    return changed(base, cross_entropy=base.cross_entropy + 1)


def test_it_is_told_how_many_seeds_reach_the_final_objective() -> None:
    for seeds, reached, few in ((5, 0, "never"), (11, 1, "in few seeds or none")):
        told = statements(summarize(study_of(worse, seeds)))
        start = "At the tutorial's rate, the factored network is slower: it reaches "
        line = next(text for text in told if text.startswith(start))
        count = f"{reached} of {seeds} seeds"
        assert f"final objective in {count} (its final cross-entropy: {few})" in line
        arora = next(text for text in told if text.startswith("Arora et al."))
        assert f"the factored network is slower at the tutorial's rate ({few}, {count})" in arora
        assert f"at tuned rates (1.00 times as fast, {seeds} of {seeds} seeds)" in arora


# What is written.


def test_the_report_in_the_repository_is_of_its_dataset() -> None:
    folder = Path(__file__).parents[3] / "figures"
    if not (folder / "mnist.nc").exists():
        pytest.skip("no figures")
    found = load_dataset(folder / "mnist.nc")
    assert markdown(found, summarize(found)) == (folder / "mnist.md").read_text(encoding="utf-8")


def test_the_dataset_is_labelled_and_comes_back(tmp_path: Path) -> None:
    found = study_of(twice)
    save_dataset(found, tmp_path / "mnist.nc")
    again = load_dataset(tmp_path / "mnist.nc")
    for name, variable in again.variables.items():
        assert variable.attrs["units"], name
        assert variable.attrs["description"], name
        np.testing.assert_array_equal(variable.values, found[name].values)
    assert summarize(again) == summarize(found)
    assert markdown(again, summarize(again)) == markdown(found, summarize(found))


def test_the_table() -> None:
    found = study_of(twice)
    rows = summarize(found)
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(lines) == 2 * len(ARMS)
    line = next(x for x in lines if (x["setting"], x["arm"]) == ("tuned", "factored"))
    assert float(line["end_cross_entropy_median"]) == pytest.approx(-1)
    assert {"speedup_low", "speedup_high", "regularizer_factors_median"} <= set(line)
    text = markdown(found, rows)
    assert all(f"| {arm.label} |" in text for arm in ARMS.values())
    assert text.count("\n| Normal |") == 2


@pytest.mark.slow
def test_the_figure_is_drawn_from_the_file_without_jax(tmp_path: Path) -> None:
    def some(setting: str, arm: str, seed: int, base: Curve) -> Curve:
        ends = setting == "tuned" and arm == "rule" and seed != 1
        return changed(base, cross_entropy=base.cross_entropy * (np.nan if ends else 1.0))

    found = study_of(some)
    save_dataset(found, tmp_path / "mnist.nc")
    code = """
import sys, xarray
from lnn.studies.mnist.figures import caption, draw
from lnn.studies.mnist.report import markdown
from lnn.studies.mnist.summary import summarize
from lnn.results import plotting
found = xarray.load_dataset(sys.argv[1] + "/mnist.nc", engine="scipy")
plotting.save(draw(found), sys.argv[1], "mnist")
markdown(found, summarize(found))
sys.exit("jax" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 0
    assert (tmp_path / "mnist.png").stat().st_size > 10_000
    fig = draw(found)
    assert len(fig.axes) == 8
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == [arm.label for arm in ARMS.values()]
    sizes = [text.get_fontsize() for ax in fig.axes for text in ax.get_xticklabels()]
    assert min(sizes) >= 7
    assert "median and band (least and most of 3 seeds)" in caption(found)
