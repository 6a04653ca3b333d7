"""Checkpoints: folders of arrays, written atomically and verified when read.

`arrays.npz` holds arrays, `about.json` plain data and `checksums.json` the SHA-256 of both. Each
process saves its own small arrays by NumPy; a sharded-checkpoint library was 13 times slower.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lnn.core.errors import DamagedError, StoreError

CHECKSUMS = "checksums.json"


def write(folder: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Save arrays and plain data as `folder`, whose parent must exist.

    Raises:
        StoreError: it cannot be written; nothing is left behind.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with storing(folder):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()  # no parents: a folder that was deleted stays deleted
            with (partial / "arrays.npz").open("wb") as file:
                np.savez(file, **{name: np.asarray(a) for name, a in arrays.items()})  # type: ignore[arg-type]
            text = json.dumps(about, allow_nan=False)
            (partial / "about.json").write_text(text, encoding="utf-8")
            sums = checksums(partial)
            (partial / CHECKSUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
            commit(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def read(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and plain data of a checkpoint.

    Raises:
        DamagedError: a file is missing, truncated or modified.
    """
    verify(folder)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        with (folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return dict(saved), about
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{folder.name} cannot be read: {_line(error)}") from error


def verify(folder: Path) -> None:
    """Check every file of a checkpoint, or of any folder with a list of checksums.

    Raises:
        DamagedError: a file is missing, truncated or modified.
    """
    try:
        sums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        found = checksums(folder)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{folder.name}: {CHECKSUMS}: {_line(error)}") from None
    for name in sums:
        if name not in found:
            raise DamagedError(f"{folder.name}: {name} is missing")
        if found[name] != sums[name]:
            raise DamagedError(f"{folder.name}: {name} does not match its checksum")


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder except the checksum list, by relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != CHECKSUMS
    }


def commit(partial: Path, folder: Path) -> None:
    """Rename a finished file or folder to its final name after syncing its content to disk."""
    for path in [*partial.rglob("*"), partial]:
        _sync(path)
    partial.replace(folder)
    _sync(folder.parent)


@contextmanager
def storing(what: Path) -> Iterator[None]:
    """Convert errors while writing into a one-line `StoreError`."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        deleted = isinstance(error, FileNotFoundError) or not what.parent.is_dir()
        reason = "the folder was deleted in the meantime" if deleted else _line(error)
        raise StoreError(f"{what} cannot be written: {reason}") from error


def _line(error: Exception) -> str:
    """Return the part of an error that a user can act on, in one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if not path.is_dir():  # Windows opens no folders
            raise
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)
