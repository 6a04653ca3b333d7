"""Arrays of numbers from what a user has at hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_floats(name: str, value: Any) -> np.ndarray | jax.Array:
    """Return an array of floating-point numbers; NumPy and JAX arrays of these are not copied.

    Accepts lists, pandas and xarray objects, and tensors of PyTorch, on any device and with or
    without gradients.

    Raises:
        ValueError: not numbers, or rows of different length.
    """
    if hasattr(value, "detach"):  # a tensor of PyTorch, whose conversion refuses gradients
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    if not isinstance(value, jax.Array | np.ndarray):
        try:
            value = np.asarray(value)
        except ValueError:
            raise ValueError(f"{name} has rows of different length: give a rectangle") from None
    if value.dtype.kind in "iub":
        return value.astype(np.float64 if isinstance(value, np.ndarray) else jnp.result_type(float))
    if value.dtype == object:
        value = _from_objects(name, value)
    if not jnp.issubdtype(value.dtype, np.floating):
        raise ValueError(f"{name} has dtype {value.dtype}: give floating-point numbers")
    return value


def _from_objects(name: str, value: np.ndarray) -> np.ndarray:
    """Return Python numbers as floats, None as NaN, and refuse text, which float() would read."""
    for place, item in np.ndenumerate(value):
        if isinstance(item, str | bytes):
            raise ValueError(
                f"{name}{list(place)} is {item!r}: every value must be a number (tables with text: "
                "lnn.datasets.table)"
            )
    try:
        return value.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} holds objects that are not numbers: give numbers") from None
