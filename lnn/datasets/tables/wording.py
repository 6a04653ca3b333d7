"""How messages about data name what the user can change. Imports no JAX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Wording:
    """Names of the choices: arguments of the library by default."""

    label: str = "label=..."
    drop_missing: str = "drop_missing=True"
    drop_columns: str = "drop_columns=[...]"
    one_hot: str = "one_hot=[...]"
    drop_constant: str = "drop_constant=True"


OPTIONS = Wording("--label", "--drop-missing", "--drop-columns", "--one-hot", "--drop-constant")
"""The options of the command."""

ARGUMENTS = Wording()
"""The arguments of `lnn.datasets.table`."""

_CURRENT = ContextVar("wording", default=ARGUMENTS)


def say() -> Wording:
    """Return the names to use now."""
    return _CURRENT.get()


@contextmanager
def arguments_of_gas_drift() -> Iterator[None]:
    """Name the label as `lnn.datasets.gas_drift` does, unless options are named."""
    plain = say() is ARGUMENTS
    token = _CURRENT.set(replace(ARGUMENTS, label="label_column=...")) if plain else None
    try:
        yield
    finally:
        if token is not None:
            _CURRENT.reset(token)


@contextmanager
def options_of_the_command() -> Iterator[None]:
    """Name options instead of arguments within this context."""
    token = _CURRENT.set(OPTIONS)
    try:
        yield
    finally:
        _CURRENT.reset(token)
