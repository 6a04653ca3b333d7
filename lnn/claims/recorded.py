"""The committed verdicts of every claim, by length of the run and data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lnn.claims.claim import Claim, verdicts
from lnn.results.verdict import Check, Verdict, verdict

HERE = "here"
"""Name of an analogue's outcome among its verdicts."""


@cache
def recorded() -> dict[str, dict[str, dict[str, Any]]]:
    """Return {"full, built-in": {"A1": {"verdicts": {"A": "holds"}, "seconds": 0.8}}}, and so on.

    Kinds of runs are full or quick, on the built-in data or on gas drift.
    """
    text = (Path(__file__).parent / "verdicts.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return found


def told(claim: Claim, checks: Sequence[Check]) -> dict[str, str]:
    """Return the verdicts by letter of the document and, for an analogue, its outcome here."""
    found = {letter: str(value) for letter, value in verdicts(claim, checks).items()}
    return {**found, HERE: str(verdict(checks))} if claim.analogue else found


def differs(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether a verdict has changed; what was only reported may change."""
    return set(before) != set(now) or any(
        value not in (Verdict.REPORTED, now[name]) for name, value in before.items()
    )


def by_verdict(found: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names by verdict: {"holds": ["A"], "false as printed": ["R"]}."""
    return {
        value: [name for name in found if found[name] == value]
        for value in dict.fromkeys(found.values())
    }


def worded(found: Mapping[str, str]) -> str:
    """Return "holds (A), false as printed (R)"; names of the same verdict together."""
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in by_verdict(found).items())


def by_kind(claim_id: str) -> dict[str, str]:
    """Return the claim's recorded verdicts in words by kind of run, if they are not all the same.

    A claim that depends on the length of a run or on the data must say why.
    """
    found = {kind: worded(claims[claim_id]["verdicts"]) for kind, claims in recorded().items()}
    return found if len(set(found.values())) > 1 else {}
