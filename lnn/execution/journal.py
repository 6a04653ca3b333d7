"""What a study has done so far, kept on disk while it goes on."""

from __future__ import annotations

import re
import shutil
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from lnn.core.errors import DamagedError, StoreError
from lnn.execution import checkpoint
from lnn.simulation.stored_runs import Cell, pack, unpack

STATE = "state"
"""The folder of all runs in that of a complete study."""

KEPT = 2
"""Checkpoints that stay: the newest, and the one before, should the newest be damaged."""


class Journal:
    """Batches by name, saved in a folder of numbered checkpoints by a thread of its own.

    Args:
        folder: where the checkpoints lie; it must exist.
        every: seconds between checkpoints.
        copied: called with the folder of each new checkpoint, in the thread that saved it.
        marker: a file beside it that is there as long as nobody deletes the study.

    Attributes:
        earlier_seconds: what earlier attempts at the study had taken when they were last saved.

    Warns:
        UserWarning: a checkpoint is damaged and was skipped.
    """

    def __init__(
        self,
        folder: Path,
        every: float,
        copied: Callable[[Path], None] | None = None,
        marker: Path | None = None,
    ) -> None:
        self.folder, self.every, self._copied, self._marker = folder, every, copied, marker
        self.earlier_seconds = 0.0
        self._batches: dict[str, list[Cell]] = {}
        self._current: tuple[str, Callable[[], list[Cell]]] | None = None
        self._changed = False
        self._damaged: set[int] = set()
        self._thread: threading.Thread | None = None
        self._failure: StoreError | None = None
        self._started = self._last = time.monotonic()
        self._load()

    def recall(self, name: str) -> list[Cell] | None:
        """How far the batch of this name has come; None if nothing is known of it."""
        return self._batches.get(name)

    def offer(self, name: str, cells: Callable[[], list[Cell]]) -> None:
        """Note how far a batch has come; save it if it is time.

        Raises:
            StoreError: the last checkpoint could not be saved, or the folder is gone.
        """
        self._current, self._changed = (name, cells), True
        self._check()
        if time.monotonic() - self._last >= self.every and not self._busy():
            self._last = time.monotonic()
            # The copy is made here: two threads must not read one JAX array at the same time.
            self._thread = threading.Thread(target=self._try_to_write, args=(self._all(),))
            self._thread.start()
            self._changed = False

    def finish(self, name: str, cells: list[Cell]) -> None:
        """Note what a batch gave in the end."""
        self._batches[name], self._current, self._changed = cells, None, True

    def save(self) -> None:
        """Save what is not saved yet, and wait for it.

        Raises:
            StoreError: it cannot be saved.
        """
        if self._thread is not None:
            self._thread.join()
        self._check()
        if self._changed:
            self._last = time.monotonic()
            self._try_to_write(self._all())
            self._changed = False
            self._check()

    def cells(self) -> list[Cell]:
        """All runs of all batches, finished or not."""
        return [cell for cells in self._batches.values() for cell in cells]

    def _all(self) -> dict[str, list[Cell]]:
        if self._current is None:
            return dict(self._batches)
        name, cells = self._current
        return {**self._batches, name: cells()}

    def _busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _check(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._changed = True
            raise failure
        if self._marker is not None and not self._marker.exists():
            raise StoreError(f"{self._marker.parent} has been deleted meanwhile")

    def _try_to_write(self, batches: dict[str, list[Cell]]) -> None:
        try:
            self._write(batches)
        except StoreError as error:
            self._failure = error

    def _write(self, batches: dict[str, list[Cell]]) -> None:
        arrays, about = pack([cell for cells in batches.values() for cell in cells])
        names = {name: len(cells) for name, cells in batches.items()}
        seconds = self.earlier_seconds + time.monotonic() - self._started
        numbers = _numbered(self.folder)
        path = self.folder / f"checkpoint-{max(numbers, default=0) + 1:06d}"
        checkpoint.write(path, arrays, {"batches": names, "cells": about, "seconds": seconds})
        kept = sorted(set(numbers) - self._damaged)[1 - KEPT :]
        for number, old in numbers.items():
            if number not in kept:
                shutil.rmtree(old, ignore_errors=True)
        if self._copied is not None:
            self._copied(path)

    def _load(self) -> None:
        for number, path in sorted(_numbered(self.folder).items(), reverse=True):
            try:
                arrays, about = checkpoint.read(path)
            except DamagedError as error:
                self._damaged.add(number)
                warnings.warn(f"{error}; it is skipped for the one before", stacklevel=4)
                continue
            cells = iter(unpack(arrays, about["cells"]))
            self._batches = {
                name: [next(cells) for _ in range(count)]
                for name, count in about["batches"].items()
            }
            self.earlier_seconds = float(about["seconds"])
            return


def _numbered(folder: Path) -> dict[int, Path]:
    """The checkpoints in a folder by their numbers: clocks may go back, numbers do not."""
    found = {}
    for path in folder.glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if match:
            found[int(match[1])] = path
    return found


def save_cells(folder: Path, cells: list[Cell]) -> None:
    """Save runs so that another study can use them."""
    arrays, about = pack(cells)
    checkpoint.write(folder, arrays, {"cells": about})


def stored_cells(folder: Path) -> list[Cell]:
    """The runs of a study, complete or not, or of some processes of it."""
    if (folder / STATE).is_dir():
        try:
            arrays, about = checkpoint.read(folder / STATE)
        except DamagedError as error:
            warnings.warn(f"{folder}: {error}; its runs are made again", stacklevel=2)
            return []
        return unpack(arrays, about["cells"])
    places = sorted({path.parent for path in folder.rglob("checkpoint-*") if path.is_dir()})
    return [cell for place in places for cell in Journal(place, float("inf")).cells()]
