"""Runs claims in worker processes, in float64, and saves each result at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from lnn.claims import all_claims
from lnn.claims.claim import Claim
from lnn.claims.record import Record, load, record, save
from lnn.claims.setting import Setting
from lnn.core.checks import RECORDS
from lnn.core.problem import Problem
from lnn.execution.pool import completed
from lnn.execution.result_cache import code_key
from lnn.execution.workspace import Workspace
from lnn.results import provenance

SHARED = (("D8", "D9", "D10", "D11", "D12", "D13"), ("A25", "A26"))
"""Claims that share runs, and so are run by one worker in turn."""


def key_of(claims: Iterable[Claim], quick: bool, data: str, versions: Mapping[str, str]) -> str:
    """Return 16 hex digits of what results of claims depend on: code, configuration, versions."""
    configuration = repr((quick, data, sorted(versions.items())))
    return code_key(configuration, *sorted({claim.run.__module__ for claim in claims}))


def units(ids: Iterable[str], seconds: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Group claims that share runs, longest group first."""
    left = list(ids)
    groups = [tuple(i for i in shared if i in left) for shared in SHARED]
    grouped = {i for group in groups for i in group}
    found = [group for group in groups if group] + [(i,) for i in left if i not in grouped]
    return sorted(found, key=lambda unit: -sum(seconds.get(i, 10.0) for i in unit))


def run_claims(
    claims: Mapping[str, Claim],
    workspace: Workspace,
    earlier: Sequence[Path],
    *,
    quick: bool,
    gas: Problem | None,
    data: str,
    workers: int,
    seconds: Mapping[str, float],
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[dict[str, Record], dict[str, str], int]:
    """Run claims, or load their records from the study's folder or `earlier` ones.

    `gas` is the user's regression problem or None, `data` its checksum, `seconds` are expected
    durations; `progress` is called with tenths of seconds done, in total, and a text. Returns
    records and errors by id, and the number of records loaded.
    """
    versions = provenance.versions()
    keys = {i: key_of([claim], quick, data, versions) for i, claim in claims.items()}
    folders = {key: workspace.folder(RECORDS, key) for key in keys.values()}
    kept = {i: found for i in claims if (found := _kept(i, keys[i], folders[keys[i]], earlier))}
    left = [i for i in claims if i not in kept]
    failed: dict[str, str] = {}
    weight = {i: round(10 * seconds.get(i, 10.0)) for i in left}
    done = finished = 0
    places = {i: (key, folders[key]) for i, key in keys.items()}
    work, tasks = partial(_run_unit, Setting(quick, gas), places), units(left, seconds)
    workers = min(workers, max(1, len(tasks)))
    for item in completed(work, tasks, workers, {"JAX_ENABLE_X64": "true"}):
        if item is not None:
            unit, future = item
            try:
                failed |= future.result()
            except BrokenProcessPool:
                failed |= dict.fromkeys(unit, "its process died (out of memory?)")
            done += sum(weight[i] for i in unit)
            finished += len(unit)
            for i in unit:
                for path in folders[keys[i]].glob(f"{i}.*"):
                    workspace.copy(path)
        elif progress is not None:
            progress(done, sum(weight.values()), f"{finished} of {len(left)} claims")
    made = {i: found for i in left if (found := load(folders[keys[i]], i)) is not None}
    return {i: (kept | made)[i] for i in claims if i in kept or i in made}, failed, len(kept)


def _kept(claim_id: str, key: str, folder: Path, earlier: Sequence[Path]) -> Record | None:
    """Load the record of a claim from the study's folder, or copy it there from an earlier one."""
    if (found := load(folder, claim_id)) is not None:
        return found
    for other in earlier:
        if (found := load(other / RECORDS / key, claim_id)) is not None:
            save(folder, found)
            return found
    return None


def _run_unit(
    setting: Setting, places: Mapping[str, tuple[str, Path]], unit: tuple[str, ...]
) -> dict[str, str]:
    failed = {}
    for claim_id in unit:
        began = time.monotonic()
        claim, (key, folder) = all_claims()[claim_id], places[claim_id]
        try:
            findings = claim.run(setting)
            found = record(
                claim_id, findings, seconds=time.monotonic() - began, quick=setting.quick,
                data=setting.data if claim.uses_data else "", key=key,
            )  # fmt: skip
            save(folder, found)
        except Exception as error:  # other claims continue, and the report names this error
            failed[claim_id] = f"{type(error).__name__}: {error}"
    return failed
