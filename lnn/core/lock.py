"""A lock on a folder's name, held by one process and given back however that process ends."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

from lnn.core.errors import StoreError

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def try_to_lock(descriptor: int) -> None:
        """Lock an open file, or raise OSError at once."""
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def try_to_lock(descriptor: int) -> None:
        """Lock an open file, or raise OSError at once."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """Holds `path`, a file that says by whom it is held and goes when it is released.

    Raises:
        StoreError: another process holds it; the message says which.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                try_to_lock(descriptor)
            except BlockingIOError:
                holder = os.pread(descriptor, 4096, 0)
                os.close(descriptor)
                raise StoreError(f"{what} is in use by {_named(holder)}: wait for it") from None
            except OSError:
                break  # a file system without locks: better to work than to refuse
            # Unless its last holder has removed the file between the two calls.
            if _is_at(descriptor, path):
                break
            os.close(descriptor)
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        said = {"pid": os.getpid(), "host": socket.gethostname()}
        os.pwrite(descriptor, json.dumps(said).encode(), 0)

    def release(self) -> None:
        """Give it back."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _named(holder: bytes) -> str:
    try:
        said = json.loads(holder)
        return f"process {said['pid']} on {said['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
