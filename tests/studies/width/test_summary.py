"""The labelled dataset of a study of width, its selections and fits, from made-up runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from small_width import SIZES, WIDTHS, World, made_up_setups

from lnn.results.dataset import load_dataset, save_dataset
from lnn.studies.search import TUNING_SEED_OFFSET
from lnn.studies.width import selection, summary
from lnn.studies.width.report import markdown, table, to_csv
from lnn.studies.width.runs import GROUPS, Course, RecurrentRun
from lnn.studies.width.selection import Sweep, interval, offset_fit, residual, select, slope
from lnn.studies.width.study import SystemRuns

WORLD = World(noise=0.1)
(CHARACTERS,) = made_up_setups(("characters",))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    return WORLD.dataset()


def one_run(course: Course) -> xr.Dataset:
    """The row of a run."""
    setup = replace(CHARACTERS, least=10, steps=1000)
    run = RecurrentRun("characters", 8, 1000, 4, "sgd", 0.8, 0, (0,))
    return summary.dataset([SystemRuns(setup, {run: course}, 2.0, {}, {})], {}).isel(run=0)


# Rows.


def test_a_row_is_of_the_halting_time() -> None:
    steps = np.array([0, 5, 10, 20, 40, 100])
    each = RNG.uniform(0.1, 3.0, (6, 1, 6, 4))
    distance, path, to_start, printed, norm, _ = each
    norm[0, 5] = np.nan  # the run ended at step 40
    marks, to_end = np.array([[5, 9, 39, 79, -1]]), RNG.uniform(0, 3, (1, 5, 4))
    loss = np.array([[3.0, 2.5, 1.5, 1.0, 1.005, np.nan]])
    course = Course(77.0, steps, loss, distance, path, to_start, printed, norm, marks, to_end, 1.5)
    row = one_run(course)
    assert (int(row["steps"]), int(row["taken"]), int(row["censored"])) == (20, 40, 0)
    assert (int(row["parameters"]), float(row["least"])) == (77, 1.0)
    # 5 (10 / 5)^(log(2.5 / 2) / log(2.5 / 1.5)) = 6.8, rounded up.
    assert float(row["steps_to_goal"]) == 7
    for name, values in (("distance", distance), ("path", path), ("norm", norm)):
        np.testing.assert_array_equal(row[name], values[0, 3])
    np.testing.assert_allclose(row["to_start"], np.degrees(to_start[0, 3]))
    # Means over steps: each stands for the steps half way to its neighbours.
    np.testing.assert_allclose(row["to_end"], np.degrees(to_end[0, :2].mean(axis=0)))
    weights = np.array([5.0, 7.5, 10.0])
    true = (weights[:, None] * printed[0, 1:4]).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(row["printed"], np.degrees(true))


def test_a_run_without_marks_has_no_angle_to_the_end() -> None:
    course = WORLD.course(RecurrentRun("characters", 8, 2000, 4, "sgd", 0.8, 0, (0,)))
    assert np.isnan(one_run(replace(course, marks=np.full((1, 2), -1)))["to_end"]).all()
    one = one_run(course)["to_end"]
    np.testing.assert_allclose(one, 80.0)


def test_the_dataset_is_labelled_and_comes_back(found: xr.Dataset, tmp_path: Path) -> None:
    save_dataset(found, tmp_path / "width.nc")
    again = load_dataset(tmp_path / "width.nc")
    for name, variable in again.variables.items():
        assert variable.attrs["description"], name
        np.testing.assert_array_equal(variable.values, found[name].values)
    assert again.attrs == found.attrs
    assert tuple(selection.setups(again)) == made_up_setups()
    assert selection.tuned_rates(again, CHARACTERS) == dict.fromkeys(WIDTHS, 3.2)
    assert markdown(again) == markdown(found)


# Selections.


def test_selections_are_of_evaluation_seeds(found: xr.Dataset) -> None:
    for setup in made_up_setups():
        for size in SIZES:
            sweep = select(found, setup, size)
            assert tuple(sweep.widths) == WIDTHS
            assert tuple(sweep.parameters) == tuple(100 * width for width in WIDTHS)
            for i, width in enumerate(WIDTHS):
                for seed in range(3):
                    run = RecurrentRun(
                        setup.system, width, size, setup.depths[0], setup.optimizers[0],
                        setup.rates[0], 0, (seed,),
                    )  # fmt: skip
                    made = WORLD.course(run)
                    assert sweep.steps[i, seed] == made.steps[2]
                    assert sweep.taken[i, seed] == made.steps[3]
                    assert sweep.least[i, seed] == made.loss[0, 2]
                    np.testing.assert_array_equal(sweep.lengths["path"][i, seed], made.path[0, 2])
    assert (found["seed"].values >= TUNING_SEED_OFFSET).any()


@pytest.mark.parametrize(
    ("other", "values"),
    [
        ({"rate": 0.3}, {"rate": 0.3}),
        ({"optimizer": "adam"}, {"optimizer": "adam", "rate": 0.002}),
        ({"base": 16}, {"base": 16}),
        ({"rate": "tuned"}, {"rate": 3.2}),
    ],
)
def test_what_is_compared_is_selected(
    found: xr.Dataset, other: dict[str, str | float], values: dict[str, str | float]
) -> None:
    sweep = select(found, CHARACTERS, **other)
    base = {"depth": 4, "optimizer": "sgd", "rate": 0.8, "base": 0, **values}
    for i, width in enumerate(WIDTHS):
        run = RecurrentRun("characters", width, SIZES[1], seeds=(2,), **base)  # type: ignore[arg-type]
        assert sweep.steps[i, 2] == WORLD.course(run).steps[2]


def test_widths_without_all_seeds_are_left_out(found: xr.Dataset) -> None:
    assert tuple(select(found, CHARACTERS, depth=2).widths) == (16,)
    assert select(found, CHARACTERS, depth=3).steps.shape == (0, 3)
    assert select(found, CHARACTERS, widths=(64, 4)).widths.tolist() == [64, 4]
    more = replace(CHARACTERS, seeds=4)
    assert select(found, more).steps.shape == (0, 4)


def test_censored_runs_are_left_out_and_counted() -> None:
    def lost(run: RecurrentRun) -> bool:
        return run.width == 8 and run.seeds[0] != 1

    found = replace(WORLD, lost=lost).dataset([CHARACTERS])
    sweep = select(found, CHARACTERS)
    gone = np.zeros((5, 3), bool)
    gone[1, [0, 2]] = True
    np.testing.assert_array_equal(sweep.censored, gone)
    np.testing.assert_array_equal(np.isnan(sweep.steps), gone)
    for values in sweep.lengths.values():
        np.testing.assert_array_equal(np.isnan(values), gone[:, :, None] * np.ones(4, bool))
    assert np.isfinite(sweep.goal).all()
    lines = table(found)
    column = lines[0].index("Censored")
    assert [line[column] for line in lines[1:6]] == ["0 of 3", "2 of 3", *["0 of 3"] * 3]
    assert f"{int(found['censored'].sum())} of them censored" in markdown(found)
    only = selection.bands(sweep.steps)[1]
    assert only.low == only.median == only.high == sweep.steps[1, 1]
    assert np.isnan(selection.bands(np.full((1, 3), np.nan))[0].median)


def test_the_table_of_runs(found: xr.Dataset) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert len(lines) == found.sizes["run"]
    at = 17
    for name in ("system", "optimizer"):
        assert lines[at][name] == found[name].values[at]
    assert int(lines[at]["steps"]) == found["steps"].values[at]
    for i, group in enumerate(GROUPS):
        value = float(lines[at][f"distance_{group}"])
        assert value == pytest.approx(found["distance"].values[at, i], rel=1e-5)


# Fits.


def test_slopes_are_linear_regressions() -> None:
    x, values = np.geomspace(1, 9, 6), RNG.uniform(1, 2, (6, 4))
    values[2, 1] = np.nan
    values[1:, 3] = np.nan  # a single value has no slope
    true = [
        stats.linregress(np.log(x[known]), np.log(column[known])).slope
        for column in values.T[:3] if (known := ~np.isnan(column)).any()
    ]  # fmt: skip
    np.testing.assert_allclose(selection.slopes(x, values), true)
    found = slope(x, values)
    ends = stats.ttest_1samp(true, 0).confidence_interval(0.95)
    np.testing.assert_allclose(
        (found.exponent, found.low, found.high), (np.mean(true), ends.low, ends.high)
    )
    assert found.seeds == 3
    assert str(found) == f"{np.mean(true):.2f} [{ends.low:.2f}, {ends.high:.2f}]"


def test_intervals_of_few_seeds() -> None:
    one, none = interval(np.array([2.0])), interval(np.array([]))
    assert (one.exponent, one.ends, one.seeds) == (2.0, (-np.inf, np.inf), 1)
    assert np.isnan((none.exponent, *none.ends)).all()
    assert (str(one), str(none)) == ("2.00 (one seed)", "unknown")
    assert interval(np.array([1.0, 1.0])).ends == (1.0, 1.0)


def test_the_residual_is_the_largest_deviation_of_a_mean() -> None:
    x = np.array([1.0, 2.0, 4.0])
    # In log2 of x the means are (0, d, 0), and the line is level at d / 3.
    values = np.array([[1.0, 1.0], [4.0, 1.0], [1.0, np.nan]])
    d = 0.5 * np.log(4)
    assert residual(x, values) == pytest.approx(np.exp(2 * d / 3) - 1)
    assert residual(x, np.stack([3 * x**-0.4, 5 * x**-0.4], axis=1)) == pytest.approx(0, abs=1e-12)
    values[1] = np.nan
    assert np.isnan(residual(x, values))


def sweep_of(steps: np.ndarray) -> Sweep:
    parameters = 100 * 2.0 ** np.arange(len(steps))
    nothing = np.full_like(steps, np.nan)
    return Sweep(parameters, parameters, steps, nothing, nothing, nothing, np.isnan(steps), {})


def test_the_offset_of_exact_laws() -> None:
    m = (100 * 2.0 ** np.arange(6))[:, None]
    jitter = np.exp(0.02 * np.array([-1, 0, 1]))
    steps = (3e4 * m**-0.8 + 500) * jitter
    steps[1, 0] = np.nan
    fit = offset_fit(sweep_of(steps))
    assert fit is not None
    assert fit.identifiable
    for value, interval_, true in (
        (fit.k, fit.k_interval, -0.8), (fit.b, fit.b_interval, 500.0), (fit.a, fit.a_interval, 3e4)
    ):  # fmt: skip
        assert interval_[0] < true < interval_[1]
        assert value == pytest.approx(true, rel=0.1)
    steps[1:3] = np.nan
    assert offset_fit(sweep_of(steps)) is not None
    steps[3] = np.nan
    assert offset_fit(sweep_of(steps)) is None


def test_local_slopes_are_between_neighbours() -> None:
    sweep = sweep_of(np.array([[8.0], [4.0], [1.0]]))
    assert selection.local_slope(sweep, 0).exponent == pytest.approx(-1)
    assert selection.local_slope(sweep, -2).exponent == pytest.approx(-2)
