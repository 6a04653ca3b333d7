"""A study on several hosts: who takes part, exchange of results, an orderly end when one dies.

JAX ends a process from C++, where no Python can catch it: the others at once when process 0 is
gone, all when a heartbeat stays away. So the command runs in a child. Its parent touches no JAX; it
counts up in a file of the shared folder, watches the other parents do so, tells the child when one
of them has ended, and says in one line what happened, however the child ends. POSIX only.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO, TypeVar

PATIENCE = 300.0  # seconds within which all processes must have started
_BEAT = 1.0
_SILENCE = 25.0  # after which a process is taken for dead: a shared disk may be as late as this
_GRACE = 15.0  # for a child to save what there is and to end
_STAY = 5.0  # that process 0 has on top of it: when it goes, JAX aborts the others
_HEARTBEAT = 50  # of JAX, by the network: the last resort, so later than the silence
_CHUNK = 4 << 20  # bytes exchanged at once: every device holds those of all processes
_CHILD = "LNN_SUPERVISED"
_T = TypeVar("_T")


class PeerError(ConnectionError):
    """Another process has ended; the message says which, how, and how the study goes on."""


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
            PeerError: another process has ended. Save what there is within 15 seconds, and end.
        """
        if self.count > 1 and "lost" in (heard := _linked().heard):
            raise PeerError(heard["lost"])

    def gather(self, payload: bytes) -> list[bytes]:
        """Everyone's payload, by index; waits as long as it takes until all have called this.

        Raises:
            PeerError: another process has ended.
            ConnectionError: the exchange failed though all processes are alive.
        """
        if self.count == 1:
            return [payload]
        self._meet()
        sizes = [int.from_bytes(row) for row in self._exchange(len(payload).to_bytes(8))]
        rows = [bytearray() for _ in sizes]
        for start in range(0, max(sizes), _CHUNK):
            size = min(_CHUNK, max(sizes) - start)
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.count == 1 or kind is not None:
            return
        self._meet()
        _linked().tell(leaving=0)  # whatever JAX says from here on, the study is complete
        import jax

        leave = threading.Thread(target=jax.distributed.shutdown, daemon=True)
        leave.start()
        leave.join(_GRACE)

    def _meet(self) -> None:
        """Wait for the others by the shared folder: collectives give up after a time."""
        link = _linked()
        link.meetings += 1
        link.tell(arrived=link.meetings)
        while link.heard.get("met", 0) < link.meetings:
            self.check()
            time.sleep(0.05)

    def _exchange(self, row: bytes) -> list[bytes]:
        """Everyone's row, all of one length."""
        try:
            return _attend(lambda: _allgather(row), self.check)
        except PeerError:
            raise
        except Exception as error:
            # It fails at once when a process dies; the parents find out which one it was.
            until = time.monotonic() + _SILENCE + 5
            while time.monotonic() < until:
                self.check()
                time.sleep(0.1)
            raise ConnectionError(f"results not exchanged: {_first_line(error)}") from error


ALONE = Processes()


def connect(
    coordinator: str | None,
    count: int | None,
    index: int | None,
    folder: Path,
    *,
    patience: float = PATIENCE,
) -> Processes:
    """Join the other processes: below `supervised`, and before JAX's backend starts.

    Args:
        coordinator: HOST:PORT of process 0, as the others reach it; None, like the next two, where
            JAX finds them itself, as on a TPU pod or under Slurm.
        count: how many processes there are.
        index: of this process, from 0.
        folder: for signs of life; one folder that all processes see.
        patience: seconds within which all must have started.

    Raises:
        ValueError: options out of range or given in part, or none where JAX finds no cluster.
        OSError: the coordinator or another process was not there in time, or its port is taken.
        PeerError: another process has ended, or does not see the folder.
    """
    options = _options(coordinator, count, index)
    link = _linked()
    until = time.monotonic() + patience
    if options:
        _reach(options["coordinator_address"], index == 0, patience)
    try:
        found, token = _attend(lambda: _initialize(options, patience), lambda: None, until)
    except TimeoutError as error:
        raise OSError(
            f"not all {count or ''} processes were there within {patience:g} s: start all of them "
            "within that time, with one coordinator and number, and each with an index of its own"
        ) from error
    except Exception as error:
        if options or not isinstance(error, ValueError):
            raise ConnectionError(f"processes do not connect: {_first_line(error)}") from error
        raise ValueError(
            f"JAX finds no other processes here ({_first_line(error)}): give the coordinator "
            "HOST:PORT, the number of processes and the index of this one"
        ) from error
    if threading.current_thread() is threading.main_thread():
        # JAX has put its own handler in the place of Python's, which still knows what it was.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    if found.count > 1:
        folder = folder / "processes"
        folder.mkdir(parents=True, exist_ok=True)
        link.tell(index=found.index, count=found.count, folder=str(folder), token=token)
        found._meet()  # shows that all see the folder
    return found


