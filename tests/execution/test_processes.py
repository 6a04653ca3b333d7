"""Real processes of `jax.distributed` on loopback, and what becomes of them when one dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from lnn.execution import processes, supervisor
from lnn.execution.processes import ALONE, PATIENCE, Processes, connect

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
QUICK = {"BEAT": 0.2, "SILENCE": 3.0}  # for what takes long only by waiting
RESUME = "completed work is saved: run the same command to resume, with any number of processes"
WORKER = r"""
import json, os, sys, time
from pathlib import Path
from lnn.execution import processes, supervisor
from lnn.execution.terminal import Terminated, terminable

options = json.loads(sys.argv[1])
for name, value in options["limits"].items():
    setattr(processes if hasattr(processes, name) else supervisor, name, value)

def say(*words):
    print(*words, flush=True)

def compute(team):
    import jax, jax.numpy as jnp
    work = jax.jit(lambda x: jax.lax.fori_loop(0, 20_000, lambda i, x: jnp.sin(x) + 1, x))
    x = jnp.ones(1000)
    while True:
        x = work(x).block_until_ready()
        team.check()

def body():
    with terminable():
        return work()

def work():
    try:
        import jax
        jax.config.update("jax_num_cpu_devices", options["devices"])
        jax.config.update("jax_enable_x64", options["index"] == 1)
        with processes.connect(
            options["coordinator"], options["count"], options["index"], Path(options["folder"]),
            patience=options["patience"],
        ) as team:
            say("connected", os.getpid())
            if options["task"] == "compute":
                compute(team)
            if options["task"] == "gather":
                # No collective before all are there: it would give up after a time.
                processes._allgather = lambda row: os._exit(9)
                team.gather(b"")
            if options["task"] == "crash":
                os.write(2, b"last words\n")
                os.abort()
            if options["task"] == "fail":
                raise ValueError("wrong")
            if options["task"] == "sleep":
                time.sleep(300)
            for size in options["sizes"]:
                say([f"{len(part)}:{part[:1].hex()}:{part[-1:].hex()}:{len(set(part))}"
                     for part in team.gather(bytes([65 + team.index]) * (size * (team.index + 1)))])
            team.barrier("here")
            try:
                team.barrier(f"at {team.index}")
            except RuntimeError as error:
                say(error)
        return 0
    except Terminated:
        say("saved")
        return 143
    except supervisor.PeerError:
        say("saved")
        raise
    except (OSError, ValueError) as error:
        print(f"worker: error: {error}", file=sys.stderr)
        return 2

sys.exit(supervisor.supervised([sys.executable, *sys.argv], body, "worker"))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Worker:
    """A process of a study: the parent, and the child that says its number when it is connected."""

    def __init__(self, folder: Path, options: dict[str, object]) -> None:
        folder.mkdir()
        (folder / "worker.py").write_text(WORKER)
        self.out, self.err = folder / "out", folder / "err"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        for name in [name for name in environment if "proxy" in name.lower()]:
            del environment[name]  # JAX warns of them
        with self.out.open("w") as out, self.err.open("w") as err:
            self.parent = subprocess.Popen(
                [sys.executable, str(folder / "worker.py"), json.dumps(options)],
                stdout=out, stderr=err, env=environment,
            )  # fmt: skip

    @property
    def said(self) -> list[str]:
        return self.out.read_text().splitlines()

    @property
    def child(self) -> int:
        def said() -> str | None:
            assert self.parent.poll() is None or self.said, self.err.read_text()
            return next((line for line in self.said if "connected" in line), None)

        return int(await_value(said).split()[1])

    def end(self, seconds: float = 60) -> tuple[int, str]:
        """Exit code, and what it said on standard error."""
        code = self.parent.wait(seconds)
        return code, self.err.read_text()


def await_value(ask: Callable[[], T | None], seconds: float = 60) -> T:
    until = time.monotonic() + seconds
    while (value := ask()) is None:
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


