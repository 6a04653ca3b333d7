"""Text tables in generated dialects, against what pandas reads; and lines that are wrong."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from lnn.core.errors import DataError
from lnn.datasets.tables.cells import decoded, number, read_cells, split_cells
from lnn.datasets.tables.columns import from_cells


def numbers(text: str) -> np.ndarray:
    return from_cells(split_cells(text, "t.csv")).numbers


NAMES = st.text("abcdefgh_ -äß", min_size=1, max_size=8).map(str.strip).filter(bool)
VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.floats(-1e300, 1e300).map(lambda value: f"{value:.6e}"),
    st.sampled_from(["NA", "", "nan", "N/A", "NULL", "None", "#N/A", ".5", "5.", "+3", "007"]),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, str, int, bool]:
    """Text, separator, decimal mark, lines above the header, and whether a column counts."""
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    decimal = "," if separator != "," and draw(st.booleans()) else "."
    quoted, end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n"]))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    rows = draw(
        st.lists(st.lists(VALUES, min_size=len(names), max_size=len(names)), min_size=2, max_size=8)
    )
    counted = draw(st.booleans())
    above = draw(st.lists(st.sampled_from(["# measured in May", "% x", ""]), max_size=2))

    def cell(text: str) -> str:
        return f'"{text}"' if quoted else text

    lines = [*above, separator.join([*([""] * counted), *map(cell, names)])]
    for i, row in enumerate(rows):
        written = [value.replace(".", decimal) for value in row]
        lines.append(separator.join([*([str(i)] * counted), *map(cell, written)]))
    return end.join([*lines, ""]), separator, decimal, len(above), counted


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(tables())
def test_what_pandas_reads_as_numbers_is_read_the_same_or_refused_with_a_line(case) -> None:  # type: ignore[no-untyped-def]
    text, separator, decimal, above, counted = case
    theirs = pd.read_csv(
        io.StringIO(text), sep=separator, decimal=decimal, skiprows=above, index_col=0 if counted
        else False, skip_blank_lines=False,
    )  # fmt: skip
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in theirs.dtypes):
        event("pandas reads text")
        return
    try:
        cells = split_cells(text, "t.csv")
    except DataError as error:
        event("refused")
        assert "line " in str(error)  # noqa: PT017
        return
    event("read the same")
    ours = from_cells(cells)
    assert ours.names == tuple(map(str, theirs.columns))
    # Some versions of pandas round the last digit otherwise.
    np.testing.assert_allclose(ours.numbers, theirs.to_numpy(np.float64), rtol=1e-15)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings(tmp_path: Path, encoding: str, packed: bool) -> None:
    text = "größe;b\n1,5;2\n3;4\n"
    data = ("\ufeff" + text).encode("utf-16-le") if "bom" in encoding else text.encode(encoding)
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    cells = read_cells(path)
    assert cells.names == ("größe", "b")
    assert cells.notes == ("semicolons separate the columns", "the decimal mark is a comma")
    np.testing.assert_array_equal(from_cells(cells).numbers, [[1.5, 2], [3, 4]])


def test_text_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match=r"t.csv, line 2: not UTF-8 text \(byte 0xfc\); save it as"):
        decoded("a;b\nm\xfcll;1\n".encode("latin-1"), "t.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ('"a";"b"\n"1,5";"2,25"\n', [[1.5, 2.25]]),
        ('a,b\n"1,5","2,5"\n', [[1.5, 2.5]]),  # quoted decimal commas between commas
        ("a b  c\n1 2   3\n 4 5 6\n", [[1, 2, 3], [4, 5, 6]]),
        ("# a b\n1 2\n3 4\n", [[1, 2], [3, 4]]),  # the names stand in a comment, as of np.savetxt
        ("# made today\n\n% by me\na\tb\n1\t2\n", [[1, 2]]),
        ("a;b;\n1;2;\n3;4;\n", [[1, 2], [3, 4]]),  # a separator ends every line
        ("a;b\n1;2;\n3;4;\n", [[1, 2], [3, 4]]),
        (",a,b\n0,5,6\n1,7,8\n", [[5, 6], [7, 8]]),  # counts rows from 0
        (",a,b\n1,5,6\n2,7,8\n", [[5, 6], [7, 8]]),  # or from 1
        ("a b\nr1 5 6\nr2 7 8\n", [[5, 6], [7, 8]]),  # names of rows, as R writes them
        (",a,b\n3,5,6\n1,7,8\n", [[3, 5, 6], [1, 7, 8]]),  # a column without a name
        ("a, b\n 1, 2\n", [[1, 2]]),
        ("#,a,b\n1,5,6\n2,7,8\n", [[1, 5, 6], [2, 7, 8]]),  # a column called "#"
        ("# a,b\n\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n  \n3,4\n", [[1, 2], [3, 4]]),
        ("a b\n1 2 \n3 4\n", [[1, 2], [3, 4]]),
        ("a\tb  c\n1\t2  3\n", [[1, 2, 3]]),
        ("sep=;\na;b\n1,5;2\n", [[1.5, 2]]),
    ],
)
def test_dialects(text: str, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(numbers(text), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv is empty; give a table with a header line"),
        ("# nothing\n\n", "t.csv is empty"),
        ("a,b\n", "t.csv has a header and no row"),
        ("a,b\n1,2\n1,2,3\n", r"t.csv, line 3: 3 columns, the header has 2; repair or remove"),
        ("a;b\n1;2\n\n3\n", r"t.csv, line 4: 1 columns, the header has 2"),
        ('a,b\n1,2\n"3\n4",5\n6\n', r"t.csv, line 5: 1 columns"),  # a cell of two lines before
        ("0,1,0\n1,2,3\n", "t.csv, line 1: only numbers; put a line with the names of the col"),
        ('a,b\n"1,250",30\n"2,300",40\n', "line 2: '1,250' may be a decimal number or thousands"),
        ("a;b\n1,250;3\n950;4\n", "line 2: '1,250' may be a decimal number or thousands"),
        ("a,a\n1,2\n", "t.csv, line 1: two columns are called 'a'; rename one"),
        ("# x\na,a\n1,2\n", "t.csv, line 2: two columns are called 'a'"),
        (f"a,b\n{'9' * 200_000},2\n", "t.csv, line 2: (field larger|a cell of 200000)"),
    ],
)
def test_lines_that_are_wrong_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_cells(text, "t.csv")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0), ("-.5e3", -500.0), ("+2.", 2.0), ("1e400", np.inf), ("-Infinity", -np.inf),
        ("1_0", None), ("0x10", None), ("1,5", None), ("\u0661", None), ("1 2", None), ("e5", None),
        ("True", None), ("1.2.3", None), ("1.234,5", None),
    ],
)  # fmt: skip
def test_only_plain_numbers_are_numbers(cell: str, value: float | None) -> None:
    assert number(cell) == value


def test_missing_cells_are_nan() -> None:
    assert all(np.isnan(number(cell) or 0) for cell in ("", "NA", "?", "nan", "NULL", "#N/A"))


def test_a_lone_list_between_commas_is_no_decimal_number() -> None:
    cells = split_cells('a,b\n"1,2",5\n3,6\n4,7\n', "t.csv")
    assert cells.decimal == "."
    assert list(from_cells(cells).text) == ["a"]


def test_a_byte_is_found_after_a_mark_and_in_old_line_ends() -> None:
    with pytest.raises(DataError, match=r"line 2: not UTF-8 text \(byte 0xe9\)"):
        decoded(b"\xef\xbb\xbfa,b\n1,\xe9\n", "t.csv")
    with pytest.raises(DataError, match=r"line 3: not UTF-8 text \(byte 0xe9\)"):
        decoded(b"a\r1\r\xe9\r", "t.csv")


def test_a_decimal_comma_beside_points_is_text() -> None:
    cells = split_cells("a;b\n1,5;2.5\n3;4\n", "t.csv")
    assert cells.decimal == "."
    assert list(from_cells(cells).text) == ["a"]
