"""The command and the notebook call, as a user meets them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lnn
from lnn.__main__ import main as lnn_main
from lnn.execution.checkpoint import checksums
from lnn.studies.compare.command import main

FILES = {
    "manifest.json", "summary.csv", "trajectories.nc", "figure.pdf", "figure.png", "appendix.tex",
    "state", "study.toml",
}  # fmt: skip
SMALL = ["--steps", "40", "--lrs", "4", "--lr-range", "1e-3", "1", "--seeds", "3"]
FEW = ["--methods", "gd", "end-to-end", "--depth", "2", "--tuning-seeds", "1"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small regression problem of the user's own."""
    path = tmp_path_factory.mktemp("own") / "mine.csv"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4)) * [1.0, 2.0, 0.5, 3.0]
    y = x @ [1.0, 0.5, -1.0, 0.2] + 0.1 * rng.standard_normal(60)
    rows = np.column_stack([y, x])
    np.savetxt(path, rows, delimiter=",", header="price,a,b,c,d", comments="")
    return path


def run(table: Path, out: Path, *extra: str) -> int:
    return main(["--data", str(table), "--label", "price", "--out", str(out), *SMALL, *FEW, *extra])


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert run(table, out, "--name", "one", "--p", "4", "--save-weights", "--quiet") == 0
    return out / "one"


def test_all_files_are_there_and_nothing_else(finished: Path) -> None:
    decomposition = {f"decomposition.{kind}" for kind in ("csv", "pdf", "png", "txt")}
    assert {path.name for path in finished.iterdir()} == FILES | decomposition
    assert [path.name for path in finished.parent.iterdir()] == ["one"]


def test_trajectories_can_be_read_back_and_summarized_again(finished: Path) -> None:
    dataset, summary = lnn.load(finished)
    with pytest.raises(ValueError, match="give the folder of a finished study"):
        lnn.load(finished.parent)
    assert list(dataset.algorithm.values) == ["gd", "end-to-end-2"]
    assert dataset.w.shape[-2:] == (1, 4)
    assert summary.to_csv() == (finished / "summary.csv").read_text()


def test_manifest_is_strict_json_with_provenance(finished: Path) -> None:
    text = (finished / "manifest.json").read_text()
    manifest = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert str(finished) not in text
    flat = json.dumps(manifest)
    for word in ("jax", "float32", "cpu", "mine.csv", "end-to-end"):
        assert word in flat
    rows = list(csv.DictReader((finished / "summary.csv").read_text().splitlines()))
    assert {row["method"] for row in rows} == {"gd", "end-to-end-2"}


def test_the_same_command_twice_gives_the_same_files(
    table: Path, finished: Path, tmp_path: Path
) -> None:
    assert run(table, tmp_path, "--name", "one", "--p", "4", "--save-weights", "--quiet") == 0
    for name in sorted(FILES - {"manifest.json", "appendix.tex", "state"}):
        assert (tmp_path / "one" / name).read_bytes() == (finished / name).read_bytes(), name
    first, second = (
        json.loads((folder / "manifest.json").read_text())
        for folder in (finished, tmp_path / "one")
    )
    times = {key for key in first if first[key] != second[key]}
    assert times <= {"started_utc", "wall_seconds", "timings", "sessions", "checksums"}, times
    alike = {
        name for name in first["checksums"]
        if first["checksums"][name] == second["checksums"][name]
    }  # fmt: skip
    assert alike >= {"trajectories.nc", "summary.csv", "figure.pdf", "figure.png"}


