"""The folder of a study, as a user of the command meets it: stopped, full, shared, copied."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow

import lnn
from lnn.execution import checkpoint
from lnn.execution import mirror as mirror_module
from lnn.execution.journal import Journal, stored_cells
from lnn.results import provenance
from lnn.studies.compare.command import main

OPTIONS = (
    "--data", "two-point", "--depth", "2", "--steps", "400", "--lrs", "4", "--seeds", "3",
    "--tuning-seeds", "1", "--methods", "gd", "adam", "end-to-end",
)  # fmt: skip
SAME = ("summary.csv", "trajectories.nc", "figure.png", "figure.pdf")


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("lnn.simulation.simulate")
    monkeypatch.setattr(module, "_FLOP_PER_CALL", {"cpu": 2e8, "gpu": 2e8})


def run(out: Path, *extra: str, quiet: bool = True) -> int:
    try:
        return main([*OPTIONS, "--out", str(out), "--name", "s", *["--quiet"] * quiet, *extra])
    except SystemExit as stopped:
        return int(str(stopped.code))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("lnn.simulation.simulate")
        patch.setattr(module, "_FLOP_PER_CALL", {"cpu": 2e8, "gpu": 2e8})
        out = tmp_path_factory.mktemp("calm")
        assert run(out) == 0
    return out / "s"


CALLS = 52
"""Calls of the program in the whole study."""


def stop_at(patch: pytest.MonkeyPatch, offers: int, how: Callable[[], Any]) -> list[int]:
    """Let something happen at the n-th time that a batch is offered to the journal."""
    seen: list[int] = []
    real = Journal.offer

    def offer(self: Journal, *arguments: Any) -> None:
        real(self, *arguments)
        seen.append(1)
        if len(seen) == offers:
            how()

    patch.setattr(Journal, "offer", offer)
    return seen


def interrupted(out: Path, offers: int = 5, *extra: str, by: int = signal.SIGINT) -> int:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, offers, lambda: os.kill(os.getpid(), by))
        return run(out, *extra)


def assert_same_files(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def content(folder: Path) -> dict[str, str]:
    return checkpoint.checksums(folder)


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("offers", mostly_slow([1, 6, 13], 6))
def test_a_stopped_study_goes_on_and_gives_the_same_bytes(
    by: int, code: int, offers: int, calm: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    began = time.monotonic()
    assert interrupted(tmp_path, offers, by=by) == code
    assert time.monotonic() - began < 10
    assert "is intact: run the same command to resume" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.unfinished"]
    with pytest.MonkeyPatch.context() as patch:
        left = stop_at(patch, 10**9, lambda: None)
        assert run(tmp_path) == 0
        resumed = len(left)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert_same_files(tmp_path / "s", calm)
    assert resumed + offers == CALLS  # nothing was done twice
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert len(manifest["sessions"]) == 2
    assert manifest["timings"]["earlier_seconds"] > 0


def test_a_finished_study_is_printed_again_and_nothing_is_computed(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(calm, tmp_path / "s")
    before = content(tmp_path)
    monkeypatch.setattr(
        "lnn.studies.compare.study.run_study", lambda *_, **__: pytest.fail("run again")
    )
    assert run(tmp_path, quiet=False) == 0
    said = capsys.readouterr()
    assert "made before" in said.out
    assert "end-to-end" in said.out.lower()
    assert run(tmp_path, "--json", quiet=False) == 0
    assert "conclusion" in json.loads(capsys.readouterr().out)
    assert content(tmp_path) == before


def test_a_finished_study_that_is_damaged_is_not_shown(
    calm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(calm, tmp_path / "s")
    file = tmp_path / "s" / "trajectories.nc"
    changed = bytearray(file.read_bytes())
    changed[-100] ^= 1
    file.write_bytes(changed)
    assert run(tmp_path) == 1
    assert "trajectories.nc does not match its checksum; --fresh" in capsys.readouterr().err
    file.unlink()
    assert run(tmp_path) == 1
    assert "trajectories.nc is missing; --fresh" in capsys.readouterr().err
    assert run(tmp_path, "--fresh") == 0
    assert_same_files(tmp_path / "s", calm)


@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_and_the_differences_listed(
    finished: bool, calm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if finished:
        shutil.copytree(calm, tmp_path / "s")
    else:
        assert interrupted(tmp_path) == 130
    before = content(tmp_path)
    capsys.readouterr()
    for extra, said, extendable in (
        (("--seeds", "4"), "seeds 3 there, 4 here", True),
        (("--p", "2"), "p 4.0 there, 2.0 here", False),
        (("--seeds", "4", "--init-norm", "1"), "init_norm 0.1 there, 1.0 here; seeds 3", False),
        (("--no-compensation",), "compensation True there, False here", False),
    ):
        assert run(tmp_path, *extra) == 2
        error = capsys.readouterr().err
        assert f"holds another study: {said}" in error
        assert ("--extend" in error) == extendable
        assert error.count("\n") == 1
        assert content(tmp_path) == before


def test_other_data_of_the_same_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.random.default_rng(0).standard_normal((30, 3))
    small = ["--lrs", "0.01,0.1", "--steps", "20", "--seeds", "2", "--methods", "gd"]
    table = tmp_path / "t.csv"

    def again() -> int:
        np.savetxt(table, rows, delimiter=",", header="y,a,b", comments="")
        return main(
            ["--data", str(table), "--label", "y", "--out", str(tmp_path / "runs"), "--name", "s",
             "--quiet", *small]
        )  # fmt: skip

    assert again() == 0
    assert again() == 0
    rows[3, 1] += 1e-9
    assert again() == 2
    assert "holds a study of other data" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "theirs").write_text("x")
    assert run(tmp_path) == 2
    assert "its manifest.json is missing or damaged" in capsys.readouterr().err
    assert run(tmp_path, "--fresh") == 0
    assert (tmp_path / "s.1" / "theirs").read_text() == "x"


def test_fresh_sets_aside_and_deletes_nothing(calm: Path, tmp_path: Path) -> None:
    shutil.copytree(calm, tmp_path / "s")
    assert run(tmp_path, "--fresh") == 0
    assert run(tmp_path, "--fresh") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.1", "s.2"]
    assert content(tmp_path / "s.1") == content(calm)
    assert interrupted(tmp_path, 5, "--fresh") == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "s.1", "s.2", "s.3", "s.unfinished",
    ]  # fmt: skip
    assert run(tmp_path, "--fresh") == 0
    assert (tmp_path / "s.4.unfinished").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("finished", mostly_slow([True, False], False))
def test_extend_makes_only_the_runs_that_are_missing(
    finished: bool, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--seeds", "5", "--methods", "gd", "adam", "end-to-end", "momentum", "--steps", "600")
    assert run(tmp_path / "whole", *more) == 0
    if finished:
        shutil.copytree(calm, tmp_path / "s")
    else:
        assert interrupted(tmp_path, 13) == 130
    base = "s.1" if finished else "s.1.unfinished"
    before = content(tmp_path / ("s" if finished else "s.unfinished"))
    # Stopped on the way, it goes on without being told again what to extend.
    assert interrupted(tmp_path, 2, *more, "--extend") == 130
    assert run(tmp_path, *more) == 0
    assert content(tmp_path / base) == before
    ours, theirs = lnn.load(tmp_path / "s"), lnn.load(tmp_path / "whole" / "s")
    assert list(ours.dataset.algorithm.values) == ["gd", "momentum", "adam", "end-to-end-2"] or (
        set(ours.dataset.algorithm.values) == {"gd", "momentum", "adam", "end-to-end-2"}
    )
    np.testing.assert_allclose(ours.dataset.loss, theirs.dataset.loss, rtol=1e-4)
    np.testing.assert_allclose(ours.dataset.learning_rate, theirs.dataset.learning_rate, rtol=1e-12)
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["base"] == [base]
    # Nothing but the longer budget, the new seeds and the new method was run.
    stored = stored_cells(tmp_path / "s")
    assert any(cell.label == "gd" and 0 in cell.seeds for cell in stored)


def test_other_versions_are_warned_of_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interrupted(tmp_path) == 130
    capsys.readouterr()
    real = provenance.versions()
    monkeypatch.setattr(provenance, "versions", lambda: {**real, "jax": "99.0"})
    assert run(tmp_path) == 0
    said = capsys.readouterr().err
    assert "warning: resuming in a different environment" in said
    assert f"jax {real['jax']} there, 99.0 here" in said
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert [s["versions"]["jax"] for s in manifest["sessions"]] == [real["jax"], "99.0"]


def test_another_number_of_devices_goes_on_to_rounding(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupted(tmp_path, 13) == 130
    monkeypatch.setattr("lnn.studies.compare.command._layout", lambda: "1-processes-77-devices")
    with pytest.MonkeyPatch.context() as patch:
        left = stop_at(patch, 10**9, lambda: None)
        assert run(tmp_path) == 0
    assert 0 < len(left) < CALLS
    np.testing.assert_allclose(
        lnn.load(tmp_path / "s").dataset.loss, lnn.load(calm).dataset.loss, rtol=1e-4
    )


@pytest.mark.parametrize("damage", mostly_slow(["flip", "cut", "remove"], "flip"))
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    damage: str, calm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interrupted(tmp_path, 13, "--checkpoint-every", "1e-9") == 130
    last, before = sorted(tmp_path.rglob("checkpoint-*"), reverse=True)[:2]
    victim = max((p for p in last.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    changed = bytearray(victim.read_bytes())
    if damage == "remove":
        victim.unlink()
    else:
        changed[len(changed) // 2] ^= 4
        victim.write_bytes(changed if damage == "flip" else changed[:-7])
    capsys.readouterr()
    assert run(tmp_path) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {last.name}: ")
    assert "using the previous checkpoint" in said
    assert before.name not in said
    assert_same_files(tmp_path / "s", calm)


@pytest.mark.slow
def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from lnn.studies.compare.command import main\n"
        "from lnn.execution.journal import Journal\n"
        "def offer(*_):\n"
        "    print('running', flush=True); sys.stdin.readline()\n"
        "Journal.offer = offer\n"
        f"sys.exit(main({[*OPTIONS, '--out', str(tmp_path), '--name', 's']!r}))\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "running\n"
        second = subprocess.run(
            [sys.executable, "-m", "lnn.compare", *OPTIONS, "--out", str(tmp_path), "--name", "s"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stdout == ""
        lines = second.stderr.splitlines()
        (told,) = (line for line in lines if not line.startswith("warning: JAX_"))
        assert f"s is in use by process {first.pid} on " in told
    finally:
        first.kill()
        first.communicate()
    assert run(tmp_path) == 0  # the lock of a killed process holds nobody up
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)],
        capture_output=True, text=True, check=False,
    ) if shutil.which("mount") else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("no file system can be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_the_last_good_state_used(
    small_disk: Path, calm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "runs"

    def fill() -> None:
        until = time.monotonic() + 30
        while not any(out.rglob("process-0/checkpoint-*")) and time.monotonic() < until:
            time.sleep(0.01)  # for the thread that saves
        with suppress_full(), (small_disk / "full").open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()

    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 4, fill)
        assert run(out, "--checkpoint-every", "1e-9") == 1
    said = capsys.readouterr().err
    assert "cannot be written: No space left on device; what is saved in" in said
    assert said.count("\n") == 1
    (small_disk / "full").unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        left = stop_at(patch, 10**9, lambda: None)
        assert run(out) == 0
    assert_same_files(out / "s", calm)
    assert len(left) < CALLS
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert run(out) == 0  # still shown
    assert run(out, "--seeds", "9") == 2
    capsys.readouterr()
    assert main([*OPTIONS, "--out", str(out), "--name", "t"]) == 1
    assert "is not a folder you can write to" in capsys.readouterr().err


class suppress_full:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, _: Any) -> bool:
        return isinstance(error, OSError) and error.errno == 28


def test_a_folder_that_is_deleted_meanwhile_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # In one step: to delete it file by file could collide with the thread that saves.
        stop_at(patch, 3, lambda: (tmp_path / "runs").rename(tmp_path / "gone"))
        assert run(tmp_path / "runs", "--checkpoint-every", "0.01") == 1
    said = capsys.readouterr().err
    assert "s.unfinished" in said
    assert "deleted in the meantime" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "runs" / "s").exists()


@pytest.mark.parametrize(
    "what",
    mostly_slow(
        ["lnn.studies.compare.report.appendix.write", "lnn.results.plotting.save"],
        "lnn.results.plotting.save",
    ),
)
@pytest.mark.parametrize("fatal", [OSError(28, "No space left on device"), RuntimeError("bug")])
def test_a_failure_in_the_report_loses_nothing_and_shows_nothing_half_done(
    what: str, fatal: Exception, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fatal

    with monkeypatch.context() as patch:
        patch.setattr(what, fail)
        if isinstance(fatal, OSError):
            assert run(tmp_path) == 1
        else:
            with pytest.raises(RuntimeError, match="bug"):
                run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["s.unfinished"]
    assert not (tmp_path / "s.unfinished" / "results").exists()
    with monkeypatch.context() as patch:
        left = stop_at(patch, 10**9, lambda: None)
        assert run(tmp_path) == 0
    assert left == []  # all runs were saved before the report was begun
    assert_same_files(tmp_path / "s", calm)


def test_a_kill_after_the_results_have_appeared_leaves_them(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lnn.execution.workspace.Workspace._discard", lambda *_: None)
        assert run(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.unfinished"]
    assert run(tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert_same_files(tmp_path / "s", calm)


def test_a_lost_study_is_brought_back_from_the_mirror(calm: Path, tmp_path: Path) -> None:
    here, drive = tmp_path / "here", tmp_path / "drive"
    mirrored = ("--mirror", str(drive), "--checkpoint-every", "0.01")
    assert interrupted(here, 13, *mirrored) == 130
    shutil.rmtree(here)
    with pytest.MonkeyPatch.context() as patch:
        left = stop_at(patch, 10**9, lambda: None)
        assert run(here, *mirrored) == 0
    assert len(left) == CALLS - 13
    assert_same_files(here / "s", calm)
    assert [path.name for path in drive.iterdir()] == ["s"]
    assert content(drive / "s") == content(here / "s")
    shutil.rmtree(here)
    assert run(here, *mirrored) == 0
    assert content(drive / "s") == content(here / "s")


def test_what_was_never_begun_leaves_nothing_in_the_mirror(tmp_path: Path) -> None:
    here, drive = tmp_path / "here", tmp_path / "drive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lnn.studies.compare.study.run_study", lambda *_, **__: os.kill(os.getpid(), 15)
        )
        assert run(here, "--mirror", str(drive)) == 143
    assert list(drive.iterdir()) == []
    assert run(here, "--seeds", "2", "--mirror", str(drive)) == 0


@pytest.mark.parametrize("fault", ["fails", "lies", "vanishes"])
def test_a_mirror_that_fails_or_lies_is_told_and_harms_nothing(
    fault: str, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    drive = tmp_path / "drive"
    real = mirror_module._copy

    def copy(source: Path, target: Path) -> None:
        if fault == "fails":
            raise OSError(5, "Input/output error")
        real(source, target)
        victim = target if target.is_file() else next(p for p in target.rglob("*") if p.is_file())
        if fault == "vanishes":
            victim.unlink()
        else:
            victim.write_bytes(victim.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(mirror_module, "_copy", copy)
    assert run(tmp_path / "here", "--mirror", str(drive), "--checkpoint-every", "0.01") == 0
    said = capsys.readouterr().err
    wanted = {"fails": "Input/output error", "lies": "the copy differs from the original"}
    assert wanted.get(fault, "to the mirror") in said
    assert "is intact" in said
    assert said.count("\n") <= 2
    assert_same_files(tmp_path / "here" / "s", calm)
    assert not (drive / "s").exists()


def test_checkpoints_are_saved_by_a_thread_and_the_signal_still_counts(
    calm: Path, tmp_path: Path
) -> None:
    """SIGTERM while a checkpoint is being written."""
    real, writing = checkpoint.write, threading.Event()

    def slow(*arguments: Any) -> None:
        if not writing.is_set():
            writing.set()
            time.sleep(0.5)
        real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "write", slow)

        def stop() -> None:
            assert writing.wait(10)
            os.kill(os.getpid(), signal.SIGTERM)

        stop_at(patch, 3, stop)
        assert run(tmp_path, "--checkpoint-every", "1e-9") == 143
    assert run(tmp_path) == 0
    assert_same_files(tmp_path / "s", calm)
