"""UCI dataset 270, "Gas Sensor Array Drift at Different Concentrations", loaded and validated.

13910 measurements of six gases at known concentrations by 16 chemical sensors, 8 features each, in
ten batches over 36 months. Source: UCI Machine Learning Repository, doi 10.24432/C5MK6M. Cite
A. Vergara, S. Vembu, T. Ayhan, M. A. Ryan, M. L. Homer, R. Huerta, "Chemical gas sensor drift
compensation using classifier ensembles", Sensors and Actuators B 166 (2012), and
I. Rodriguez-Lujan, J. Fonollosa, A. Vergara, M. Homer, R. Huerta, "On the calibration of sensor
arrays for pattern recognition using the minimal number of experiments", Chemometrics and
Intelligent Laboratory Systems 130 (2014). Arora, Cohen and Hazan (2018), Section 8, use its
Ethanol rows.

Copies are identified by content, not by hash, since the archive has been repacked before.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lnn.core.errors import DataError, one_line
from lnn.core.files import regular_file
from lnn.datasets import LABEL_COLUMN, gas_archive, gas_parse
from lnn.datasets.download import Progress
from lnn.datasets.gas_parse import GASES, Table, gas_id
from lnn.datasets.source import Source, obtain
from lnn.datasets.tables.columns import Choice
from lnn.datasets.tables.files import KINDS, read_file

URL = (
    "https://archive.ics.uci.edu/static/public/270/"
    "gas+sensor+array+drift+dataset+at+different+concentrations.zip"
)

_ROWS_OF_BATCH = dict(enumerate((445, 1244, 1586, 161, 197, 2300, 3613, 294, 470, 3600), 1))
_WITHOUT = "pass the path of a copy instead"


@dataclass(frozen=True)
class ExpectedRows:
    """Expected content of the dataset: by default UCI's, smaller in tests."""

    rows_of_batch: Mapping[int, int] = field(default_factory=lambda: dict(_ROWS_OF_BATCH))
    features: int = gas_parse.FEATURES
    rows_of_gas: Mapping[str, int] = field(default_factory=lambda: {"ethanol": 2565})

    @property
    def rows(self) -> int:
        """Rows in all batches."""
        return sum(self.rows_of_batch.values())


def load_table(
    path: str | os.PathLike[str] | None = None,
    *,
    label_column: str = LABEL_COLUMN,
    choice: Choice | None = None,
    source: Source[ExpectedRows] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Load all rows, in original units, from `path`, the cache, or a download, which is cached.

    `path` is a folder with batchN.dat files (or with Dataset/batchN.dat), a zip of them, or a
    table of `lnn.datasets.tables.files` with a label column.

    Raises:
        DataError: the data is unavailable or invalid.

    Warns:
        UserWarning: batches are missing from `path`, or the cached copy is damaged.
    """
    source = source or Source()
    expected = source.expected or ExpectedRows()
    if path is None:
        return _obtained(source, expected, progress)
    wanted = f"give a folder of batchN.dat files, a zip of them, or {KINDS}"
    place = Path(path)
    is_folder = False
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        is_folder = place.expanduser().is_dir()
    if is_folder:
        place = place.expanduser()
        return _join_checked(gas_archive.from_folder(place), str(place), expected)
    place = regular_file(place, wanted)
    kind = place.suffix.lower()
    if kind == ".zip" or (kind not in (".npz", ".parquet") and _starts_as_a_zip(place)):
        return _join_checked(gas_archive.from_zip(place), str(place), expected)
    if kind == ".dat":
        raise DataError(f"{place} is one batch; give the folder that holds it")
    return gas_parse.read_columns(read_file(place), label_column, choice or Choice())


def _starts_as_a_zip(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
    return False


def _join_checked(
    batches: Iterable[gas_archive.Batch], where: str, expected: ExpectedRows, complete: bool = False
) -> Table:
    """Parse and join batches, checking their rows and, if `complete`, that all are present."""
    tables: dict[int, Table] = {}
    for batch in batches:
        if batch.number not in expected.rows_of_batch:
            raise DataError(
                f"{batch.where}: there is no batch {batch.number} in the dataset, only "
                f"{len(expected.rows_of_batch)}; remove the file"
            )
        table = gas_parse.parse_batch(batch, expected.features)
        rows, wanted = len(table.ppm), expected.rows_of_batch[batch.number]
        if rows != wanted:
            raise DataError(
                f"{batch.where} has {rows} rows, not {wanted}: a truncated or edited copy; "
                "get it again (or give your own data as a CSV)"
            )
        tables[batch.number] = table
    joined = gas_parse.join(tables.values(), where)
    missing = sorted(set(expected.rows_of_batch) - set(tables))
    if missing:
        listed = ", ".join(map(str, missing))
        found = (
            f"{where}: batch{'es' if len(missing) > 1 else ''} {listed} (of "
            f"{len(expected.rows_of_batch)}) missing; "
            f"{len(joined.ppm)} of {expected.rows} rows are present"
        )
        if complete:
            raise DataError(f"{found}: not the whole dataset; {_WITHOUT}")
        warnings.warn(
            one_line(f"{found}; results will differ from those on the whole dataset"), stacklevel=4
        )
        return joined
    _check_gases(joined, expected)
    return joined


def _check_gases(table: Table, expected: ExpectedRows) -> None:
    for gas, wanted in expected.rows_of_gas.items():
        rows = int((table.gas == gas_id(gas)).sum())
        if rows != wanted:
            raise DataError(
                f"{table.where} has {rows} {gas.capitalize()} rows, the dataset has {wanted}; "
                "get it again"
            )


def _obtained(
    source: Source[ExpectedRows], expected: ExpectedRows, progress: Progress | None
) -> Table:
    url = source.url or os.environ.get("LNN_GAS_URL") or URL

    def convert(archive: Path) -> Table:
        table = _join_checked(gas_archive.from_zip(archive), url, expected, complete=True)
        with archive.open("wb") as file:
            np.savez(file, gas=table.gas, ppm=table.ppm, features=table.features)
        return table

    return obtain(
        url, "gas_drift/uci-270.npz", source, lambda path: _read_cache(path, expected),
        name="UCI dataset 270", limit=gas_archive.Limits().packed, variable="LNN_GAS_URL",
        otherwise=_WITHOUT, progress=progress, convert=convert,
    )  # fmt: skip


def _read_cache(cache: Path, expected: ExpectedRows) -> Table:
    """Return the cached rows, or raise any exception if the file is damaged."""
    # np.load would leave its own handle open if the file is not a zip.
    with cache.open("rb") as file, np.load(file, allow_pickle=False) as saved:
        gas, ppm, features = saved["gas"], saved["ppm"], saved["features"]
    rows = expected.rows
    for values, shape, dtype in (
        (gas, (rows,), np.int64),
        (ppm, (rows,), np.float64),
        (features, (rows, expected.features), np.float64),
    ):
        if values.shape != shape or values.dtype != dtype or not np.isfinite(values).all():
            raise ValueError(f"{values.shape} values of {values.dtype}")
    if not np.isin(gas, range(1, len(GASES) + 1)).all():
        raise ValueError("unknown gases")
    names = tuple(f"feature {i}" for i in range(1, expected.features + 1))
    table = Table(gas, ppm, features, names, str(cache))
    _check_gases(table, expected)
    return table
