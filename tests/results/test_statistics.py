"""The summary of a study against cases computed by hand, and properties that must always hold."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from fake_study import EIGHT, TARGETS, TWELVE, fake_study
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn.core.files import strict
from lnn.results.statistics import Band, quantile, steps_to_target
from lnn.studies.compare.rows import carried_forward, relative_suboptimality
from lnn.studies.compare.summary import _speedup, summarize

INF, NAN = math.inf, math.nan


def by_hand(hits: dict[str, list[float]], steps: int = 1000, diverged: bool = False) -> xr.Dataset:
    """A study with the one target 0.1, whose runs cross it at these steps (inf: never)."""
    grid = np.unique(
        [0, 1, steps, *(x for row in hits.values() for x in row if x < INF)]
    )  # crossings lie on the grid
    loss = np.ones((len(hits), len(next(iter(hits.values()))), grid.size))
    for i, row in enumerate(hits.values()):
        for s, hit in enumerate(row):
            loss[i, s, grid >= hit] = 0.1
            loss[i, s, grid > hit] = NAN
    status = np.where(np.isinf(list(hits.values())), 2 if diverged else 3, 1)
    if diverged:
        loss[..., -1][status == 2] = 1e4
    base = fake_study(tuple(hits), seeds=loss.shape[1], steps=steps, targets=(0.1,))
    study = base.drop_dims("step").assign_coords(step=grid.astype(np.int32))
    study["loss"] = (("algorithm", "seed", "step"), loss)
    study["status"] = (("algorithm", "seed"), status.astype(np.int8))
    return study.assign_attrs(reference_loss=0.0, zero_loss=1.0)


def result(study: xr.Dataset, label: str):
    row = next(row for row in summarize(study).rows if row.label == label)
    return row.targets[0]


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.5])
def test_interpolation_is_exact_for_power_laws(slope):
    steps = np.array([1, 10, 100, 10_000])
    targets = np.array([0.3, 0.1, 0.03])
    hits = steps_to_target(steps, 1.0 * steps**-slope, targets)
    assert hits == pytest.approx(targets ** (-1 / slope), rel=1e-12)


def test_from_step_zero_linear_in_the_steps():
    # log(1 / 0.1) / log(1 / 0.01) = 1/2 of the way from step 0 to step 4.
    assert steps_to_target(np.array([0, 4]), np.array([1.0, 0.01]), np.array([0.1])) == 2.0


def test_already_there_at_step_zero():
    assert steps_to_target(np.array([0, 4]), np.array([0.1, 0.01]), np.array([0.1])) == 0.0


def test_to_zero_or_below_linear_in_the_value():
    steps = np.array([1, 100])
    hit = steps_to_target(steps, np.array([1.0, 0.0]), np.array([0.5]))
    assert hit == pytest.approx(10.0)  # half way in log(steps)
    below = steps_to_target(steps, np.array([1.0, -1.0]), np.array([0.5]))
    assert below == pytest.approx(100**0.25)


def test_nan_after_the_end_and_divergence_keep_earlier_crossings():
    steps = np.array([1, 2, 4, 8])
    values = np.array([[1.0, 0.1, NAN, NAN], [1.0, 0.1, 1e9, NAN], [1.0, INF, NAN, NAN]])
    hits = steps_to_target(steps, values, np.array([0.1, 0.05]))
    np.testing.assert_allclose(hits, [[2, INF], [2, INF], [INF, INF]])


def test_first_crossing_counts():
    hits = steps_to_target(np.array([1, 2, 4, 8]), np.array([1, 0.1, 1, 0.1]), np.array([0.1]))
    assert hits == 2.0


def test_extra_axes():
    values = np.random.default_rng(0).random((2, 3, 5))
    hits = steps_to_target(np.arange(5), values, np.array([0.5, 0.2]))
    assert hits.shape == (2, 3, 2)
    one = steps_to_target(np.arange(5), values[1, 2], np.array([0.5, 0.2]))
    np.testing.assert_array_equal(hits[1, 2], one)


curves = st.lists(st.one_of(st.floats(1e-12, 10.0), st.floats(-0.1, 10.0)), min_size=2, max_size=30)


@given(curves, st.integers(0, 30), st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=5))
@settings(deadline=None)
def test_steps_to_target_properties(values, ended, targets):
    steps = np.arange(len(values)) ** 2
    curve = np.array(values)
    curve[max(1, ended) :] = NAN
    targets = np.sort(targets)[::-1]
    hits = steps_to_target(steps, curve, targets)
    assert not np.isnan(hits).any()
    assert (hits[1:] >= hits[:-1]).all()  # a harder target is never reached sooner
    for hit, target in zip(hits, targets, strict=True):
        below = np.flatnonzero(curve <= target)
        assert np.isinf(hit) == (below.size == 0)
        if below.size:
            assert steps[max(below[0] - 1, 0)] <= hit <= steps[below[0]]


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3, 4], 0.5, 3),
        ([1, 2, INF, INF], 0.5, INF),
        ([1, 2, 3, INF], 0.8, INF),
        ([1, 2, 3, 4, 5, INF], 0.8, 5),
        ([INF, 2, 3, 1], 0.2, 1),
        (list(range(11)), 0.7, 7),
        ([5], 0.2, 5),
    ],
)
def test_quantile_by_hand(values, q, expected):
    assert quantile(np.array(values), q) == expected


@given(
    st.lists(st.one_of(st.floats(0, 1e9), st.just(INF)), min_size=1, max_size=30), st.floats(0, 1)
)
def test_quantile_properties(values, q):
    value = float(quantile(np.array(values), q))
    assert value in values
    assert quantile(np.array(values), 0.2) <= quantile(np.array(values), 0.5)
    assert quantile(np.array(values), 0.5) <= quantile(np.array(values), 0.8)
    # The share of values on the careful side is at least what the name says.
    share = np.mean(np.array(values) <= value) if q >= 0.5 else np.mean(np.array(values) >= value)
    assert share >= (q if q >= 0.5 else 1 - q) - 1e-9


@pytest.mark.parametrize("values", [[], [1.0, NAN]])
def test_quantile_refuses(values):
    with pytest.raises(ValueError, match="no NaN"):
        quantile(np.array(values), 0.5)


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
        assert found.steps.median == pytest.approx(exact, rel=5e-3)


def test_carried_forward():
    study = by_hand({"gd": [100, INF]}, diverged=True)
    values = carried_forward(study)[0]
    assert np.isnan(relative_suboptimality(study)[0, 0, -1])
    assert values[0, -1] == pytest.approx(0.1)
    assert values[1, -1] == INF
    assert np.isfinite(values[1, :-1]).all()


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
    assert strict({"a": (INF, -INF, NAN, np.float32(2), np.array([3]))}) == {
        "a": ["inf", "-inf", None, 2.0, 3]
    }


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
