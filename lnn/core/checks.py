"""Validation of user input, and allowed values. Imports neither JAX nor NumPy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from lnn.core.errors import StoreError

RECORDS = "records"
"""Subfolder of a study with the results of its jobs."""

DTYPES = ("float32", "float64")
SCHEMES = ("balanced", "near-zero", "identity")
"""Initializations of a network's factors."""

DIVERGENCE = 1e3
"""A run that ends above this multiple of the loss at W = 0 counts as diverged, by default."""

MOST_LAYERS = 1000
SMALLEST, LARGEST = 1e-30, 1e30
"""Limits of learning rates, norms and decays, whose products float32 can represent."""


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return the number as an int.

    Raises:
        ValueError: not a whole number within these limits; booleans do not count.
    """
    if not isinstance(value, bool) and isinstance(value, Integral):
        number = int(value)
        if least <= number and (most is None or number <= most):
            return number
    limits = f"at least {least}" if most is None else f"{least} to {most}"
    raise ValueError(f"{name} = {value!r}: give a whole number, {limits}")


def dtype_name(dtype: Any) -> Any:
    """Return the name of a NumPy or JAX dtype, such as "float64"; anything else as it is."""
    if isinstance(dtype, type):
        return dtype.__name__
    return getattr(dtype, "name", dtype)


def check_depth(depth: float) -> float:
    """Return the depth as a float; raise `ValueError` if it is below 1 or not real."""
    if not (is_real(depth) and depth >= 1):
        raise ValueError(
            f"depth = {depth!r}: a network has depth 1 or more (any real number >= 1, or inf for "
            "the limit per unit depth)"
        )
    return float(depth)


def check_divergence(divergence: Any) -> None:
    """Raise `ValueError` unless it is a number above 1, or inf."""
    if not (is_real(divergence) and divergence > 1):
        raise ValueError(
            f"divergence = {divergence!r}: give a factor above 1 of the loss at W = 0, or inf"
        )


def plain(value: Any) -> Any:
    """Convert NumPy and JAX numbers and arrays to Python values."""
    return value.tolist() if hasattr(value, "tolist") and not isinstance(value, type) else value


def is_real(value: Any) -> bool:
    """Return whether it is a number that fits a float, which Python integers may exceed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def reals(name: str, values: Any) -> tuple[float, ...]:
    """Return one number or several as floats; raise `ValueError` for anything else."""
    for value in as_tuple(values):
        if not is_real(value):
            raise ValueError(f"{name} = {value!r}: give a number")
    return tuple(map(float, as_tuple(values)))


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return several values as a tuple; a single value, also a text, as a tuple of one."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return (value,)
    return tuple(value)


def results_folder(out: Path, name: str) -> Path:
    """Return the folder of a study.

    Raises:
        ValueError: the name is not a plain folder name.
        StoreError: the folder does not exist and cannot be created.
    """
    plain = name and not name.startswith(".") and Path(name).name == name
    # Related files have longer names, limited to 255 bytes.
    if not plain or len(os.fsencode(name)) > 200:
        raise ValueError(
            f"name = {name!r}: give a plain folder name of at most 200 bytes with --name; --out "
            "sets its location"
        )
    if not (out / name).is_dir():
        check_writable(out)
    return out / name


def check_writable(out: Path) -> None:
    """Raise `StoreError` unless files can be written to a results folder."""
    if not writable(out):
        raise StoreError(f"{out} is not a folder you can write to: choose another --out")


def writable(folder: Path) -> bool:
    """Return whether a folder is writable, or can be created."""
    ground = folder.absolute()
    while not ground.exists():
        ground = ground.parent
    return ground.is_dir() and os.access(ground, os.W_OK)
