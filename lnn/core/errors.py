"""Errors that the command line maps to exit codes. No heavy imports."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Escape line breaks and other unprintable characters.

    Names of files, columns and archive members are untrusted: they could split a message into
    lines, or send control codes to the terminal.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def clip(text: str, length: int = 40) -> str:
    """Return the text in quotes, cut if it is longer."""
    return repr(text if len(text) <= length else text[:length] + "...")


def reason(error: object) -> str:
    """Return an error's message in one line, or its kind if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


class DataError(ValueError):
    """The data is unavailable or invalid (exit code 3 of the command).

    Example:
        >>> lnn.datasets.gas_drift(path="nowhere")
        Traceback (most recent call last):
        lnn.core.errors.DataError: nowhere does not exist; ...
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class StoreError(OSError):
    """Results or checkpoints cannot be written, or another process holds them (exit code 1)."""


class DamagedError(ValueError):
    """A file differs from what was written."""


class PeerError(ConnectionError):
    """Another process has ended; the message says which, how, and how to resume."""
