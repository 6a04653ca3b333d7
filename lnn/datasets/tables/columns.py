"""Columns of a table as numbers: the label, the features, and what to do about other cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lnn.core.errors import DataError, clip
from lnn.datasets.tables.cells import Cells, number
from lnn.datasets.tables.wording import say


@dataclass(frozen=True)
class Choice:
    """What to do about cells that are not numbers.

    Attributes:
        drop_missing: leave out rows with a missing cell in a column that is used.
        drop_columns: columns to leave out.
        one_hot: columns of text, replaced by one column of 0 and 1 for each value but the first.
    """

    drop_missing: bool = False
    drop_columns: tuple[str, ...] = ()
    one_hot: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """A table's columns.

    Attributes:
        names: (d,) names, distinct.
        numbers: (n, d) float64; NaN where a cell is missing or text.
        text: cells of each column that holds text, "" where missing.
        places: where each row is, such as "line 3", for messages.
        where: source, for messages.
        notes: what was recognized or left out, in words.
    """

    names: tuple[str, ...]
    numbers: np.ndarray
    places: Sequence[str]
    where: str
    text: Mapping[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self.names)}

    def at(self, name: str) -> int:
        """Return the position of a column."""
        return self._positions[name]


@dataclass(frozen=True)
class Chosen:
    """The label y (n,) and the features x (n, d) of the rows kept, and notes."""

    y: np.ndarray
    x: np.ndarray
    names: tuple[str, ...]
    rows: np.ndarray
    notes: tuple[str, ...]


def from_cells(cells: Cells) -> Columns:
    """Read the cells as numbers where they are."""
    numbers = np.full((len(cells.rows), len(cells.names)), np.nan)
    text = {}
    for j, name in enumerate(cells.names):
        column = [row[j] for row in cells.rows]
        numbers[:, j], words = _read(column, cells.decimal)
        if words is not None:
            text[name] = words
    places = [f"line {line}" for line in cells.lines]
    return Columns(cells.names, numbers, places, cells.where, text, cells.notes)


def _read(cells: Sequence[str], decimal: str = ".") -> tuple[list[float], list[str] | None]:
    """Return the numbers, NaN elsewhere; and, if there is text, the cells, "" where missing."""
    values = [number(cell, decimal) for cell in cells]
    numbers = [math.nan if value is None else value for value in values]
    if None not in values:
        return numbers, None
    pairs = zip(cells, values, strict=True)
    return numbers, ["" if value is not None and value != value else cell for cell, value in pairs]


def from_frame(frame: Any, where: str) -> Columns:
    """Read a pandas data frame; text that is a number counts as one.

    Raises:
        DataError: no rows, or two columns of the same name.
    """
    import pandas as pd

    names = tuple(map(str, frame.columns))
    if not len(frame) or not names:
        raise DataError(f"{where} has no row or no column; give a table with data")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: two columns are called {twice!r}; rename one")
    numbers, text = np.full(frame.shape, np.nan), {}
    for j, name in enumerate(names):
        column = frame.iloc[:, j]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
            numbers[:, j] = column.to_numpy(np.float64, na_value=np.nan)
            continue
        cells = [
            "" if missing else str(cell).strip()
            for cell, missing in zip(column, column.isna(), strict=True)
        ]
        numbers[:, j], words = _read(cells)
        if words is not None:
            text[name] = words
    return Columns(names, numbers, [f"row {i}" for i in range(len(frame))], where, text)


def choose(columns: Columns, label: str, choice: Choice, aside: Sequence[str] = ()) -> Chosen:
    """Return label and features as finite numbers; columns named in `aside` are neither.

    Raises:
        ValueError: `choice` names a column that does not exist, or the label.
        DataError: no such label, no features, cells that are missing or text where nothing is said
            about them, or values that are not finite.
    """
    names = columns.names
    if not isinstance(label, str) or label not in names:
        hint = ""
        if all(number(name) is not None for name in names):
            hint = "; these look like data: put a line of names above them"
        raise DataError(
            f"{columns.where}: no column {label!r}; the columns are {listed(names)}{hint}; name "
            f"the label with {say().label}"
        )
    for option, given in (
        (say().drop_columns, choice.drop_columns),
        (say().one_hot, choice.one_hot),
    ):
        for name in given:
            if name not in names or name == label:
                why = "is the label" if name == label else "is no column"
                raise ValueError(
                    f"{option}: {name!r} {why} of {columns.where}; the columns are {listed(names)}"
                )
    used = [n for n in names if n not in choice.drop_columns and n not in aside and n != label]
    if not used:
        raise DataError(f"{columns.where}: no feature beside {label!r}; add feature columns")
    plain = [label, *(name for name in used if name not in choice.one_hot)]
    encoded = [name for name in used if name in choice.one_hot]
    missing = {name: _missing(columns, name) for name in (*plain, *encoded)}
    _explain(columns, label, plain, {} if choice.drop_missing else missing)
    notes = list(columns.notes)
    kept = np.ones(len(columns.numbers), bool)
    if choice.drop_missing:
        kept = ~np.any(list(missing.values()), axis=0)
        gone = int((~kept).sum())
        if gone:
            notes.append(f"{gone} of {kept.size} rows, with missing cells, are left out")
        if not kept.any():
            raise DataError(
                f"{columns.where}: every row has a missing cell; leave out columns "
                f"({say().drop_columns}) instead"
            )
    values = columns.numbers[kept][:, [columns.at(name) for name in plain]]
    rows = np.flatnonzero(kept)
    _require_finite(columns, values, plain, rows)
    parts, features = [values[:, 1:]], plain[1:]
    for name in encoded:
        column = columns.text.get(name) or [
            f"{value:.17g}" for value in columns.numbers[:, columns.at(name)]
        ]
        cells = np.array(column, object)[kept]
        kinds = sorted(set(cells))[1:]
        parts.append(
            np.stack([cells == kind for kind in kinds], 1) if kinds else np.zeros((rows.size, 0))
        )
        features += [f"{name} = {kind}" for kind in kinds]
        notes.append(f"{name!r} is encoded as {len(kinds)} columns of 0 and 1")
    x = np.concatenate(parts, axis=1).astype(np.float64)
    return Chosen(values[:, 0], x, tuple(features), rows, tuple(notes))


def listed(names: Sequence[str]) -> str:
    """Return the first names and their number."""
    shown = ", ".join(names[:6]) + (f", ... ({len(names)} in all)" * (len(names) > 6))
    return clip(shown, 200)


def _missing(columns: Columns, name: str) -> np.ndarray:
    if name in columns.text:
        return np.array([cell == "" for cell in columns.text[name]])
    return np.isnan(columns.numbers[:, columns.at(name)])


def _explain(
    columns: Columns, label: str, plain: Sequence[str], missing: Mapping[str, np.ndarray]
) -> None:
    """Raise one error for all cells that are missing, or text in a column of numbers."""
    told = []
    gaps = {name: gap for name, gap in missing.items() if gap.any()}
    if gaps:
        count = int(sum(gap.sum() for gap in gaps.values()))
        by = ", ".join(f"{name!r} ({int(gap.sum())})" for name, gap in list(gaps.items())[:4])
        more = f" and {len(gaps) - 4} more columns" if len(gaps) > 4 else ""
        first = columns.places[int(np.argmax(np.any(list(gaps.values()), axis=0)))]
        told.append(
            f"{count} {'cell is' if count == 1 else 'cells are'} missing, in {by}{more}, first in "
            f"{first}: leave out these rows ({say().drop_missing}) or columns "
            f"({say().drop_columns})"
        )
    for name in plain:
        if name not in columns.text:
            continue
        cells = np.array(columns.text[name], object)
        words = np.isnan(columns.numbers[:, columns.at(name)]) & (cells != "")
        where, word = columns.places[int(np.argmax(words))], clip(cells[int(np.argmax(words))])
        # A column of text needs encoding, a wrong cell needs repair.
        if name != label and 2 * words.sum() > len(cells):
            told.append(
                f"column {name!r} holds text ({word} in {where}, {len(set(cells[words]))} kinds): "
                f"leave it out ({say().drop_columns}) or encode it ({say().one_hot})"
            )
        else:
            also = f" and {int(words.sum()) - 1} more" if words.sum() > 1 else ""
            told.append(
                f"{where}, column {name!r}: {word}{also} where a number should be; repair or "
                "remove the line"
                + ("" if name == label else f", or leave out the column ({say().drop_columns})")
            )
    if told:
        shown = told[:3] + ([f"and so on in {len(told) - 3} more columns"] if len(told) > 3 else [])
        raise DataError(f"{columns.where}: {'; '.join(shown)}")


def _require_finite(
    columns: Columns, values: np.ndarray, names: Sequence[str], rows: np.ndarray
) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{columns.where}, {columns.places[rows[row]]}: column {names[column]!r} is "
            f"{values[row, column]}; every value must be finite: repair or remove the line"
        )
