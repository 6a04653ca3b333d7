"""UCI dataset 270, "Gas Sensor Array Drift at Different Concentrations": get, check, standardize.

13910 measurements of six gases at known concentrations by 16 chemical sensors, 8 features each, in
ten batches over 36 months. Source: UCI Machine Learning Repository, doi 10.24432/C5MK6M. Cite
A. Vergara, S. Vembu, T. Ayhan, M. A. Ryan, M. L. Homer, R. Huerta, "Chemical gas sensor drift
compensation using classifier ensembles", Sensors and Actuators B 166 (2012), and
I. Rodriguez-Lujan, J. Fonollosa, A. Vergara, M. Homer, R. Huerta, "On the calibration of sensor
arrays for pattern recognition using the minimal number of experiments", Chemometrics and
Intelligent Laboratory Systems 130 (2014). Arora, Cohen and Hazan (2018), Section 8, use its
Ethanol rows.

Copies are told apart by content, not by hash: the archive has been packed anew before.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from lnn.core.errors import DataError, one_line
from lnn.datasets import LABEL_COLUMN, gas_archive, gas_parse
from lnn.datasets.download import Progress, exclusive_name, fetch
from lnn.datasets.gas_parse import GASES, Table, gas_id

__all__ = [
    "GASES",
    "LABEL_COLUMN",
    "URL",
    "Expected",
    "Source",
    "Table",
    "cache_folder",
    "load_table",
]

URL = (
    "https://archive.ics.uci.edu/static/public/270/"
    "gas+sensor+array+drift+dataset+at+different+concentrations.zip"
)

_ROWS_OF_BATCH = dict(enumerate((445, 1244, 1586, 161, 197, 2300, 3613, 294, 470, 3600), 1))
_WITHOUT = "pass the path of a copy instead"


@dataclass(frozen=True)
class Expected:
    """What the dataset holds: by default UCI's, smaller in tests."""

    rows_of_batch: Mapping[int, int] = field(default_factory=lambda: dict(_ROWS_OF_BATCH))
    features: int = gas_parse.FEATURES
    rows_of_gas: Mapping[str, int] = field(default_factory=lambda: {"ethanol": 2565})

    @property
    def rows(self) -> int:
        """Rows in all batches."""
        return sum(self.rows_of_batch.values())


@dataclass(frozen=True)
class Source:
    """Where and how to download; the defaults are UCI's archive and patient time-outs.

    Attributes:
        url: http(s) address of the zip; None means the variable LNN_GAS_URL, else UCI's.
        timeout: seconds of silence allowed, connecting and reading.
        attempts: tries before giving up.
        pause: seconds before the second try, doubled before each one after.
        expected: what the archive must hold.
    """

    url: str | None = None
    timeout: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    expected: Expected = field(default_factory=Expected)


def cache_folder() -> Path:
    """LNN_DATA if it is set, else this user's cache folder for lnn."""
    return Path(os.environ.get("LNN_DATA") or platformdirs.user_cache_dir("lnn"))


