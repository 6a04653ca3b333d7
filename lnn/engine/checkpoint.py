"""One checkpoint: a folder of arrays that appears whole or not at all, and is read only if intact.

The arrays are Orbax's; beside them lie plain data (`about.json`) and the SHA-256 of every file
(`checksums.json`). Orbax is imported only when something is saved or read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lnn.errors import DamagedError, StoreError

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
            buffers, index = _joined(arrays)
            with _quiet():
                _checkpointer().save((partial / "arrays").absolute(), buffers)
            text = json.dumps({"about": about, "index": index}, allow_nan=False)
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
        said = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        with _quiet():
            buffers = _checkpointer().restore((folder / "arrays").absolute())
        arrays = {
            name: np.asarray(buffers[kind])[first : first + _size(shape)].reshape(shape)
            for name, (kind, first, shape) in said["index"].items()
        }
        return arrays, said["about"]
    except Exception as error:  # whatever a file that its checksum vouches for may bring about
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
    except Exception as error:  # Orbax passes on what its own layers raise, of many types
        raise StoreError(f"{what} cannot be written: {_line(error)}") from error


def _line(error: Exception) -> str:
    """The part of an error's text that a user can act on, in one line."""
    text = " ".join(str(error).split())
    for reason in ("No space left on device", "Read-only file system", "Permission denied"):
        if reason in text:
            return reason
    if isinstance(error, FileNotFoundError):
        return "the folder has been deleted meanwhile"
    return text[:200] or type(error).__name__


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _joined(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All arrays of a type in one: a few files, whatever the number of arrays."""
    buffers: dict[str, list[np.ndarray]] = {"uint8": []}  # Orbax takes no empty tree
    sizes: dict[str, int] = {}
    index = {}
    for name, values in arrays.items():
        kind = values.dtype.name
        index[name] = [kind, sizes.get(kind, 0), list(values.shape)]
        sizes[kind] = sizes.get(kind, 0) + values.size
        buffers.setdefault(kind, []).append(values.ravel())
    # Nor empty arrays.
    return {
        kind: np.concatenate([*parts, np.zeros(1, kind)]) for kind, parts in buffers.items()
    }, index


def _size(shape: list[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs the traceback of an error that it also raises, which is told in one line here."""

    def none(_: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("absl")
    logger.addFilter(none)
    try:
        yield
    finally:
        logger.removeFilter(none)


def _checkpointer() -> Any:
    """Orbax for this process alone: every process of several saves its own, at its own times."""
    import jax
    import orbax.checkpoint as ocp

    if jax.process_count() == 1:
        return ocp.PyTreeCheckpointer()
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )
    return ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(multiprocessing_options=alone), multiprocessing_options=alone
    )
