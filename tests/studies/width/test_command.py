"""`python -m lnn.width` as a user meets it, with made-up runs."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_width import World, corpus

from lnn.execution import backend
from lnn.results import plotting
from lnn.results.dataset import load_dataset
from lnn.studies.width import command, figures, jobs, tasks
from lnn.studies.width.conclusion.listed import judged_all
from lnn.studies.width.jobs import RecurrentJob
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.selection import setups
from lnn.studies.width.study import planned

AXES = ["--widths", "4,8,16", "--sizes", "1000", "2000", "4000", "--seeds", "2"]
FILES = {
    "width.nc", "width.csv", "report.md", "manifest.json", "study.toml", "records",
    *(f"{name}.{kind}" for name in ("width", "geometry-characters", "structure-characters")
      for kind in ("pdf", "png")),
}  # fmt: skip


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def made(patch: pytest.MonkeyPatch) -> list[RecurrentRun]:
    """The command in this process with made-up text and training; the runs that it makes."""
    made: list[RecurrentRun] = []

    def run_job(setting: Any, job: RecurrentJob) -> Course:
        made.append(job.run)
        return World().course(job.run)

    patch.setattr(jobs, "run_job", run_job)
    patch.setattr(tasks, "load_system", lambda setup, path: corpus())
    patch.setattr(backend, "cores", lambda: 0)
    patch.setattr(backend, "start", lambda: None)
    patch.setattr(plotting, "DPI", 40)
    return made


@pytest.fixture(scope="module")
def finished(
    made: list[RecurrentRun], tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Path:
    out = tmp_path_factory.mktemp("width")
    assert command.main(["characters", *AXES, "--quiet", "--out", str(out)]) == 0
    patch.setattr(figures, "draw_all", lambda found: {})  # once is enough
    return out / "width-characters"


def again(finished: Path, *more: str) -> int:
    return command.main(["characters", *AXES, "--out", str(finished.parent), *more])


def test_all_files_are_there(finished: Path, made: list[RecurrentRun]) -> None:
    assert {path.name for path in finished.iterdir()} == FILES
    found = load_dataset(finished / "width.nc")
    assert found.sizes["run"] == len(made) == len(set(made))
    (setup,) = setups(found)
    assert (setup.widths, setup.sizes, setup.seeds) == ((4, 8, 16), (1000, 2000, 4000), 2)
    assert planned(setup) == len(made)
    assert found.attrs["characters_data"] == "made up"
    rows = list(csv.DictReader((finished / "width.csv").read_text().splitlines()))
    assert [int(row["width"]) for row in rows] == found["width"].values.tolist()
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["config"]["widths"] == [4, 8, 16]
    assert manifest["runs_kept_from_before"] == 0
    assert manifest["device"] == "cpu"


def test_the_report_tells_every_statement(finished: Path) -> None:
    text = (finished / "report.md").read_text()
    told = judged_all(load_dataset(finished / "width.nc"))
    heads = [f"### {each.statement.id}. {each.title}: {each.verdict}" for each in told]
    assert re.findall("^### .*$", text, re.M) == heads
    assert len(heads) > 15
    for each in told:
        assert each.words in text
        assert each.statement.rule in text
    for name in re.findall(r"\]\((.*\.png)\)", text):
        assert name in FILES
    assert not re.search(r"\bnan\b", text)
    lost = load_dataset(finished / "width.nc")["censored"].values.sum()
    assert f"{lost} of them censored" in text


def test_a_second_call_computes_nothing(
    finished: Path, made: list[RecurrentRun], capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(made)
    report = (finished / "report.md").read_text()
    assert again(finished) == 0
    assert len(made) == before
    printed = capsys.readouterr().out
    assert f"{before} training runs\n" in printed
    assert "made before" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 120
    assert again(finished, "--json") == 0
    told = json.loads(
        capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"no JSON: {name}")
    )
    assert len(told["rows"]) == before
    for each in told["statements"]:
        assert f"### {each['id']}. {each['title']}: {each['verdict']}\n" in report
        assert f"{each['title']}: {each['verdict']}." in " ".join(printed.split())
    assert len(told["statements"]) == report.count("\n### ")
    assert {row["censored"] for row in told["rows"]} == {0}


def test_more_widths_and_seeds_reuse_what_is_there(
    finished: Path, made: list[RecurrentRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(made)
    wider = ["characters", "--widths", "4,8,16,32", *AXES[2:-1], "3"]
    assert command.main([*wider, "--out", str(finished.parent)]) == 2
    assert "--extend" in capsys.readouterr().err
    made.clear()
    assert command.main([*wider, "--out", str(finished.parent), "--extend"]) == 0
    assert not set(made) & set(before)
    # The middle width is another, and so are runs at it: depth, and maximal update.
    assert {run.width for run in made if run.seeds[0] < 2} == {32, 4, 8, 16}
    assert {run.base for run in made if run.seeds[0] < 2 and run.width < 16} == {16}
    kept = set(before) - {run for run in before if run.base or run.depth != 4}
    assert f"{len(kept)} of them completed earlier" in capsys.readouterr().out
    assert (finished.parent / "width-characters.1" / "report.md").exists()
    assert load_dataset(finished / "width.nc").sizes["run"] == len(made) + len(kept)


def test_accelerators_compute_all_seeds_of_a_network_at_once(
    made: list[RecurrentRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_job(setting: Any, job: RecurrentJob) -> Course:
        made.append(job.run)
        one = World(noise=0.0).course(job.run)  # of which seeds have the same steps
        shared = ("parameters", "steps", "seconds")
        arrays = {name: np.concatenate([value] * len(job.run.seeds))
                  for name, value in vars(one).items() if name not in shared}  # fmt: skip
        return Course(one.parameters, one.steps, **arrays, seconds=1.0)

    monkeypatch.setattr(jobs, "run_job", run_job)
    monkeypatch.setattr(command, "_device", lambda: "gpu")
    monkeypatch.setattr(backend, "cores", lambda: pytest.fail("no other processes"))
    monkeypatch.setattr(figures, "draw_all", lambda found: {})
    made.clear()
    line = ["words", "--widths", "4,8", "--sizes", "1000", "--seeds", "3", "--quiet"]
    assert command.main([*line, "--out", str(tmp_path)]) == 0
    assert [(run.width, run.seeds) for run in made] == [(8, (0, 1, 2)), (4, (0, 1, 2))]
    found = load_dataset(tmp_path / "width-words" / "width.nc")
    assert found.sizes["run"] == 6
    assert found.attrs["device"] == "gpu"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "width"),
        (["--quick"], "width-quick"),
        (["speech", "words"], "width-speech-words"),
        (["words", "--quick"], "width-words-quick"),
    ],
)
def test_the_folder_is_named_after_the_systems(options: list[str], name: str) -> None:
    made = command.WidthCommand()
    given = made.parser().parse_args(options)
    assert made.default_name(given, made.configuration(given)) == name


CHARACTERS = ["characters", "--widths", "4,8"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["letters"], 2, "system 'letters' is unknown: choose from characters, words, speech"),
        (["--quick", "--scale", "full"], 2, "--quick sets its own scale"),
        (["--scale", "huge"], 2, "invalid choice: 'huge'"),
        (["words", "--widths", "8"], 2, "widths = (8,): give at least two"),
        (["words", "--widths", "1,8"], 2, "widths = 1: give a whole number, 2 to"),
        (["words", "--widths", "eight"], 2, "give whole numbers such as 8,16,32"),
        (["words", "--widths", "8.5,9"], 2, "give whole numbers such as 8,16,32"),
        (["words", "--rate", "0"], 2, "rate = 0.0: give positive numbers"),
        (["words", "--rate=-1"], 2, "rate = -1.0: give positive numbers"),
        (["words", "--rate", "nan"], 2, "rate = nan: give positive numbers"),
        (["words", "--rate", "fast"], 2, "give numbers such as 0.8,0.3"),
        (["words", "--optimizer", "lion"], 2, "optimizer 'lion' is unknown: choose from sgd, adam"),
        (["words", "speech", "--sizes", "500"], 2, "name one system with it"),
        (["words", "--sizes", "35"], 2, "sizes = 35: give more than 35, the length"),
        (["words", "--depth", "0"], 2, "depths = 0: give a whole number, 1 to 64"),
        (["words", "--seeds", "0"], 2, "seeds = 0: give a whole number, 1 to 1000"),
        (["words", "--seeds", "two"], 2, "two"),
        (["--data", "x.txt"], 2, "no file is text and speech, so name the systems that it serves"),
        (["words", "speech", "--data", "x.txt"], 2, "--data x.txt for words and speech"),
        (["words", "--data", "none.txt"], 3, "none.txt"),
        (["speech", "--data", "none"], 3, "none"),
        ([*CHARACTERS, "--data", "short.txt"], 3, "short.txt"),
        (["words", "--name", "a/b"], 2, "give a plain folder name"),
        (["words", "--steps", "3"], 2, "unrecognized arguments: --steps"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "start", lambda: None)
    monkeypatch.setattr(jobs, "run_job", lambda setting, job: pytest.fail("it has begun"))
    monkeypatch.setattr(tasks, "load_system", LOAD)
    Path("short.txt").write_text("too short a text\n" * 9)
    try:
        got = command.main(["--out", str(tmp_path / "runs"), *arguments])
    except SystemExit as stopped:
        got = int(str(stopped.code))
    said = capsys.readouterr()
    assert got == code, said.err
    assert said.out == ""
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


LOAD = tasks.load_system


def test_help_teaches_without_loading_jax() -> None:
    code = (
        "import sys\nfrom lnn.studies.width.command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    sys.exit('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("--data", "--scale", "exit codes", "Deep Speech 2", "--widths", "--extend"):
        assert part in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
