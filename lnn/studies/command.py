"""What the commands of all studies share: options and their errors."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from lnn.core.errors import one_line


class Parser(argparse.ArgumentParser):
    """Its errors are one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print it and end the command."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}; --help explains every option\n")


def listed(kind: Callable[[str], Any], what: str) -> Callable[[str], list[Any]]:
    """A parser of values with commas between them; its error says what they are."""

    def parse(text: str) -> list[Any]:
        try:
            return [kind(part) for part in text.split(",") if part]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {what}") from error

    return parse


def number(text: str) -> float:
    """An option that is a number."""
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error


def whole(text: str) -> int:
    """An option that is a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error


def seconds(text: str) -> float:
    """An option that is a time in seconds."""
    value = number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r}: give a positive number of seconds")
    return value


class Flatten(argparse.Action):
    """--depth 2 3 and --depth 2,3 mean the same."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Set the attribute to all values."""
        setattr(namespace, self.dest, tuple(item for part in values for item in part))
