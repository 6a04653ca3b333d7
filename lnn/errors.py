"""Errors that the command line turns into exit codes of their own; no heavy imports here."""

from __future__ import annotations


class DataError(ValueError):
    """The data cannot be had, or is not what it should be (exit code 3 of the command)."""
