"""Readable and atomic files, saved arrays and dataclasses, and plain data for strict JSON."""

from __future__ import annotations

import math
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from lnn.core.errors import DataError

T = TypeVar("T")


def regular_file(path: Path, wanted: str) -> Path:
    """Return the path of a file that can be opened, with the home folder written out.

    Raises:
        DataError: there is none, it is not a regular file, or it cannot be read; says what is
            `wanted`.
    """
    try:
        place = path.expanduser()
        mode = place.stat().st_mode
        if stat.S_ISREG(mode):
            place.open("rb").close()
    # RuntimeError: unknown home folder; ValueError: NUL in the name.
    except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):
        raise DataError(f"{path} does not exist; {wanted}") from None
    except OSError as error:
        raise DataError(f"cannot read {str(path)[:200]}: {error.strerror}") from None
    if not stat.S_ISREG(mode):  # pipes and devices could block forever
        raise DataError(f"{place} is a folder, a pipe or a device; {wanted}")
    return place


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is renamed to `path` once it is completely written."""
    unfinished = path.with_name(f".{path.name}")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays and numbers by name, atomically."""
    with atomic(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load(path: Path) -> dict[str, np.ndarray] | None:
    """Read what `save` wrote; None if the file is missing or damaged."""
    try:
        # NumPy would leave the file open if it is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def save_record(path: Path, record: Any) -> None:
    """Write a dataclass of arrays and numbers, atomically."""
    save(path, vars(record))


def load_record(path: Path, cls: type[T]) -> T | None:
    """Read what `save_record` wrote, numbers as floats; None if it is missing or damaged."""
    found = load(path)
    if found is None or set(found) != {item.name for item in fields(cls)}:  # type: ignore[arg-type]
        return None
    return cls(**{name: value if value.ndim else float(value) for name, value in found.items()})


def strict(value: Any) -> Any:
    """Convert to plain data for strict JSON: infinity becomes "inf" or "-inf", NaN None."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    value = plain_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def plain_number(value: Any) -> Any:
    """Return a number or text without NumPy types; NetCDF returns numbers as arrays of one."""
    return np.asarray(value).item() if isinstance(value, np.ndarray | np.generic) else value
