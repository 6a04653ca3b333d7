"""Tables of all kinds as columns: text, NumPy, Parquet and ARFF files, and objects in Python."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from lnn.core.errors import DataError, reason
from lnn.core.files import regular_file
from lnn.datasets.gas_archive import DAMAGE
from lnn.datasets.tables.cells import decoded, file_bytes, read_cells
from lnn.datasets.tables.columns import Columns, from_cells, from_frame

KINDS = "a text table with a header, .npz, .npy, .parquet or .arff"


def read_file(path: Path) -> Columns:
    """Read a file by its content, or else as text.

    Raises:
        DataError: unreadable, or not such a table.
    """
    path = regular_file(path, f"give {KINDS}")
    with path.open("rb") as file:
        head = file.read(6)
    kind = path.suffix.lower()
    if head.startswith(b"\x93NUMPY") or kind == ".npy":
        return _from_array(_loaded(path), str(path))
    if kind == ".npz" or (kind != ".parquet" and head.startswith(b"PK\x03\x04")):
        return _from_archive(_loaded(path), str(path))
    if head.startswith(b"PAR1") or kind == ".parquet":
        return _from_parquet(path)
    if kind == ".arff" or path.name.lower().endswith(".arff.gz"):
        return _from_arff(path)
    return from_cells(read_cells(path))


def as_columns(source: Any) -> Columns:
    """Read a file, a pandas or xarray object, an array with named fields, or a dict of columns.

    Raises:
        DataError: not such a table.
        TypeError: an object of another kind.
    """
    if isinstance(source, str | os.PathLike):
        return read_file(Path(source))
    import pandas as pd
    import xarray as xr

    where = "the table"
    if isinstance(source, xr.Dataset):
        source = source.to_dataframe()
    elif isinstance(source, xr.DataArray):
        if source.ndim != 2:
            raise DataError(f"{where} has {source.ndim} axes; give an array (rows, columns)")
        source = source.to_pandas()
    if isinstance(source, np.ndarray):
        return _from_array(source, where)
    if isinstance(source, dict):
        source = pd.DataFrame(source)
    if not isinstance(source, pd.DataFrame):
        raise TypeError(
            f"a table cannot be read from {type(source).__name__}: give a file, a pandas or xarray "
            "object or a dict of columns; arrays x and y go to lnn.Problem"
        )
    return from_frame(source, where)


def _loaded(path: Path) -> Any:
    try:
        # np.load would leave its own handle open if the file is damaged.
        with path.open("rb") as file:
            found = np.load(io.BytesIO(file.read()), allow_pickle=False)
            return dict(found) if hasattr(found, "files") else found
    except (*DAMAGE, OSError, KeyError, NotImplementedError) as error:
        raise DataError(
            f"{path} is not a NumPy file of numbers, or a damaged one ({reason(error)}); save it "
            "again by np.savez(file, x=x, y=y)"
        ) from None


def _from_archive(arrays: Any, where: str) -> Columns:
    """Read x (m, d) and y (m,) or (m, 1) of an .npz."""
    if not isinstance(arrays, dict) or not {"x", "y"} <= arrays.keys():
        held = ", ".join(arrays) if isinstance(arrays, dict) else "one array"
        raise DataError(f"{where} holds {held or 'nothing'}; it must hold the arrays x and y")
    x, y = arrays["x"], arrays["y"]
    if x.ndim != 2 or y.shape not in ((len(x),), (len(x), 1)):
        raise DataError(
            f"{where}: x has shape {x.shape}, y has shape {y.shape}; x must be (m, d) and y (m,)"
        )
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "fiub":
            raise DataError(f"{where}: {name} holds values of type {array.dtype}; give numbers")
    return _numeric(np.concatenate([y.reshape(-1, 1), x], axis=1), where)


def _from_array(array: Any, where: str) -> Columns:
    """Read an array with named fields, or (m, 1 + d) with the label y first."""
    names = getattr(array, "dtype", np.dtype(float)).names
    if names:
        import pandas as pd

        return from_frame(pd.DataFrame({name: array[name] for name in names}), where)
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] < 2:
        raise DataError(
            f"{where} holds no table: give an array (m, 1 + d) with the label in its first "
            "column, an array with named fields, or an .npz of x and y"
        )
    return _numeric(array, where)


def _numeric(values: np.ndarray, where: str) -> Columns:
    """Read the label y and the features x1, x2, ... from an array (m, 1 + d)."""
    if values.dtype.kind not in "fiub":
        raise DataError(f"{where} holds values of type {values.dtype}; give numbers")
    if not values.size:
        raise DataError(f"{where} has no row or no column; give a table with data")
    names = ("y", *(f"x{i}" for i in range(1, values.shape[1])))
    places = [f"row {i}" for i in range(len(values))]
    return Columns(names, values.astype(np.float64), places, where)


def _from_parquet(path: Path) -> Columns:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(
            f"{path} needs the package pyarrow to be read; install it, or save the table as CSV"
        ) from None
    except Exception as error:  # pyarrow's own kinds
        raise DataError(
            f"{path} is not a Parquet file, or a damaged one ({reason(error)[:200]})"
        ) from None
    return from_frame(frame, str(path))


def _from_arff(path: Path) -> Columns:
    import pandas as pd
    from scipy.io import arff

    text = decoded(file_bytes(path), str(path))
    try:
        rows, _ = arff.loadarff(io.StringIO(text))
    except (
        arff.ParseArffError,
        NotImplementedError,
        ValueError,
        IndexError,
        StopIteration,
    ) as error:
        raise DataError(
            f"{path} is not an ARFF file that can be read ({reason(error)[:200]}); give dense rows "
            "of numeric and nominal attributes, or save the table as CSV"
        ) from None
    assert rows.dtype.names is not None
    columns = {
        name: [cell.decode() for cell in rows[name]] if rows[name].dtype.kind == "S" else rows[name]
        for name in rows.dtype.names
    }
    return from_frame(pd.DataFrame(columns), str(path))
