"""The study on MNIST: search, records, table, words and figure, from made-up curves."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fake_images import fake_images

from lnn.core.files import load_record, save_record
from lnn.datasets import mnist
from lnn.execution import backend
from lnn.execution.result_cache import ResultCache
from lnn.execution.workspace import Workspace
from lnn.results.dataset import load_dataset, save_dataset
from lnn.studies.mnist import command, summary
from lnn.studies.mnist import study as search
from lnn.studies.mnist import train as training
from lnn.studies.mnist.conclusion import faster, lower, statements
from lnn.studies.mnist.config import ARMS, QUICK, SCALES, MnistConfig
from lnn.studies.mnist.figures import caption, draw
from lnn.studies.mnist.report import markdown, to_csv
from lnn.studies.mnist.runs import Curve, TrainingRun, rate_of
from lnn.studies.mnist.study import COARSE, key_of, run_study
from lnn.studies.mnist.summary import Row, summarize
from lnn.studies.runner import Runner
from lnn.studies.search import tuning_seeds

SMALL = MnistConfig(channels=(2, 3), hidden=6, steps=64, evaluation=100, tuning_seeds=2, seeds=3)
FACTS = {"network": "small", "evaluation": 100, "refresh_every": 10, "protocol": "a search"}


# The search.


def bowl(best: Mapping[str, int], at: Callable[[TrainingRun], float] = lambda run: 0.0) -> Any:
    """Curves whose final objective is least at one power, and all runs that were asked for."""
    asked: list[TrainingRun] = []

    def make(runs: Iterable[TrainingRun], text: str) -> dict[TrainingRun, Curve]:
        found = {}
        for run in runs:
            asked.append(run)
            final = 1 + (run.power - best[run.arm]) ** 2 / 100 + at(run)
            found[run] = Curve(SMALL.record_steps(), *3 * [np.full(SMALL.record_steps().size,
                               final / 2)], 0.1, 1.0)  # fmt: skip
        return found

    return make, asked


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


# What is concluded.


def study_of(change: Callable[[str, str, int, Curve], Curve]) -> xr.Dataset:
    """A dataset in which every arm has the same straight curves, before the change."""
    steps = SMALL.record_steps()
    make, _ = bowl(dict.fromkeys(ARMS, 2))
    study = run_study(SMALL, make)
    for run in list(study.curves):
        if run.seed < SMALL.seeds:
            setting = "tuned" if run.power == 2 else "hard-coded"
            base = Curve(steps, 2 - steps / 64 + 0.01 * run.seed, np.full(steps.size, 0.5),
                         np.full(steps.size, 0.7), 0.02, 1.0)  # fmt: skip
            study.curves[run] = change(setting, run.arm, run.seed, base)
    return summary.dataset(SMALL, study, FACTS)


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


# What is written.


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
    assert {"speedup_p20", "speedup_p80", "regularizer_factors_median"} <= set(line)
    text = markdown(found, rows)
    assert all(f"| {arm.label} |" in text for arm in ARMS.values())
    assert text.count("\n| Normal |") == 2


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
    assert "20-80 % band over 3 seeds" in caption(found)


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