def test_a_second_call_never_overwrites(
    table: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = checksums(finished)
    assert run(table, finished.parent, "--name", "one", "--p", "3") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "holds another study: p 4.0 there, 3.0 here" in said.err
    assert "choose another --name, or --fresh to set it aside" in said.err
    assert checksums(finished) == before


def test_piped_output_is_plain_text_with_table_conclusion_and_files(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(table, tmp_path, "--p", "2") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out
    for text in ("60", "end-to-end", "figure.pdf", "mine-p2-depth2"):
        assert text in said.out
    lines = said.out.replace(str(tmp_path), "runs").splitlines()
    assert max(map(len, lines)) <= 120


def test_json_is_all_that_is_printed(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(table, tmp_path, "--json") == 0
    said = capsys.readouterr()
    summary = json.loads(said.out, parse_constant=lambda name: pytest.fail(name))
    assert "end-to-end-2" in json.dumps(summary)
    assert "conclusion" in summary


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--p", "1"], 2, "p = 1.0: the l_p loss needs a real number p > 1"),
        (["--p", "x"], 2, "'x' is not a number"),
        (["--depth", "0"], 2, "depth = 0.0: a network has depth 1 or more"),
        (["--depth", "two"], 2, "'two': depths are numbers such as 2, 3, 1.5 or inf"),
        (["--lrs", "0.1,-0.2"], 2, "learning rate -0.2: give positive numbers"),
        (["--lrs", "0,0.1"], 2, "learning rate 0.0: give positive numbers"),
        (["--lrs", "many"], 2, "'many': give a count, or rates such as 0.001,0.01"),
        (["--steps", "1e4"], 2, "'1e4' is not a whole number"),
        (["--init", "identity", "--init-norm", "1"], 2, "--init-norm requires --init balanced"),
        (["--init", "ones"], 2, "invalid choice: 'ones'"),
        (["--outputs", "0"], 2, "'0': give at least 1, or 'gases'"),
        (["--data", "gaussian", "--outputs", "3000"], 2, "outputs"),
        (["--outputs", "gases"], 2, "--outputs gases requires gas-drift data"),
        (["--outputs", "2"], 2, "the synthetic problem has one output; --data gaussian"),
        (["--y1", "3"], 2, "--y1 requires --data two-point, not synthetic"),
        (
            ["--data", "gaussian", "--outputs", "2", "--methods", "single-output"],
            2,
            "use 'end-to-end'",
        ),
        (["--data", "two-point", "--outputs", "2"], 2, "the two-point problem has one output"),
        (["--name", "a/b"], 2, "give a plain folder name"),
        (["--data", "no/such/file.csv"], 3, "no/such/file.csv"),
        (["--data", "gas-drift", "--outputs", "3"], 2, "gas drift has 1 output, or 'gases'"),
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], code: int, message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    try:
        got = main(["--out", str(tmp_path / "runs"), *arguments])
    except SystemExit as stopped:
        got = int(str(stopped.code))
    said = capsys.readouterr()
    assert got == code, said.err
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_loss_too_hard_for_the_reference_solver_says_so(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(table, tmp_path, "--p", "1.0001") == 2
    assert "choose p further from 1" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_found_before_the_study(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        "lnn.studies.compare.study.run_study", lambda *_: pytest.fail("the study was run")
    )
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert run(table, tmp_path / "runs" / "deeper") == 1
    said = capsys.readouterr().err
    assert "is not a folder you can write to: choose another --out" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gas", "acetone"], "--gas requires gas-drift data or a file, not --data syn"),
        (["--drop-constant"], "--drop-constant requires"),
        (["--data", "gas-drift", "--label", "y"], "--label names what a table holds, but"),
        (["--lrs", "0.1,0.2", "--lr-range", "1e-3", "1"], "--lr-range requires a count of rates"),
        (["--depth", "1e300"], "real networks have at most 1000 layers"),
        (["--data", "two-point", "--p", "40"], "too large for float32: use a smaller p"),
    ],
)
def test_options_that_would_do_nothing_or_harm_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "runs"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_feature_called_gas_stays_a_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.standard_normal((30, 2)), np.arange(30) % 3 + 1])
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="price,a,gas", comments="")
    assert run(tmp_path / "t.csv", tmp_path, "--name", "t", "--quiet", "--drop-constant") == 0
    dataset, _ = lnn.load(tmp_path / "t")
    assert (dataset.attrs["m"], dataset.attrs["d"]) == (30, 2)
    assert dataset.attrs["problem"] == "t.csv, price"
    manifest = json.loads((tmp_path / "t" / "manifest.json").read_text())
    assert manifest["config"]["drop_constant"] is True


