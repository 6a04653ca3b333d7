"""Files that appear whole or not at all, folders of results, and plain data for strict JSON."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lnn.core.errors import StoreError


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays and numbers by name; under another name first, then renamed."""
    unfinished = path.with_name(f".{path.name}")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


def load(path: Path) -> dict[str, np.ndarray] | None:
    """What `save` wrote; None if there is nothing or it is damaged: then it is made again."""
    try:
        # Opened here: NumPy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def results_folder(out: Path, name: str) -> Path:
    """The folder of a study.

    Raises:
        ValueError: if the name is not a plain folder name.
        StoreError: if it does not exist and cannot be written either.
    """
    plain = name and not name.startswith(".") and Path(name).name == name
    # Files beside it have longer names, of at most 255 bytes.
    if not plain or len(os.fsencode(name)) > 200:
        raise ValueError(
            f"name = {name!r}: give a plain folder name of at most 200 bytes with --name; --out "
            "says where it goes"
        )
    if not (out / name).is_dir():
        check_writable(out)
    return out / name


def check_writable(out: Path) -> None:
    """Raise a StoreError unless files can be written to a folder of results."""
    if not writable(out):
        raise StoreError(f"{out} is not a folder you can write to: choose another --out")


def writable(folder: Path) -> bool:
    """Whether files can be written to a folder, or the folder be made."""
    ground = folder.absolute()
    while not ground.exists():
        ground = ground.parent
    return ground.is_dir() and os.access(ground, os.W_OK)


def strict(value: Any) -> Any:
    """Plain data that strict JSON takes: infinity is "inf" or "-inf", NaN is None."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    value = plain_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def plain_number(value: Any) -> Any:
    """A number or text without NumPy's types; NetCDF gives numbers back as arrays of one."""
    return np.asarray(value).item() if isinstance(value, np.ndarray | np.generic) else value
