"""Claims run by worker processes, in float64, each result saved as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from lnn.claims.setting import Setting
from lnn.core.problem import Problem
from lnn.execution.pool import completed
from lnn.execution.result_cache import code_key

SHARED = (("D8", "D9", "D10", "D11", "D12", "D13"), ("A25", "A26"))
"""Claims that read the same runs: one worker takes them, one after the other."""

_NOT_COMPUTING = ("report", "phase", "mnist", "figures.py", "errata.py", "reproduce.py")
"""Parts of the package that no measured number depends on."""


def key_of(quick: bool, data: str, versions: Mapping[str, str]) -> str:
    """What a result depends on, as 16 hex digits: the package's code, configuration, versions.

    Args:
        quick: whether the runs are the short ones.
        data: checksum of the regression problem.
        versions: of the packages that compute.
    """
    configuration = repr((quick, data, sorted(versions.items())))
    return code_key(configuration, _NOT_COMPUTING)


def units(ids: Iterable[str], seconds: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The claims, together where they share runs, the longest first."""
    left = list(ids)
    groups = [tuple(i for i in shared if i in left) for shared in SHARED]
    grouped = {i for group in groups for i in group}
    found = [group for group in groups if group] + [(i,) for i in left if i not in grouped]
    return sorted(found, key=lambda unit: -sum(seconds.get(i, 10.0) for i in unit))


def run_claims(
    ids: Sequence[str],
    folder: Path,
    *,
    quick: bool,
    gas: Problem | None,
    key: str,
    workers: int,
    seconds: Mapping[str, float],
    progress: Callable[[float, float, str], None] | None = None,
) -> dict[str, str]:
    """Run these claims; their records lie in the folder afterwards.

    Args:
        ids: of the claims.
        folder: for the records.
        quick: short runs.
        gas: the regression problem of the user's choice, or None for the built-in one.
        key: that the records will bear.
        workers: how many processes.
        seconds: about how long each claim takes, for the order and the time left.
        progress: called with seconds' worth of claims done, of all, and a text.

    Returns:
        Claims that ended in an error, and why.
    """
    failed: dict[str, str] = {}
    weight = {i: seconds.get(i, 10.0) for i in ids}
    total, done, finished = sum(weight.values()), 0.0, 0
    left = units(ids, seconds)
    for item in completed(_run_unit, left, workers, _prepare, (quick, gas, str(folder), key)):
        if item is not None:
            unit, future = item
            try:
                failed |= future.result()
            except BrokenProcessPool:
                failed |= dict.fromkeys(unit, "its process died (out of memory?)")
            done += sum(weight[i] for i in unit)
            finished += len(unit)
        elif progress is not None:
            progress(done, total, f"{finished} of {len(ids)} claims")
    return failed


class _Job(NamedTuple):
    """What a worker knows of its task from the start."""

    setting: Setting
    folder: Path
    key: str


_job: _Job | None = None


def _prepare(quick: bool, gas: Problem | None, folder: str, key: str) -> None:
    """In a worker, before its first claim."""
    import jax

    jax.config.update("jax_enable_x64", True)
    global _job
    _job = _Job(Setting(quick, gas), Path(folder), key)


def _run_unit(unit: tuple[str, ...]) -> dict[str, str]:
    from lnn.claims import all_claims
    from lnn.claims.record import record, save

    assert _job is not None
    setting, failed = _job.setting, {}
    for claim_id in unit:
        began = time.monotonic()
        claim = all_claims()[claim_id]
        try:
            findings = claim.run(setting)
            found = record(
                claim_id, findings, seconds=time.monotonic() - began, quick=setting.quick,
                data=setting.data if claim.uses_data else "", key=_job.key,
            )  # fmt: skip
            save(_job.folder, found)
        except Exception as error:  # the other claims go on, and the report tells of this one
            failed[claim_id] = f"{type(error).__name__}: {error}"
    return failed
