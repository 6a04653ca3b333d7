"""Checks of what a user gives, and the values that are allowed. Imports neither JAX nor NumPy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from lnn.core.errors import StoreError

RECORDS = "records"
"""The folder of the results of jobs, in that of their study."""

DTYPES = ("float32", "float64")
SCHEMES = ("balanced", "near-zero", "identity")
"""How the factors of a network are initialized."""

MOST_LAYERS = 1000
SMALLEST, LARGEST = 1e-30, 1e30
"""Of learning rates, norms and decays: what float32 holds with room for products of two."""


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """The number as an int.

    Raises:
        ValueError: it is not a whole number within these limits; a boolean is none.
    """
    if not isinstance(value, bool) and isinstance(value, Integral):
        number = int(value)
        if least <= number and (most is None or number <= most):
            return number
    limits = f"at least {least}" if most is None else f"{least} to {most}"
    raise ValueError(f"{name} = {value!r}: give a whole number, {limits}")


def check_depth(depth: float) -> float:
    """The depth as a float, or a ValueError that says what a depth is."""
    if not (is_real(depth) and depth >= 1):
        raise ValueError(
            f"depth = {depth!r}: a network has depth 1 or more (any real number >= 1, or inf for "
            "the limit per unit depth)"
        )
    return float(depth)


def plain(value: Any) -> Any:
    """NumPy and JAX numbers and arrays as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


def is_real(value: Any) -> bool:
    """Whether it is a number that a float can hold: Python's own whole numbers may exceed it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def reals(name: str, values: Any) -> tuple[float, ...]:
    """One number or several as floats, or a ValueError that says which is none."""
    for value in as_tuple(values):
        if not is_real(value):
            raise ValueError(f"{name} = {value!r}: give a number")
    return tuple(map(float, as_tuple(values)))


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Several values as a tuple; one value, also a text, as a tuple of one."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return (value,)
    return tuple(value)


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
