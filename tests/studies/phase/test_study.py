"""The map of where depth helps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import lnn
from lnn.core.network import random_direction
from lnn.execution.checkpoint import checksums
from lnn.results.statistics import coverage, order_statistic, steps_to_target
from lnn.studies.phase import study
from lnn.studies.phase.command import main
from lnn.studies.phase.conclusion import statements
from lnn.studies.phase.config import COARSE, FEATURES, PER_DECADE, RATES, ROWS, TUNING, MapConfig
from lnn.studies.phase.figures import caption, contour, draw, main_target
from lnn.studies.phase.study import DrawJob
from lnn.studies.phase.summary import map_of, speedups, tuned

SMALL = MapConfig(
    p=(4,), depths=(2,), norms=(0.3,), decays=(0.25,), targets=(0.5, 0.3), steps=120, seeds=6
)
OPTIONS = [
    *("--p", "4", "--depth", "2", "--norm", "0.1,1", "--decay", "0.25", "--targets", "0.3", "0.1"),
    *("--steps", "40", "--seeds", "6"),
]


# What is run.


def by_hand(config: MapConfig, seed: int, rate: float, depth: float) -> np.ndarray:
    """Steps to each target by a loop in float64, for one start norm and one output."""
    (p,), (norm,), (decay,) = config.p, config.norms, config.decays
    problem = lnn.datasets.synthetic(p, m=ROWS, d=FEATURES, decay=decay, seed=seed)
    x, y = np.asarray(problem.x), np.asarray(problem.y)
    _, least = lnn.reference_optimum(problem)
    w = norm * random_direction(np.random.default_rng([seed, 1]), 1, FEATURES, 1, 1.0)[0]
    losses = []
    for _ in range(config.steps + 1):
        residual = x @ w - y
        losses.append(np.mean(np.abs(residual) ** p) / p)
        g = x.T @ (np.sign(residual) * np.abs(residual) ** (p - 1)) / len(y)
        size = np.linalg.norm(w)
        along = (depth - 1) * (g @ w) / size**2 * w
        w = w - rate * size ** (2 - 2 / depth) * (g + along)
    zero = np.mean(np.abs(y) ** p) / p
    steps = lnn.simulation.trajectories.record_steps(config.steps)
    found = (np.array(losses)[steps] - least) / (zero - least)
    return steps_to_target(steps, found, np.array(config.targets))


def test_a_draw_agrees_with_a_loop() -> None:
    found = study.draw(SMALL, DrawJob(4.0, 0.25, 5))
    assert found.hits.shape == (2, 1, len(RATES), 2)
    for rate in (10**-2, 10**-1.3):
        i = int(np.argmin(np.abs(np.log(np.array(RATES) / rate))))
        for method, depth in enumerate((1, 2)):
            true = by_hand(SMALL, 5, RATES[i], depth)
            assert np.isfinite(true).any()
            np.testing.assert_allclose(found.hits[method, 0, i], true, rtol=2e-3)
    assert np.isinf(found.hits[:, 0, -1]).all()  # rate 10 diverges
    assert np.isinf(found.hits[:, 0, 0]).all()  # rate 1e-6 gets nowhere


def test_equal_eigenvalues_at_p_2_have_a_closed_form() -> None:
    """GD's distance to the optimum shrinks by 1 - rate at every step."""
    config = MapConfig(p=2, depths=2, norms=0.5, decays=0, targets=(0.1, 0.01), steps=200, seeds=1)
    found = study.draw(config, DrawJob(2.0, 0.0, 7))
    assert found.condition == pytest.approx(1, abs=1e-6)
    problem = lnn.datasets.synthetic(2, m=ROWS, d=FEATURES, decay=0, seed=7)
    optimum, least = lnn.reference_optimum(problem)
    start = 0.5 * random_direction(np.random.default_rng([7, 1]), 1, FEATURES, 1, 1.0)
    first = (float(problem.astype(np.float32).loss(start)) - least) / (0.5 - least)
    np.testing.assert_allclose(
        first, np.sum((start - optimum) ** 2) / np.sum(optimum**2), rtol=1e-4
    )
    i = int(np.argmin(np.abs(np.array(RATES) - 0.1)))
    true = np.log(np.array(config.targets) / first) / (2 * np.log(1 - RATES[i]))
    np.testing.assert_allclose(found.hits[0, 0, i], true, atol=0.5)


