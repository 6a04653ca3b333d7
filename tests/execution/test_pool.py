"""Worker processes: every result with its task, errors too, in an environment of their own."""

from __future__ import annotations

import os
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
