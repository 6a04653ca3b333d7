"""Records come back as they were written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lnn.claims.record import load, record, save
from lnn.results.verdict import Findings, Role, Verdict, at_least, at_most, report, verdict, within

GOOD, BAD = at_most("error", 1e-9, 1e-8), at_most("error", 1e-7, 1e-8)


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
    assert verdict(found.checks) is verdict(written.checks) is Verdict.FALSE
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
