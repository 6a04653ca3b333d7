"""A plugin of pytest for runs that may be cut off: failures in full, and outcomes, as they come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

OUTCOMES = "LNN_BENCHMARK_OUTCOMES"
"""The environment variable that names the file of outcomes, one a line."""


def pytest_runtest_logreport(report: Any) -> None:
    """Print a failure when it happens; keep the outcome of every test."""
    if report.failed:
        print(f"\n{report.nodeid}, {report.when}:\n{report.longreprtext}", flush=True)
    if report.when == "call" or report.outcome != "passed":
        with Path(os.environ[OUTCOMES]).open("a", encoding="utf-8") as file:
            file.write(f"{report.outcome}\n")
