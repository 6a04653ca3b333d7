"""Regression problem from a table of one's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnn.core.checks import as_tuple, plain
from lnn.core.errors import DataError, one_line
from lnn.core.problem import Problem
from lnn.datasets.regression import check_p, standardize
from lnn.datasets.tables.columns import Choice, choose
from lnn.datasets.tables.files import as_columns
from lnn.datasets.tables.wording import say


def table(
    source: Any,
    label: str,
    p: float = 4.0,
    *,
    drop_missing: bool = False,
    drop_columns: str | Sequence[str] = (),
    one_hot: str | Sequence[str] = (),
    drop_constant: bool = False,
    name: str | None = None,
) -> Problem:
    """Predict one column of a table from the others.

    Every feature and the label are standardized: mean 0, standard deviation 1 (ddof 0).

    Args:
        source: a file, or a pandas or xarray object or a dict of columns. Files are text with a
            header (CSV in any usual dialect: commas, semicolons or tabs, a decimal comma, UTF-8 or
            UTF-16, packed by gzip or not), .npz with arrays x (m, d) and y (m,), .npy, ARFF, or
            Parquet if pyarrow is installed. Columns of NumPy files are y, x1, x2, ...
        label: column to predict.
        p: exponent of the loss, real, above 1.
        drop_missing: leave out rows with a missing cell, which otherwise are an error.
        drop_columns: columns to leave out.
        one_hot: columns of text, each replaced by columns of 0 and 1, one for each value but the
            first in alphabetical order.
        drop_constant: leave out constant features, which otherwise are an error.
        name: for tables and figures; by default the file's name and the label.

    Returns:
        A problem with x (m, d) and y (m,).

    Raises:
        ValueError: p <= 1, or an option that names no column.
        DataError: no such table, or cells that are not finite numbers; the message names their
            column and line.
        TypeError: `source` is no table.

    Warns:
        UserWarning: a first column that counts the rows, or rows, were left out.

    Example:
        >>> rooms = {"price": [1.0, 2.0, 4.0], "area": [10, 20, 30], "city": ["A", "B", "A"]}
        >>> problem = lnn.datasets.table(rooms, "price", one_hot="city")
        >>> print(problem.x.shape, problem.name)
        (3, 2) price
    """
    check_p(p)
    choice = Choice(bool(drop_missing), as_tuple(plain(drop_columns)), as_tuple(plain(one_hot)))
    columns = as_columns(source)
    chosen = choose(columns, label, choice)
    warn_of(chosen.notes, columns.where)
    x, y = standardized(
        chosen.x, chosen.y[:, None], chosen.names, (repr(label),), columns.where, drop_constant
    )
    if name is None:
        is_file = isinstance(source, str | os.PathLike)
        name = f"{Path(source).name}, {label}" if is_file else label
    return Problem(x, y[:, 0], p, name=name)


def warn_of(notes: Sequence[str], where: str) -> None:
    """Warn of what a table's reader left out."""
    for note in notes:
        if "left out" in note:
            warnings.warn(one_line(f"{where}: {note}"), stacklevel=3)


def standardized(
    features: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    label_names: Sequence[str],
    where: str,
    drop_constant: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return standardized features (m, d) and labels (m, k).

    Raises:
        DataError: a single row, a constant feature or label.
    """
    rows = len(labels)
    if rows < 2:
        raise DataError(
            f"{where} holds only one row of {label_names[0]}; standardizing needs at least two"
        )
    constant = features.max(axis=0) == features.min(axis=0)
    if constant.any() and not drop_constant:
        listed = [name for name, flat in zip(names, constant, strict=True) if flat]
        more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
        raise DataError(
            f"{where}: {', '.join(listed[:3])}{more} constant in the {rows} rows used, which "
            f"cannot be standardized; drop such features with {say().drop_constant}"
        )
    if constant.all():
        raise DataError(f"{where}: every feature is constant in the rows used; use others")
    for column, values in zip(label_names, labels.T, strict=True):
        if values.max() == values.min():
            raise DataError(
                f"{where}: the label, {column}, is {values[0]:g} in all {rows} rows used; there is "
                "nothing to learn: use other rows"
            )
    return standardize(features[:, ~constant], where), standardize(labels, where)
