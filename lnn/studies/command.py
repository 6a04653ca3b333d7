"""The skeleton of a study's command, from options to published files. Imports no JAX.

A study defines what it computes, writes and prints (`StudyCommand`). Refusals, the folder, signals,
checkpoints, progress, the manifest and exit codes are handled here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lnn.core.checks import RECORDS, results_folder
from lnn.core.errors import StoreError
from lnn.execution import backend
from lnn.execution.terminal import Clock, Terminated, calm_streams, guarded, printing, progress_bar
from lnn.studies.options import Parser, parsed, study_toml

if TYPE_CHECKING:
    from lnn.execution.processes import Processes
    from lnn.execution.workspace import Workspace
    from lnn.studies.runner import Job, Runner

C = TypeVar("C")
D = TypeVar("D")
F = TypeVar("F")
J = TypeVar("J", bound="Job")
R = TypeVar("R")

_FINISHED, _BEGUN = b"finished", b"begun"


@dataclass
class Run(Generic[C, D]):
    """A study while it runs; `key` identifies what results of jobs depend on, "" without jobs."""

    options: argparse.Namespace
    config: C
    data: D
    checksum: str
    key: str
    processes: Processes
    workspace: Workspace
    started: float
    clock: Clock
    earlier: Sequence[Path] = ()
    progress: Callable[[int, int, str], None] | None = None

    def runner(
        self, work: Callable[[Any, J], R], setting: Any, kind: type[R], **how: Any
    ) -> Runner[J, R]:
        """Return the runner that computes jobs and caches results; arguments as of `Runner`."""
        from lnn.execution.result_cache import ResultCache
        from lnn.studies.runner import Runner

        records = ResultCache(self.workspace, self.key, self.earlier)
        return Runner(work, setting, kind, records, progress=self.progress, **how)


class StudyCommand(ABC, Generic[C, D, F]):
    """How a study computes a result (F) from its configuration (C) and data (D), and shows it."""

    extendable: tuple[str, ...] = ()
    """Settings that select the parts of a study but change none of them."""

    @abstractmethod
    def parser(self) -> Parser:
        """Return the parser of its options, with help."""

    @abstractmethod
    def configuration(self, options: argparse.Namespace) -> C:
        """Return the configuration; raise `ValueError` if it is invalid."""

    @abstractmethod
    def settings(self, options: argparse.Namespace, config: C) -> dict[str, Any]:
        """Return everything that determines the result, by name, for the manifest."""

    def idle(self, config: C) -> set[str]:
        """Return the fields that have no effect beside the others."""
        return set()

    @abstractmethod
    def default_name(self, options: argparse.Namespace, config: C) -> str:
        """Return the folder name used unless one is given."""

    @abstractmethod
    def load_data(self, options: argparse.Namespace, config: C) -> tuple[D, str]:
        """Return the data and its checksum."""

    def key(self, options: argparse.Namespace, config: C, checksum: str) -> str:
        """Identify what results of jobs depend on: code, settings, data, versions, devices."""
        return ""

    @abstractmethod
    def compute(self, run: Run[C, D]) -> F | None:
        """Compute the result; None in a process that writes no report."""

    @abstractmethod
    def write(self, found: F, folder: Path, run: Run[C, D]) -> dict[str, Any]:
        """Write its files and return its part of the manifest."""

    @abstractmethod
    def load(self, folder: Path) -> F:
        """Load a finished study from its files."""

    @abstractmethod
    def show(self, found: F) -> None:
        """Print the result."""

    @abstractmethod
    def as_json(self, found: F) -> str:
        """Return the result as JSON."""

    def exit_code(self, found: F) -> int:
        """Return the exit code of a command with this result."""
        return 0

    def is_outdated(self, manifest: Mapping[str, Any], key: str) -> bool:
        """Return whether a finished study is recomputed since its code or versions have changed."""
        return bool(manifest.get("key", "") != key)

    def session(self) -> dict[str, Any]:
        """Return versions, devices and processes of this session."""
        from lnn.results import provenance

        return provenance.session()

    def layout(self) -> str:
        """Identify processes and devices, which determine the bits of a checkpoint."""
        return "jobs"

    def processes(self, options: argparse.Namespace, name: str) -> Processes:
        """Return the processes that take part."""
        from lnn.execution.processes import ALONE

        return ALONE

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command and return its exit code, which `--help` explains."""
        parser = self.parser()
        return self.guarded(parser, parsed(parser, arguments))

    def guarded(self, parser: Parser, options: argparse.Namespace) -> int:
        """Run the command and report errors in one line."""
        calm_streams()
        screen = os.environ.get("MPLBACKEND", "")
        if screen and not screen.startswith("module:"):  # as of a notebook
            os.environ["MPLBACKEND"] = "agg"  # figures go to files; a wrong name ends the import
        stopped = "stopped before the end; nothing was written"
        return guarded(parser.prog, lambda: self._run(parser, options), stopped)

    def _run(self, parser: Parser, options: argparse.Namespace) -> int:
        started, clock = time.time(), Clock()
        config = self.configuration(options)
        settings = self.settings(options, config)
        name = options.name or self.default_name(options, config)
        results_folder(Path(options.out), name)
        backend.start()
        clock.stop("import_seconds")
        with self.processes(options, name) as processes:
            backend.check()
            is_first = processes.index == 0
            # Process 0 decides about the folder and informs the others.
            if not is_first and processes.gather(b"")[0] == _FINISHED:
                return 0
            with study_folder(options, name, settings, self.extendable, is_first) as workspace:
                data, checksum = self.load_data(options, config)
                clock.stop("data_seconds")
                key = self.key(options, config, checksum)
                run = Run(
                    options, config, data, checksum, key, processes, workspace, started, clock
                )
                toml = study_toml(parser, options, config, self.idle(config))
                found = self._found(run, toml)
                return 0 if found is None else self._tell(run, found)

    def _found(self, run: Run[C, D], toml: str) -> F | None:
        """Load the finished study in the folder, or compute and publish it."""
        run.workspace.check_data(run.checksum)
        if run.workspace.finished:
            if not self.is_outdated(run.workspace.manifest, run.key):
                run.workspace.verify()
                run.processes.gather(_FINISHED)
                return self.load(run.workspace.final)
            run.workspace.reopen()
        found = self._computed(run)
        if found is not None:
            self._publish(run, found, toml)
        return found

    def _computed(self, run: Run[C, D]) -> F | None:
        compiled = backend.compile_seconds()
        run.earlier = run.workspace.begin(run.checksum, self.session(), self.layout())
        if run.processes.index == 0:
            run.processes.gather(_BEGUN)
        with progress_bar(run.processes.index == 0 and is_shown(run.options)) as run.progress:
            found = self.compute(run)
        run.clock.stop("run_seconds")
        run.clock.move("run_seconds", "compile_seconds", backend.compile_seconds() - compiled)
        return found

    def _publish(self, run: Run[C, D], found: F, toml: str) -> None:
        from lnn.execution.checkpoint import checksums

        def write(folder: Path) -> None:
            computed = run.workspace.work / RECORDS
            if computed.is_dir():
                shutil.copytree(computed, folder / RECORDS)
            (folder / "study.toml").write_text(toml, encoding="utf-8")
            manifest = {
                **self.write(found, folder, run),
                "config": run.workspace.settings,
                "data_checksum": run.checksum,
                **({"key": run.key} if run.key else {}),
                **run.workspace.history,
                "checksums": checksums(folder),
            }
            text = json.dumps(manifest, indent=2, allow_nan=False)
            (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")

        run.workspace.publish(write)

    def _tell(self, run: Run[C, D], found: F) -> int:
        """Print the result in the requested form, and return the exit code."""
        folder = run.workspace.final
        with printing(folder):
            if run.options.json:
                print(self.as_json(found))
            elif not run.options.quiet:
                self.show(found)
                names = sorted(path.name + os.sep * path.is_dir() for path in folder.iterdir())
                when = f"after {run.clock}" if "run_seconds" in run.clock.seconds else "made before"
                print(f"\nFiles in {folder}{os.sep}, {when}:\n{', '.join(names)}")
        return self.exit_code(found)


def is_shown(options: argparse.Namespace) -> bool:
    """Return whether to show progress."""
    return sys.stderr.isatty() and not options.quiet


@contextmanager
def study_folder(
    options: argparse.Namespace, name: str, settings: Mapping[str, Any],
    extendable: Sequence[str], is_first: bool,
) -> Iterator[Workspace]:  # fmt: skip
    """Open the folder of a study, and save computed work however the command ends."""
    from lnn.execution.workspace import Workspace

    workspace = Workspace(
        Path(options.out), name, settings, fresh=options.fresh, extend=options.extend,
        extendable=extendable, mirror=None if options.mirror is None else Path(options.mirror),
        leader=is_first,
    )  # fmt: skip
    try:
        yield workspace
    except (Terminated, KeyboardInterrupt) as stopped:
        raise type(stopped)(workspace.stop()) from None
    except StoreError as error:
        raise StoreError(f"{error}; {workspace.left()}") from error
    except Exception:
        with suppress(OSError):  # report the first failure only
            workspace.stop()
        raise
    finally:
        workspace.release()
