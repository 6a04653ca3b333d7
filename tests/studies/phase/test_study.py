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
from lnn.results.statistics import steps_to_target
from lnn.studies.phase import study
from lnn.studies.phase.command import main
from lnn.studies.phase.conclusion import statements
from lnn.studies.phase.config import FEATURES, RATES, ROWS, TUNING, MapConfig
from lnn.studies.phase.figures import caption, contour, draw, main_target
from lnn.studies.phase.study import DrawJob

SMALL = MapConfig(
    p=(4,),
    depths=(2,),
    relative_norms=(0.3,),
    decays=(0.25,),
    targets=(0.5, 0.3),
    steps=120,
    seeds=6,
)
OPTIONS = [
    *("--p", "4", "--depth", "2", "--norm", "0.1,1", "--decay", "0.25", "--targets", "0.3", "0.1"),
    *("--steps", "40", "--seeds", "6"),
]


# What is run.


def by_hand(
    config: MapConfig, seed: int, rate: float, depth: float, layers: bool = False
) -> np.ndarray:
    """Steps to each target by a loop in float64, for one start norm and one output, by the rule or
    on the two layers of a network.
    """
    (p,), (norm,), (decay,) = config.p, config.relative_norms, config.decays
    problem = lnn.datasets.gaussian(p, m=ROWS, d=FEATURES, decay=decay, seed=seed)
    x, y = np.asarray(problem.x), np.asarray(problem.y)
    optimum, least = lnn.reference_optimum(problem)
    norm *= np.linalg.norm(optimum)
    w = norm * random_direction(np.random.default_rng([seed, 1]), 1, FEATURES, 1, 1.0)[0]
    first, second = w / np.sqrt(norm), np.sqrt(norm)  # balanced
    losses = []
    for _ in range(config.steps + 1):
        residual = x @ w - y
        losses.append(np.mean(np.abs(residual) ** p) / p)
        g = x.T @ (np.sign(residual) * np.abs(residual) ** (p - 1)) / len(y)
        if layers:
            first, second = first - rate * second * g, second - rate * (g @ first)
            w = second * first
            continue
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


def test_layers_of_a_balanced_network_agree_with_a_loop() -> None:
    found = study.draw(SMALL, DrawJob(4.0, 0.25, 5, layers=True))
    assert found.hits.shape == (1, 1, len(RATES), 2)
    differing = []
    for rate in (10**-2, 10**-1.3, 10**-1):
        i = int(np.argmin(np.abs(np.log(np.array(RATES) / rate))))
        true = by_hand(SMALL, 5, RATES[i], 2, layers=True)
        assert np.isfinite(true).any()
        np.testing.assert_allclose(found.hits[0, 0, i], true, rtol=2e-3)
        differing.append(list(true) != list(by_hand(SMALL, 5, RATES[i], 2)))
    assert any(differing)  # the rule is another method at these rates


def test_equal_eigenvalues_at_p_2_have_a_closed_form() -> None:
    """GD's distance to the optimum shrinks by 1 - rate at every step."""
    config = MapConfig(
        p=2, depths=2, relative_norms=0.5, decays=0, targets=(0.1, 0.01), steps=200, seeds=1
    )
    found = study.draw(config, DrawJob(2.0, 0.0, 7))
    assert found.condition == pytest.approx(1, abs=1e-6)
    problem = lnn.datasets.gaussian(2, m=ROWS, d=FEATURES, decay=0, seed=7)
    optimum, least = lnn.reference_optimum(problem)
    direction = random_direction(np.random.default_rng([7, 1]), 1, FEATURES, 1, 1.0)
    start = 0.5 * np.linalg.norm(optimum) * direction
    first = (float(problem.astype(np.float32).loss(start)) - least) / (0.5 - least)
    np.testing.assert_allclose(
        first, np.sum((start - optimum) ** 2) / np.sum(optimum**2), rtol=1e-4
    )
    i = int(np.argmin(np.abs(np.array(RATES) - 0.1)))
    true = np.log(np.array(config.targets) / first) / (2 * np.log(1 - RATES[i]))
    assert (np.ceil(true) <= found.hits[0, 0, i]).all()
    np.testing.assert_allclose(found.hits[0, 0, i], np.ceil(true), atol=1)


