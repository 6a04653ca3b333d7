"""Parser of UCI's lines `gas;ppm 1:v 2:v ... 128:v`, and of CSV with a named label.

Every error names the file and the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from lnn.core.errors import DataError
from lnn.datasets import LABEL_COLUMN
from lnn.datasets.gas_archive import Batch

GASES = ("ethanol", "ethylene", "ammonia", "acetaldehyde", "acetone", "toluene")
"""The six gases, in the order of UCI's ids, which start at 1."""

FEATURES = 128
_CSV_LIMIT = 256 << 20
_GAS_COLUMN = "gas"


@dataclass(frozen=True)
class Table:
    """Rows of measurements in original units.

    Attributes:
        gas: (n,) int64, ids 1 to 6; zeros if unknown.
        ppm: (n,) float64, concentrations.
        features, names: (n, d) float64, and d names.
        where: source, for messages.
    """

    gas: np.ndarray
    ppm: np.ndarray
    features: np.ndarray
    names: tuple[str, ...]
    where: str


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
    for number, line in enumerate(_text(batch.data, batch.where).splitlines(), 1):
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
        raise DataError(f"{where}: starts with {_clip(head)}; a line should read {form}")
    if gas not in map(str, range(1, len(GASES) + 1)):
        raise DataError(f"{where}: unknown gas {_clip(gas)}; the gases are 1 to {len(GASES)}")
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
                f"{where}: {_clip(pair)} in place of feature {place}; a line should read {form}"
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


def read_csv(path: Path, label_column: str) -> Table:
    """Read a CSV(.gz) with a header, a label column, optionally a column `gas`, and features.

    Raises:
        DataError: unreadable, no such label column, no features, no rows, or a malformed line.
    """
    where = str(path)
    lines = csv.reader(io.StringIO(_text(_csv_bytes(path), where), newline=""))
    try:
        header = [name.strip() for name in next(lines, [])]
        if not header:
            raise DataError(f"{where} is empty; give a CSV with a header line")
        at, gas_at = _columns(header, label_column, where)
        names = tuple(name for i, name in enumerate(header) if i not in (at, gas_at))
        gases: list[int] = []
        numbers: list[int] = []
        rows: list[list[float]] = []
        for fields in lines:
            if not fields:
                continue
            here = f"{where}, line {lines.line_num}"
            if len(fields) != len(header):
                raise DataError(
                    f"{here}: {len(fields)} columns, the header has {len(header)}; repair or "
                    "remove the line"
                )
            if gas_at is not None:
                gases.append(_gas_cell(fields[gas_at], here))
            cells = [fields[at], *(f for i, f in enumerate(fields) if i not in (at, gas_at))]
            try:
                if any("_" in cell for cell in cells):  # float() would read 1_0 as 10
                    raise ValueError
                rows.append([float(cell) for cell in cells])
            except ValueError:
                for name, cell in zip((label_column, *names), cells, strict=True):
                    _number(cell, f"{here}, column {name!r}")
            numbers.append(lines.line_num)
    except csv.Error as error:
        raise DataError(f"{where}, line {lines.line_num}: {error}; repair the file") from None
    if not rows:
        raise DataError(f"{where} has a header and no row; give a CSV with data")
    values = np.asarray(rows)
    labels = (f"column {label_column!r}", *(f"column {name!r}" for name in names))
    _require_finite(values, labels, numbers, where)
    gas = np.asarray(gases, np.int64) if gas_at is not None else np.zeros(len(rows), np.int64)
    return Table(gas, values[:, 0], values[:, 1:], names, where)


def _columns(header: list[str], label_column: str, where: str) -> tuple[int, int | None]:
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{where}, line 1: two columns are called {twice!r}; rename one")
    if not isinstance(label_column, str) or label_column not in header:
        shown = ", ".join(header[:6]) + (f", ... ({len(header)} in all)" * (len(header) > 6))
        raise DataError(
            f"{where}, line 1: no column {label_column!r}; the columns are {_clip(shown, 200)}; "
            "name the label with label_column"
        )
    # In a table with another label, a column called gas is a feature.
    of_gas_drift = label_column == LABEL_COLUMN and _GAS_COLUMN in header
    gas_at = header.index(_GAS_COLUMN) if of_gas_drift else None
    at = header.index(label_column)
    if not set(range(len(header))) - {at, gas_at}:
        raise DataError(f"{where}, line 1: no feature beside {label_column!r}; add feature columns")
    return at, None if gas_at == at else gas_at


def _gas_cell(cell: str, where: str) -> int:
    try:
        return gas_id(cell)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _csv_bytes(path: Path) -> bytes:
    """Return the file's bytes, decompressed if its content or name is gzip."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b" or path.suffix.lower() == ".gz"
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data = bytes(stream.read(_CSV_LIMIT + 1))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is not a gzip file, or a damaged one ({error}); download it again, or unpack "
            "it and give the .csv"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > _CSV_LIMIT:
        raise DataError(f"{path} holds more than {_CSV_LIMIT} bytes of text; give a smaller file")
    return data


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{where}, line {line}: not text (byte 0x{data[error.start]:02x}); give a text file"
        ) from None


def _number(text: str, where: str) -> None:
    """Raise unless `text` is a number, including NaN and infinity, which are caught later."""
    try:
        if "_" in text:
            raise ValueError
        float(text)
    except ValueError:
        raise DataError(
            f"{where}: {_clip(text)} where a number should be; repair or remove the line"
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


def _clip(text: str, length: int = 40) -> str:
    return repr(text if len(text) <= length else text[:length] + "...")
