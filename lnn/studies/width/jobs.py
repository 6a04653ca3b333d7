"""Runs as jobs of the study: one seed each on processors, all seeds at once on accelerators."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lnn.execution.result_cache import code_key
from lnn.studies.width.config import Setup
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.study import Make
from lnn.studies.width.tasks import Data, Task, task
from lnn.studies.width.train import descend

Setting = dict[str, tuple[Setup, Data]]


class RecurrentJob(NamedTuple):
    """A job: runs, and the digest of what determines them beside their name."""

    run: RecurrentRun
    digest: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.run.stem(self.digest)


def grouped(wanted: Iterable[RecurrentRun]) -> list[RecurrentRun]:
    """Return the runs with all seeds of the same network together, as an accelerator takes them."""
    seeds: dict[RecurrentRun, list[int]] = {}
    for run in dict.fromkeys(wanted):
        seeds.setdefault(run._replace(seeds=()), []).extend(run.seeds)
    return [run._replace(seeds=tuple(some)) for run, some in seeds.items()]


def separated(run: RecurrentRun, course: Course) -> dict[RecurrentRun, Course]:
    """Return the courses of each seed of runs that were computed together."""
    shared = ("parameters", "steps", "seconds")
    arrays = {name: value for name, value in vars(course).items() if name not in shared}
    return {
        run._replace(seeds=(seed,)): Course(
            course.parameters, course.steps, seconds=course.seconds / len(run.seeds),
            **{name: value[i : i + 1] for name, value in arrays.items()},
        )
        for i, seed in enumerate(run.seeds)
    }  # fmt: skip


def maker(
    setting: Setting, runner: Callable[..., Mapping[RecurrentJob, Course]], *, together: bool
) -> Make:
    """Return `make` of `run_system`, by a runner of jobs; `together`: all seeds in one job."""
    digests = {name: digest_of(setup, data.checksum) for name, (setup, data) in setting.items()}

    def make(wanted: Iterable[RecurrentRun], text: str) -> dict[RecurrentRun, Course]:
        jobs = [
            RecurrentJob(run, digests[run.system])
            for run in (grouped(wanted) if together else wanted)
        ]
        made = runner(jobs, text)
        return {run: each for job in jobs for run, each in separated(job.run, made[job]).items()}

    return make


def digest_of(setup: Setup, checksum: str) -> str:
    """Return 8 hex digits of what determines a run beside its name: setup and data."""
    named = repr((sorted(setup.fixed.items()), checksum))
    return hashlib.sha256(named.encode()).hexdigest()[:8]


def key_of(versions: Mapping[str, str], device: str) -> str:
    """Return 16 hex digits of what all runs depend on: code, versions and kind of device."""
    return code_key(repr((sorted(versions.items()), device)), "lnn.studies.width.train")


def run_job(setting: Setting, job: RecurrentJob) -> Course:
    """Compute a job of a study, from the setups and data of all its systems."""
    setup, data = setting[job.run.system]
    return descend(setup, _task(setup, data), job.run)


_tasks: list[tuple[Data, Task]] = []


def _task(setup: Setup, data: Data) -> Task:
    """Return the task of a system, made once for all its runs in a process."""
    if not _tasks or _tasks[0][0] is not data:
        _tasks[:] = [(data, task(setup, data))]
    return _tasks[0][1]
