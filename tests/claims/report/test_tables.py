"""Tables of claims: JSON, CSV and the terminal's."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
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
    needed = {"id", "source", "title", "statement", "documents", "verdicts", "outcome", "measured",
              "expected", "tolerance", "seconds"}  # fmt: skip
    assert all(needed <= set(one) for one in found)
    by_id = {one["id"]: one for one in found}
    assert {name: by_id[name]["verdicts"] for name in VERDICTS} == VERDICTS
    assert by_id["A10"]["documents"]["R"].startswith("K. Ava: ")
    assert {by_id[name]["outcome"] for name in by_id if name != "D3"} == {None}
    assert (by_id["D3"]["outcome"], by_id["D3"]["analogue"]) == ("false", "a recurrent network")
    assert by_id["A10"]["measured"] == -0.4998
    assert by_id["A10"]["tolerance"] == 0.005
    assert by_id["A10"]["printed"] == "$t^{1/p-2}$"
    assert by_id["D1"]["expected"] is None
    assert by_id["D2"]["verdicts"] == {"D": "failed"}
    assert HOSTILE in by_id["D2"]["error"]


def test_csv_has_a_line_for_each_claim_and_document(folder: Path) -> None:
    found = list(csv.DictReader(io.StringIO((folder / "claims.csv").read_text())))
    verdicts = {(one["id"], one["document"]): one["verdict"] for one in found}
    assert len(verdicts) == len(found)
    assert verdicts == {
        **{(i, name): value for i, of in VERDICTS.items() for name, value in of.items()},
        ("D2", "D"): "failed",
    }
    assert [float(one["measured"]) for one in found if one["id"] == "A10"] == [-0.4998, -0.4998]
    assert found[1]["words"] == records()["A10"].words
    (failed,) = (one for one in found if one["id"] == "D2")
    assert failed["measured"] == ""
    assert HOSTILE in failed["error"]


@pytest.mark.parametrize("width", [72, 100, 160])
def test_terminal_table(width: int) -> None:
    rows = tables.rows(records(), CLAIMS, provenance()["failed"])
    out = io.StringIO()
    tables.print_verdicts(rows, provenance()["differing"], out, width)
    text = out.getvalue()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= max(width, 90)
    assert re.search(r"^A10 +A +holds +-0\.4998 +-0\.5 \+/- 0\.005 +1\.5  ", text, re.M)
    assert re.search(r"^ +R +false as printed$", text, re.M)
    assert re.search(r"^C1 differs: recorded as holds, found false\.$", text, re.M)
    assert " ".join(text.split()).endswith(
        "7 claims: 6 made by documents, 1 by this project alone. A claim counts for each document "
        "that makes it: A (Arora et al.): 2 holds. R (review): 1 false as "
        "printed. C (Hou et al.): 1 false. D (width): 1 reported, 1 analogue, 1 failed. "
        "L (this project): 1 holds under a condition."
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


def test_counts_are_of_claims_and_documents() -> None:
    found = tables.rows(records(), CLAIMS, {"D2": "no"})
    every = [value for of in VERDICTS.values() for value in of.values()]
    assert tables.counts(found) == {**Counter(map(str, every)), "failed": 1}
    assert tables.counts(found, "R") == {"false as printed": 1}
    assert tables.counts(found, "AC") == {"holds": 2, "false": 1}
    assert tables.summary([]) == ["No claim was run."]
