"""Processes of a study made up for tests: a parent each, and the child that computes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
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
