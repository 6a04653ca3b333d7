"""Processes of a study, none of which is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from workers import QUICK, Start, Worker, free_port, is_gone


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the processes of a study, each with a task; none is left behind."""
    workers: list[Worker] = []

    def start(*tasks: str, **options: object) -> list[Worker]:
        port = free_port()
        for index, task in enumerate(tasks):
            chosen = {
                "coordinator": f"127.0.0.1:{port}", "count": len(tasks), "index": index,
                "folder": str(tmp_path / "shared"), "task": task, "patience": 60.0, "devices": 2,
                "sizes": [], "limits": QUICK,
            } | options  # fmt: skip
            chosen |= {name: call(index) for name, call in options.items() if callable(call)}
            workers.append(Worker(tmp_path / f"{port}-{index}", chosen))
        return workers[-len(tasks) :]

    yield start
    for worker in workers:
        worker.parent.kill()
        worker.parent.wait()
    for worker in workers:
        if any("connected" in line for line in worker.said) and not is_gone(worker.child):
            os.kill(worker.child, signal.SIGKILL)
