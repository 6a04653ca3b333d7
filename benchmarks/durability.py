"""What it costs to keep a study safe, and to go on with it.

    python benchmarks/durability.py [--data PATH] [--quick]

One study of several minutes with a checkpoint a minute, as the command makes them. Of its run time:
the seconds in which the runs wait for a checkpoint (copies, the thread's start, the last save), and
those that the saving thread computes beside them. Then the study is stopped half-way and goes on:
the seconds before its first step, beside import, data and compilation.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import _contestants as c
from _harness import Bench, start
from _measure import at_most

import lnn
from lnn.execution import backend, checkpoint
from lnn.execution.journal import Journal
from lnn.studies.compare.study import run_study


class Timed(Journal):
    """A journal that counts the seconds it takes, and stops the study when asked to."""

    def __init__(self, folder: Path, every: float) -> None:
        self.waited = self.computed = 0.0
        self.offers = self.bytes = 0
        self.stop_after = 10**9
        self.first: float | None = None
        super().__init__(folder, every)

    def offer(self, name: str, cells: Any) -> None:
        """See `Journal`."""
        if self.first is None:
            self.first = time.perf_counter()
        began = time.perf_counter()
        super().offer(name, cells)
        self.waited += time.perf_counter() - began
        self.offers += 1
        if self.offers == self.stop_after:
            raise KeyboardInterrupt

    def save(self) -> None:
        """See `Journal`."""
        began = time.perf_counter()
        super().save()
        self.waited += time.perf_counter() - began

    def _write(self, batches: Any) -> None:
        began = time.thread_time()
        super()._write(batches)
        self.computed += time.thread_time() - began
        newest = max(self.folder.glob("checkpoint-*"))
        self.bytes = sum(path.stat().st_size for path in newest.iterdir())


def main() -> None:
    """Run it."""
    bench = start(
        "durability", __doc__,
        ("--data", "", "gas drift data: a folder, zip or CSV (default: the built-in problem)"),
    )  # fmt: skip
    c.use_all_cores()
    data = bench.extra.data
    problem = lnn.datasets.gas_drift(c.P, path=data) if data else lnn.datasets.synthetic(c.P)
    config = lnn.StudyConfig(
        depths=(2.0, 3.0, 4.0),
        steps=500 if bench.quick else 20_000,
        rates=6 if bench.quick else 24,
        seeds=3 if bench.quick else 11,
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(bench, problem, config, Path(folder))
    bench.finish()


def measure(bench: Bench, problem: lnn.Problem, config: lnn.StudyConfig, folder: Path) -> None:
    """The study without a stop, then with one."""
    bench.note(f"a study of {config.steps} steps, one checkpoint a minute")
    journal = Timed(folder, every=1.0 if bench.quick else 60.0)
    began = time.perf_counter()
    run_study(problem, config, journal=journal)
    journal.save()
    total = time.perf_counter() - began
    count = max(int(path.name[-6:]) for path in folder.glob("checkpoint-*"))
    bench.add("run time of the study", total, "s")
    bench.add("checkpoints", count, "1")
    bench.add("size of the last one", journal.bytes / 2**20, "MiB")
    bench.add("runs wait for checkpoints", journal.waited, "s")
    bench.add("saving thread computes", journal.computed, "s")
    share = (journal.waited + journal.computed) / total
    bench.add("both, of the run time", share, "1", at_most(0.03))

    bench.note("the same study, stopped half-way")
    shutil.rmtree(folder)
    folder.mkdir()
    half = Timed(folder, every=1e9)
    half.stop_after = journal.offers // 2
    try:
        run_study(problem, config, journal=half)
    except KeyboardInterrupt:
        half.save()
    began, compiled = time.perf_counter(), backend.compile_seconds()
    again = Timed(folder, every=1e9)
    bench.add("reading the checkpoint", time.perf_counter() - began, "s")
    again.stop_after = 1
    try:
        run_study(problem, config, journal=again)
    except KeyboardInterrupt:
        assert again.first is not None
        seconds = again.first - began - (backend.compile_seconds() - compiled)
        bench.add(
            "going on: to the end of the first call, beside compilation", seconds, "s", at_most(5.0)
        )
    checkpoint.verify(max(folder.glob("checkpoint-*")))


if __name__ == "__main__":
    main()
