"""One check for every whole number that a user gives."""

from __future__ import annotations

from numbers import Integral


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
