"""Worker processes: every result with its task, errors too, in an environment of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lnn.execution.pool import completed


def test_results_and_errors_come_with_their_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPROC", "7")
    monkeypatch.delenv("LNN_SAID", raising=False)
    tasks = ["NPROC", "LNN_SAID", None]
    found: dict[str | None, Any] = {}
    for done in completed(os.getenv, tasks, 1, {"LNN_SAID": "yes"}):
        if done is not None:
            task, future = done
            found[task] = future.exception() or future.result()
    assert found.pop("NPROC") != "7"
    assert found.pop("LNN_SAID") == "yes"
    assert isinstance(found.pop(None), TypeError)
    assert os.environ["NPROC"] == "7"
    assert "LNN_SAID" not in os.environ


KILLED = """
import os, signal, time
from lnn.execution.pool import completed

def work(task):
    print(os.getpid(), flush=True)
    time.sleep(0 if task == "first" else 600)

if __name__ == "__main__":
    for done in completed(work, ["first", "second", "third"], 2):
        if done is not None:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """They hold the pipe of its output, so that its end shows that they are gone."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(set(done.stdout.split())) >= 1
