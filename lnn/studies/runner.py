"""Computes the jobs of a study, in worker processes or in this one, and saves each result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lnn.core.errors import StoreError
from lnn.core.files import save_record
from lnn.execution import pool
from lnn.execution.result_cache import ResultCache


class Job(Protocol):
    """Something to compute: hashable, and named."""

    @property
    def name(self) -> str:
        """The name of its file."""


J = TypeVar("J", bound=Job)
R = TypeVar("R")


class Runner(Generic[J, R]):
    """Computes jobs by `work(setting, job)`, or loads their saved results.

    In `workers` processes, for which `work` must be a function of a module, or with 0 in this one,
    on its devices. `progress` is called with jobs done, jobs `planned` for the whole study, and a
    text.
    """

    def __init__(
        self, work: Callable[[Any, J], R], setting: Any, kind: type[R], records: ResultCache, *,
        workers: int = 0, progress: Callable[[int, int, str], None] | None = None, planned: int = 0,
    ) -> None:  # fmt: skip
        self._keep = partial(_kept, work, setting, records.folder)
        self._kind, self._records, self._workers = kind, records, workers
        self._progress, self._planned = progress, planned
        self.kept = self._done = 0

    def __call__(self, jobs: Iterable[J], text: str) -> dict[J, R]:
        """Return the results of these jobs.

        Raises:
            StoreError: a worker process died, or a result cannot be written.
        """
        found: dict[J, R] = {}
        missing: list[J] = []
        for job in dict.fromkeys(jobs):
            kept = self._records.load(job.name, self._kind)
            if kept is None:
                missing.append(job)
            else:
                found[job] = kept
        self.kept += len(found)
        self._done += len(found)
        self._tell(text)
        for job, made in self._computed(missing, text):
            self._records.saved(job.name)
            self._done += 1
            self._tell(text)
            found[job] = made
        return found

    def _computed(self, jobs: Sequence[J], text: str) -> Iterator[tuple[J, R]]:
        if self._workers == 0 or not jobs:
            for job in jobs:
                yield job, self._keep(job)
            return
        for item in pool.completed(self._keep, jobs, min(self._workers, len(jobs))):
            if item is None:
                self._tell(text)
                continue
            job, future = item
            try:
                yield job, future.result()
            except BrokenProcessPool:
                raise StoreError("a worker process died (out of memory?)") from None

    def _tell(self, text: str) -> None:
        if self._progress is not None:
            self._progress(self._done, max(self._planned, self._done), text)


def _kept(work: Callable[[Any, J], R], setting: Any, folder: Path, job: J) -> R:
    made = work(setting, job)
    save_record(folder / job.name, made)
    return made
