"""The summary of a study against cases computed by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from fake_study import EIGHT, TARGETS, TWELVE, by_hand, fake_study

from lnn.results.statistics import Band
from lnn.studies.compare.summary import _speedup, summarize

INF, NAN = math.inf, math.nan


def result(study: xr.Dataset, label: str):
    row = next(row for row in summarize(study).rows if row.label == label)
    return row.targets[0]


def test_ratios_are_paired_by_seed():
    # Unpaired medians would give 100 / 30; paired ratios are 10, 5, 2.
    found = result(by_hand({"gd": [100, 50, 200], "adam": [10, 10, 100]}), "adam")
    assert found.speedup == Band(5.0, 2.0, 10.0)
    assert found.at_least == found.at_most == found.speedup
    assert found.reached == 3


def test_ratio_where_gd_missed():
    found = result(by_hand({"gd": [INF, INF, 400], "adam": [100, 50, 100]}), "adam")
    assert found.speedup == Band(INF, 4.0, INF)
    assert found.at_least == Band(10.0, 4.0, 20.0)  # 1000 / 100, 400 / 100, 1000 / 50
    assert found.at_most.median == INF


def test_ratio_where_the_method_missed():
    found = result(by_hand({"gd": [100, 50, 400], "adam": [INF, INF, INF]}), "adam")
    assert found.speedup == Band(0.0, 0.0, 0.0)
    assert found.at_most == Band(0.1, 0.05, 0.4)
    assert found.steps == Band(INF, INF, INF)


def test_ratio_where_both_missed():
    found = result(by_hand({"gd": [INF] * 3, "adam": [INF] * 3}), "adam").speedup
    assert all(map(math.isnan, (found.median, found.low, found.high)))
    # One seed says nothing: the median is over the others, the band holds what it might be.
    some = result(by_hand({"gd": [100, 200, INF], "adam": [50, 50, INF]}), "adam").speedup
    assert some == Band(2.0, 0.0, INF)
    few = result(by_hand({"gd": [100, INF, INF], "adam": [50, INF, INF]}), "adam").speedup
    assert math.isnan(few.median)
    assert (few.low, few.high) == (0.0, INF)


def test_start_at_the_target_is_a_ratio_of_one():
    assert result(by_hand({"gd": [0, 0], "adam": [0, 0]}), "adam").speedup == Band(1, 1, 1)


def test_without_gd_no_ratio():
    found = result(by_hand({"adam": [10, 20]}), "adam")
    assert math.isnan(found.speedup.median)
    assert found.steps == Band(20, 10, 20)


def test_rows_and_counts():
    study = fake_study(diverging={"adam": 2, "momentum": 9}, edges={"adadelta": 1})
    summary = summarize(study)
    rows = {row.label: row for row in summary.rows}
    assert [row.label for row in summary.rows] == list(EIGHT)
    assert (rows["adam"].reached_all, rows["adam"].diverged) == (7, 2)
    assert rows["momentum"].final == Band(INF, INF, INF)
    assert rows["adadelta"].edge == 1
    assert rows["end-to-end-4"].depth == 4
    assert summary.targets == TARGETS
    for row in summary.rows:
        assert row.reached_all + row.diverged + row.budget_spent == summary.seeds
        steps = [result.steps.median for result in row.targets]
        assert steps == sorted(steps)


def test_closed_form_steps():
    study = fake_study(("gd",), seeds=1, spread=0.0, speed={"gd": 5.0})
    # (1 + t)^(-0.8) = target
    for found in summarize(study).rows[0].targets:
        exact = found.target ** (-1 / 0.8) - 1
        assert found.steps.median == pytest.approx(exact, rel=5e-3, abs=1)
        assert found.steps.median.is_integer()


def test_numbers_survive_netcdf(tmp_path):
    study = fake_study(TWELVE)
    study.to_netcdf(tmp_path / "study.nc", format="NETCDF3_64BIT", engine="scipy")
    with xr.open_dataset(tmp_path / "study.nc", engine="scipy") as read:
        again = summarize(read.load())
    assert again == summarize(study)
    assert again.to_json() == summarize(study).to_json()


def test_csv(tmp_path):
    summary = summarize(fake_study(diverging={"momentum": 9}))
    text = summary.to_csv(tmp_path / "summary.csv")
    assert (tmp_path / "summary.csv").read_bytes().decode() == text == summary.to_csv()
    lines = [line.split(",") for line in text.splitlines()]
    assert len(lines) == 1 + len(EIGHT) * len(TARGETS)
    assert len({len(line) for line in lines}) == 1
    head = lines[0]
    assert len(set(head)) == len(head)
    row = dict(zip(head, lines[8], strict=True))
    assert row["method"] == "momentum"
    assert row["steps_to_target_median"] == "inf"
    assert row["seeds_reached"] == "0"
    assert row["speedup_over_gd_median"] == "0"


def test_json_is_strict():
    for study in (fake_study(diverging={"momentum": 9}), fake_study(("adam",))):
        text = summarize(study).to_json()

        def refuse(name):
            raise AssertionError(name)

        data = json.loads(text, parse_constant=refuse)
        assert data["conclusion"]
        assert data["rows"][0]["targets"][0]["target"] == 0.3
        assert text == summarize(study).to_json()


def test_no_jax_is_imported():
    code = (
        "import sys, lnn.results.provenance, lnn.studies.compare.summary\n"
        "from lnn.studies.compare.report import appendix, figures, table\n"
        "sys.exit('jax' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_speed_up_of_equals_favours_neither() -> None:
    rng = np.random.default_rng(0)
    for seeds in (2, 4, 5, 10):
        first, second = np.exp(0.3 * rng.standard_normal((2, seeds)))
        there, back = (
            _speedup(*pair, budget=100.0)[0].median for pair in ((first, second), (second, first))
        )
        assert there * back <= 1 + 1e-12