def _options(coordinator: str | None, count: int | None, index: int | None) -> dict[str, Any]:
    """What `jax.distributed.initialize` is to be told; checked."""
    given = {"coordinator": coordinator, "number of processes": count, "index": index}
    lacking = [name for name, value in given.items() if value is None]
    if len(lacking) == len(given):
        return {}
    if coordinator is None or count is None or index is None:
        raise ValueError(
            f"{' and '.join(lacking)} not given: give coordinator, number of processes and index "
            "together, or none of them where JAX finds them itself (TPU pod, Slurm, Open MPI)"
        )
    host, _ = _host_port(coordinator)
    if count < 1:
        raise ValueError(f"number of processes = {count}: give at least 1")
    if not 0 <= index < count:
        raise ValueError(f"index = {index}: of {count} processes, give one from 0 to {count - 1}")
    options = {"coordinator_address": coordinator, "num_processes": count, "process_id": index}
    if _is_loopback(host):  # JAX would listen to the whole network
        options["coordinator_bind_address"] = coordinator
    return options


def _host_port(coordinator: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\s\[\]]+\]|[^\s:\[\]]+):(\d{1,5})", coordinator)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise ValueError(
            f"coordinator = {coordinator!r}: give HOST:PORT of process 0, such as 10.0.0.1:1234"
        )
    return match[1].strip("[]"), int(match[2])


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _reach(coordinator: str, is_first: bool, patience: float) -> None:
    """See that process 0 can be had: where it cannot, JAX ends this process from C++."""
    host, port = _host_port(coordinator)
    if is_first:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host if _is_loopback(host) else "", port))
            except OSError as error:
                raise OSError(f"port {port} cannot be had on this host: {error}") from error
        return
    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise ConnectionError(
                    f"no process 0 at {coordinator} within {patience:g} s ({error}): give its "
                    "address, and start all processes within that time"
                ) from error
        time.sleep(0.5)


def _initialize(options: dict[str, Any], patience: float) -> tuple[Processes, str]:
    import jax

    jax.distributed.initialize(
        **options,
        # Later than `connect` gives up: JAX would end the process.
        initialization_timeout=int(patience) + 60,
        heartbeat_timeout_seconds=_HEARTBEAT,
    )
    # The backends wait for each other, for two minutes at most: now, while all are here.
    found = Processes(jax.process_index(), jax.process_count())
    return found, _allgather(os.urandom(8))[0].hex()


def _allgather(row: bytes) -> list[bytes]:
    import jax
    import numpy as np
    from jax.experimental import multihost_utils
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    words = np.frombuffer(row + bytes(-len(row) % 4), np.uint32)[None]
    owners = [device.process_index for device in jax.devices()]
    if len({owners.count(owner) for owner in owners}) == 1:
        table = multihost_utils.process_allgather(words, tiled=True)
    else:  # hosts of different size, which it cannot: by one device of each
        first = [jax.devices()[owners.index(owner)] for owner in sorted(set(owners))]
        mesh = Mesh(np.array(first), ("processes",))
        here = NamedSharding(mesh, PartitionSpec("processes"))
        rows = jax.make_array_from_process_local_data(here, words)
        everywhere = NamedSharding(mesh, PartitionSpec())
        table = jax.jit(lambda x: x, out_shardings=everywhere)(rows).addressable_data(0)
    return [words.tobytes()[: len(row)] for words in np.asarray(table)]


def _attend(function: Callable[[], _T], check: Callable[[], None], until: float = math.inf) -> _T:
    """Call it in a thread, so that the main thread answers signals and hears of a dead process."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not future.done() and time.monotonic() < until:
        check()
        wait([future], 0.1)
    return future.result(timeout=0)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def supervised(command: Sequence[str], body: Callable[[], int], program: str) -> int:
    """Run `body`, which may call `connect`, in a child process that `command` starts.

    The child comes to this call again, and here it runs the body. A code other than 0 ends it at
    once, without Python's clearing up: JAX would wait for the other processes.

    Args:
        command: starts this program once more, with the same arguments.
        body: the work; says what went wrong, and returns the exit code.
        program: what a message begins with.

    Returns:
        The exit code: the body's; 1 where this process or another one has died; 128 + signal where
        the body did not end within 15 seconds of a SIGTERM or SIGINT.
    """
    line = os.environ.pop(_CHILD, None)
    return _Parent(command, program).run() if line is None else _child(line, body, program)


def _child(line: str, body: Callable[[], int], program: str) -> int:
    global _link
    fd, out, err = map(int, line.split(","))
    # Python writes to where the command does. 1 and 2 are left to the libraries, which prattle,
    # to be read by the parent and shown when it matters.
    sys.stdout, sys.stderr = _writer(out, sys.stdout), _writer(err, sys.stderr)
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
        return 0
    while "free" not in link.heard:
        time.sleep(0.05)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _writer(fd: int, like: TextIO) -> TextIO:
    return open(fd, "w", buffering=1, encoding=like.encoding, errors=like.errors)


def _orphaned() -> None:
    """The parent was killed, so nobody sees a sign of life any more: save, and end."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)


