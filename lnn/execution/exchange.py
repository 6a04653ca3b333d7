"""Runs exchanged between the processes of a study, to the bit."""

from __future__ import annotations

import io
import json

import numpy as np

from lnn.execution.processes import Processes
from lnn.simulation.stored_runs import Cell, pack, unpack


class Exchange:
    """The processes of a study, as a sweep sees them."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.index, self.count = processes.index, processes.count

    def check(self) -> None:
        """Go on only if all processes are there.

        Raises:
            PeerError: another process has ended.
        """
        self._processes.check()

    def gather(self, cells: list[Cell]) -> list[Cell]:
        """The runs of all processes, in the order of their indices.

        Raises:
            PeerError: another process has ended.
        """
        if self.count == 1:
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