# What is concluded.


def test_the_papers_grid_is_part_of_the_fine_one() -> None:
    coarse = np.array(RATES)[list(COARSE)]
    paper = sorted([10.0**k for k in range(-6, 2)] + [5 * 10.0**k for k in range(-6, 1)])
    np.testing.assert_allclose(coarse, paper, rtol=0.003)
    np.testing.assert_allclose(np.diff(np.log10(RATES)), 1 / PER_DECADE)


def hits_of(rows: list[list[list[float]]]) -> np.ndarray:
    """Steps (draws, rates) of each method as hits of one cell and target."""
    found = np.full((1, 1, len(rows[0]), len(rows), 1, len(rows[0][0]), 1), np.inf)
    found[0, 0, :, :, 0, :, 0] = np.swapaxes(np.array(rows), 0, 1)
    return found


def test_the_rate_is_the_best_on_the_worst_tuning_draw() -> None:
    inf = np.inf
    gd = [[5, 9, 7, 1], [5, 1, 7, 1], [5, 1, 6, inf], [50, 60, 70, 80], [51, 61, 71, 81]]
    deep = [[9, 5, 5, 9], [9, 4, 4, 9], [9, 3, 4, 9], [1, 2, 3, 4], [5, inf, 7, 8]]
    rarely = [[inf, 9.0, inf, inf], [1, inf, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    # The third tuning draw stands for all others.
    rows = [[*row[:3], *[row[2]] * (TUNING - 3), *row[3:]] for row in (gd, deep, rarely)]
    steps, rates, edge = tuned(hits_of(rows), np.arange(4))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[50, 2, 1], [51, inf, 1]])
    np.testing.assert_allclose(rates[0, 0, :, 0, 0], [RATES[0], RATES[1], RATES[0]])
    np.testing.assert_array_equal(edge[0, 0, :, 0, 0], [-1, 0, -1])
    # Of the first and third rate only: 5 against 7, and 9 against 5.
    steps, rates, edge = tuned(hits_of(rows), np.array([0, 2]))
    np.testing.assert_array_equal(steps[0, 0, :, :2, 0, 0], [[50, 3], [51, 7]])
    np.testing.assert_allclose(rates[0, 0, :2, 0, 0], [RATES[0], RATES[2]])
    np.testing.assert_array_equal(edge[0, 0, :2, 0, 0], [-1, 1])


def test_a_miss_on_one_tuning_draw_is_no_miss_on_the_draws_that_report() -> None:
    """A rate that reached the target on some tuning draws is measured; else there is none."""
    inf = np.inf
    gd = [[inf, inf], *[[9, inf]] * (TUNING - 1), [7, 1], [8, 1]]
    nothing = [*[[inf, inf]] * TUNING, [7, 1], [8, 1]]
    steps, rates, _ = tuned(hits_of([gd, nothing]), np.arange(2))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[7, inf], [8, inf]])
    np.testing.assert_allclose(rates[0, 0, :, 0, 0], [RATES[0], np.nan])


def test_steps_are_whole() -> None:
    """A target that is passed within the first step is reached after one step."""
    gd = [[0.1]] * TUNING + [[0.2], [0.0], [3.0]]
    deep = [[2.5]] * TUNING + [[2.5], [1.0], [np.inf]]
    steps, _, _ = tuned(hits_of([gd, deep]), np.arange(1))
    np.testing.assert_array_equal(steps[0, 0, :, :, 0, 0], [[1, 3], [0, 1], [3, np.inf]])


