"""How the command of a study goes, from its options to its files. Imports no JAX.

A study says what it computes, what it writes and what it prints (`StudyCommand`). Everything else
is here, once: refusals, the folder, signals, checkpoints, progress, the manifest, exit codes.
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
from lnn.execution.terminal import Clock, Terminated, guarded, progress_bar
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
    """A study that is being run: what it was asked for, its data, and where it is kept.

    Attributes:
        options: as given.
        config: checked.
        data, checksum: what it computes with.
        key: what the results of its jobs depend on; "" where it has no jobs.
        processes: those that take part.
        workspace: its folder.
        started: seconds since 1970.
        clock: where its time went.
        earlier: folders of studies whose results it can use.
        progress: told how far it is; None where nobody looks.
    """

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
        """What computes its jobs and keeps their results; arguments as of `Runner`."""
        from lnn.execution.result_cache import ResultCache
        from lnn.studies.runner import Runner

        records = ResultCache(self.workspace, self.key, self.earlier)
        return Runner(work, setting, kind, records, progress=self.progress, **how)


class StudyCommand(ABC, Generic[C, D, F]):
    """What a study computes (F) from its configuration (C) and data (D), and what is made of it."""

    extendable: tuple[str, ...] = ()
    """Settings that say which parts a study has, but change none of them."""

    @abstractmethod
    def parser(self) -> Parser:
        """Its options, with the help that teaches them."""

    @abstractmethod
    def configuration(self, options: argparse.Namespace) -> C:
        """The configuration, or a ValueError."""

    @abstractmethod
    def settings(self, options: argparse.Namespace, config: C) -> dict[str, Any]:
        """Everything that fixes the result, by name, for the manifest."""

    def idle(self, config: C) -> set[str]:
        """Return the fields that have no effect beside the others."""
        return set()

    @abstractmethod
    def default_name(self, options: argparse.Namespace, config: C) -> str:
        """The name of its folder, unless one is given."""

    @abstractmethod
    def load_data(self, options: argparse.Namespace, config: C) -> tuple[D, str]:
        """What it computes with, and a checksum of that."""

    def key(self, options: argparse.Namespace, config: C, checksum: str) -> str:
        """What the results of its jobs depend on: code, settings, data, versions, devices."""
        return ""

    @abstractmethod
    def compute(self, run: Run[C, D]) -> F | None:
        """The study itself; None in a process that writes no report."""

    @abstractmethod
    def write(self, found: F, folder: Path, run: Run[C, D]) -> dict[str, Any]:
        """Write its files; returns its part of the manifest."""

    @abstractmethod
    def load(self, folder: Path) -> F:
        """What a complete study found, from its files."""

    @abstractmethod
    def show(self, found: F) -> None:
        """Print it."""

    @abstractmethod
    def as_json(self, found: F) -> str:
        """The same as JSON."""

    def exit_code(self, found: F) -> int:
        """The exit code of a command that found this."""
        return 0

    def is_outdated(self, manifest: Mapping[str, Any], key: str) -> bool:
        """Whether a complete study is made again, for its code or versions have changed."""
        return bool(manifest.get("key", "") != key)

    def session(self) -> dict[str, Any]:
        """Who computes: versions, devices, processes."""
        from lnn.results import provenance

        return provenance.session()

    def layout(self) -> str:
        """What the bits of a checkpoint depend on beside all this: processes and devices."""
        return "jobs"

    def processes(self, options: argparse.Namespace, name: str) -> Processes:
        """Those that take part."""
        from lnn.execution.processes import ALONE

        return ALONE

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command. Returns its exit code, which `--help` explains."""
        parser = self.parser()
        return self.guarded(parser, parsed(parser, arguments))

    def guarded(self, parser: Parser, options: argparse.Namespace) -> int:
        """Run the command, and say in one line what went wrong."""
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
            is_first = processes.index == 0
            # Process 0 decides what happens to the folder, and tells the others.
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
        """The result: of the complete study in the folder, or computed and published."""
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
        """Print the result as the user asked for it, and return the exit code."""
        if run.options.json:
            print(self.as_json(found))
        elif not run.options.quiet:
            self.show(found)
            folder = run.workspace.final
            names = sorted(path.name + os.sep * path.is_dir() for path in folder.iterdir())
            when = f"after {run.clock}" if "run_seconds" in run.clock.seconds else "made before"
            print(f"\nFiles in {folder}{os.sep}, {when}:\n{', '.join(names)}")
        return self.exit_code(found)


def is_shown(options: argparse.Namespace) -> bool:
    """Whether somebody looks at the progress of a command."""
    return sys.stderr.isatty() and not options.quiet


@contextmanager
def study_folder(
    options: argparse.Namespace, name: str, settings: Mapping[str, Any],
    extendable: Sequence[str], is_first: bool,
) -> Iterator[Workspace]:  # fmt: skip
    """The folder of a study: whatever ends the command, what is computed is saved there."""
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
        with suppress(OSError):  # the first failure is the one to tell of
            workspace.stop()
        raise
    finally:
        workspace.release()
