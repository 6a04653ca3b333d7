"""What becomes of the processes of a study when one of them dies, is stopped or gets stuck."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from workers import KILLED, QUICK, RESUME, Start, await_value, is_gone, message

from lnn.execution import processes, supervisor
from lnn.execution.processes import PATIENCE


@pytest.mark.parametrize(
    ("victim", "tasks"),
    [(1, ["compute", "compute"]), (0, ["compute", "gather"])]
    + [
        pytest.param(victim, tasks, marks=pytest.mark.slow)
        for victim, tasks in [
            (0, ["compute", "compute"]), (1, ["gather", "compute"]),
            (0, ["compute", "gather", "compute"]), (1, ["compute", "compute", "gather"]),
        ]
    ],
)  # fmt: skip
def test_killed_child_ends_all_with_a_message(start: Start, victim: int, tasks: list[str]) -> None:
    workers = start(*tasks)
    children = [worker.child for worker in workers]
    os.kill(children[victim], signal.SIGKILL)
    for index, worker in enumerate(workers):
        code, err = worker.end()
        assert (code, err) == (1, message(victim, len(tasks), KILLED))
        if victim != 0:  # when process 0 goes, JAX may end the others before they can save
            assert ("saved" in worker.said) == (index != victim)
    assert all(map(is_gone, children))


@pytest.mark.parametrize(
    ("victim", "tasks", "limits"),
    [
        (0, ["compute", "gather"], QUICK),
        pytest.param(0, ["compute", "compute"], QUICK, marks=pytest.mark.slow),
        pytest.param(1, ["gather", "compute"], QUICK, marks=pytest.mark.slow),
        pytest.param(1, ["compute", "compute"], {}, marks=pytest.mark.slow),
        pytest.param(0, ["compute", "gather"], {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_lost_host_ends_the_others_with_a_message(
    start: Start, victim: int, tasks: list[str], limits: dict[str, float]
) -> None:
    workers = start(*tasks, limits=limits)
    children = [worker.child for worker in workers]
    workers[victim].parent.kill()
    os.kill(children[victim], signal.SIGKILL)
    other = workers[1 - victim]
    silence = limits.get("SILENCE", supervisor.SILENCE)
    lost = message(victim, 2, f"has sent no heartbeat for {silence:.0f} s")
    assert other.end() == (1, lost)
    if victim != 0:
        assert "saved" in other.said
    assert is_gone(children[1 - victim])


@pytest.mark.slow
def test_stopped_process_saves_and_the_others_end(start: Start) -> None:
    first, second = start("compute", "compute")
    children = first.child, second.child
    first.parent.terminate()
    assert first.end() == (143, "")
    assert second.end() == (1, message(0, 2, "was stopped by SIGTERM"))
    assert "saved" in first.said
    assert "saved" in second.said  # though JAX aborts it when process 0 goes
    assert all(map(is_gone, children))


@pytest.mark.slow
def test_child_ends_with_its_parent(start: Start) -> None:
    # Until it has saved, the others must not take it for dead: its time to save is shorter.
    _, second = start("compute", "compute", limits={"SILENCE": supervisor.SILENCE})
    child = second.child
    second.parent.kill()
    await_value(lambda: is_gone(child) or None, supervisor.GRACE + 5)
    assert second.said[-1] == "saved"
    assert second.err.read_text() == ""


def test_last_words_of_a_crash_are_shown(start: Start) -> None:
    (alone,) = start("crash")
    code, err = alone.end()
    assert code == 1
    assert "last words\n" in err
    assert err.endswith(f"worker: error: this process was killed by signal 6 (SIGABRT); {RESUME}\n")


@pytest.mark.slow
def test_error_of_one_ends_the_others(start: Start) -> None:
    first, second = start("gather", "fail")
    assert second.end() == (2, "worker: error: wrong\n")
    assert first.end() == (1, message(1, 2, "ended with exit code 2"))
    assert "saved" in first.said


@pytest.mark.slow
def test_stuck_process_is_killed_after_a_grace(start: Start) -> None:
    first, second = start("sleep", "compute", limits=QUICK | {"GRACE": 2.0})
    children = first.child, second.child
    os.kill(children[1], signal.SIGKILL)
    assert first.end(20) == (1, message(1, 2, KILLED))
    assert all(map(is_gone, children))


def test_silence_counts_looks_not_hours(tmp_path: Path) -> None:
    peer = supervisor._Peer(tmp_path / "1")
    record = {"token": "now", "beat": 1, "arrived": 3, "over": False, "cause": None}
    peer.look("now", 2.0)
    assert peer.silent == 2.0
    peer.path.write_text(json.dumps(record | {"token": "an older try"}))
    peer.look("now", 2.0)
    peer.path.write_text(json.dumps(record)[:20])
    peer.look("now", 2.0)
    assert (peer.silent, peer.arrived) == (6.0, 0)
    peer.path.write_text(json.dumps(record))
    peer.look("now", 2.0)
    assert (peer.silent, peer.arrived, peer.silence()) == (0.0, 3, None)
    peer.look("now", supervisor.SILENCE + 1)
    assert peer.silence() == f"has sent no heartbeat for {supervisor.SILENCE:.0f} s"
    peer.path.write_text(json.dumps(record | {"beat": 2, "over": True}))
    peer.look("now", 2.0)
    peer.look("now", supervisor.SILENCE + 1)
    assert peer.silence() is None  # it has ended well


def test_all_ends_within_a_minute() -> None:
    assert supervisor.SILENCE + supervisor.GRACE + supervisor.STAY < 60
    assert supervisor.SILENCE + supervisor.GRACE < processes._HEARTBEAT
    assert PATIENCE > 60