@pytest.mark.parametrize(("count", "sign"), [(1, 0), (5, 0), (6, 1), (9, 1)])
def test_too_few_draws_show_nothing(count: int, sign: int) -> None:
    found = summarized([100.0] * count, [10.0] * count, order_statistic(count))
    assert (found["speedup"], found["significant"]) == (10, sign)


def summarized(gd: list[float], deep: list[float], order: int = 1) -> dict[str, float]:
    steps = np.stack([gd, deep], axis=1)[None, None, :, :, None, None].astype(float)
    found = speedups(steps, 100, order)
    return {name: float(values.item()) for name, values in found.items()}


def test_speedups_and_their_bounds() -> None:
    inf = np.inf
    plain = summarized([10, 20, 30, 30, 40, 50], [5, 4, 10, 10, 20, 10])
    assert plain == {"speedup": 3.0, "bound": 0, "low": 2.0, "high": 5.0, "significant": 1}
    narrower = summarized([10, 20, 30, 30, 40, 50], [5, 4, 10, 10, 20, 10], order=2)
    assert (narrower["low"], narrower["high"], narrower["significant"]) == (2.0, 5.0, 0)
    slower = summarized([10, 20, 30, 30, 40, 50], [20, 40, 60, 60, 80, inf])
    assert slower == {"speedup": 0.5, "bound": 0, "low": 0.0, "high": 0.5, "significant": -1}
    missed = summarized([inf, inf, 30, inf, inf, 50], [5, 4, 10, 10, 20, 25])
    assert (missed["speedup"], missed["bound"]) == (10.0, 1)  # 100 / 10
    assert (missed["low"], missed["high"], missed["significant"]) == (2.0, inf, 1)
    lost = summarized([5, 4, 10, 20, 25], [inf, inf, 30, inf, 50])
    assert (lost["speedup"], lost["bound"]) == (0.1, -1)
    both = summarized([inf] * 5, [inf] * 5)
    assert np.isnan(both["speedup"])
    assert (both["low"], both["high"], both["significant"]) == (0.0, inf, 0)
    assert summarized([0] * 5, [0] * 5)["speedup"] == 1


@pytest.mark.parametrize(("count", "order"), [(1, 1), (5, 1), (6, 1), (9, 2), (20, 6)])
def test_the_band_covers_the_median_as_often_as_it_says(count: int, order: int) -> None:
    assert order_statistic(count) == order
    values = np.sort(np.random.default_rng(0).standard_normal((40_000, count)), axis=1)
    inside = np.mean((values[:, order - 1] < 0) & (values[:, -order] > 0))
    expected = coverage(count, order)
    assert abs(inside - expected) < 4 * np.sqrt(0.25 / 40_000)
    assert expected >= 0.95 or order == 1


@pytest.fixture(scope="module")
def made_up() -> xr.Dataset:
    """GD takes 8000 steps, depth 8000 / (2^(norm position) p / 2), +-5 % over the draws."""
    config = MapConfig(
        p=(2, 4), depths=(2, 3), norms=(0.1, 1), decays=(0, 1), targets=(0.1,), seeds=9,
        steps=800_000,
    )  # fmt: skip
    draws = TUNING + config.seeds
    hits = np.full((2, 2, draws, 3, 2, len(RATES), 1), np.inf)
    spread = np.concatenate([np.ones(TUNING), np.linspace(0.95, 1.05, config.seeds)])
    for i, p in enumerate(config.p):
        for n in range(2):
            hits[i, :, :, 0, n, 40] = 8000
            hits[i, :, :, 1:, n, 47] = (8000 / (2**n * p / 2) * spread)[None, :, None, None]
    hits[0, 1, :, 1] = np.inf  # depth 2 never arrives at p = 2 and decay 1
    shape = (2, 2, draws)
    return map_of(
        config,
        {
            "hits": hits,
            "condition": np.broadcast_to([[1.0], [1e9]], shape),
            "solution_norm": np.ones(shape),
        },
    )


