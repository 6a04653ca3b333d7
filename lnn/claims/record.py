"""A claim's result on disk: NAME.json with NAME.npz."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lnn.core import files
from lnn.results.verdict import Check, Findings, Relation, Role


@dataclass(frozen=True)
class Record:
    """Result of a claim; `key` identifies the code, configuration, data and versions behind it.

    Verdicts are derived from the checks and never stored.
    """

    id: str
    checks: tuple[Check, ...]
    words: str
    seconds: float
    quick: bool
    data: str
    key: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def record(
    claim_id: str, findings: Findings, *, seconds: float, quick: bool, data: str, key: str
) -> Record:
    """Return the record of a run."""
    return Record(
        claim_id, findings.checks, findings.words, seconds, quick, data, key, findings.arrays
    )


def save(folder: Path, result: Record) -> None:
    """Save a record, the JSON last, so that a record always has its arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / f"{result.id}.npz", result.arrays)
    text = json.dumps(to_json(result), indent=1, allow_nan=False)
    with files.atomic(folder / f"{result.id}.json") as file:
        file.write(f"{text}\n".encode())


def load(folder: Path, claim_id: str) -> Record | None:
    """Load the record of this claim; None if it is missing or damaged."""
    arrays = files.load(folder / f"{claim_id}.npz")
    if arrays is None:
        return None
    try:
        found = json.loads((folder / f"{claim_id}.json").read_text(encoding="utf-8"))
        return Record(
            id=found["id"],
            checks=tuple(map(_check, found["checks"])),
            words=found["words"],
            seconds=float(found["seconds"]),
            quick=bool(found["quick"]),
            data=found["data"],
            key=found["key"],
            arrays=arrays,
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def to_json(result: Record) -> dict[str, Any]:
    """Return the record without its arrays for strict JSON; non-finite numbers become words."""
    first = asdict(result.checks[0])
    told = {
        "id": result.id,
        **{name: first[name] for name in ("measured", "expected", "relation", "tolerance")},
        "seconds": round(result.seconds, 3),
        "words": result.words,
        "checks": [{**asdict(check), "passed": check.passed} for check in result.checks],
        "quick": result.quick,
        "data": result.data,
        "key": result.key,
    }
    return dict(files.strict(told))


def _check(found: Mapping[str, Any]) -> Check:
    band = found["band"]
    return Check(
        what=found["what"],
        measured=_real(found["measured"]),
        expected=_real(found["expected"]),
        relation=Relation(found["relation"]),
        tolerance=_real(found["tolerance"]),
        role=Role(found["role"]),
        band=None if band is None else (_real(band[0]), _real(band[1])),
        document=found["document"],
    )


def _real(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