class _Link:
    """One end of the line between parent and child, which tell each other facts."""

    def __init__(self, end: socket.socket, closed: Callable[[], None] = lambda: None) -> None:
        self.heard: dict[str, Any] = {}
        self.news = threading.Event()
        self.meetings = 0
        self._end, self._closed = end, closed
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def tell(self, **facts: Any) -> None:
        with suppress(OSError):  # the other side is gone, which the listener notices
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


def _linked() -> _Link:
    if _link is None:
        raise RuntimeError("processes connect below lnn.processes.supervised only")
    return _link


class _Cause(NamedTuple):
    """Why a study must end: a process, and what happened to it."""

    process: int
    how: str


@dataclass
class _Peer:
    """Another process, as its file shows it."""

    path: Path
    beat: int = 0
    silent: float = 0.0
    arrived: int = 0
    is_over: bool = False
    cause: _Cause | None = None

    def look(self, token: str, elapsed: float) -> None:
        record: dict[str, Any] = {}
        with suppress(OSError, ValueError):  # not there yet, or half written
            record = json.loads(self.path.read_text(encoding="utf-8"))
        if record.get("token") != token or record["beat"] == self.beat:
            self.silent += elapsed
            return
        self.silent, self.beat = 0.0, record["beat"]
        self.arrived, self.is_over = record["arrived"], record["over"]
        self.cause = None if record["cause"] is None else _Cause(*record["cause"])

    def silence(self) -> str | None:
        """What to say of one that is silent for too long."""
        if self.is_over or self.silent <= _SILENCE:
            return None
        if self.beat:
            return f"has given no sign of life for {_SILENCE:.0f} s"
        return f"has left no sign in {self.path.parent}, which all processes must share"


class _Parent:
    """Waits for its child, and watches the other parents."""

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
            process_group=0,  # Ctrl-C comes to the parent only, which passes it on once
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
                if news or time.monotonic() - self._looked >= _BEAT:
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
        """The exit code with which the child ends in good order."""
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
        self._deadline = time.monotonic() + _GRACE + (_STAY if self._index == 0 else 0.0)
        if cause.process != self._index:
            self._link.tell(lost=self._message())

    def _is_awaited(self) -> bool:
        now = time.monotonic()
        if self._child.poll() is None:
            return True
        if self._died is None:
            self._died = now
            self._link.listener.join(_GRACE)  # to its last word
        if self._leaving == 0:  # process 0 clears up when no one looks any more
            return self._index == 0 and now < self._died + _STAY and not self._are_others_over()
        # JAX may have aborted the child because another has died: the files will show which.
        aborted = self._leaving is None and self._child.returncode in (1, -signal.SIGABRT)
        return (
            aborted
            and self._index not in (None, 0)
            and self._cause is None
            and now < self._died + _SILENCE + 5
        )

    def _are_others_over(self) -> bool:
        return all(peer.is_over or peer.silence() for peer in self._peers.values())

    def _tick(self) -> None:
        """Give a sign of life, and look for those of the others."""
        now = time.monotonic()
        # A pause of this process itself, as on a slow disk, tells nothing of the others.
        elapsed, self._looked = min(now - self._looked, 2 * _BEAT), now
        if self._leaving == 0:
            self._deadline = min(self._deadline, now + _GRACE)
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
            self._index != 0 or self._are_others_over() or now > self._deadline - _STAY / 2
        ):
            self._link.tell(free=True)

    def _write(self) -> None:
        heard = self._link.heard
        if "token" in heard:
            self._beat += 1
            record = {
                "token": heard["token"],  # of this try: older files do not count
                "beat": self._beat,
                "arrived": heard.get("arrived", 0),
                "over": self._is_over,
                "cause": self._cause,
            }
            # In place: NFS shows a file that was put in the place of another late.
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
            f"{who} {how}; what was finished is saved: give the same command again to go on, with "
            "any number of processes"
        )


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code} ({_name(-code)})"
    return f"was stopped by {_name(code - 128)}" if code > 128 else f"ended with exit code {code}"


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