def test_a_start_has_its_norm_relative_to_the_optimum() -> None:
    """Two problems whose optima have norms 1 and 10 start as far from zero, relative to them."""
    config = MapConfig(p=4, depths=2, relative_norms=(0.01, 0.1), decays=(0, 0.5), steps=1)
    norms = []

    def groups(problem: object, given: list[Any], *_: object, **__: object) -> None:
        norms.append(np.linalg.norm(given[0].params, axis=(1, 2)))
        raise InterruptedError

    for decay in config.decays:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
            patch.setattr(study, "simulate_groups", groups)
            study.draw(config, DrawJob(4.0, decay, 3))
        problem = lnn.datasets.gaussian(4, m=ROWS, d=FEATURES, decay=decay, seed=3)
        size = float(np.linalg.norm(lnn.reference_optimum(problem)[0]))
        np.testing.assert_allclose(norms[-1], np.repeat([0.01, 0.1], len(RATES)) * size)
    assert norms[1][0] > 5 * norms[0][0]


# What is concluded.


def test_the_map_has_what_went_in(made_up: xr.Dataset) -> None:
    speedup = made_up["speedup"].sel(target=0.1)
    np.testing.assert_allclose(speedup.sel(p=4, depth=3, relative_norm=1), 4, rtol=0.02)
    np.testing.assert_allclose(speedup.sel(p=2, depth=3, relative_norm=0.1), 1, rtol=0.02)
    significant = made_up["significant"].sel(depth=3, decay=0, target=0.1)
    assert int(significant.sel(p=4, relative_norm=1)) == 1
    assert int(significant.sel(p=2, relative_norm=0.1)) == 0
    lost = made_up.sel(p=2, decay=1, depth=2, relative_norm=1, target=0.1)
    assert (float(lost["speedup"]), int(lost["bound"])) == (0.01, -1)
    assert (int(lost["significant"]), float(lost["p_value"])) == (-1, 2**-8)
    assert np.isnan(lost["learning_rate"])
    assert np.isnan(lost["missed"])  # there is no rate at which it was
    assert float(made_up["gd_learning_rate"].max()) == pytest.approx(RATES[40])
    assert float(made_up["network_learning_rate"].max()) == pytest.approx(RATES[44])
    # Both rates are on the paper's grid.
    np.testing.assert_allclose(made_up["coarse_speedup"], made_up["speedup"])
    assert all({"units", "description"} <= set(made_up[name].attrs) for name in made_up.data_vars)
    assert "optimum W* of the draw" in made_up["relative_norm"].attrs["description"]


def test_statements_agree_with_the_map(made_up: xr.Dataset) -> None:
    text = "\n".join(statements(made_up))
    # p = 4: 2 and 4 times, all significant; p = 2: 1 and 2 times, and bounds in two of 8 cells.
    assert (
        "p = 4: at a false-discovery rate of 5 %, depth helps in 100.0 % and hurts in 0.0" in text
    )
    assert (
        "p = 2: at a false-discovery rate of 5 %, depth helps in 37.5 % and hurts in 25.0" in text
    )
    assert "cell by cell, that at norm 1 |W*|, an end of the grid, is 2.00 (of 7)" in text
    assert "1.00 [1.00, 1.00] times that of the fine grid" in text
    assert "off by more than a factor of 1.5 in 0 % of them" in text
    assert "at condition 1, " in text
    assert "at condition 1e+09; cell by cell" in text
    assert "0 of 32 tuned rates" in text
    assert "in 0 of 16 cells neither" in text


def test_the_contour_runs_between_cells_above_and_below_one() -> None:
    speedup = np.array([[0.5, 2.0], [np.nan, 1.0]])
    edges = {tuple(map(tuple, edge)) for edge in contour(speedup)}
    # Between the two of the first row, and between those of the second column; not to a blank.
    assert edges == {((1.0, 0.0), (1.0, 1.0)), ((1.0, 1.0), (2.0, 1.0))}