def test_the_map_has_what_went_in(made_up: xr.Dataset) -> None:
    speedup = made_up["speedup"].sel(target=0.1)
    np.testing.assert_allclose(speedup.sel(p=4, depth=3, norm=1), 4, rtol=0.02)
    np.testing.assert_allclose(speedup.sel(p=2, depth=3, norm=0.1), 1, rtol=0.02)
    assert int(made_up["significant"].sel(p=4, depth=3, norm=1, decay=0).item()) == 1
    assert int(made_up["significant"].sel(p=2, depth=3, norm=0.1, decay=0).item()) == 0
    lost = made_up.sel(p=2, decay=1, depth=2, norm=1, target=0.1)
    assert (float(lost["speedup"]), int(lost["bound"])) == (0.01, -1)
    assert np.isnan(lost["learning_rate"])
    assert float(made_up["gd_learning_rate"].max()) == pytest.approx(RATES[40])
    # Both rates are on the paper's grid.
    np.testing.assert_allclose(made_up["coarse_speedup"], made_up["speedup"])
    assert all({"units", "description"} <= set(made_up[name].attrs) for name in made_up.data_vars)


def test_statements_agree_with_the_map(made_up: xr.Dataset) -> None:
    text = "\n".join(statements(made_up))
    # p = 4: 2 and 4 times, all significant; p = 2: 1 and 2 times, and bounds in two of 8 cells.
    assert "p = 4: depth helps significantly in 100 % of 8 cells and hurts in 0 %" in text
    assert "p = 2: depth helps significantly in 38 % of 8 cells and hurts in 25 %" in text
    assert "cell by cell, that at norm 1 is 2.00 [2.00, 2.00] times that at norm 0.1" in text
    assert "1.00 [1.00, 1.00] times that of the fine grid" in text
    assert "off by more than a factor of 1.5 in 0 % of them" in text
    assert "at condition 1, " in text
    assert "at condition 1e+09; cell by cell" in text
    assert "0 of 24 tuned rates" in text
    assert "in 0 of 16 cells neither" in text


def test_the_contour_runs_between_cells_above_and_below_one() -> None:
    speedup = np.array([[0.5, 2.0], [np.nan, 1.0]])
    edges = {tuple(map(tuple, edge)) for edge in contour(speedup)}
    # Between the two of the first row, and between those of the second column; not to a blank.
    assert edges == {((1.0, 0.0), (1.0, 1.0)), ((1.0, 1.0), (2.0, 1.0))}


def test_the_figure_draws_the_contour_where_the_speedup_crosses_one(made_up: xr.Dataset) -> None:
    fig = draw(made_up)
    panels = [ax for ax in fig.axes if ax.get_title() or ax.get_ylabel().startswith("$\\mathbf")]
    assert len(panels) >= 3
    assert main_target(made_up) == 0.1
    assert "96.1 % confidence" in caption(made_up)


# The command.


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("map")
    assert main([*OPTIONS, "--out", str(out), "--quiet"]) == 0
    return out / "phase"


