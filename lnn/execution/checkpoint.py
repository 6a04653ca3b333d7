"""One checkpoint: a folder of arrays that appears whole or not at all, and is read only if intact.

`arrays.npz` holds the arrays, `about.json` plain data, `checksums.json` the SHA-256 of both. NumPy
writes them: a process saves small arrays that lie on its own host, for which a library of sharded
checkpoints was 13 times slower, and on a full disk printed the tracebacks of its own threads.
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
    """The arrays and the plain data of a checkpoint.

    Raises:
        DamagedError: a file is missing, cut or changed.
    """
    verify(folder)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        with (folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return dict(saved), about
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{folder.name} cannot be read: {_line(error)}") from error


def verify(folder: Path) -> None:
    """Check every file of a checkpoint, or of any folder that carries its checksums.

    Raises:
        DamagedError: a file is missing, cut or changed.
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
            raise DamagedError(f"{folder.name}: {name} is not what was written")


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder by its relative name, but for the list of checksums."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != CHECKSUMS
    }


def commit(partial: Path, folder: Path) -> None:
    """Give a finished file or folder its name, with its content on the disk before the name is."""
    for path in [*partial.rglob("*"), partial]:
        _sync(path)
    partial.replace(folder)
    _sync(folder.parent)


@contextmanager
def storing(what: Path) -> Iterator[None]:
    """Turn what goes wrong while writing into one line that says so."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        deleted = isinstance(error, FileNotFoundError) or not what.parent.is_dir()
        reason = "the folder has been deleted meanwhile" if deleted else _line(error)
        raise StoreError(f"{what} cannot be written: {reason}") from error


def _line(error: Exception) -> str:
    """The part of an error's text that a user can act on, in one line."""
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
