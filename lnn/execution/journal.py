"""Progress of a study, saved on disk while it runs."""

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
"""Subfolder of a finished study that holds all its runs."""

KEPT = 2
"""Checkpoints kept: the newest, and the previous one in case the newest is damaged."""


class Journal:
    """Batches by name, saved every `every` seconds as numbered checkpoints in a background thread.

    `copied` is called there with each new checkpoint; if the file `marker` disappears, the study
    was deleted. Warns of damaged checkpoints, which are skipped.
    """

    def __init__(
        self,
        folder: Path,
        every: float,
        copied: Callable[[Path], None] | None = None,
        marker: Path | None = None,
    ) -> None:
        self.folder, self.every, self._copied, self._marker = folder, every, copied, marker
        self.earlier_seconds = 0.0  # spent by earlier sessions, as last saved
        self._batches: dict[str, list[Cell]] = {}
        self._current: tuple[str, Callable[[], list[Cell]]] | None = None
        self._changed = False
        self._damaged: set[int] = set()
        self._thread: threading.Thread | None = None
        self._failure: StoreError | None = None
        self._started = self._last = time.monotonic()
        self._load()

    def recall(self, name: str) -> list[Cell] | None:
        """Return the runs of a saved batch, finished or not; None if there are none."""
        return self._batches.get(name)

    def offer(self, name: str, cells: Callable[[], list[Cell]]) -> None:
        """Record the progress of a batch, and save it if due; raise `StoreError` if that failed."""
        self._current, self._changed = (name, cells), True
        self._check()
        if time.monotonic() - self._last >= self.every and not self._busy():
            self._last = time.monotonic()
            # Copied in this thread: two threads must not read one JAX array at the same time.
            self._thread = threading.Thread(target=self._try_to_write, args=(self._all(),))
            self._thread.start()
            self._changed = False

    def finish(self, name: str, cells: list[Cell]) -> None:
        """Record the final runs of a batch."""
        self._batches[name], self._current, self._changed = cells, None, True

    def save(self) -> None:
        """Save unsaved progress and wait for it; raise `StoreError` if that failed."""
        if self._thread is not None:
            self._thread.join()
        self._check()
        if self._changed:
            self._last = time.monotonic()
            self._try_to_write(self._all())
            self._changed = False
            self._check()

    def cells(self) -> list[Cell]:
        """Return all runs of all batches, finished or not."""
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
            raise StoreError(f"{self._marker.parent} was deleted in the meantime")

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
                warnings.warn(f"{error}; using the previous checkpoint", stacklevel=4)
                continue
            cells = iter(unpack(arrays, about["cells"]))
            self._batches = {
                name: [next(cells) for _ in range(count)]
                for name, count in about["batches"].items()
            }
            self.earlier_seconds = float(about["seconds"])
            return


def _numbered(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder by number: unlike clocks, numbers never go back."""
    found = {}
    for path in folder.glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if match:
            found[int(match[1])] = path
    return found


def save_cells(folder: Path, cells: list[Cell]) -> None:
    """Save runs for reuse by other studies."""
    arrays, about = pack(cells)
    checkpoint.write(folder, arrays, {"cells": about})


def stored_cells(folder: Path) -> list[Cell]:
    """Return the runs of a study, finished or not, or of some of its processes."""
    if (folder / STATE).is_dir():
        try:
            arrays, about = checkpoint.read(folder / STATE)
        except DamagedError as error:
            warnings.warn(f"{folder}: {error}; its runs are recomputed", stacklevel=2)
            return []
        return unpack(arrays, about["cells"])
    places = sorted({path.parent for path in folder.rglob("checkpoint-*") if path.is_dir()})
    return [cell for place in places for cell in Journal(place, float("inf")).cells()]
