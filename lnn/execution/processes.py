"""A study on several hosts: its processes, below `supervised`, and the exchange of results."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from lnn.core.errors import PeerError
from lnn.execution import supervisor

PATIENCE = 300.0  # seconds within which all processes must start
_HEARTBEAT = 50  # seconds; of JAX, as a last resort, so longer than the supervisor's
_CHUNK = 4 << 20  # bytes per exchange: every device holds those of all processes
_T = TypeVar("_T")


@dataclass(frozen=True)
class Processes:
    """The processes of a study, seen from one of them; as a context, all leave it together.

    Attributes:
        index: of this process, from 0; process 0 writes the report.
        count: number of processes; with one, every method is trivial.
    """

    index: int = 0
    count: int = 1

    def check(self) -> None:
        """Check between device calls that all processes are alive; this costs nothing.

        Raises:
            PeerError: another process has ended; save and exit within 15 seconds.
        """
        if self.count > 1 and "lost" in (heard := supervisor.linked().heard):
            raise PeerError(heard["lost"])

    def gather(self, payload: bytes) -> list[bytes]:
        """Return the payloads of all processes, by index, once all have called this.

        Raises:
            PeerError: another process has ended.
            ConnectionError: the exchange failed although all processes are alive.
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
        """Wait for all processes to reach this call.

        Raises:
            PeerError: another process has ended.
            RuntimeError: the processes wait at barriers with different names.
        """
        names = {row.decode() for row in self.gather(name.encode())}
        if len(names) > 1:
            raise RuntimeError(f"processes wait at different barriers: {', '.join(sorted(names))}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.count == 1 or kind is not None:
            return
        self._meet()
        supervisor.linked().tell(leaving=0)  # the study is complete, whatever JAX reports later
        import jax

        leave = threading.Thread(target=jax.distributed.shutdown, daemon=True)
        leave.start()
        leave.join(supervisor.GRACE)

    def _meet(self) -> None:
        """Wait for the others through the shared folder: collectives time out."""
        link = supervisor.linked()
        link.meetings += 1
        link.tell(arrived=link.meetings)
        while link.heard.get("met", 0) < link.meetings:
            self.check()
            time.sleep(0.05)

    def _exchange(self, row: bytes) -> list[bytes]:
        """Return the rows of all processes, which have equal length."""
        try:
            return _attend(lambda: _allgather(row), self.check)
        except PeerError:
            raise
        except Exception as error:
            # A dead process causes this at once; wait for the supervisor to report which one.
            until = time.monotonic() + supervisor.SILENCE + 5
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
    """Join the other processes, below `supervised` and before JAX's backend starts.

    `coordinator`, HOST:PORT of process 0, `count` and `index`, from 0, are None where JAX detects
    the cluster, as on a TPU pod or under Slurm. `folder` is shared, for heartbeats, and removed at
    the end. All processes must start within `patience` seconds.

    Raises:
        ValueError: options are out of range or incomplete, or missing where JAX finds no cluster.
        OSError: a process did not start in time, or the coordinator's port is taken.
        PeerError: another process has ended or does not share the folder.
    """
    options = _options(coordinator, count, index)
    link = supervisor.linked()
    until = time.monotonic() + patience
    if options:
        _reach(options["coordinator_address"], index == 0, patience)
    try:
        found, token = _attend(lambda: _initialize(options, patience), lambda: None, until)
    except TimeoutError as error:
        raise OSError(
            f"not all {count or ''} processes started within {patience:g} s: start all of them "
            "within that time, with the same coordinator and count, and each with its own index"
        ) from error
    except Exception as error:
        if options or not isinstance(error, ValueError):
            raise ConnectionError(f"processes failed to connect: {_first_line(error)}") from error
        raise ValueError(
            f"JAX finds no other processes here ({_first_line(error)}): give the coordinator "
            "HOST:PORT, the number of processes and the index of this one"
        ) from error
    if threading.current_thread() is threading.main_thread():
        # Reinstall Python's handler, which JAX has replaced.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    if found.count > 1:
        folder.mkdir(parents=True, exist_ok=True)
        link.tell(index=found.index, count=found.count, folder=str(folder), token=token)
        found._meet()  # verifies that all share the folder
    return found


def _options(coordinator: str | None, count: int | None, index: int | None) -> dict[str, Any]:
    """Validate the arguments of `jax.distributed.initialize`."""
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
    if _is_loopback(host):  # JAX would listen on all interfaces
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
    """Check that process 0 is reachable: otherwise JAX ends this process from C++."""
    host, port = _host_port(coordinator)
    if is_first:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host if _is_loopback(host) else "", port))
            except OSError as error:
                raise OSError(f"port {port} is unavailable on this host: {error}") from error
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
        # Later than the timeout of `connect`: JAX would end the process.
        initialization_timeout=int(patience) + 60,
        heartbeat_timeout_seconds=_HEARTBEAT,
    )
    # Backends wait for each other for at most two minutes: start them while all are here.
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
    else:  # hosts of different sizes, which it does not support: use one device of each
        first = [jax.devices()[owners.index(owner)] for owner in sorted(set(owners))]
        mesh = Mesh(np.array(first), ("processes",))
        here = NamedSharding(mesh, PartitionSpec("processes"))
        rows = jax.make_array_from_process_local_data(here, words)
        everywhere = NamedSharding(mesh, PartitionSpec())
        table = jax.jit(lambda x: x, out_shardings=everywhere)(rows).addressable_data(0)
    return [words.tobytes()[: len(row)] for words in np.asarray(table)]


def _attend(function: Callable[[], _T], check: Callable[[], None], until: float = math.inf) -> _T:
    """Call it in a thread, so that the main thread handles signals and notices dead processes."""
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
