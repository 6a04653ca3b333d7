"""Recorded verdicts: they cover every claim, and say where they depend on the run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_claims import CLAIMS

from lnn.claims import all_claims
from lnn.claims.claim import Claim, verdicts
from lnn.claims.recorded import by_kind, differs, recorded, told, worded
from lnn.results.verdict import Role, Verdict, at_most

GOOD, BAD = at_most("x", 0.0, 1.0), at_most("x", 2.0, 1.0)
MISPRINT = at_most("x", 2.0, 1.0, Role.PRINTED, document="R")


def _claim(**changes: str) -> Claim:
    return replace(CLAIMS["A1"], **{"documents": "AR", **changes})  # type: ignore[arg-type]


def test_a_misprint_of_one_document_is_not_that_of_the_other() -> None:
    found = verdicts(_claim(), (GOOD, MISPRINT))
    assert found == {"A": Verdict.HOLDS, "R": Verdict.MISPRINTED}
    assert worded(told(_claim(), (GOOD, MISPRINT))) == "holds (A), false as printed (R)"
    assert worded(told(_claim(), (GOOD,))) == "holds (A, R)"


def test_an_analogue_judges_no_document() -> None:
    claim = _claim(documents="D", analogue="a recurrent network")
    assert verdicts(claim, (BAD,)) == {"D": Verdict.ANALOGUE}
    assert worded(told(claim, (BAD,))) == "analogue (D), false (here)"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"A": "holds"}, {"A": "holds"}, False),
        ({"A": "holds"}, {"A": "false"}, True),
        ({"A": "reported"}, {"A": "false"}, False),
        ({"A": "holds", "R": "holds"}, {"A": "holds", "R": "false as printed"}, True),
        ({"A": "holds", "R": "holds"}, {"A": "holds"}, True),
        ({"D": "analogue", "here": "holds"}, {"D": "analogue", "here": "false"}, True),
    ],
)
def test_what_differs(before: dict[str, str], now: dict[str, str], expected: bool) -> None:
    assert differs(before, now) is expected


def test_every_claim_has_recorded_verdicts_for_its_documents() -> None:
    assert len(recorded()) == 4
    for claims in recorded().values():
        assert set(claims) == set(all_claims())
        for name, claim in all_claims().items():
            expected = {*claim.documents, *(["here"] if claim.analogue else [])}
            assert set(claims[name]["verdicts"]) == expected, name


def test_a_claim_whose_verdict_depends_on_the_run_says_why() -> None:
    for name, claim in all_claims().items():
        assert bool(by_kind(name)) == bool(claim.varies), name
