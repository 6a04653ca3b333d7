"""A study on several hosts: who takes part, exchange of results, an orderly end when one dies.

JAX ends a process from C++, where no Python can catch it: all of them at once when process 0 is
gone, the others when a heartbeat stays away. So the command runs in a child. Its parent touches no
JAX; it counts up in a file of the shared folder, sees the other parents do so, tells the child when
one of them has ended, and says in one line what happened however the child ends. POSIX only.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self, TypeVar

PATIENCE = 300.0  # seconds within which all processes must have started
_BEAT = 1.0
# A process is taken for dead after this silence; up to the second where its file moves slowly, as
# on a disk that shows changes late. With _GRACE and _LEAVE that is less than a minute.
_SILENCE, _SILENCE_ON_SLOW_DISK = 20.0, 30.0
_GRACE = 15.0  # for the checkpoint of a study that must end
_LEAVE = 10.0  # that process 0 stays for the others: they are aborted when it goes
_HEARTBEAT = 50  # of JAX, by the network: the last resort, so later than all of the above
_CHUNK = 4 << 20  # bytes exchanged at once: every device holds those of all processes
_CHILD = "LNN_SUPERVISED"
_FOLDER = "processes"
_T = TypeVar("_T")


class PeerError(ConnectionError):
    """Another process has ended; the message says which, how, and how the study goes on."""


class _Cause(NamedTuple):
    """Why a study must end: a process, and how it ended."""

    index: int
    how: str

    def message(self, count: int) -> str:
        return (
            f"process {self.index} of {count} {self.how}; what was finished is saved: give the "
            "same command again to go on, with any number of processes"
        )


@dataclass(frozen=True)
class Processes:
    """The processes of a study, seen from one of them. As a context: all leave it together.

    Attributes:
        index: of this process, from 0; process 0 writes the report.
        count: how many there are; with one, everything here is trivial.
    """

    index: int = 0
    count: int = 1

    def check(self) -> None:
        """Ask between device calls whether the study can go on; costs nothing.

        Raises:
            PeerError: another process has ended. Save what there is within 10 seconds, and end.
        """
        if self.count > 1 and (lost := _linked().lost):
            raise PeerError(lost)

    def gather(self, payload: bytes) -> list[bytes]:
        """Everyone's payload, by index; waits as long as it takes until all have called this.

        Raises:
            PeerError: another process has ended.
            ConnectionError: the exchange failed though all processes are alive.
        """
        if self.count == 1:
            return [payload]
        self._meet()
        sizes = [int.from_bytes(row, "little") for row in self._exchange(_bytes_of(len(payload)))]
        longest = max(sizes)
        rows = [bytearray() for _ in sizes]
        for start in range(0, longest, _CHUNK):
            size = min(_CHUNK, longest - start)
            part = payload[start : start + size].ljust(size, b"\0")
            for row, received in zip(rows, self._exchange(part), strict=True):
                row += received
        return [bytes(row[:size]) for row, size in zip(rows, sizes, strict=True)]

    def barrier(self, name: str) -> None:
        """Wait until all processes have come here.

        Raises:
            PeerError: another process has ended.
            RuntimeError: the processes are at barriers of different names.
        """
        names = {row.decode() for row in self.gather(name.encode())}
        if len(names) > 1:
            raise RuntimeError(f"processes wait at different places: {', '.join(sorted(names))}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.count == 1 or kind is not None:
            return
        self._meet()
        _linked().tell(leaving=0)  # whatever JAX may say from here on, the study is complete
        import jax

        leave = threading.Thread(target=jax.distributed.shutdown, daemon=True)
        leave.start()
        leave.join(_LEAVE)

    def _meet(self) -> None:
        """Wait for the others by the shared folder: a collective that waits for hours times out."""
        link = _linked()
        link.meetings += 1
        link.tell(arrived=link.meetings)
        while link.met < link.meetings:
            self.check()
            time.sleep(0.05)

    def _exchange(self, row: bytes) -> list[bytes]:
        """Everyone's row of one length, which is the same for all."""
        error = _attend(lambda: _allgather(row), self.check)
        if isinstance(error, list):
            return error
        # The collective fails at once when a process dies; the parent finds out which one it was.
        until = time.monotonic() + _SILENCE_ON_SLOW_DISK + 5
        while time.monotonic() < until:
            self.check()
            time.sleep(0.1)
        raise ConnectionError(f"results could not be exchanged: {_first_line(error)}") from error


ALONE = Processes()
