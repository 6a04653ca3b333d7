"""From the options of a command to the configuration of a study. Imports no JAX."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

C = TypeVar("C")


def configured(cls: type[C], options: argparse.Namespace, base: Mapping[str, Any]) -> C:
    """Return the configuration asked for: what is given, else as in `base`, else the default.

    Args:
        cls: a dataclass; each of its fields that is an option has that option's name.
        options: None where an option is left out.
        base: such as the settings of `--quick`.

    Raises:
        ValueError: a value is out of range.
    """
    named = ((item.name, getattr(options, item.name, None)) for item in fields(cls))  # type: ignore[arg-type]
    return cls(**{**base, **{name: value for name, value in named if value is not None}})
