"""Files of all kinds, and objects in Python, as columns."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lnn.core.errors import DataError
from lnn.datasets.tables.files import as_columns

TABLE = np.array([[1.0, 2, 3], [4, 5, 6]])
FRAME = pd.DataFrame(TABLE, columns=["y", "x1", "x2"])
ARFF = "@relation r\n@attribute y real\n@attribute x1 numeric\n@attribute x2 {3,6}\n@data\n"


def saved(folder: Path, kind: str) -> Path:
    path = folder / f"table.{kind}"
    if kind == "npz":
        np.savez(path, x=TABLE[:, 1:], y=TABLE[:, 0])
    elif kind == "npy":
        np.save(path, TABLE.astype(np.float32))
    elif kind == "fields.npy":
        np.save(path, FRAME.to_records(index=False))
    elif kind == "arff":
        path.write_text(ARFF + "1,2,3\n4,5,6\n")
    elif kind == "parquet":
        pytest.importorskip("pyarrow")
        FRAME.to_parquet(path)
    else:
        FRAME.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["csv", "npz", "npy", "fields.npy", "arff", "parquet"])
def test_files(tmp_path: Path, kind: str) -> None:
    columns = as_columns(saved(tmp_path, kind))
    assert columns.names == ("y", "x1", "x2")
    np.testing.assert_array_equal(columns.numbers, TABLE)


@pytest.mark.parametrize("suffix", ["csv", "dat.txt", "npz"])
def test_content_decides_not_the_name_alone(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, "npz").rename(tmp_path / f"other.{suffix}")
    np.testing.assert_array_equal(as_columns(path).numbers, TABLE)


DATASET = xr.Dataset({name: ("row", FRAME[name]) for name in FRAME})


@pytest.mark.parametrize(
    "source",
    [
        FRAME, DATASET, DATASET.to_dataframe(), dict(FRAME), FRAME.to_records(index=False), TABLE,
        xr.DataArray(TABLE, dims=("row", "column"), coords={"column": ["y", "x1", "x2"]}),
        {"y": [1, 4], "x1": [2, "5"], "x2": [3, 6]},
    ],
)  # fmt: skip
def test_objects(source: Any) -> None:
    columns = as_columns(source)
    assert columns.names == ("y", "x1", "x2")
    np.testing.assert_array_equal(columns.numbers, TABLE)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", a=TABLE)
    np.savez(tmp_path / "flat.npz", x=TABLE[0], y=TABLE[0])
    np.save(tmp_path / "flat.npy", TABLE[0])
    np.savez(tmp_path / "text.npz", x=np.array([["a"]]), y=np.zeros(1))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for path, message in (
        (tmp_path / "nowhere.csv", "does not exist; give a text table with a header, .npz"),
        (tmp_path, "is a folder, a pipe or a device; give a text table"),
        (tmp_path / "one.npz", "holds a; it must hold the arrays x and y"),
        (tmp_path / "flat.npz", r"x has shape \(3,\), y has shape \(3,\); x must be \(m, d\)"),
        (tmp_path / "flat.npy", r"holds no table: give an array \(m, 1 \+ d\)"),
        (tmp_path / "text.npz", "x holds values of type <U1; give numbers"),
        (tmp_path / "objects.npy", "not a NumPy file of numbers, or a damaged one"),
        (tmp_path / ("n" * 300), "cannot read n+: File name too long|cannot read .*too long"),
        (Path("~no-such-user/x.csv"), "does not exist"),
        (written(tmp_path / "cut.npz", b"PK\x03\x04cut"), "not a NumPy file of numbers, or a dam"),
        (written(tmp_path / "cut.npy", b"\x93NUMPY\x01"), "not a NumPy file of numbers"),
        (written(tmp_path / "a.arff", b"@relation r\n@attribute s string\n@data\nx\n"), "not an A"),
        (written(tmp_path / "b.arff", b"y,x\n1,2\n"), "is not an ARFF file that can be read"),
        (written(tmp_path / "c.csv", b"\x00\x01"), "no column|header and no row|not .* text"),
    ):
        with pytest.raises(DataError, match=message):
            as_columns(path)


def test_parquet_without_its_reader_says_what_to_install(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet", b"PAR1")
    there = importlib.util.find_spec("pyarrow") or importlib.util.find_spec("fastparquet")
    message = "not a Parquet file" if there else "needs the package pyarrow to be read; install it"
    with pytest.raises(DataError, match=message):
        as_columns(path)


@pytest.mark.parametrize("source", [7, None, [1, 2]])
def test_objects_that_are_no_tables(source: Any) -> None:
    with pytest.raises(TypeError, match=r"a table cannot be read from \w+: give a file, a pandas"):
        as_columns(source)
    with pytest.raises(DataError, match="has 3 axes"):
        as_columns(xr.DataArray(np.zeros((2, 2, 2))))
