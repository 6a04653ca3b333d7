"""Where results come from: versions, machine, state of the code."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_study import STUDIES

from lnn.results import provenance


def test_manifest(monkeypatch):
    config = {"depths": (4.0, math.inf), "name": None}
    found = provenance.manifest(
        config, STUDIES["eight"], started=0.0, timings={"run": 1.0, "report": 0.23456}
    )
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert found["config"] == {"depths": [4.0, "inf"], "name": None}
    assert found["started_utc"] == "1970-01-01T00:00:00+00:00"
    assert found["wall_seconds"] == 1.235
    assert found["timings"] == {"run": 1.0, "report": 0.235}
    assert {"python", "lnn", "jax", "jaxlib", "optax", "numpy", "scipy"} <= set(found["versions"])
    assert (found["runs"], found["diverged_runs"]) == (360, 56)
    assert str(Path.home()) + "/" not in text
    assert str(Path(provenance.__file__).parents[2]) not in text
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert set(provenance.versions()) == {"python"}


def test_git_state(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("needs git")

    def git(*arguments):
        settings = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
        command = ["git", *settings, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)

    package = tmp_path / "package"
    package.mkdir()
    assert provenance.git_state(package) is None
    git("init", "-q")
    (package / "__init__.py").write_text("")
    assert provenance.git_state(package) is None  # inside a checkout, but no part of it
    git("add", ".")
    git("commit", "-q", "--no-verify", "-m", "one")
    state = provenance.git_state(package)
    assert state is not None
    assert re.fullmatch(r"[0-9a-f]{40}", state["commit"])
    assert state["dirty"] is False
    (tmp_path / "elsewhere.txt").write_text("")
    assert provenance.git_state(package) == state
    (package / "new.py").write_text("")
    assert provenance.git_state(package) == state | {"dirty": True}
