"""Shapes in types are true: jaxtyping and beartype check them in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from shape_checks import MODULES

TESTS = Path(__file__).parent


def succeeds(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_right_shapes_pass_and_wrong_ones_are_refused() -> None:
    succeeds("-W", "error", TESTS / "shape_checks.py")


@pytest.mark.slow
def test_examples_have_the_shapes_in_their_types() -> None:
    hook = ",".join([*(f"lnn.{name}" for name in MODULES), "shape_checks.check"])
    pytest_run = ("-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS / "test_docs.py")
    succeeds(*pytest_run, f"--jaxtyping-packages={hook}")
