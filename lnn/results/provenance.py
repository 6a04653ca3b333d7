"""Provenance of results, without names of users, machines or folders."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import xarray as xr

from lnn.core.files import strict

PACKAGES = ("lnn", "jax", "jaxlib", "optax", "numpy", "scipy", "xarray", "matplotlib")
_ABOUT = ("devices", "layout", "dtype", "numerics", "problem", "data_checksum")
_GIT_SECONDS = 5


def manifest(
    config: Mapping[str, Any], dataset: xr.Dataset, *, started: float, timings: Mapping[str, float]
) -> dict[str, Any]:
    """Return configuration, versions, machine, data, source and compute as plain data for JSON.

    Args:
        config: all settings, by name.
        dataset: the result.
        started: start of the study in seconds since 1970.
        timings: seconds per part.
    """
    attributes = dataset.attrs
    where = environment()
    source = where["git"]
    found = {
        "config": dict(config),
        "versions": versions(),
        "platform": where["platform"],
        **{name: attributes.get(name) for name in _ABOUT},
        **({"git": source} if source is not None else {}),
        "started_utc": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(sum(timings.values()), 3),
        "timings": {part: round(float(seconds), 3) for part, seconds in timings.items()},
        "runs": attributes.get("runs"),
        "diverged_runs": attributes.get("diverged_runs"),
    }
    return dict(strict(found))


def environment() -> dict[str, Any]:
    """Return the machine as `platform`, and the source commit as `git` (None outside git)."""
    return {
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cpu": cpu_name(),
            "cpu_count": os.cpu_count(),
        },
        "git": git_state(Path(__file__).resolve().parents[1]),
    }


def account(started: float) -> dict[str, Any]:
    """Return environment, versions, start and duration of a command begun at `started`."""
    return {
        **environment(),
        "versions": versions(),
        "started_utc": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(time.time() - started, 1),
    }


def session(devices: str | None = None) -> dict[str, Any]:
    """Return start, versions, devices (in words; None asks JAX) and processes of a session."""
    processes = 1
    if devices is None:
        import jax

        processes = jax.process_count()
        devices = f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}"
    return {
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "devices": devices,
        "processes": processes,
    }


def versions() -> dict[str, str]:
    """Return versions of Python, lnn and installed dependencies, without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """Return the CPU model, as far as known."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the package's source and whether its files differ; None outside git.

    The folder itself must be under version control: a checkout around an installed package does not
    count.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", ".")
    if commit is None or changes is None:
        return None
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command; None if it fails, times out or is missing."""
    # No optional locks, which could disturb the user's git commands.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