Start = Callable[..., list[Worker]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the processes of a study, each with a task; none is left behind."""
    workers: list[Worker] = []

    def start(*tasks: str, **options: object) -> list[Worker]:
        port = free_port()
        for index, task in enumerate(tasks):
            chosen = {
                "coordinator": f"127.0.0.1:{port}", "count": len(tasks), "index": index,
                "folder": str(tmp_path / "shared"), "task": task, "patience": 60.0, "devices": 2,
                "sizes": [], "limits": QUICK,
            } | options  # fmt: skip
            chosen |= {name: call(index) for name, call in options.items() if callable(call)}
            workers.append(Worker(tmp_path / f"{port}-{index}", chosen))
        return workers[-len(tasks) :]

    yield start
    for worker in workers:
        worker.parent.kill()
        worker.parent.wait()
    for worker in workers:
        if any("connected" in line for line in worker.said) and not is_gone(worker.child):
            os.kill(worker.child, signal.SIGKILL)


def message(process: int, count: int, how: str) -> str:
    return f"worker: error: process {process} of {count} {how}; {RESUME}\n"


KILLED = "was killed by signal 9 (SIGKILL)"


def expected(index: int, count: int, size: int) -> str:
    """What a worker says of what it has gathered: length, ends and distinct bytes of each part."""
    parts = []
    for i in range(count):
        length, byte = size * (i + 1), f"{65 + i:x}" if size else ""
        parts.append(f"{length}:{byte}:{byte}:{min(length, 1)}")
    return str(parts)


@pytest.mark.parametrize(
    ("count", "sizes", "options"),
    [
        (2, [0, 1, 7], {"limits": QUICK | {"_CHUNK": 4}}),
        pytest.param(3, [0, 1, 10_000_000], {}, marks=pytest.mark.slow),
        pytest.param(2, [5, 50_000_000], {}, marks=pytest.mark.slow),
        pytest.param(2, [5], {"devices": lambda index: 1 + index}, marks=pytest.mark.slow),
    ],
)
def test_all_gather_the_same_bytes_and_leave_in_silence(
    start: Start, tmp_path: Path, count: int, sizes: list[int], options: dict[str, object]
) -> None:
    workers = start(*["all"] * count, sizes=sizes, **options)
    names = ", ".join(f"at {index}" for index in range(count))
    for index, worker in enumerate(workers):
        assert worker.end(90) == (0, "")
        _, *said = worker.said
        assert said == [
            *(expected(index, count, size) for size in sizes),
            f"processes wait at different barriers: {names}",
        ]
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize(
    ("victim", "tasks"),
    [(1, ["compute", "compute"]), (0, ["compute", "gather"])]
    + [
        pytest.param(victim, tasks, marks=pytest.mark.slow)
        for victim, tasks in [
            (0, ["compute", "compute"]), (1, ["gather", "compute"]),
            (0, ["compute", "gather", "compute"]), (1, ["compute", "compute", "gather"]),
        ]
    ],
)  # fmt: skip
def test_killed_child_ends_all_with_a_message(start: Start, victim: int, tasks: list[str]) -> None:
    workers = start(*tasks)
    children = [worker.child for worker in workers]
    os.kill(children[victim], signal.SIGKILL)
    for index, worker in enumerate(workers):
        code, err = worker.end()
        assert (code, err) == (1, message(victim, len(tasks), KILLED))
        if victim != 0:  # when process 0 goes, JAX may end the others before they can save
            assert ("saved" in worker.said) == (index != victim)
    assert all(map(is_gone, children))


@pytest.mark.parametrize(
    ("victim", "tasks", "limits"),
    [
        (0, ["compute", "gather"], QUICK),
        pytest.param(0, ["compute", "compute"], QUICK, marks=pytest.mark.slow),
        pytest.param(1, ["gather", "compute"], QUICK, marks=pytest.mark.slow),
        pytest.param(1, ["compute", "compute"], {}, marks=pytest.mark.slow),
        pytest.param(0, ["compute", "gather"], {}, marks=pytest.mark.slow),
    ],
)
def test_lost_host_ends_the_others_with_a_message(
    start: Start, victim: int, tasks: list[str], limits: dict[str, float]
) -> None:
    workers = start(*tasks, limits=limits)
    children = [worker.child for worker in workers]
    workers[victim].parent.kill()
    os.kill(children[victim], signal.SIGKILL)
    other = workers[1 - victim]
    silence = limits.get("SILENCE", supervisor.SILENCE)
    lost = message(victim, 2, f"has sent no heartbeat for {silence:.0f} s")
    assert other.end() == (1, lost)
    if victim != 0:
        assert "saved" in other.said
    assert is_gone(children[1 - victim])


def test_stopped_process_saves_and_the_others_end(start: Start) -> None:
    first, second = start("compute", "compute")
    children = first.child, second.child
    first.parent.terminate()
    assert first.end() == (143, "")
    assert second.end() == (1, message(0, 2, "was stopped by SIGTERM"))
    assert "saved" in first.said
    assert "saved" in second.said  # though JAX aborts it when process 0 goes
    assert all(map(is_gone, children))


def test_child_ends_with_its_parent(start: Start) -> None:
    # Until it has saved, the others must not take it for dead: its time to save is shorter.
    _, second = start("compute", "compute", limits={"SILENCE": supervisor.SILENCE})
    child = second.child
    second.parent.kill()
    await_value(lambda: is_gone(child) or None, supervisor.GRACE + 5)
    assert second.said[-1] == "saved"
    assert second.err.read_text() == ""


def test_last_words_of_a_crash_are_shown(start: Start) -> None:
    (alone,) = start("crash")
    code, err = alone.end()
    assert code == 1
    assert "last words\n" in err
    assert err.endswith(f"worker: error: this process was killed by signal 6 (SIGABRT); {RESUME}\n")


@pytest.mark.slow
def test_error_of_one_ends_the_others(start: Start) -> None:
    first, second = start("gather", "fail")
    assert second.end() == (2, "worker: error: wrong\n")
    assert first.end() == (1, message(1, 2, "ended with exit code 2"))
    assert "saved" in first.said


@pytest.mark.slow
def test_stuck_process_is_killed_after_a_grace(start: Start) -> None:
    first, second = start("sleep", "compute", limits=QUICK | {"GRACE": 2.0})
    children = first.child, second.child
    os.kill(children[1], signal.SIGKILL)
    assert first.end(20) == (1, message(1, 2, KILLED))
    assert all(map(is_gone, children))


@pytest.mark.slow
def test_folder_that_is_not_shared(start: Start, tmp_path: Path) -> None:
    folders = [str(tmp_path / f"own{index}") for index in range(2)]
    workers = start("gather", "gather", folder=lambda index: folders[index])
    for index, worker in enumerate(workers):
        code, err = worker.end()
        assert code == 1
        assert f"process {1 - index} of 2 has written no heartbeat to {folders[index]}" in err


def test_connections_that_fail(start: Start) -> None:
    """All at once: most of it is waiting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wrong = f"127.0.0.1:{free_port()}"
        cases = [
            ({"coordinator": wrong, "index": 1}, f"no process 0 at {wrong} within 1 s"),
            ({"coordinator": f"127.0.0.1:{port}"}, f"port {port} is unavailable on this host"),
            ({}, "not all 2 processes started within 1 s: start all of them"),
            (dict.fromkeys(("coordinator", "count", "index")), "JAX finds no other processes here"),
        ]
        options = {"count": 2, "patience": 1.0}
        workers = [start("gather", **(options | changed))[0] for changed, _ in cases]
        for worker, (_, error) in zip(workers, cases, strict=True):
            code, err = worker.end(30)
            assert (code, err.count("\n")) == (2, 1), err
            assert err.startswith(f"worker: error: {error}")


@pytest.mark.parametrize(
    ("coordinator", "count", "index", "words"),
    [
        ("10.0.0.1:1234", 2, None, "index not given"),
        ("10.0.0.1:1234", None, None, "number of processes and index not given"),
        (None, 2, 1, "coordinator not given"),
        (None, None, 0, "coordinator and number of processes not given"),
        ("10.0.0.1:1234", 0, 0, "number of processes = 0: give at least 1"),
        ("10.0.0.1:1234", 2, 2, "index = 2: of 2 processes, give one from 0 to 1"),
        ("10.0.0.1:1234", 2, -1, "index = -1"),
        ("10.0.0.1", 2, 1, "coordinator = '10.0.0.1': give HOST:PORT"),
        ("host:", 2, 1, "coordinator = 'host:'"),
        (":1234", 2, 1, "coordinator = ':1234'"),
        ("host:0", 2, 1, "coordinator = 'host:0'"),
        ("host:65536", 2, 1, "coordinator = 'host:65536'"),
        ("::1:1234", 2, 1, "coordinator = '::1:1234'"),
        ("http://host:1234", 2, 1, "coordinator = 'http://host:1234'"),
    ],
)
def test_options_out_of_range(
    coordinator: str | None, count: int | None, index: int | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        connect(coordinator, count, index, tmp_path)


@pytest.mark.parametrize(
    ("coordinator", "bound"),
    [
        ("127.0.0.1:1234", "127.0.0.1:1234"), ("localhost:1234", "localhost:1234"),
        ("[::1]:1234", "[::1]:1234"), ("10.0.0.1:1234", None), ("host.example:1234", None),
    ],
)  # fmt: skip
def test_coordinator_on_loopback_listens_there_only(coordinator: str, bound: str | None) -> None:
    options = processes._options(coordinator, 2, 0)
    assert options.get("coordinator_bind_address") == bound
    assert options["coordinator_address"] == coordinator


def test_connect_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="supervised"):
        connect(None, None, None, tmp_path)


def test_alone_is_trivial_and_needs_no_jax() -> None:
    with ALONE as alone:
        alone.check()
        alone.barrier("here")
        assert alone.gather(b"payload") == [b"payload"]
    assert Processes() == ALONE
    code = "import sys; from lnn.execution import processes; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_silence_counts_looks_not_hours(tmp_path: Path) -> None:
    peer = supervisor._Peer(tmp_path / "1")
    record = {"token": "now", "beat": 1, "arrived": 3, "over": False, "cause": None}
    peer.look("now", 2.0)
    assert peer.silent == 2.0
    peer.path.write_text(json.dumps(record | {"token": "an older try"}))
    peer.look("now", 2.0)
    peer.path.write_text(json.dumps(record)[:20])
    peer.look("now", 2.0)
    assert (peer.silent, peer.arrived) == (6.0, 0)
    peer.path.write_text(json.dumps(record))
    peer.look("now", 2.0)
    assert (peer.silent, peer.arrived, peer.silence()) == (0.0, 3, None)
    peer.look("now", supervisor.SILENCE + 1)
    assert peer.silence() == f"has sent no heartbeat for {supervisor.SILENCE:.0f} s"
    peer.path.write_text(json.dumps(record | {"beat": 2, "over": True}))
    peer.look("now", 2.0)
    peer.look("now", supervisor.SILENCE + 1)
    assert peer.silence() is None  # it has ended well


def test_all_ends_within_a_minute() -> None:
    assert supervisor.SILENCE + supervisor.GRACE + supervisor.STAY < 60
    assert supervisor.SILENCE + supervisor.GRACE < processes._HEARTBEAT
    assert PATIENCE > 60
