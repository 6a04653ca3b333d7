"""Break what a claim is about, and see its verdict change."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import pytest

from lnn.claims import all_claims
from lnn.claims.claim import Findings, Verdict, verdict
from lnn.claims.setting import Setting

QUICK = Setting(quick=True)


class Mutation(NamedTuple):
    """Replace `target`, as "module.attribute", by `broken(original)`, and run the claim."""

    claim: str
    target: str
    broken: Callable[[Any], Any]
    why: str


def mutated(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> Findings:
    module, _, name = mutation.target.rpartition(".")
    original = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(mutation.target, mutation.broken(original))
    # Programs compiled before would not see it, and those compiled now must not outlive it.
    jax.clear_caches()
    try:
        return all_claims()[mutation.claim].run(QUICK)
    finally:
        jax.clear_caches()


def check_caught(monkeypatch: pytest.MonkeyPatch, mutation: Mutation, sound: Verdict) -> None:
    """The verdict with the broken subject differs from the sound one."""
    found = verdict(mutated(monkeypatch, mutation).checks)
    assert found is not sound, f"{mutation.claim}: {mutation.why} was not noticed"
