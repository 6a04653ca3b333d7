"""Runs exchanged between the processes of a study, to the bit."""

from __future__ import annotations

import io
import json
from typing import Protocol

import numpy as np

from lnn.simulation.stored_runs import Cell, pack, unpack


class Peers(Protocol):
    """The processes of a study: this one's index, how many there are, and everyone's payload."""

    @property
    def index(self) -> int: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    def check(self) -> None: ...  # noqa: D102
    def gather(self, payload: bytes) -> list[bytes]: ...  # noqa: D102


class Exchange:
    """The processes of a study, as a sweep sees them; without any, this one alone."""

    def __init__(self, processes: Peers | None = None) -> None:
        self._processes = processes
        self.index, self.count = (0, 1) if processes is None else (processes.index, processes.count)

    def check(self) -> None:
        """Go on only if all processes are there.

        Raises:
            ConnectionError: another process has ended.
        """
        if self._processes is not None:
            self._processes.check()

    def gather(self, cells: list[Cell]) -> list[Cell]:
        """The runs of all processes, in the order of their indices.

        Raises:
            ConnectionError: another process has ended.
        """
        if self._processes is None or self.count == 1:
            return cells
        return [cell for row in self._processes.gather(_to_bytes(cells)) for cell in _cells(row)]


def _to_bytes(cells: list[Cell]) -> bytes:
    arrays, about = pack(cells)
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(stream, **arrays, about=text)  # type: ignore[arg-type]
    return stream.getvalue()


def _cells(row: bytes) -> list[Cell]:
    with np.load(io.BytesIO(row), allow_pickle=False) as saved:
        arrays = dict(saved)
    return unpack(arrays, json.loads(arrays.pop("about").tobytes()))
