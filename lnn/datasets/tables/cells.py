"""Text tables in any usual dialect: separator, decimal mark, encoding, comments, row numbers.

The standard library's reader splits the lines, since it knows the line of every row and refuses
none silently; pandas pads short rows without a word.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lnn.core.errors import DataError

LIMIT = 256 << 20
"""Most bytes of text that a table may hold."""

MISSING = frozenset(
    ("", "?", "-", ".", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND")
) | {"1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "na", "nan", "null"}
"""Cells without a value: those of pandas, and the marks of ARFF, SAS and others."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
_SAMPLE = 100
_LONGEST = 1 << 16
_COMMENTS = ("#", "%")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_INFINITE = frozenset(("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Cells:
    """A text table split into cells.

    Attributes:
        names: (d,) column names, distinct.
        rows: n rows of d cells, stripped of spaces.
        lines: line of each row in the file, for messages.
        decimal: "." or ",".
        where: source, for messages.
        notes: what was recognized or left out, in words.
    """

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    decimal: str
    where: str
    notes: tuple[str, ...]


def read_cells(path: Path) -> Cells:
    """Split a text table, packed by gzip or not, into cells.

    Raises:
        DataError: unreadable, no header, no rows, or a line with another number of cells.
    """
    where = str(path)
    return split_cells(decoded(file_bytes(path), where), where)


def split_cells(text: str, where: str) -> Cells:
    """Split the text of a table into cells; `where` names it in messages."""
    lines = io.StringIO(text, newline="").readlines()
    declared = re.fullmatch(r"sep=(.)\s*", lines[0]) if lines else None  # as Excel writes it
    first = next(
        (i for i in range(int(bool(declared)), len(lines)) if not _is_comment(lines[i])), len(lines)
    )
    if first == len(lines):
        raise DataError(f"{where} is empty; give a table with a header line")
    separator = declared[1] if declared else _separator(lines[first:])
    reader = _reader(lines[first:], separator)
    try:
        header, start = _stripped(next(reader)), first
        above = _header_above(lines[:first], header, separator)
        if above is not None:
            header, start = above
            reader = _reader(lines[first:], separator)
        rows, numbers = [], []
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                rows.append(_stripped(row))
                numbers.append(first + reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"{where}, line {first + reader.line_num}: {error}; repair the file"
        ) from None
    if not rows:
        raise DataError(f"{where} has a header and no row; give a table with data")
    told = _SEPARATORS.get(separator, f"{separator!r} marks")
    notes = [] if separator == "," else [f"{told} separate the columns"]
    header, rows, dropped = _without_ends(header, rows)
    notes += dropped
    for row, line in zip(rows, numbers, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{where}, line {line}: {len(row)} columns, the header has {len(header)}; "
                "repair or remove the line"
            )
        if max(map(len, row), default=0) > _LONGEST:
            raise DataError(
                f"{where}, line {line}: a cell of {max(map(len, row))} characters; is a quote "
                "missing?"
            )
    header, rows, counted = _without_index(header, rows)
    names = tuple(name or f"column {i}" for i, name in enumerate(header, 1))
    if len(set(names)) != len(names):
        if all(number(name, ",") is not None for name in header):
            raise DataError(
                f"{where}, line {start + 1}: only numbers; put a line with the names of the "
                "columns above them"
            )
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}, line {start + 1}: two columns are called {twice!r}; rename one")
    decimal = _decimal(rows, numbers, separator, where)
    notes += [*counted, *(["the decimal mark is a comma"] if decimal == "," else [])]
    return Cells(names, rows, numbers, decimal, where, tuple(notes))


def number(cell: str, decimal: str = ".") -> float | None:
    """Return the cell's number, NaN if it is missing, or None if it is text."""
    if cell in MISSING:
        return float("nan")
    if decimal == "," and _COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    # Python's float would also read 1_0 and digits of other scripts.
    if not cell.isascii() or not (_NUMBER.fullmatch(cell) or cell.lower() in _INFINITE):
        return None
    return float(cell)


def file_bytes(path: Path) -> bytes:
    """Return a file's bytes, unpacked if its content or name is gzip."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b" or path.suffix.lower() == ".gz"
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data = bytes(stream.read(LIMIT + 1))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is not a gzip file, or a damaged one ({error}); download it again, or unpack "
            "it and give the .csv"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > LIMIT:
        raise DataError(f"{path} holds more than {LIMIT} bytes of text; give a smaller file")
    return data


def decoded(data: bytes, where: str) -> str:
    """Decode UTF-8, or UTF-16 and UTF-32 with a byte-order mark."""
    # The mark of UTF-32 begins with that of UTF-16.
    wide = data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff"))
    double = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-32" if wide else "utf-16" if double else "utf-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        read = data[: error.start].decode(encoding, "replace")
        line = len(io.StringIO(read + ".", newline=None).readlines())
        raise DataError(
            f"{where}, line {line}: not {encoding.upper()} text (byte "
            f"0x{data[error.start]:02x}); save it as UTF-8"
        ) from None


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(_COMMENTS)


def _stripped(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row]


def _reader(lines: list[str], separator: str) -> Any:  # csv's own type has no public name
    """Return a reader of the lines' cells; columns may be separated by several spaces or tabs."""
    rows = (" ".join(line.split()) + "\n" if separator == " " else line for line in lines)
    return csv.reader(rows, delimiter=separator, skipinitialspace=True)


def _separator(lines: list[str]) -> str:
    """Return the separator that splits the first rows evenly, into most numbers and columns."""
    best, choice = (-1.0, -1.0, 0), ","
    for separator in _SEPARATORS:
        reader = _reader(lines, separator)
        try:
            head, *rows = [row for row in islice(reader, _SAMPLE) if any(map(str.strip, row))]
        except (csv.Error, ValueError):
            continue
        cells = [cell.strip() for row in rows for cell in row]
        known = sum(number(cell, ",") is not None for cell in cells) / max(len(cells), 1)
        even = all(len(row) in (len(head), len(head) + 1) for row in rows)
        score = (float(even and len(head) > 1), known if len(head) > 1 else 0.0, len(head))
        if score > best:
            best, choice = score, separator
    return choice


def _header_above(
    comments: list[str], row: list[str], separator: str
) -> tuple[list[str], int] | None:
    """Return the names in the last comment, and its line, if it fits a row that holds numbers."""
    last = next((i for i in reversed(range(len(comments))) if comments[i].strip()), None)
    if last is None or all(number(cell, ",") is None for cell in row):
        return None
    text = comments[last].strip()
    for shown in (text.lstrip("".join(_COMMENTS)), text):  # "# a,b" or a column called "#"
        names = _stripped(next(_reader([shown], separator), []))
        if len(names) == len(row) > 1 and all(names):
            return names, last
    return None


def _without_ends(
    header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]], list[str]]:
    """Remove what a separator at the end of each line adds, and a column of names without one."""
    if header[-1] == "" and all(len(row) == len(header) and row[-1] == "" for row in rows):
        return header[:-1], [row[:-1] for row in rows], []
    if all(len(row) == len(header) + 1 for row in rows):
        if all(row[-1] == "" for row in rows):
            return header, [row[:-1] for row in rows], []
        first = [row[0] for row in rows]
        if _counts(first) or all(number(cell) is None for cell in first):
            told = "the first column, which has no name and names the rows, is left out"
            return header, [row[1:] for row in rows], [told]
    return header, rows, []


