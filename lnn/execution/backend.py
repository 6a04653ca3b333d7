"""Settings of the JAX backend that a command makes before it starts; a library must not."""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

_COMPILING = "/jax/core/compile/"
_seconds = 0.0


def start(silent: bool = False) -> None:
    """Make JAX's settings those that our programs need, and say so where the user's differ.

    Use all cores and cache compiled programs, unless the user configured either.
    """
    _use_all_cores()
    _keep_programs()
    with warnings.catch_warnings(action="ignore") if silent else nullcontext():
        _set_aside()
    # JAX writes programs in place: another process may read half of one, or a kill leave it. It
    # compiles that program again, and nobody need know.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def check() -> None:
    """Start the backend; raise `ValueError` saying what to change if that fails."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # a missing GPU is an assertion in JAX
        names = ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
        given = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
        why = " ".join(str(error).split()) or "there is no such device, or no plugin for it"
        raise ValueError(
            f"JAX cannot start with {' '.join(given) or 'its default settings'}: {why}. Set "
            "JAX_PLATFORMS=cpu and unset the others to compute on the processor"
        ) from error


def _set_aside() -> None:
    import jax

    from lnn.core.precision import REQUIRED

    for name, wanted in REQUIRED.items():
        if getattr(jax.config, name) != wanted:
            jax.config.update(name, wanted)
            warnings.warn(f"{name.upper()} is set aside here: lnn needs {wanted!r}", stacklevel=2)
    jax.config.update("jax_transfer_guard", "allow")


def _use_all_cores() -> None:
    if "XLA_FLAGS" in os.environ or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    import jax

    with suppress(RuntimeError):  # a running backend keeps its devices
        jax.config.update("jax_num_cpu_devices", cores())


def cores() -> int:
    """Return the number of cores available to this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _keep_programs() -> None:
    """Cache compiled programs in the user's cache folder, unless JAX has another one."""
    import jax

    if not getattr(jax.config, "jax_enable_compilation_cache"):  # noqa: B009 - untyped in JAX
        return
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return
    import platformdirs

    folder = platformdirs.user_cache_path("lnn") / "programs" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compile every time
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))


def _processor() -> str:
    """Identify the processor that programs are compiled for: machines may share a home folder."""
    text = os.uname().machine if hasattr(os, "uname") else os.name
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        text += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def compile_seconds() -> float:
    """Return the seconds spent on tracing and compiling since this was first called."""
    _listen()
    return _seconds


@cache
def _listen() -> None:
    import jax

    def add(event: str, duration_secs: float, **_: Any) -> None:
        global _seconds
        if event.startswith(_COMPILING):
            _seconds += duration_secs

    jax.monitoring.register_event_duration_secs_listener(add)
