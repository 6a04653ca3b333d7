"""Parser of UCI's lines `gas;ppm 1:v 2:v ... 128:v`, and of tables with gas drift's columns.

Every error names the file and the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from lnn.core.errors import DataError, clip
from lnn.datasets import LABEL_COLUMN
from lnn.datasets.gas_archive import Batch
from lnn.datasets.tables.cells import decoded
from lnn.datasets.tables.columns import Choice, Columns, choose

GASES = ("ethanol", "ethylene", "ammonia", "acetaldehyde", "acetone", "toluene")
"""The six gases, in the order of UCI's ids, which start at 1."""

FEATURES = 128
_GAS_COLUMN = "gas"


@dataclass(frozen=True)
class Table:
    """Rows of measurements in original units.

    Attributes:
        gas: (n,) int64, ids 1 to 6; zeros if unknown.
        ppm: (n,) float64, concentrations.
        features, names: (n, d) float64, and d names.
        where: source, for messages.
        notes: what was recognized or left out, in words.
    """

    gas: np.ndarray
    ppm: np.ndarray
    features: np.ndarray
    names: tuple[str, ...]
    where: str
    notes: tuple[str, ...] = ()


def gas_id(gas: str | int) -> int:
    """Return the id, 1 to 6, of a gas given by name (any case) or id, or raise `ValueError`."""
    key = str(gas).strip().lower()
    if key in GASES:
        return GASES.index(key) + 1
    number = key.lstrip("0")
    if number in map(str, range(1, len(GASES) + 1)):
        return int(number)
    known = ", ".join(f"{i} {name}" for i, name in enumerate(GASES, 1))
    raise ValueError(f"unknown gas {gas!r}: choose one of {known}")


def parse_batch(batch: Batch, features: int = FEATURES) -> Table:
    """Parse one batchN.dat in UCI's format; raise `DataError` if it is empty or malformed."""
    expected = [str(i) for i in range(1, features + 1)]
    numbers: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(decoded(batch.data, batch.where).splitlines(), 1):
        if not line.strip():
            continue
        # One split and one list comparison per line: 14,000 lines take well under a second.
        head, *tokens = line.replace(":", " ").split() or [""]
        gas, _, ppm = head.partition(";")
        regular = tokens[::2] == expected and len(tokens) == 2 * features
        regular = regular and line.count(":") == features and "_" not in line
        try:
            if not regular or not 1 <= int(gas) <= len(GASES):
                raise ValueError
            rows.append([float(gas), *map(float, [ppm, *tokens[1::2]])])
        except ValueError:
            _explain_line(line, f"{batch.where}, line {number}", features)
        numbers.append(number)
    if not rows:
        raise DataError(f"{batch.where} is empty; download the dataset again")
    values = np.asarray(rows)
    names = tuple(f"feature {i}" for i in range(1, features + 1))
    _require_finite(values, ("gas", "the concentration", *names), numbers, batch.where)
    return Table(values[:, 0].astype(np.int64), values[:, 1], values[:, 2:], names, batch.where)


def _explain_line(line: str, where: str, features: int) -> NoReturn:
    """Raise an error that explains how a line differs from UCI's format."""
    form = f"`gas;ppm 1:value ... {features}:value`"
    head, *pairs = line.split()
    gas, semicolon, ppm = head.partition(";")
    if not semicolon:
        raise DataError(f"{where}: starts with {clip(head)}; a line should read {form}")
    if gas not in map(str, range(1, len(GASES) + 1)):
        raise DataError(f"{where}: unknown gas {clip(gas)}; the gases are 1 to {len(GASES)}")
    _number(ppm, f"{where}, the concentration")
    if len(pairs) != features:
        raise DataError(
            f"{where}: {len(pairs)} features, {features} expected; a line should read {form}, so "
            "the file is cut or edited: download it again"
        )
    for place, pair in enumerate(pairs, 1):
        index, colon, value = pair.partition(":")
        if not colon or index != str(place):
            raise DataError(
                f"{where}: {clip(pair)} in place of feature {place}; a line should read {form}"
            )
        _number(value, f"{where}, feature {place}")
    raise DataError(f"{where}: a line should read {form}")  # pragma: no cover - covered above


def join(tables: Iterable[Table], where: str) -> Table:
    """Concatenate tables with the same features."""
    parts = list(tables)
    return Table(
        np.concatenate([part.gas for part in parts]),
        np.concatenate([part.ppm for part in parts]),
        np.concatenate([part.features for part in parts]),
        parts[0].names,
        where,
    )


def read_columns(columns: Columns, label: str, choice: Choice) -> Table:
    """Take the label, optionally a column of gases, and the features from a table.

    Raises:
        ValueError: `choice` names unknown columns.
        DataError: no such label column, no features, or cells that are not numbers.
    """
    own = isinstance(label, str) and label == LABEL_COLUMN
    columns, gas_column = _as_gas_drift(columns) if own else (columns, None)
    aside = (gas_column,) if gas_column else ()
    chosen = choose(columns, label, choice, aside)
    gas = np.zeros(len(chosen.y), np.int64)
    if gas_column:
        cells = columns.text.get(gas_column)
        if cells is None:
            cells = [f"{value:g}" for value in columns.numbers[:, columns.at(gas_column)]]
        gas = np.array(
            [_gas_cell(cells[i], f"{columns.where}, {columns.places[i]}") for i in chosen.rows]
        )
    return Table(gas, chosen.y, chosen.x, chosen.names, columns.where, chosen.notes)


def _as_gas_drift(columns: Columns) -> tuple[Columns, str | None]:
    """Return the columns, named as gas drift's, and the name of the column of gases, if any.

    Public repositories hold it as ARFF: the gas in the column Class, the features in V1 to V128 or,
    with concentrations, these in V1 and the features in V2 to V129.
    """
    names = columns.names
    if _GAS_COLUMN in names:
        return columns, _GAS_COLUMN
    others = tuple(name for name in names if name != "Class")
    if "Class" not in names or LABEL_COLUMN in names:
        return columns, None
    if others == tuple(f"V{i}" for i in range(1, FEATURES + 1)):
        raise DataError(
            f"{columns.where} holds gases and features but no concentrations, which are the "
            'labels; get the dataset "at different concentrations"'
        )
    if others != tuple(f"V{i}" for i in range(1, FEATURES + 2)):
        return columns, None
    renamed = tuple(LABEL_COLUMN if name == "V1" else name for name in names)
    return replace(columns, names=renamed), "Class"


def _gas_cell(cell: str, where: str) -> int:
    try:
        return gas_id(cell)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _number(text: str, where: str) -> None:
    """Raise unless `text` is a number, including NaN and infinity, which are caught later."""
    try:
        if "_" in text:
            raise ValueError
        float(text)
    except ValueError:
        raise DataError(
            f"{where}: {clip(text)} where a number should be; repair or remove the line"
        ) from None


def _require_finite(
    values: np.ndarray, names: tuple[str, ...], numbers: list[int], where: str
) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{where}, line {numbers[row]}: {names[column]} is {values[row, column]}; every value "
            "must be finite: repair or remove the line"
        )