def _without_index(
    header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]], list[str]]:
    """Leave out a first column that has no name and counts the rows."""
    unnamed = header[0] in ("", "Unnamed: 0")
    if unnamed and len(header) > 1 and _counts([row[0] for row in rows]):
        told = "the first column, which has no name and counts the rows, is left out"
        return header[1:], [row[1:] for row in rows], [told]
    return header, rows, []


def _counts(cells: list[str]) -> bool:
    """Return whether cells count 0, 1, 2, ... or 1, 2, 3, ..."""
    return any(cells == list(map(str, range(i, i + len(cells)))) for i in (0, 1))


def _decimal(rows: list[list[str]], lines: list[int], separator: str, where: str) -> str:
    """Return the decimal mark: a comma if some cells need it and none has a point.

    Raises:
        DataError: commas that may as well separate thousands.
    """
    commas = [cell for cell in _cells(rows) if _COMMA.fullmatch(cell)]
    if not commas or any("." in cell and _NUMBER.fullmatch(cell) for cell in _cells(rows)):
        return "."
    if all(_THOUSANDS.fullmatch(cell) for cell in commas):
        line = next(n for row, n in zip(rows, lines, strict=True) if commas[0] in row)
        raise DataError(
            f"{where}, line {line}: {commas[0]!r} may be a decimal number or thousands; write it "
            "with a decimal point, or without the comma"
        )
    # Between commas, a quoted list is more likely than a lone decimal comma.
    decimals = [cell for cell in _cells(rows) if number(cell, ",") is not None and cell]
    return "." if separator == "," and 2 * len(commas) < len(decimals) else ","


def _cells(rows: list[list[str]]) -> Iterator[str]:
    return (cell for row in rows for cell in row)
