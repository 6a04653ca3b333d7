"""Tables of claims: JSON, CSV and the terminal's."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from fake_claims import CLAIMS, HOSTILE, VERDICTS, provenance, records

from lnn.claims.report import tables

# The tables


def test_json_is_strict_and_complete(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads((folder / "claims.json").read_text(), parse_constant=refuse)
    assert [one["id"] for one in found] == list(CLAIMS)
    needed = {"id", "source", "title", "statement", "document", "verdict", "measured", "expected",
              "tolerance", "seconds"}  # fmt: skip
    assert all(needed <= set(one) for one in found)
    by_id = {one["id"]: one for one in found}
    assert {name: by_id[name]["verdict"] for name in VERDICTS} == VERDICTS
    assert by_id["A10"]["measured"] == -0.4998
    assert by_id["A10"]["tolerance"] == 0.005
    assert by_id["A10"]["printed"] == "$t^{1/p-2}$"
    assert by_id["D1"]["expected"] is None
    assert by_id["D2"]["verdict"] == "failed"
    assert HOSTILE in by_id["D2"]["error"]


def test_csv_has_a_line_for_each_claim(folder: Path) -> None:
    found = list(csv.DictReader(io.StringIO((folder / "claims.csv").read_text())))
    assert [one["id"] for one in found] == list(CLAIMS)
    assert float(found[1]["measured"]) == -0.4998
    assert found[1]["words"] == records()["A10"].words
    assert found[-1]["measured"] == ""
    assert HOSTILE in found[-1]["error"]


@pytest.mark.parametrize("width", [72, 100, 160])
def test_terminal_table(width: int) -> None:
    rows = tables.rows(records(), CLAIMS, provenance()["failed"])
    out = io.StringIO()
    tables.print_verdicts(rows, provenance()["differing"], out, width)
    text = out.getvalue()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= max(width, 90)
    assert re.search(r"^A10 +false as printed +-0\.4998 +-0\.5 \+/- 0\.005 +1\.5  ", text, re.M)
    assert re.search(r"^C1 differs: recorded as holds, found false\.$", text, re.M)
    assert text.splitlines()[-1].startswith("6 claims: 1 holds") or width < 100
    assert " ".join(text.split()).endswith(
        "6 claims: 1 holds, 1 holds under a condition, 1 false as printed, 1 false, 1 reported, "
        "1 failed."
    )


def test_terminal_table_in_colour() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    rows = tables.rows(records(), CLAIMS, {})
    out = Terminal()
    tables.print_verdicts(rows, {}, out, 120)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert plain == tables.plain_text(rows, {}, 120)


def test_counts_are_of_all_rows() -> None:
    counted = tables.counts(tables.rows(records(), CLAIMS, {"D2": "no"}))
    assert counted == {**dict.fromkeys(map(str, VERDICTS.values()), 1), "failed": 1}
    assert tables.summary([]) == "No claim was run."