def test_an_interrupt_before_the_first_run_leaves_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lnn.studies.compare.study.run_study", interrupt)
    assert run(table, tmp_path / "runs") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_sigterm_ends_with_143_and_gives_the_handler_back(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        "lnn.studies.compare.report.appendix.write", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert run(table, tmp_path / "runs", "--name", "one") == 143
    assert "is intact: run the same command to resume" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["one.unfinished"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_swallowed_by_the_garbage_collector_still_stops(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], number: int, code: int,
) -> None:  # fmt: skip
    class Swallows:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0.001)  # the handler runs here

    def collect(*_: object) -> None:
        Swallows()
        time.sleep(30)

    hook = sys.unraisablehook
    monkeypatch.setattr("lnn.studies.compare.report.appendix.write", collect)
    assert run(table, tmp_path / "runs", "--name", "one") == code
    assert "Exception ignored" not in capsys.readouterr().err
    assert sys.unraisablehook is hook


def test_help_teaches_without_loading_jax() -> None:
    code = (
        "import sys, lnn.compare\n"
        "try: lnn.studies.compare.command.main(['--help'])\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "assert not {'jax', 'numpy', 'xarray', 'matplotlib'} & set(sys.modules), 'heavy imports'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in (
        "--depth", "--p", "--data", "--gas", "--outputs", "--methods", "--width", "--init",
        "--init-norm", "--steps", "--lrs", "--lr-range", "--tuning-seeds", "--seeds", "--targets",
        "--weight-decay", "--dtype", "--no-compensation", "--save-weights", "--out", "--name",
        "--quick", "--json", "--quiet", "--checkpoint-every", "--mirror", "--fresh", "--extend",
        "--distributed", "--coordinator", "--processes", "--process",
    ):  # fmt: skip
        assert option in done.stdout


@pytest.mark.slow
def test_the_module_runs_as_a_command(table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "lnn.compare", "--data", str(table)]
    command += ["--label", "price", "--out", str(tmp_path), "--name", "sub", *SMALL, *FEW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "sub").iterdir()} == FILES


def test_console_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["lnn"])
    assert lnn_main() == 0
    assert "compare" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["lnn", "compere"])
    assert lnn_main() == 2
    assert "'compere' is not a command" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["lnn", "compare", "--depth", "0"])
    assert lnn_main() == 2


def test_three_lines_in_a_notebook() -> None:
    problem = lnn.datasets.two_point(3.0, 1.0, p=4)
    dataset, summary = study = lnn.compare(
        problem, depth=2, steps=30, rates=4, seeds=3, methods=("gd", "end-to-end")
    )
    assert dataset.loss.dims == ("algorithm", "seed", "step")
    assert "end-to-end" in summary._repr_html_().lower()
    assert study._repr_html_() == summary._repr_html_()


def test_compare_rejects_unknown_options() -> None:
    with pytest.raises(ValueError, match="option 'step' is unknown: choose from methods"):
        lnn.compare(lnn.datasets.two_point(3.0, 1.0), step=10)


def test_progress_is_told_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    problem = lnn.datasets.two_point(3.0, 1.0, p=4)
    options = {"steps": 10, "rates": (0.1,), "seeds": 1, "tuning_seeds": 1, "methods": ("gd",)}
    lnn.compare(problem, progress=True, **options)
    assert "gd" in capsys.readouterr().err
    lnn.compare(problem, progress=False, quick=True, **options)
    assert capsys.readouterr().err == ""


def test_public_names_are_there_and_documented() -> None:
    for name in dir(lnn):
        if not name.startswith("_"):
            assert getattr(lnn, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lnn.nothing
