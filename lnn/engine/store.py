"""Results on disk: a folder appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write in, renamed to `folder` at the end, removed after any failure.

    Raises:
        FileExistsError: if `folder` has appeared meanwhile; nothing is overwritten.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        if folder.exists():
            raise FileExistsError(f"{folder} has appeared meanwhile and is not overwritten")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write NetCDF 3: read by every tool, and the same bytes for the same content."""
    dataset.to_netcdf(path, format="NETCDF3_64BIT", engine="scipy")


def load_dataset(path: Path) -> xr.Dataset:
    """Read what `save_dataset` wrote, into memory."""
    with xr.open_dataset(path, engine="scipy") as dataset:
        return dataset.load()