def load_table(
    path: str | os.PathLike[str] | None = None,
    *,
    label_column: str = LABEL_COLUMN,
    source: Source | None = None,
    progress: Progress | None = None,
) -> Table:
    """All rows, in original units, from `path`, else from the cache, else downloaded and cached.

    Args:
        path: a folder with batchN.dat files (or with Dataset/batchN.dat), a zip of them, or a CSV
            or gzipped CSV with a header and a label column.
        label_column: the label of a CSV.
        source: where to download.
        progress: called as progress(done_bytes, total_bytes or None) during a download.

    Raises:
        DataError: the data cannot be had or are not what they should be.

    Warns:
        UserWarning: some batches are missing from `path`, or the cached copy is damaged.
    """
    source = source or Source()
    if path is None:
        return _cached_or_downloaded(source, progress)
    place = Path(path)
    wanted = "give a folder of batchN.dat files, a zip of them or a CSV"
    try:
        place = place.expanduser()
        mode = place.stat().st_mode
    # RuntimeError: there is no such user's home; ValueError: a NUL in the name.
    except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):
        raise DataError(f"{place} does not exist; {wanted}") from None
    except OSError as error:
        raise DataError(f"cannot read {place}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        return _join_checked(gas_archive.from_folder(place), str(place), source.expected)
    if not stat.S_ISREG(mode):  # it could be waited for, or read, for ever
        raise DataError(f"{place} is a pipe or a device; {wanted}")
    kind = place.suffix.lower()
    if kind == ".zip" or _starts_as_a_zip(place):
        return _join_checked(gas_archive.from_zip(place), str(place), source.expected)
    if kind == ".dat":
        raise DataError(f"{place} is one batch; give the folder that holds it")
    return gas_parse.read_csv(place, label_column)


def _starts_as_a_zip(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
    return False


def _join_checked(
    batches: Iterable[gas_archive.Batch], where: str, expected: Expected, complete: bool = False
) -> Table:
    """Parse and join batches; each must have its rows, and all be there if `complete`."""
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
                f"{batch.where} has {rows} rows, the dataset's has {wanted}: a cut or edited copy; "
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
            f"{len(joined.ppm)} of {expected.rows} rows are there"
        )
        if complete:
            raise DataError(f"{found}: not the whole dataset; {_WITHOUT}")
        warnings.warn(
            one_line(f"{found}; results will differ from those on the whole dataset"), stacklevel=4
        )
        return joined
    _check_gases(joined, expected)
    return joined


def _check_gases(table: Table, expected: Expected) -> None:
    for gas, wanted in expected.rows_of_gas.items():
        rows = int((table.gas == gas_id(gas)).sum())
        if rows != wanted:
            raise DataError(
                f"{table.where} has {rows} {gas.capitalize()} rows, the dataset has {wanted}; "
                "get it again"
            )


def _cached_or_downloaded(source: Source, progress: Progress | None) -> Table:
    folder = cache_folder() / "gas_drift"
    cache = folder / "uci-270.npz"
    if os.path.isfile(cache):  # unlike Path.is_file, no error where the folder cannot be read
        try:
            return _read_cache(cache, source.expected)
        except Exception as error:  # from bytes of any kind NumPy may raise any kind
            reason = " ".join(str(error).split())
            warnings.warn(
                one_line(f"the cached copy {cache} is damaged ({reason}); downloading it again"),
                stacklevel=4,
            )
    url = source.url or os.environ.get("LNN_GAS_URL") or URL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_name(folder, "uci-270.zip") as archive:
            fetch(
                url,
                archive,
                limit=gas_archive.Limits().packed,
                timeout=source.timeout,
                attempts=source.attempts,
                pause=source.pause,
                progress=progress,
            )
            try:
                batches = gas_archive.from_zip(archive)
                table = _join_checked(batches, url, source.expected, complete=True)
            except DataError as error:
                raise DataError(
                    f"what {url} sent is not UCI dataset 270 and is not kept: "
                    f"{str(error).replace(str(archive), 'the download')}"
                ) from None
            finally:
                archive.unlink(missing_ok=True)
        _write_cache(cache, table)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {folder}: {error.strerror or error}; set LNN_DATA "
            f"to a folder you can write to, or {_WITHOUT}"
        ) from None
    return table


def _write_cache(cache: Path, table: Table) -> None:
    """Write under another name, then rename: no reader sees half a file."""
    handle, name = tempfile.mkstemp(dir=cache.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, gas=table.gas, ppm=table.ppm, features=table.features)
        os.replace(name, cache)
    finally:
        Path(name).unlink(missing_ok=True)


def _read_cache(cache: Path, expected: Expected) -> Table:
    """The cached rows; an error of any kind if the file is not what was written."""
    # Opened here: np.load leaves its own handle open when the file is not a zip.
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
