"""Verdicts follow from checks; records come back as they were written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lnn.claims import all_claims, all_figures
from lnn.claims.claim import (
    Check,
    Findings,
    Role,
    Verdict,
    at_least,
    at_most,
    report,
    verdict,
    within,
)
from lnn.claims.record import load, record, save
from lnn.claims.run import SHARED, key_of, units

GOOD, BAD = at_most("error", 1e-9, 1e-8), at_most("error", 1e-7, 1e-8)
PRINTED = at_most("printed", 1.0, 1e-8, Role.PRINTED)
BEYOND = at_most("beyond", 1.0, 1e-8, Role.BEYOND)
FINE_PRINT = at_most("printed", 0.0, 1e-8, Role.PRINTED)
NUMBER = report("number", 3.0)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ((GOOD,), Verdict.HOLDS),
        ((GOOD, NUMBER, FINE_PRINT), Verdict.HOLDS),
        ((GOOD, BAD), Verdict.FALSE),
        ((GOOD, PRINTED), Verdict.MISPRINTED),
        ((GOOD, PRINTED, BEYOND), Verdict.MISPRINTED),
        ((GOOD, BEYOND), Verdict.CONDITIONAL),
        ((BAD, PRINTED, BEYOND), Verdict.FALSE),
        ((NUMBER,), Verdict.REPORTED),
        ((NUMBER, PRINTED), Verdict.REPORTED),
        ((), Verdict.REPORTED),
    ],
)
def test_verdict(checks: tuple[Check, ...], expected: Verdict) -> None:
    assert verdict(checks) is expected


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (within("x", 1.05, 1.0, 0.1), True),
        (within("x", 0.95, 1.0, 0.1), True),
        (within("x", 1.2, 1.0, 0.1), False),
        (within("x", math.nan, 1.0, 0.1), False),
        (at_most("x", math.nan, 1.0), False),
        (at_least("x", math.nan, 1.0), False),
        (at_least("x", 1.0, 1.0), True),
        (at_most("x", 1.0, 1.0), True),
        (at_most("x", math.inf, 1.0), False),
        (report("x", 1.0), None),
    ],
)
def test_check(check: Check, passed: bool | None) -> None:
    assert check.passed is passed


def test_a_record_comes_back(tmp_path: Path) -> None:
    checks = (
        within("x", 1.0, 2.0, 0.5, band=(0.5, math.inf)),
        report("y", math.inf, (-math.inf, 1.0)),
        at_least("z", math.nan, 1.0, Role.PRINTED),
    )
    written = record(
        "A1", Findings(checks, "words", {"a": np.arange(3.0)}),
        seconds=1.5, quick=True, data="d", key="k",
    )  # fmt: skip
    save(tmp_path, written)
    found = load(tmp_path, "A1")
    assert found is not None
    np.testing.assert_array_equal(found.arrays["a"], [0, 1, 2])
    assert (found.words, found.seconds, found.quick, found.data, found.key) == (
        "words", 1.5, True, "d", "k",
    )  # fmt: skip
    assert found.verdict is written.verdict is Verdict.FALSE
    assert repr(found.checks) == repr(checks)
    text = (tmp_path / "A1.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A1.json", "A1.npz"]


@pytest.mark.parametrize("name", ["A1.json", "A1.npz"])
@pytest.mark.parametrize("damage", ["cut", "missing", "garbage"])
def test_a_damaged_record_is_none(tmp_path: Path, name: str, damage: str) -> None:
    save(
        tmp_path,
        record("A1", Findings((GOOD,), "w", {"a": np.ones(2)}), seconds=1, quick=True, data="",
               key="k"),
    )  # fmt: skip
    path = tmp_path / name
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "garbage": b"{}"}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    assert load(tmp_path, "A1") is None


def test_every_row_is_there_once_and_in_order() -> None:
    expected = [f"A{i}" for i in range(1, 31)] + [f"B{i}" for i in range(1, 15)]
    expected += [f"C{i}" for i in range(1, 10)] + [f"D{i}" for i in range(1, 17)]
    assert list(all_claims()) == expected


def test_figures_are_drawn_from_claims_that_exist() -> None:
    for name, figure in all_figures().items():
        assert name == figure.name
        assert set(figure.claims) <= set(all_claims())


def test_texts_are_complete() -> None:
    for claim in all_claims().values():
        for text in (claim.source, claim.title, claim.statement, claim.assumptions,
                     claim.parameters, claim.rule):  # fmt: skip
            assert text.strip()
            assert text.isascii()
            assert text.count("$") % 2 == 0


def test_the_longest_units_go_first_and_shared_runs_together() -> None:
    found = units(all_claims(), {"A1": 1000.0})
    assert found[0] == ("A1",)
    assert all(shared in found for shared in SHARED)
    assert sorted(i for unit in found for i in unit) == sorted(all_claims())


def test_the_key_tells_settings_versions_and_code_apart() -> None:
    some = [all_claims()["A1"]]
    base = key_of(some, True, "data", {"jax": "1"})
    assert base == key_of(some, True, "data", {"jax": "1"})
    others = {key_of(some, False, "data", {"jax": "1"}), key_of(some, True, "x", {"jax": "1"}),
              key_of(some, True, "data", {"jax": "2"})}  # fmt: skip
    assert len(others | {base}) == 4
