"""Columns as numbers, and what is said about cells that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lnn.core.errors import DataError
from lnn.datasets.tables.cells import split_cells
from lnn.datasets.tables.columns import Choice, choose, from_cells, from_frame
from lnn.datasets.tables.wording import options_of_the_command

MIXED = "y,a,b,city\n1,2,NA,Rome\n2,,?,Oslo\n3,4,5,\n4,6,7,Rome\n"


def chosen(text: str, label: str = "y", **options: Any) -> Any:
    return choose(from_cells(split_cells(text, "t.csv")), label, Choice(**options))


def test_one_message_for_all_cells_that_are_no_numbers() -> None:
    with pytest.raises(DataError) as caught:
        chosen(MIXED)
    text = str(caught.value)
    assert text == (
        "t.csv: 4 cells are missing, in 'a' (1), 'b' (2), 'city' (1), first in line 2: leave out "
        "these rows (drop_missing=True) or columns (drop_columns=[...]); column 'city' holds text "
        "('Rome' in line 2, 2 kinds): leave it out (drop_columns=[...]) or encode it "
        "(one_hot=[...])"
    )
    with options_of_the_command(), pytest.raises(DataError) as caught:
        chosen(MIXED)
    assert all(option in str(caught.value) for option in ("--drop-missing", "--drop-columns"))
    assert "=True" not in str(caught.value)


def test_rows_and_columns_are_left_out_and_text_is_encoded() -> None:
    found = chosen(MIXED, drop_missing=True, one_hot=("city",))
    assert found.names == ("a", "b")  # one value is left
    np.testing.assert_array_equal(found.y, [4])
    assert found.notes == (
        "3 of 4 rows, with missing cells, are left out", "'city' is encoded as 0 columns of 0 and 1"
    )  # fmt: skip
    found = chosen(MIXED, drop_missing=True, drop_columns=("b",), one_hot=("city",))
    np.testing.assert_array_equal(found.x, [[2], [6]])
    found = chosen("y,city\n1,B\n2,A\n3,C\n4,A\n", one_hot=("city",))
    assert found.names == ("city = B", "city = C")
    np.testing.assert_array_equal(found.x, [[1, 0], [0, 0], [0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("y,a\n1,2\n3,4\n5,x\n7,8\n", {}, r"line 4, column 'a': 'x' where a number should be; rep"),
        ("y,a\nlow,2\nhigh,4\n", {}, r"line 2, column 'y': 'low' and 1 more where a number"),
        ("y,a\n1,2\n3,inf\n", {}, r"line 3: column 'a' is inf; every value must be finite"),
        ("y,a\n1,NA\n2,NA\n", {"drop_missing": True}, "every row has a missing cell"),
        ("y,a\n1,2\n", {"drop_columns": ("a",)}, "no feature beside 'y'"),
        ("1,2\n3,4\n5,6\n", {}, "no column 'y'.*these look like data: put a line of names above"),
    ],
)
def test_what_is_wrong_is_named(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        chosen(text, **options)


def test_numbers_are_encoded_by_all_their_digits() -> None:
    frame = pd.DataFrame({"y": [1, 2, 3, 4], "id": [1234561, 1234562, 1234563, 1234561]})
    found = choose(from_frame(frame, "t"), "y", Choice(one_hot=("id",)))
    assert found.names == ("id = 1234562", "id = 1234563")


def test_marks_of_missing_cells_are_the_same_in_frames_and_files() -> None:
    frame = pd.DataFrame({"y": [1, 2, 3, 4, 5], "c": ["a", "?", "b", "a", "NA"]})
    found = choose(from_frame(frame, "t"), "y", Choice(drop_missing=True, one_hot=("c",)))
    assert (found.rows.tolist(), found.names) == ([0, 2, 3], ("c = b",))


@pytest.mark.parametrize("option", ["drop_columns", "one_hot"])
@pytest.mark.parametrize(("name", "why"), [("q", "is no column"), ("y", "is the label")])
def test_options_name_columns(option: str, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"{option}=.*: '{name}' {why} of t.csv; the columns are"):
        chosen("y,a\n1,2\n", **{option: (name,)})


def test_data_frames_of_every_kind_of_column() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], "Int64"), "real": [0.5, 1.5, np.nan],
            "yes": [True, False, True], "words": ["1.5", "x", None],
            "kind": pd.Categorical(["u", "v", "u"]), "day": pd.to_datetime(["2026-01-01"] * 3),
        }
    )  # fmt: skip
    columns = from_frame(frame, "the table")
    np.testing.assert_array_equal(columns.numbers[:, 0], [1, np.nan, 3])
    np.testing.assert_array_equal(columns.numbers[:, 2], [1, 0, 1])
    np.testing.assert_array_equal(columns.numbers[:, 3], [1.5, np.nan, np.nan])
    assert set(columns.text) == {"words", "kind", "day"}
    with pytest.raises(DataError, match="no row or no column"):
        from_frame(frame.iloc[:0], "the table")
    with pytest.raises(DataError, match="two columns are called '1'"):
        from_frame(pd.DataFrame([[1, 2]], columns=[1, "1"]), "the table")
