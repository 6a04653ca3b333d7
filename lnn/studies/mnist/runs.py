"""The runs of the study in worker processes, each kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lnn.core.errors import StoreError
from lnn.core.files import load_record, save_record
from lnn.datasets.mnist import Images
from lnn.execution import pool
from lnn.execution.result_cache import code_key
from lnn.studies.mnist.config import ARMS, MnistConfig
from lnn.studies.mnist.study import Curve, Run

_NOT_COMPUTING = (
    *("report", "claims", "engine", "phase", "command.py", "summary.py", "statements.py"),
    *("figure.py", "search.py", "files.py", "runs.py", "reproduce.py", "compare.py", "cli.py"),
    *("config.py", "_pool.py", "_terminal.py", "_download.py", "__init__.py", "__main__.py"),
    *("decomposition.py", "advantage.py", "protocol.py", "analysis.py", "ablations.py"),
)
"""Parts of the package that no run depends on."""


def key_of(config: MnistConfig, data: str, versions: Mapping[str, str], device: str) -> str:
    """What every run depends on, as 16 hex digits; how many seeds there are does not count.

    Args:
        config: the size of the network and of a run.
        data: checksum of the images.
        versions: of the packages that compute.
        device: the kind that computes, such as "cpu".
    """
    from lnn.studies.mnist import config as constants

    fixed = {name: value for name, value in vars(constants).items() if name.isupper()}
    size = replace(config, tuning_seeds=1, seeds=1)
    marks = config.record_steps().tolist()
    named = (size, fixed, marks, data, sorted(versions.items()), device)
    return code_key(repr(named), _NOT_COMPUTING)


class Runner:
    """Makes runs, or takes those that are kept.

    Args:
        config: the size of the network and of a run.
        data: images.
        folder: for the curves.
        workers: how many processes; 0 to run in this one, on its accelerator.
        progress: called with runs done, runs planned, and a text.
    """

    def __init__(
        self, config: MnistConfig, data: Images, folder: Path, workers: int,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> None:  # fmt: skip
        self.config, self.data, self.folder, self.workers = config, data, folder, workers
        self.planned = 0
        self.kept = 0
        self._done = 0
        self._progress = progress

    def __call__(self, runs: Iterable[Run], text: str) -> dict[Run, Curve]:
        """The curves of these runs.

        Raises:
            StoreError: a worker process died, or a curve cannot be written.
        """
        found, missing = {}, []
        for run in dict.fromkeys(runs):
            kept = load_record(self.folder / run.name, Curve)
            if kept is None:
                missing.append(run)
            else:
                found[run] = kept
        self.kept += len(found)
        self._done += len(found)
        self._tell(text)
        # All runs of an arm one after the other: each worker compiles a program for each arm.
        missing.sort(key=lambda run: list(ARMS).index(run.arm))
        for run, made in self._made(missing, text):
            self._done += 1
            self._tell(text)
            found[run] = made
        return found

    def _made(self, runs: Sequence[Run], text: str) -> Iterable[tuple[Run, Curve]]:
        if not runs:
            return
        if self.workers == 0:
            for run in runs:
                yield run, _run(run, self.config, self.data, self.folder)
            return
        arguments = (self.config, self.data, str(self.folder))
        workers = min(self.workers, len(runs))
        for item in pool.completed(_work, runs, workers, _prepare, arguments):
            if item is None:
                self._tell(text)
                continue
            run, future = item
            try:
                made = future.result()
            except BrokenProcessPool:
                raise StoreError(
                    "a process that computes has died (out of memory?); what is done is kept, and "
                    "the same command goes on"
                ) from None
            yield run, made

    def _tell(self, text: str) -> None:
        if self._progress is not None:
            self._progress(self._done, max(self.planned, self._done), text)


class _Job(NamedTuple):
    """What a worker knows from the start."""

    config: MnistConfig
    data: Images
    folder: Path


_job: _Job | None = None


def _prepare(config: MnistConfig, data: Images, folder: str) -> None:
    global _job
    _job = _Job(config, data, Path(folder))


def _work(run: Run) -> Curve:
    assert _job is not None
    return _run(run, *_job)


def _run(run: Run, config: MnistConfig, data: Images, folder: Path) -> Curve:
    from lnn.studies.mnist.train import train

    made = train(config, run.arm, run.rate, run.seed, data)
    save_record(folder / run.name, made)
    return made
