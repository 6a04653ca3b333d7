"""`python -m lnn.reproduce`, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import lnn.claims
from lnn.claims import command as reproduce


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "lnn.reproduce", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_two_claims_then_nothing_left_to_do(tmp_path: Path) -> None:
    done = run("A14", "D7", "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    (folder,) = tmp_path.iterdir()
    assert folder.name == "reproduce-A14-D7-quick"
    assert {path.name for path in folder.iterdir()} == {
        *("records", "figures", "report.html", "appendix.tex", "claims.csv", "claims.json"),
        *("manifest.json", "study.toml"),
    }
    found = {claim["id"]: claim for claim in json.loads((folder / "claims.json").read_text())}
    assert set(found) == {"A14", "D7"}
    needed = {"id", "source", "verdicts", "measured", "expected", "tolerance", "seconds"}
    assert needed <= set(found["A14"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = run("A14", "D7", "--quick", "--out", str(tmp_path))
    assert again.returncode == 0
    assert "made before" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_more_claims_are_added_to_those_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--quick", "--out", str(tmp_path), "--name", "r"]
    assert reproduce.main(["D7", *options]) == 0
    assert reproduce.main(["D7", "A14", *options]) == 2
    assert "--extend to set it aside and use its runs" in capsys.readouterr().err
    assert reproduce.main(["D7", "A14", *options, "--extend"]) == 0
    assert "2 claims, 1 of them completed earlier" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "r.1"]
    # Its code has changed: the report is made again, and the earlier one set aside.
    monkeypatch.setattr("lnn.claims.run.key_of", lambda *_: "other")
    assert reproduce.main(["D7", "A14", *options, "--json"]) == 0
    assert {claim["id"] for claim in json.loads(capsys.readouterr().out)} == {"A14", "D7"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "r.1", "r.2"]


def test_a_claim_that_failed_is_run_again(
    x64: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def computed(work: Any, tasks: Any, *_: Any) -> Any:
        for task in tasks:
            done: Future[dict[str, str]] = Future()
            done.set_result(work(task) if "A14" not in task or mended else {"A14": "a bug"})
            yield task, done

    monkeypatch.setattr("lnn.claims.run.completed", computed)
    options = ["A14", "D7", "--quick", "--out", str(tmp_path), "--name", "r"]
    mended = False
    assert reproduce.main(options) == 1
    assert "error: A14 failed: a bug" in capsys.readouterr().err
    mended = True
    assert reproduce.main(options) == 0
    assert "2 claims, 1 of them completed earlier" in capsys.readouterr().out


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["A99", "--out", str(tmp_path)]) == 2
    assert "--list shows all" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert reproduce.main(["A14", "--out", str(tmp_path / "file" / "x")]) == 1
    assert "choose another --out" in capsys.readouterr().err
    assert reproduce.main(["A14", "--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 3
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(["--wrong"])
    assert stopped.value.code == 2


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["B", "--list"]) == 0
    printed = capsys.readouterr().out
    made = lnn.claims.all_claims()
    assert all(f"  {i} " in printed for i in made if "B" in made[i].documents)
    assert "A1 " not in printed


def test_names_choose_claims() -> None:
    assert list(reproduce.chosen(["a1", "A16"])) == ["A1", "A16"]
    made = lnn.claims.all_claims()
    assert list(reproduce.chosen(["C"])) == [i for i in made if "C" in made[i].documents]
    assert list(reproduce.chosen(["r"])) == [i for i in made if "R" in made[i].documents]
    assert list(reproduce.chosen(["arora-figure-1"])) == ["A16"]
    assert list(reproduce.chosen([])) == list(lnn.claims.all_claims())


@pytest.mark.slow
def test_a_changed_verdict_and_a_failure_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        reproduce, "_recorded",
        lambda quick, on_gas: {"D7": {"verdicts": {"D": "false"}, "seconds": 1.0}},
    )  # fmt: skip
    assert reproduce.main(["D7", "--quick", "--out", str(tmp_path)]) == 1
    assert "D7 is 'holds (D)', but recorded as 'false (D)'" in capsys.readouterr().err


@pytest.mark.slow
def test_stopped_it_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lnn.reproduce", "A14", "A2", "D7", "A1", "--quick",
               "--out", str(tmp_path)]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/records/*/D7.json")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert told.strip().endswith("is intact: run the same command to resume")
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*/records/*/*.json")}
    assert subprocess.run(command, check=False, env=os.environ).returncode == 0
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*/records/*/*.json")}
    assert kept.items() <= made.items()
