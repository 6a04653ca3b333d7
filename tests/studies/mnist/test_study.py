"""The study on MNIST: search, command and records, from made-up curves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_images import fake_images
from small_mnist import SMALL, bowl

from lnn.core.files import load_record, save_record
from lnn.datasets import mnist
from lnn.execution import backend
from lnn.execution.result_cache import ResultCache
from lnn.execution.workspace import Workspace
from lnn.studies.mnist import command
from lnn.studies.mnist import study as search
from lnn.studies.mnist import train as training
from lnn.studies.mnist.config import ARMS, QUICK, SCALES, MnistConfig
from lnn.studies.mnist.runs import Curve, TrainingRun, rate_of
from lnn.studies.mnist.study import COARSE, key_of, run_study
from lnn.studies.runner import Runner
from lnn.studies.search import judge, judged, tuning_seeds

# The search.


def test_every_arm_has_the_same_search() -> None:
    make, asked = bowl(dict.fromkeys(ARMS, 0))
    study = run_study(SMALL, make)
    assert set(study.chosen.values()) == {0}
    assert {tuple(tried) for tried in study.tried.values()} == {(-6, -4, -2, -1, 0, 1, 2, 4)}
    seeds = {arm: {run.seed for run in asked if run.arm == arm} for arm in ARMS}
    assert set(map(frozenset, seeds.values())) == {frozenset([0, 1, 2, *tuning_seeds(SMALL)])}
    assert len(set(asked)) == search.planned(SMALL) - len(ARMS) * SMALL.seeds  # tuned is 0.01
    assert rate_of(0) == 0.01
    np.testing.assert_allclose([rate_of(p) for p in COARSE[::4]], [10**-3.5, 10**-1.5])


@pytest.mark.parametrize(
    ("best", "chosen", "edge", "tried"),
    [
        (1, 1, 0, 8),  # between two coarse ones
        (4, 4, 0, 10),  # at the end, extended and then found inside
        (-6, -6, 0, 10),
        (-30, -11, -1, 10),  # beyond what one extension reaches
        (30, 9, 1, 10),
    ],
)
def test_the_range_is_extended_once(best: int, chosen: int, edge: int, tried: int) -> None:
    make, _ = bowl({**dict.fromkeys(ARMS, 0), "rule": best})
    study = run_study(SMALL, make)
    assert study.chosen["rule"] == chosen
    assert study.edge("rule") == edge
    assert len(study.tried["rule"]) == tried
    assert study.chosen["normal"] == study.edge("normal") == 0
    assert len(study.tried["normal"]) == 8


def test_the_worst_tuning_seed_counts_and_divergence_is_infinity() -> None:
    first = tuning_seeds(SMALL)[0]
    spoilt = {(0, first): np.nan, (1, first): 0.5, (-1, first + 1): 0.5}
    make, _ = bowl(dict.fromkeys(ARMS, 0), lambda run: spoilt.get((run.power, run.seed), 0.0))
    # Of 0, 1 and -1 each fails on one seed; the next best are the neighbours of the coarse grid.
    assert set(run_study(SMALL, make).chosen.values()) == {-2}


@pytest.mark.parametrize(
    ("seeds", "value", "name"),
    [
        (1, 0, "its only tuning seed"),
        (2, 1, "the worst of 2 tuning seeds"),
        (5, 4, "the worst of 5 tuning seeds"),
        (6, 4, "the 2nd worst of 6 tuning seeds"),
        (11, 8, "the 3rd worst of 11 tuning seeds"),
    ],
)
def test_a_rate_is_judged_by_the_seed_that_is_named(seeds: int, value: int, name: str) -> None:
    assert judged(np.random.default_rng(0).permutation(seeds)) == value
    assert judge(seeds) == name
    told = search.protocol(replace(SMALL, tuning_seeds=seeds))
    assert f"judged by {name} (diverged is infinity). Reported on 3 other seeds" in told


# ResultCache.


def fake_train(config: MnistConfig, arm: str, rate: float, seed: int, data: Any) -> Curve:
    """A curve that depends on arm, rate and seed, and falls fastest at 0.01."""
    rng = np.random.default_rng([list(ARMS).index(arm), seed, int(1e6 * rate)])
    steps = config.record_steps()
    speed = (1 + list(ARMS).index(arm)) / (1 + np.log10(rate / 0.01) ** 2)
    entropy = 2.3 * np.exp(-speed * steps / steps[-1]) + 0.001 * rng.random(steps.size)
    weights = np.linspace(0.4, 0.4 - 0.01 * speed, steps.size)
    return Curve(steps, entropy, weights, 2 * weights, 0.1 / speed, time.perf_counter())


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[TrainingRun]:
    """The command with made-up images and training, in this process; the runs that it makes."""
    made: list[TrainingRun] = []

    def train(config: MnistConfig, arm: str, rate: float, seed: int, data: Any) -> Curve:
        made.append(TrainingRun(arm, round(4 * np.log10(rate / 0.01)), seed))
        return fake_train(config, arm, rate, seed, data)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(mnist, "load", lambda path, progress: fake_images(1000))
    monkeypatch.setattr(backend, "cores", lambda: 0)
    monkeypatch.setattr(backend, "start", lambda: None)
    return made


def written(folder: Path) -> dict[str, bytes]:
    names = ("mnist.nc", "mnist.csv", "mnist.pdf", "mnist.png", "report.md")
    return {name: (folder / name).read_bytes() for name in names}


def test_the_command_and_its_resumption(
    fake: list[TrainingRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line = ["--quick", "--out", str(tmp_path)]
    assert command.main(command_line) == 0
    printed = capsys.readouterr().out
    assert "Relative to the normal network" in printed
    assert "training runs\n" in printed
    folder = tmp_path / "mnist-quick"
    first, made = written(folder), list(fake)
    assert len(set(made)) == len(made)
    fake.clear()
    assert command.main([*command_line, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["setting"], row["arm"]) for row in rows][: len(ARMS)] == [
        ("tuned", arm) for arm in ARMS
    ]
    assert fake == []
    # Killed at the end, with some records lost and one damaged: only these are made again, and
    # all is the same.
    work = tmp_path / "mnist-quick.unfinished"
    shutil.copytree(folder / "records", work / "records")
    manifest = json.loads((folder / "manifest.json").read_text())
    study = {"config": manifest["config"], "data_checksum": manifest["data_checksum"],
             "base": [], "generations": ["0-jobs"], "sessions": manifest["sessions"]}  # fmt: skip
    (work / "study.json").write_text(json.dumps(study))
    shutil.rmtree(folder)
    records = sorted(work.glob("records/*/*.npz"))
    assert len(records) == len(made)
    for path in records[:3]:
        path.unlink()
    records[5].write_bytes(records[5].read_bytes()[:100])
    kept = {path.name: path.read_bytes() for path in records[6:]}
    assert command.main(command_line) == 0
    assert f"{len(made) - 4} of them completed earlier" in capsys.readouterr().out
    assert len(fake) == 4
    assert written(folder) == first
    there = {path.name: path.read_bytes() for path in folder.glob("records/*/*.npz")}
    assert kept.items() <= there.items()
    # More seeds make only what is missing, and what three seeds have shown is still there.
    fake.clear()
    assert command.main([*command_line, "--seeds", "4"]) == 2
    assert command.main([*command_line, "--seeds", "4", "--extend"]) == 0
    assert {run.seed for run in fake} == {3}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["config"]["seeds"] == 4
    assert manifest["base"] == ["mnist-quick.1"]
    assert written(tmp_path / "mnist-quick.1") == first
    assert set(manifest["milliseconds_per_step"]) == set(ARMS)


@pytest.mark.usefixtures("fake")
def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for arguments, code, told in (
        (["--seeds", "0"], 2, "seeds = 0: give a whole number"),
        (["--steps", "-3"], 2, "steps = -3: give a whole number"),
        (["--scale", "full"], 2, "evaluation = 5000, but there are 1000 images"),
        (["--out", str(tmp_path / "file" / "x")], 1, "choose another --out"),
    ):
        assert command.main(["--quiet", "--out", str(tmp_path), *arguments]) == code
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert command.main(["--quick", "--scale", "full"]) == 2
    with pytest.raises(SystemExit) as stopped:
        command.main(["--scale", "huge"])
    assert stopped.value.code == 2


def test_missing_images_are_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 3
    assert "does not exist" in capsys.readouterr().err


def test_the_key_is_of_what_a_run_depends_on() -> None:
    key = key_of(SMALL, "data", {"jax": "1"}, "cpu")
    other = MnistConfig(**{**vars(SMALL), "seeds": 9, "tuning_seeds": 1})
    assert key_of(other, "data", {"jax": "1"}, "cpu") == key
    larger = MnistConfig(**{**vars(SMALL), "hidden": 7})
    for changed in (
        (larger, "data", {"jax": "1"}, "cpu"),
        (SMALL, "other", {"jax": "1"}, "cpu"),
        (SMALL, "data", {"jax": "2"}, "cpu"),
        (SMALL, "data", {"jax": "1"}, "gpu"),
    ):
        assert key_of(*changed) != key


def test_a_record_comes_back(tmp_path: Path) -> None:
    made = fake_train(SMALL, "rule", 0.01, 0, None)
    save_record(tmp_path / "a.npz", made)
    found = load_record(tmp_path / "a.npz", Curve)
    assert found is not None
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    (tmp_path / "a.npz").write_bytes(b"no")
    assert load_record(tmp_path / "a.npz", Curve) is None


def test_help_teaches_without_loading_jax() -> None:
    code = (
        "import sys\nfrom lnn.studies.mnist.command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    sys.exit('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0
    for part in ("--data", "--scale", "exit codes", "Hou et al.", "LNN_MNIST_URL"):
        assert part in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_scales_are_sizes() -> None:
    full = MnistConfig(**SCALES["full"])
    assert (full.channels, full.hidden, full.steps) == ((32, 64), 512, 10 * 55000 // 64)
    for config in (full, MnistConfig(), MnistConfig(**QUICK), MnistConfig(steps=1)):
        marks = config.record_steps()
        assert marks[0] == 0
        assert marks[-1] == config.steps
        assert (np.diff(marks) > 0).all()
        assert marks.size <= 24


# With real training, in worker processes.


@pytest.mark.slow
def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    config = MnistConfig(channels=(2, 2), hidden=4, steps=3, evaluation=100, seeds=2)
    runs = [TrainingRun(arm, 0, seed) for arm in ("normal", "rule") for seed in (0, 1)]
    made = {}
    for workers in (2, 0):
        workspace = Workspace(tmp_path, str(workers), {})
        workspace.begin("", {"versions": {}, "devices": "", "processes": 1}, "jobs")
        setting, records = (config, fake_images(200)), ResultCache(workspace, "key")
        made[workers] = Runner(training.run_job, setting, Curve, records, workers=workers)(runs, "")
        assert sorted(made[workers]) == sorted(runs)
        workspace.release()
    for run in runs:
        a, b = (made[workers][run] for workers in (2, 0))
        np.testing.assert_allclose(a.cross_entropy, b.cross_entropy, rtol=1e-5)


@pytest.mark.slow
def test_stopped_it_goes_on(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "fake_mnist.py"
    options = ("--quick", "--steps", "20", "--seeds", "1", "--out", str(tmp_path / "out"))
    line = [sys.executable, str(script), *options]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("out/*/records/*/*.npz"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert told.strip().endswith("is intact: run the same command to resume")
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("out/*/records/*/[!.]*.npz")}
    assert len(kept) >= 3
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of them completed earlier" in done.stdout
    made = {path.name: path.read_bytes() for path in tmp_path.glob("out/*/records/*/*.npz")}
    assert kept.items() <= made.items()
