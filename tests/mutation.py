"""What the tests of all claims share: break what a claim is about, and see its verdict change."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import pytest

from lnn.claims import all_claims
from lnn.claims.claim import Claim
from lnn.claims.figure import PaperFigure
from lnn.claims.record import record
from lnn.claims.recorded import told, worded
from lnn.claims.setting import Setting
from lnn.results.plotting import settings
from lnn.results.verdict import Findings

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


def judged(claim: Claim, findings: Findings) -> str:
    """The verdicts in words: "holds (A), false as printed (R)"."""
    assert all(check.document in ("", *claim.documents) for check in findings.checks)
    return worded(told(claim, findings.checks))


def in_full(claim: Claim, expected: str) -> str:
    """The words that are expected: a verdict alone is that for every document."""
    return expected if "(" in expected else f"{expected} ({', '.join(claim.documents)})"


def check_caught(monkeypatch: pytest.MonkeyPatch, mutation: Mutation, sound: str) -> None:
    """The verdict with the broken subject differs from the sound one."""
    claim = all_claims()[mutation.claim]
    found = judged(claim, mutated(monkeypatch, mutation))
    assert found != in_full(claim, sound), f"{mutation.claim}: {mutation.why} was not noticed"


def by_speed(
    items: Iterable[Any], claim_id: Callable[[Any], str], is_slow: Callable[[str], bool]
) -> list[Any]:
    """Parameters named by their claim, marked slow where it is."""
    return [
        pytest.param(
            item,
            id=claim_id(item),
            marks=(pytest.mark.slow,) if is_slow(claim_id(item)) else (),
        )
        for item in items
    ]


def check_sound(claim: Claim, expected: str) -> None:
    """The verdict of the unbroken claim, and that its arrays are small."""
    found = claim.run(QUICK)
    assert judged(claim, found) == in_full(claim, expected)
    assert sum(array.nbytes for array in found.arrays.values()) < 2**21


def check_figure(figure: PaperFigure, claims: Iterable[Claim]) -> None:
    """It is drawn from records of quick runs, in legible type, with a caption without gaps."""
    records = {
        claim.id: record(claim.id, claim.run(QUICK), seconds=0, quick=True, data="", key="")
        for claim in claims
        if claim.id in figure.claims
    }
    with settings():
        drawn = figure.draw(records)
        drawn.canvas.draw()
    sizes = [
        text.get_fontsize()
        for ax in drawn.axes
        for text in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label)
    ]
    assert min(sizes) >= 7
    caption = figure.caption(records)
    assert caption.isascii()
    assert caption.count("$") % 2 == 0
    assert "nan" not in caption
