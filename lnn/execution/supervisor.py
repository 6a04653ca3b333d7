"""Supervision of a process of a multi-host study, by a parent that uses no JAX. POSIX only.

JAX ends a process from C++, which Python cannot catch: all others as soon as process 0 dies, and
every process on a missed heartbeat. So the command runs in a child process. Its parent writes
heartbeats to the shared folder, watches those of the other parents, tells the child when another
process has ended, and reports in one line what happened.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from lnn.core.errors import PeerError

BEAT = 1.0
SILENCE = 25.0  # without a heartbeat a process counts as dead; shared disks may lag this much
GRACE = 15.0  # for a child to save and exit
STAY = 5.0  # extra for process 0: when it exits, JAX aborts the others
_CHILD = "LNN_SUPERVISED"


def supervised(command: Sequence[str], body: Callable[[], int], program: str) -> int:
    """Run `body`, which may call `connect`, in a child process started by `command`.

    `command` starts this program again with the same arguments: the child reaches this call too and
    runs the body there. Nonzero exit codes end it without Python's cleanup, where JAX would wait
    for the other processes. Returns the body's exit code; 1 if this or another process died; 128 +
    signal if the body did not end within 15 seconds of SIGTERM or SIGINT.
    """
    line = os.environ.pop(_CHILD, None)
    return _Parent(command, program).run() if line is None else _child(line, body, program)


def _child(line: str, body: Callable[[], int], program: str) -> int:
    global _link
    fd, out, err = map(int, line.split(","))
    # Python writes to the command's streams. Descriptors 1 and 2 go to the libraries, whose output
    # the parent reads and shows if needed.
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams = _writer(out, sys.stdout), _writer(err, sys.stderr)
    _link = link = _Link(socket.socket(fileno=fd), _orphaned)
    try:
        code = body()
    except PeerError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    link.tell(leaving=code)
    if code == 0:
        sys.stdout, sys.stderr = before
        for stream in streams:
            stream.close()
        return 0
    while "free" not in link.heard:
        time.sleep(0.05)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _writer(fd: int, like: TextIO) -> TextIO:
    return open(fd, "w", buffering=1, encoding=like.encoding, errors=like.errors)


def _orphaned() -> None:
    """Save and exit after the parent was killed, which sends heartbeats."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)


class _Link:
    """One end of the connection between parent and child, which exchange facts."""

    def __init__(self, end: socket.socket, closed: Callable[[], None] = lambda: None) -> None:
        self.heard: dict[str, Any] = {}
        self.news = threading.Event()
        self.meetings = 0
        self._end, self._closed = end, closed
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def tell(self, **facts: Any) -> None:
        with suppress(OSError):  # the listener notices a closed connection
            self._end.sendall(json.dumps(facts).encode() + b"\n")

    def _listen(self) -> None:
        with suppress(OSError), self._end.makefile(encoding="utf-8") as lines:
            for line in lines:
                self.heard = {**self.heard, **json.loads(line)}
                self.news.set()
        self.heard = {**self.heard, "free": True}
        self._closed()

    def close(self) -> None:
        self._end.close()


_link: _Link | None = None  # of a child


def linked() -> _Link:
    """Return the connection to the parent process; raise `RuntimeError` if there is none."""
    if _link is None:
        raise RuntimeError("connect requires lnn.execution.supervisor.supervised")
    return _link


class _Cause(NamedTuple):
    """Why a study ends: a process, and what happened to it."""

    process: int
    how: str


@dataclass
class _Peer:
    """Another process, as described by its heartbeat file."""

    path: Path
    beat: int = 0
    silent: float = 0.0
    arrived: int = 0
    is_over: bool = False
    cause: _Cause | None = None

    def look(self, token: str, elapsed: float) -> None:
        record: dict[str, Any] = {}
        with suppress(OSError, ValueError):  # missing or partly written
            record = json.loads(self.path.read_text(encoding="utf-8"))
        if record.get("token") != token or record["beat"] == self.beat:
            self.silent += elapsed
            return
        self.silent, self.beat = 0.0, record["beat"]
        self.arrived, self.is_over = record["arrived"], record["over"]
        self.cause = None if record["cause"] is None else _Cause(*record["cause"])

    def silence(self) -> str | None:
        """Describe a process that has been silent for too long; None for others."""
        if self.is_over or self.silent <= SILENCE:
            return None
        if self.beat:
            return f"has sent no heartbeat for {SILENCE:.0f} s"
        return f"has written no heartbeat to {self.path.parent}, which all processes must share"


