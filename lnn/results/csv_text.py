"""Rows of results as comma-separated values, a band as three columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any


def csv_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Return a header and a line per row; columns left out are those of the first row."""
    text = io.StringIO()
    names = list(columns or rows[0])
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Return the cells of a row by column: floats as text, dataclasses in a column per field."""
    cells: dict[str, object] = {}
    for name, value in values.items():
        column = f"{prefix}{name}"
        if is_dataclass(value):
            cells |= flat(vars(value), f"{column}_")
        else:
            cells[column] = f"{value:.6g}" if isinstance(value, float) else value
    return cells
