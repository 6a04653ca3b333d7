"""A second location for checkpoints and results, such as a mounted drive, that may fail or lag."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

from lnn.core.errors import DamagedError
from lnn.execution import checkpoint


class Mirror:
    """Verified copies of parts of `origin` in `place`, under the same relative names.

    A failed copy causes one warning per reason and nothing else: the originals are intact.
    """

    def __init__(self, origin: Path, place: Path) -> None:
        self.origin, self.place = origin, place
        self.failures = 0
        self._told: set[str] = set()

    def copy(self, path: Path) -> None:
        """Copy a file or folder of the origin, pruning old checkpoints; warn if that fails."""
        target = self.place / path.relative_to(self.origin)
        partial = target.with_name(f".{target.name}.partial")
        try:
            _remove(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, partial)
            _compare(path, partial)
            _remove(target)
            partial.rename(target)
            _compare(path, target)
            self._prune(path, target)
        except (OSError, DamagedError) as error:
            self.failures += 1
            reason = getattr(error, "strerror", None) or str(error)
            if reason not in self._told:
                self._told.add(reason)
                warnings.warn(
                    f"{path.name} was not copied to the mirror {self.place}: {reason}; "
                    f"{self.origin} is intact",
                    stacklevel=2,
                )

    def remove(self, name: str) -> None:
        """Remove a folder that the origin no longer has."""
        shutil.rmtree(self.place / name, ignore_errors=True)

    def restore(self, name: str) -> bool:
        """Restore a folder that is missing at the origin; return False if the mirror lacks it."""
        source, target = self.place / name, self.origin / name
        if target.exists() or not source.is_dir():
            return False
        partial = target.with_name(f".{target.name}.partial")
        _remove(partial)
        _copy(source, partial)
        partial.rename(target)
        return True

    def _prune(self, path: Path, target: Path) -> None:
        """Keep only those numbered checkpoints that the origin keeps."""
        if path.name.startswith("checkpoint-"):
            for old in target.parent.glob("checkpoint-*"):
                if not (path.parent / old.name).exists():
                    shutil.rmtree(old, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))
    else:
        shutil.copyfile(source, target)
    for path in target.rglob("*") if target.is_dir() else [target]:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _compare(source: Path, copy: Path) -> None:
    if source.is_dir():
        same = checkpoint.checksums(source) == checkpoint.checksums(copy)
    else:
        same = source.read_bytes() == copy.read_bytes()
    if not same:
        raise DamagedError("the copy differs from the original")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
