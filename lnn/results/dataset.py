"""Datasets on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write NetCDF 3: read by every tool, and the same bytes for the same content."""
    dataset.to_netcdf(path, format="NETCDF3_64BIT", engine="scipy")


def load_dataset(path: Path) -> xr.Dataset:
    """Read what `save_dataset` wrote, into memory."""
    with xr.open_dataset(path, engine="scipy") as dataset:
        return dataset.load()


def described(
    dims: str | tuple[str, ...], values: Any, text: str, units: str | None = "1", **more: Any
) -> tuple[Any, Any, dict[str, Any]]:
    """Return a variable of a dataset with its units, description and further attributes."""
    return dims, values, {**({"units": units} if units else {}), "description": text, **more}
