"""A claim's result on disk: NAME.json beside NAME.npz, read back without running anything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lnn.claims.claim import Check, Findings, Relation, Role, Verdict, verdict
from lnn.core import files


@dataclass(frozen=True)
class Record:
    """Attributes:
    id: of the claim.
    verdict: that follows from the checks.
    checks, words, arrays: as in `Findings`.
    seconds: how long the run took.
    quick: whether it was the short one.
    data: the regression problem, in words.
    key: what the result depends on: code, configuration, data and versions.
    """

    id: str
    checks: tuple[Check, ...]
    words: str
    seconds: float
    quick: bool
    data: str
    key: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """It is never stored, but follows from the checks."""
        return verdict(self.checks)


def record(
    claim_id: str, findings: Findings, *, seconds: float, quick: bool, data: str, key: str
) -> Record:
    """The record of a run."""
    return Record(
        claim_id, findings.checks, findings.words, seconds, quick, data, key, findings.arrays
    )


def save(folder: Path, result: Record) -> None:
    """Write it, the JSON last: a record without its arrays is never seen."""
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / f"{result.id}.npz", result.arrays)
    text = json.dumps(to_json(result), indent=1, allow_nan=False)
    with files.atomic(folder / f"{result.id}.json") as file:
        file.write(f"{text}\n".encode())


def load(folder: Path, claim_id: str) -> Record | None:
    """The record of this claim, None if there is none or it is damaged: then it is run again."""
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
    """The record without its arrays, for strict JSON: what is not finite becomes a word."""
    first = asdict(result.checks[0])
    told = {
        "id": result.id,
        "verdict": result.verdict,
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
    )


def _real(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
