"""Lock on a folder name, by filelock, that names its holder."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lnn.core.errors import StoreError


class FolderLock:
    """A folder name locked by this process; `StoreError` names another process that holds it."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._lock = path, FileLock(path, timeout=0)
        try:
            self._lock.acquire()
            while not path.exists():  # its last holder removed the file between two calls
                self._lock.release()
                self._lock.acquire()
        except Timeout:
            raise StoreError(f"{what} is in use by {_holder(path)}: wait for it") from None
        except (OSError, NotImplementedError):
            return  # a file system without locks: continue without one
        with suppress(OSError):
            path.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))

    def release(self) -> None:
        """Release the lock."""
        with suppress(OSError):
            self._path.unlink()
        self._lock.release()


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