def test_the_figure_shows_what_the_caption_says(made_up: xr.Dataset) -> None:
    few = made_up["few_steps"].copy()
    few.loc[{"p": 4, "decay": 1, "relative_norm": 1}] = 1
    few.loc[{"p": 2, "decay": 1, "relative_norm": 0.1}] = 1
    fig = draw(made_up.assign(few_steps=few))
    panels = fig.axes[:4]
    assert [ax.get_title() for ax in panels[:2]] == ["condition 1", "condition $1 \\times 10^{9}$"]
    dots = [[line.get_xydata().tolist() for line in ax.lines] for ax in panels]
    both = [[[[x, 0.5]], [[x, 1.5]]] for x in (0.5, 1.5)]  # depths
    assert dots == [[], both[0], [], both[1]]
    hatched = [len(ax.patches) for ax in panels]
    assert hatched == [2, 1, 0, 0]  # where the speed-up is 1
    assert [[text.get_text() for text in ax.texts] for ax in panels] == [[], ["<", "<"], [], []]
    assert [text.get_position()[0] for text in panels[1].texts] == [0.75, 1.5]  # beside the dot
    assert "over that of the optimum" in fig.get_supxlabel()
    legend = {text.get_text() for text in fig.legends[0].get_texts()}
    assert {"not significant", "GD: at most 5 steps"} <= legend
    assert main_target(made_up) == 0.1
    for part in ("false-discovery rate of 5 %", "relative to that of the optimum", "with a dot"):
        assert part in caption(made_up)


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
        "p": 1, "decay": 1, "depth": 1, "relative_norm": 2, "target": 2, "draw": 6,
        "network_depth": 1,
    }  # fmt: skip
    text = " ".join((finished / "phase.txt").read_text().split())
    assert all(sentence in text for sentence in (caption(found), *statements(found)))
    lines = (finished / "phase.csv").read_text().splitlines()
    assert len(lines) == 1 + 4
    assert lines[0].startswith("p,decay,depth,relative_norm,target,speedup,bound,low,high,p_value")
    assert json.loads((finished / "manifest.json").read_text())["config"]["steps"] == 40
    assert len(list(finished.glob("records/*/*.npz"))) == 2 * (TUNING + 6)  # also of layers
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
    assert (
        len(made) == 2 * (TUNING + 6) + 2
    )  # the one that was interrupted and the damaged one again
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
    assert made[STOPPED:] == [TUNING + 6] * 2  # of the rule and of layers
    assert checksums(tmp_path / "phase.1") == checksums(finished)
    # Another conditioning is another problem, however near.
    near = [option if option != "0.25" else "0.25000001" for option in OPTIONS]
    assert main([*near, "--seeds", "1", "--out", str(tmp_path), "--quiet", "--extend"]) == 0
    assert len(made) == STOPPED + 2 + 2 * (TUNING + 1)


@pytest.mark.slow
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


def test_absolute_norms_of_earlier_studies_are_not_taken_for_relative_ones(
    finished: Path, made: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (finished / "study.toml").read_text()
    assert "relative-norm = [0.1, 1.0]" in text
    (tmp_path / "study.toml").write_text(text.replace("relative-norm", "norm"))
    with pytest.raises(SystemExit, match="2"):
        main(["--config", str(tmp_path / "study.toml"), "--out", str(tmp_path)])
    assert "'norm' is unknown: choose from" in capsys.readouterr().err
    there = shutil.copytree(finished, tmp_path / "phase") / "manifest.json"
    there.write_text(there.read_text().replace('"relative_norms"', '"norms"'))
    for more in ([], ["--extend"]):
        assert main([*OPTIONS, "--out", str(tmp_path), "--quiet", *more]) == 2
        assert "holds another study: norms [0.1, 1.0] there" in capsys.readouterr().err
    assert made == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--p", "1"], "p = 1: give real numbers above 1"),
        (["--depth", "1"], "depth = 1 is plain gradient descent"),
        (["--depth", "0.5"], "depth = 0.5"),
        (["--norm", "0"], "relative norm = 0: give positive numbers"),
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
    assert "relative to that of the optimum W*" in " ".join(done.stdout.split())