def test_files_are_there_and_agree(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        *(f"phase.{kind}" for kind in ("nc", "csv", "pdf", "png", "txt")), "manifest.json",
        "records", "study.toml",
    }  # fmt: skip
    found = lnn.results.dataset.load_dataset(finished / "phase.nc")
    assert dict(found.sizes) == {
        "p": 1, "decay": 1, "depth": 1, "norm": 2, "target": 2, "draw": 6
    }  # fmt: skip
    text = " ".join((finished / "phase.txt").read_text().split())
    assert all(sentence in text for sentence in (caption(found), *statements(found)))
    lines = (finished / "phase.csv").read_text().splitlines()
    assert len(lines) == 1 + 4
    assert lines[0].startswith("p,decay,depth,norm,target,speedup,bound,low,high,significant")
    assert json.loads((finished / "manifest.json").read_text())["config"]["steps"] == 40
    assert len(list(finished.glob("records/*/*.npz"))) == TUNING + 6
    before = checksums(finished)
    assert main([*OPTIONS, "--out", str(finished.parent), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["conclusion"] == statements(found)
    assert len(told["cells"]) == 4
    assert checksums(finished) == before


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the draws that are made."""
    real, seeds = study.draw, []

    def counted(config: MapConfig, job: DrawJob) -> study.Draw:
        seeds.append(job.seed)
        if len(seeds) == STOPPED:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(config, job)

    monkeypatch.setattr(study, "draw", counted)
    return seeds


STOPPED = 5
"""The draw that is interrupted."""


def test_stopped_it_resumes_with_the_same_bytes(
    finished: Path, made: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, drive = tmp_path / "here", tmp_path / "drive"
    command = [*OPTIONS, "--out", str(here), "--mirror", str(drive)]
    assert main(command) == 143
    assert "is intact: run the same command to resume" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["phase.unfinished"]
    # What is lost here is brought back from the mirror, but for a record that is damaged there.
    records = sorted(drive.glob("*/records/*/*.npz"))
    assert len(records) == STOPPED - 1
    records[1].write_bytes(records[1].read_bytes()[:100])
    shutil.rmtree(here)
    assert main(command) == 0
    assert "4 tuned studies" in capsys.readouterr().out
    assert len(made) == TUNING + 6 + 2  # the one that was interrupted and the damaged one again
    for name in ("phase.nc", "phase.csv", "phase.txt", "phase.png"):
        assert (here / "phase" / name).read_bytes() == (finished / name).read_bytes()
    assert checksums(drive / "phase") == checksums(here / "phase")


def test_extended_it_makes_only_what_is_missing(
    finished: Path, made: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "phase")
    made += range(STOPPED)  # none is interrupted
    more = [*OPTIONS, "--seeds", "7", "--out", str(tmp_path), "--quiet"]
    assert main(more) == 2
    assert "--extend to set it aside and use its runs" in capsys.readouterr().err
    assert main([*more, "--extend"]) == 0
    assert made[STOPPED:] == [TUNING + 6]
    assert checksums(tmp_path / "phase.1") == checksums(finished)
    # Another conditioning is another problem, however near.
    near = [option if option != "0.25" else "0.25000001" for option in OPTIONS]
    assert main([*near, "--seeds", "1", "--out", str(tmp_path), "--quiet", "--extend"]) == 0
    assert len(made) == STOPPED + 1 + TUNING + 1


def test_a_study_is_repeated_by_its_file(
    finished: Path, made: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made += range(STOPPED)
    file = str(finished / "study.toml")
    assert main(["--config", file, "--out", str(tmp_path), "--quiet"]) == 0
    for name in ("phase.nc", "study.toml"):
        assert (tmp_path / "phase" / name).read_bytes() == (finished / name).read_bytes()
    assert main(["--config", file, "--steps", "0", "--out", str(tmp_path)]) == 2
    assert "steps = 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--p", "1"], "p = 1: give real numbers above 1"),
        (["--depth", "1"], "depth = 1 is plain gradient descent"),
        (["--depth", "0.5"], "depth = 0.5"),
        (["--norm", "0"], "norm = 0: give positive numbers"),
        (["--decay", "3"], "decay = 3: give numbers from 0"),
        (["--targets", "2"], "target = 2: give numbers between 0 and 1"),
        (["--steps", "0"], "steps = 0: give a whole number"),
        (["--seeds", "0"], "seeds = 0: give a whole number"),
        (["--out", f"{__file__}/out"], "not a folder you can write to"),
    ],
)
def test_mistakes_are_told(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) in (1, 2)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("values", ["4", True, ()])
def test_axes_are_numbers(values: Any) -> None:
    with pytest.raises(ValueError, match=r"give numbers|no p is given"):
        MapConfig(p=values)


def test_help_teaches_without_loading_jax() -> None:
    code = (
        "import sys\n"
        "from lnn.studies.phase.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "assert not {'jax', 'numpy', 'xarray', 'matplotlib'} & set(sys.modules), 'heavy imports'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("--p", "--depth", "--norm", "--decay", "--targets", "--steps", "--seeds"):
        assert option in done.stdout
