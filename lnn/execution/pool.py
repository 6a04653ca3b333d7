"""Worker processes that compute on the CPU, one XLA device and one thread each.

What a task gives then depends neither on an accelerator nor on how many cores there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from lnn.execution import backend

T = TypeVar("T")

_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "1",
    "NPROC": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def completed(
    work: Callable[[T], Any],
    tasks: Sequence[T],
    workers: int,
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[T, Future[Any]] | None]:
    """Tasks and their results as they are done, in any order; None when a second has passed.

    Args:
        work: called with a task in a worker process, to which it is sent once.
        tasks: in the order in which they are begun.
        workers: how many processes.
        environment: variables that the workers have beside those of this module.
    """
    context = multiprocessing.get_context("spawn")
    with _inherited({**_ENVIRONMENT, **(environment or {})}):
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_started, initargs=(work,)
        )
        try:
            pending = {pool.submit(_call, task): task for task in tasks}
            while pending:
                ready, _ = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield pending.pop(future), future
                yield None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        pool.shutdown()


_work: Callable[[Any], Any] | None = None  # of a worker


def _started(work: Callable[[Any], Any]) -> None:
    """In a worker, before its first task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    backend.start()
    global _work
    _work = work


def _call(task: Any) -> Any:
    assert _work is not None
    return _work(task)


@contextmanager
def _inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """What workers inherit: set before they start, for JAX reads it when it is imported."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
