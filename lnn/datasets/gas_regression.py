"""Regression problem from the gas drift data."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from lnn.core.checks import as_tuple, plain
from lnn.core.errors import DataError
from lnn.core.problem import Problem
from lnn.datasets import LABEL_COLUMN
from lnn.datasets.download import Progress
from lnn.datasets.gas_parse import GASES, Table, gas_id
from lnn.datasets.gas_table import ExpectedRows, load_table
from lnn.datasets.regression import check_p
from lnn.datasets.source import Source
from lnn.datasets.tables.columns import Choice
from lnn.datasets.tables.problem import standardized, warn_of
from lnn.datasets.tables.wording import arguments_of_gas_drift


def gas_drift(
    p: float = 4.0,
    *,
    gas: str | int = "ethanol",
    outputs: int | str = 1,
    path: str | os.PathLike[str] | None = None,
    label_column: str = LABEL_COLUMN,
    drop_constant: bool = False,
    drop_missing: bool = False,
    drop_columns: str | Sequence[str] = (),
    one_hot: str | Sequence[str] = (),
    source: Source[ExpectedRows] | None = None,
    progress: Progress | None = None,
) -> Problem:
    """Concentration of a gas from 128 sensor features: UCI dataset 270, doi 10.24432/C5MK6M.

    Cite Vergara et al. 2012 and Rodriguez-Lujan et al. 2014 (see `gas_table`). The Ethanol rows
    are the regression problem of Arora, Cohen and Hazan (2018), Section 8. Every feature and label
    is standardized: mean 0, standard deviation 1 (ddof 0).

    Without `path` the data is read from the cache (LNN_DATA or else the user's cache folder), and
    first downloaded from UCI (or LNN_GAS_URL) and validated.

    Args:
        p: exponent of the loss, real, above 1.
        gas: ethanol, ethylene, ammonia, acetaldehyde, acetone or toluene, or its id, 1 to 6.
        outputs: 1: rows of `gas`, y (m,) its concentration in ppm. "gases": all rows, y (m, 6),
            column g the concentration of gas g and 0 in the rows of other gases.
        path: a folder of batchN.dat files, the zip, or a table, such as a CSV with a header. A
            table with a column `gas` (name or id) may hold several gases, as does the dataset's
            public ARFF form; one without is taken as rows of `gas`.
        label_column: the table's column of concentrations; the others are features.
        drop_constant: drop constant features, which otherwise are an error.
        drop_missing: as in `lnn.datasets.table`, for a table.
        drop_columns: likewise.
        one_hot: likewise.
        source: address, time-outs and expected content of the download.
        progress: called as progress(done_bytes, total_bytes or None) while downloading.

    Returns:
        A problem with x (m, 128); m is 2565 for ethanol and 13910 for "gases".

    Raises:
        ValueError: an option outside its range.
        DataError: the data is unavailable or invalid.

    Warns:
        UserWarning: batches are missing from `path`, the cached copy is damaged, or rows or a
            column of a table were left out.

    Example:
        >>> np.savetxt("mine.csv", np.eye(3), delimiter=",", header="a,b,ppm", comments="")
        >>> problem = lnn.datasets.gas_drift(path="mine.csv", label_column="ppm")
        >>> print(problem.x.shape, problem.y.std().round(12))
        (3, 2) 1.0
    """
    check_p(p)
    _check_options(gas, outputs)
    choice = Choice(bool(drop_missing), as_tuple(plain(drop_columns)), as_tuple(plain(one_hot)))
    with arguments_of_gas_drift():
        table = load_table(
            path, label_column=label_column, choice=choice, source=source, progress=progress
        )
        x, y, name = _standardized(table, gas, outputs, drop_constant)
    warn_of(table.notes, table.where)
    return Problem(x, y, p, name=name)


def _check_options(gas: str | int, outputs: int | str) -> int:
    """Return the gas's id; raise `ValueError` for an unknown gas or invalid `outputs`."""
    kind = isinstance(outputs, int | np.integer | str) and not isinstance(outputs, bool)
    if not kind or outputs not in (1, "gases"):
        raise ValueError(
            f"outputs = {outputs!r}: choose 1 (one gas) or 'gases' (one output per gas)"
        )
    return gas_id(gas)


def _standardized(
    table: Table, gas: str | int, outputs: int | str, drop_constant: bool
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return standardized features x (m, d) and labels y (m,) or (m, 6), and a name.

    Raises:
        ValueError: an unknown gas, or invalid `outputs`.
        DataError: no rows of a gas, a single row, a constant feature or label.
    """
    chosen = _check_options(gas, outputs)
    present = np.bincount(table.gas, minlength=len(GASES) + 1)
    known = not present[0]
    columns: tuple[str, ...]
    if outputs == "gases":
        if not known:
            raise DataError(
                f"{table.where} does not say which gas each row is, and 6 outputs need that; add a "
                "column `gas`, or use outputs=1"
            )
        absent = [name for i, name in enumerate(GASES, 1) if not present[i]]
        if absent:
            raise DataError(
                f"{table.where} holds no rows of {', '.join(absent)}; 6 outputs need rows of every "
                "gas: use outputs=1"
            )
        rows = np.arange(len(table.ppm))
        labels = table.ppm[:, None] * (table.gas[:, None] == np.arange(1, len(GASES) + 1))
        what, columns = "gas drift, 6 gases", GASES
    else:
        name = GASES[chosen - 1]
        # Rows of a CSV without a column `gas` count as rows of the requested gas.
        rows = np.flatnonzero(table.gas == chosen) if known else np.arange(len(table.ppm))
        if not len(rows):
            there = ", ".join(GASES[i - 1] for i in np.flatnonzero(present))
            raise DataError(f"{table.where} holds no rows of {name}; it holds {there}: choose one")
        labels = table.ppm[rows, None]
        what, columns = f"gas drift, {name}", (name,)
    of = tuple(f"the concentration of {column}" for column in columns)
    x, y = standardized(table.features[rows], labels, table.names, of, table.where, drop_constant)
    return x, (y if outputs == "gases" else y[:, 0]), what
