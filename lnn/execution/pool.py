"""CPU worker processes with one XLA device and one thread each, for reproducible results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
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
    """Yield tasks with their results in order of completion, and None every second.

    `work` is pickled once per worker; `environment` is added to that of this module.
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    backend.start(silent=True)  # the parent has said it
    global _work
    _work = work


def _end_with_parent() -> None:
    """Leave when the parent is gone: workers hold both ends of their queue and would wait on."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(task: Any) -> Any:
    assert _work is not None
    return _work(task)


@contextmanager
def _inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables that workers inherit: JAX reads them when imported."""
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