class _Parent:
    """Waits for its child and watches the other parents."""

    def __init__(self, command: Sequence[str], program: str) -> None:
        self._program = program
        self._cause: _Cause | None = None
        self._stopped: int | None = None  # the signal
        self._deadline = math.inf  # for the child
        self._died: float | None = None
        self._peers: dict[int, _Peer] = {}
        self._beat, self._looked, self._is_over, self._log = 0, 0.0, False, b""
        ours, theirs = socket.socketpair()
        log, written = os.pipe()
        passed = (theirs.detach(), os.dup(1), os.dup(2))
        self._child = subprocess.Popen(
            command,
            stdout=written,
            stderr=written,
            pass_fds=passed,
            env={**os.environ, _CHILD: ",".join(map(str, passed))},
            process_group=0,  # Ctrl-C reaches the parent only, which forwards it once
        )
        for fd in (*passed, written):
            os.close(fd)
        self._link = _Link(ours)
        self._reader = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    def run(self) -> int:
        is_main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGTERM, signal.SIGINT) if is_main else ()
        before = {number: signal.signal(number, self._stop) for number in signals}
        try:
            while self._is_awaited():
                news = self._link.news.wait(0.1)
                self._link.news.clear()
                if news or time.monotonic() - self._looked >= BEAT:
                    self._tick()
                if time.monotonic() > self._deadline:
                    self._child.kill()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._child.kill()
            self._child.wait()
        return self._end()

    @property
    def _index(self) -> int | None:
        index: int | None = self._link.heard.get("index")
        return index

    @property
    def _leaving(self) -> int | None:
        """The exit code of a child that exits in order."""
        code: int | None = self._link.heard.get("leaving")
        return code

    def _read(self, log: int) -> None:
        with open(log, "rb", buffering=0) as stream:
            while text := stream.read(1 << 16):
                self._log = (self._log + text)[-(1 << 16) :]

    def _stop(self, number: int, _: object) -> None:
        if self._stopped is None:
            self._stopped = number
            self._end_for(_Cause(self._index or 0, f"was stopped by {_name(number)}"))
            self._child.send_signal(number)

    def _end_for(self, cause: _Cause) -> None:
        if self._cause is not None:
            return
        self._cause = cause
        self._deadline = time.monotonic() + GRACE + (STAY if self._index == 0 else 0.0)
        if cause.process != self._index:
            self._link.tell(lost=self._message())

    def _is_awaited(self) -> bool:
        now = time.monotonic()
        if self._child.poll() is None:
            return True
        if self._died is None:
            self._died = now
            self._link.listener.join(GRACE)  # read its last message
        if self._leaving == 0:  # process 0 cleans up once the others have finished
            return self._index == 0 and now < self._died + STAY and not self._are_others_over()
        # JAX may have aborted the child because another died: the heartbeats will show which.
        aborted = self._leaving is None and self._child.returncode in (1, -signal.SIGABRT)
        return (
            aborted
            and self._index not in (None, 0)
            and self._cause is None
            and now < self._died + SILENCE + 5
        )

    def _are_others_over(self) -> bool:
        return all(peer.is_over or peer.silence() for peer in self._peers.values())

    def _tick(self) -> None:
        """Write a heartbeat and read those of the others."""
        now = time.monotonic()
        # A pause of this process, as on a slow disk, does not count as silence of the others.
        elapsed, self._looked = min(now - self._looked, 2 * BEAT), now
        if self._leaving == 0:
            self._deadline = min(self._deadline, now + GRACE)
        elif self._leaving is not None:
            self._end_for(_Cause(self._index or 0, _how(self._leaving)))
        heard = self._link.heard
        if "token" in heard:
            if not self._peers:
                for index in set(range(heard["count"])) - {heard["index"]}:
                    self._peers[index] = _Peer(Path(heard["folder"]) / str(index))
            self._write()
            for index, peer in self._peers.items():
                peer.look(heard["token"], elapsed)
                if peer.cause is not None:
                    self._end_for(peer.cause)
                elif silence := peer.silence():
                    self._end_for(_Cause(index, silence))
            arrived = [peer.arrived for peer in self._peers.values()]
            self._link.tell(met=min(arrived))
        if self._leaving and (
            self._index != 0 or self._are_others_over() or now > self._deadline - STAY / 2
        ):
            self._link.tell(free=True)

    def _write(self) -> None:
        heard = self._link.heard
        if "token" in heard:
            self._beat += 1
            record = {
                "token": heard["token"],  # of this session: older files are ignored
                "beat": self._beat,
                "arrived": heard.get("arrived", 0),
                "over": self._is_over,
                "cause": self._cause,
            }
            # Written in place: NFS shows replaced files late.
            with suppress(OSError):
                path = Path(heard["folder"]) / str(heard["index"])
                path.write_text(json.dumps(record), encoding="utf-8")

    def _end(self) -> int:
        if self._leaving is None and self._cause is None:
            self._cause = _Cause(self._index or 0, _how(self._child.returncode))
        self._is_over = True
        self._write()
        self._link.close()
        if self._leaving == 0 and self._index == 0:
            shutil.rmtree(self._link.heard["folder"], ignore_errors=True)
        if self._leaving is not None:
            return self._leaving
        aborted = self._stopped is None and self._child.returncode != -signal.SIGKILL
        if aborted and self._cause is not None and self._cause.process == (self._index or 0):
            self._reader.join(1)
            sys.stderr.write(self._log.decode(errors="replace"))
        print(f"{self._program}: error: {self._message()}", file=sys.stderr)
        return 1 if self._stopped is None else 128 + self._stopped

    def _message(self) -> str:
        assert self._cause is not None
        index, how = self._cause
        count = self._link.heard.get("count")
        who = "this process" if count is None else f"process {index} of {count}"
        return (
            f"{who} {how}; completed work is saved: run the same command to resume, with any "
            "number of processes"
        )


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code} ({_name(-code)})"
    return f"was stopped by {_name(code - 128)}" if code > 128 else f"ended with exit code {code}"


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
