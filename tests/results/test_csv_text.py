"""Comma-separated values, against what a reader of CSV gets back."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from lnn.results.csv_text import csv_text, flat
from lnn.results.statistics import Band


@dataclass(frozen=True)
class Cells:
    name: str
    count: int
    steps: Band


def test_rows_come_back_with_a_column_for_each_field_of_a_dataclass() -> None:
    rows = [Cells('with, "marks"', 3, Band(1 / 3, 0.25, 1e-9)), Cells("b", 4, Band(1, 1, 2))]
    text = csv_text([flat(vars(row)) for row in rows])
    assert "\r" not in text
    first, second = csv.DictReader(io.StringIO(text))
    assert first == {
        "name": 'with, "marks"', "count": "3", "steps_median": "0.333333", "steps_low": "0.25",
        "steps_high": "1e-09",
    }  # fmt: skip
    assert second["steps_high"] == "2"


def test_columns_can_be_chosen() -> None:
    assert csv_text([{"a": 1, "b": 2}], ["b"]) == "b\n2\n"
