"""The map of where depth helps: `python -m lnn.phase`."""

from lnn.phase.command import main

__all__ = ["main"]
