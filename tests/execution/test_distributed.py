"""Several processes, and several devices, make the study that one makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lnn

STUDY = ("--quick", "--depth", "2", "--steps", "2000", "--methods", "gd", "adam", "end-to-end")


def command(out: Path, *extra: str) -> list[str]:
    return [
        sys.executable, "-W", "error", "-m", "lnn.compare", *STUDY, "--out", str(out), "--name",
        "s", *extra,
    ]  # fmt: skip


def environment(devices: int) -> dict[str, str]:
    return {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(out: Path, count: int, *extra: str) -> list[subprocess.Popen[str]]:
    at = f"127.0.0.1:{free_port()}"
    return [
        subprocess.Popen(
            command(
                out, "--distributed", "--coordinator", at, "--processes", str(count), "--process",
                str(index), *extra,
            ),
            env=environment(1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index in range(count)
    ]  # fmt: skip


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    try:
        said = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one")
    subprocess.run(command(out), env=environment(1), check=True, capture_output=True)
    return out / "s"


def assert_same_study(folder: Path, one: Path) -> None:
    """The same conclusions, and losses equal to rounding, which Adam's steps amplify."""
    (ours, summary), (theirs, other) = lnn.load(folder), lnn.load(one)
    assert summary.conclusion == other.conclusion
    np.testing.assert_allclose(ours.learning_rate, theirs.learning_rate, rtol=1e-12)
    np.testing.assert_array_equal(ours.status, theirs.status)
    plain = ours.algorithm.values != "adam"
    np.testing.assert_allclose(ours.loss[plain], theirs.loss[plain], rtol=1e-5)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_share_out_one_study(one: Path, tmp_path: Path) -> None:
    (code, out, err), (other, nothing, quiet) = ends(start(tmp_path, 2))
    assert (code, err, other, nothing, quiet) == (0, "", 0, "", "")
    assert "Files in" in out
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert_same_study(tmp_path / "s", one)
    # Given again it is only shown, by the first.
    (code, out, err), (other, nothing, quiet) = ends(start(tmp_path, 2))
    assert (code, err, other, nothing, quiet) == (0, "", 0, "", "")
    assert "made before" in out


@pytest.mark.slow
def test_eight_devices_make_the_same_study(one: Path, tmp_path: Path) -> None:
    subprocess.run(command(tmp_path), env=environment(8), check=True, capture_output=True)
    assert lnn.load(tmp_path / "s").dataset.attrs["devices"] == "8 x cpu"
    assert_same_study(tmp_path / "s", one)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others_and_any_number_goes_on(
    victim: int, one: Path, tmp_path: Path
) -> None:
    processes = start(tmp_path, 2, "--checkpoint-every", "0.2")
    saved = tmp_path / "s.unfinished"
    until = time.monotonic() + 120
    while not all(any(saved.glob(f"*/process-{i}/checkpoint-*")) for i in (0, 1)):
        assert time.monotonic() < until
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    survivor = processes[1 - victim]
    _, err = survivor.communicate(timeout=120)
    seconds = time.monotonic() - killed
    print(f"process {victim} killed, the other ended after {seconds:.1f} s: {err.strip()}")
    processes[victim].communicate()
    assert seconds < 60
    assert survivor.returncode == 1
    assert f"process {victim} of 2 " in err
    assert "run the same command to resume, with any number of processes" in err
    assert err.count("\n") == 1
    done = subprocess.run(  # one process goes on from what two have saved
        command(tmp_path), env=environment(1), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "resuming in a different environment (processes 2 there, 1 here)" in done.stderr
    assert_same_study(tmp_path / "s", one)


def test_options_of_processes_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lnn.studies.compare.command import main

    assert main(["--out", str(tmp_path / "o"), "--processes", "2"]) == 2
    assert "--processes requires --distributed" in capsys.readouterr().err
    done = subprocess.run(
        command(tmp_path / "o", "--distributed", "--processes", "2"), env=environment(1),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (told,) = (line for line in done.stderr.splitlines() if not line.startswith("warning: JAX_"))
    assert "coordinator and index not given" in told
