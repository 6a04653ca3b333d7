"""Real processes of `jax.distributed` on loopback, and what becomes of them when one dies."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from workers import QUICK, ROOT, Start, expected, free_port

from lnn.execution import processes
from lnn.execution.processes import ALONE, Processes, connect


@pytest.mark.parametrize(
    ("count", "sizes", "options"),
    [
        (2, [0, 1, 7], {"limits": QUICK | {"_CHUNK": 4}}),
        pytest.param(3, [0, 1, 10_000_000], {}, marks=pytest.mark.slow),
        pytest.param(2, [5, 50_000_000], {}, marks=pytest.mark.slow),
        pytest.param(2, [5], {"devices": lambda index: 1 + index}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
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


@pytest.mark.slow
def test_folder_that_is_not_shared(start: Start, tmp_path: Path) -> None:
    folders = [str(tmp_path / f"own{index}") for index in range(2)]
    workers = start("gather", "gather", folder=lambda index: folders[index])
    for index, worker in enumerate(workers):
        code, err = worker.end()
        assert code == 1
        assert f"process {1 - index} of 2 has written no heartbeat to {folders[index]}" in err


@pytest.mark.slow
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
