"""Bitwise exchange of runs between the processes of a study."""

from __future__ import annotations

import io
import json
from typing import Protocol

import numpy as np

from lnn.simulation.stored_runs import Cell, pack, unpack


class Peers(Protocol):
    """The processes of a study: index of this one, their number, and exchange of payloads."""

    @property
    def index(self) -> int: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    def check(self) -> None: ...  # noqa: D102
    def gather(self, payload: bytes) -> list[bytes]: ...  # noqa: D102


class Exchange:
    """The processes of a study as seen by a sweep; by default this one alone."""

    def __init__(self, processes: Peers | None = None) -> None:
        self._processes = processes
        self.index, self.count = (0, 1) if processes is None else (processes.index, processes.count)

    def check(self) -> None:
        """Raise `ConnectionError` if another process has ended."""
        if self._processes is not None:
            self._processes.check()

    def gather(self, cells: list[Cell]) -> list[Cell]:
        """Return the runs of all processes by index; raise `ConnectionError` if one has ended."""
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
