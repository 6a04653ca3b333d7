"""`python -m lnn.compare`: how does depth change optimization here? Measured fairly.

Imports nothing heavy at the top: `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from lnn import _backend
from lnn.cli import BUILT_IN, build_parser
from lnn.config import LABEL_COLUMN, QUICK, StudyConfig, results_folder
from lnn.errors import DataError, StoreError

if TYPE_CHECKING:
    import xarray as xr

    from lnn.analysis import Summary
    from lnn.problem import Problem
    from lnn.protocol import StudyRuns
    from lnn.workspace import Workspace


class Study(NamedTuple):
    """A finished study: the labelled dataset, and the summary drawn from it."""

    dataset: xr.Dataset
    summary: Summary

    def _repr_html_(self) -> str:
        return self.summary._repr_html_()


def compare(
    problem: Problem,
    depth: float | Sequence[float] = 4,
    *,
    progress: bool | None = None,
    quick: bool = False,
    **options: Any,
) -> Study:
    """Tune every method on a problem by the same rules, and compare them.

    Args:
        problem: an `lnn.Problem`.
        depth: depth or depths of the deep methods.
        progress: show a progress bar; by default in a terminal only.
        quick: a short budget and few seeds, for a first look.
        options: any field of `lnn.StudyConfig`, such as steps, methods, seeds, targets.

    Returns:
        `Study(dataset, summary)`; the summary displays itself in a notebook.

    Raises:
        ValueError: for an option out of range or unknown, or one that does not fit the problem.
        ArithmeticError: if no reference optimum can be computed to tolerance.
    """
    known = [field.name for field in fields(StudyConfig) if field.name != "depths"]
    for name in options:
        if name not in known:
            raise ValueError(f"option {name!r} is unknown: choose from {', '.join(known)}")
    chosen = {**(QUICK if quick else {}), **options, "depths": depth}
    config = StudyConfig(**chosen)
    return _study(problem, config, sys.stderr.isatty() if progress is None else progress)


def _study(problem: Problem, config: StudyConfig, show_progress: bool) -> Study:
    from lnn.protocol import run_study

    with _progress_bar(show_progress) as report:
        return _measured(run_study(problem, config, report))


def _measured(runs: StudyRuns) -> Study:
    from lnn.analysis import summarize
    from lnn.records import to_dataset

    dataset = to_dataset(runs)
    return Study(dataset, summarize(dataset))


def load(folder: str | os.PathLike[str]) -> Study:
    """A finished study from its folder: summary and figure can be made again without a run.

    Raises:
        ValueError: the folder holds no `trajectories.nc`.
    """
    from lnn.analysis import summarize
    from lnn.engine.store import load_dataset

    path = Path(folder) / "trajectories.nc"
    if not path.is_file():
        raise ValueError(f"{path} does not exist: give the folder of a finished study")
    dataset = load_dataset(path)
    return Study(dataset, summarize(dataset))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code, which `--help` explains."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings(), _terminable():
            warnings.simplefilter("always", UserWarning)  # notices, never errors here
            warnings.showwarning = _one_line_warning
            return _run(options)
    except DataError as error:
        return _fail(parser, error, 3)
    except (ValueError, ArithmeticError) as error:
        return _fail(parser, error, 2)
    except OSError as error:
        return _fail(parser, error, 1)
    except (_Terminated, KeyboardInterrupt) as stopped:
        code = _Terminated.code if isinstance(stopped, _Terminated) else 130
        return _fail(parser, stopped.args[0] if stopped.args else _NOTHING, code)


_NOTHING = "stopped before the end; nothing was written"


class _Terminated(BaseException):
    """SIGTERM, raised so that what is half written is cleared away."""

    code = 143


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(*_: Any) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace) -> int:
    started, clock = time.time(), _Clock()
    config = _config(options)
    name = options.name or _default_name(options, config)
    results_folder(Path(options.out), name)
    _backend.start()
    from lnn import protocol
    from lnn.datasets import checksum
    from lnn.engine import Known
    from lnn.report import provenance

    clock.stop("import_seconds")
    settings = _settings(options, config)
    with _open(options, name, settings) as workspace:
        problem = _problem(options)
        workspace.check_data(checksum(problem))
        clock.stop("data_seconds")
        if workspace.finished:
            workspace.verify()
            _show(options, load(workspace.final), workspace.final, "made before")
            return 0
        compiled = _backend.compile_seconds()
        journal, cells = workspace.begin(
            checksum(problem), provenance.session(), options.checkpoint_every, _layout()
        )
        if journal.earlier_seconds:
            clock.seconds["earlier_seconds"] = journal.earlier_seconds
        with _progress_bar(sys.stderr.isatty() and not options.quiet) as report:
            runs = protocol.run_study(problem, config, report, journal=journal, known=Known(cells))
        study = _measured(runs)
        clock.stop("run_seconds")
        clock.move("run_seconds", "compile_seconds", _backend.compile_seconds() - compiled)
        journal.save()
        workspace.publish(
            lambda: runs.cells,
            lambda folder: _write(folder, study, settings, workspace.history, started, clock),
        )
        _show(options, study, workspace.final, f"after {clock}")
    return 0


@contextmanager
def _open(options: argparse.Namespace, name: str, settings: dict[str, Any]) -> Iterator[Workspace]:
    """The folder of the study: whatever ends the command, what is computed is saved there."""
    from lnn.workspace import Workspace

    workspace = Workspace(
        Path(options.out), name, settings, fresh=options.fresh, extend=options.extend,
        mirror=None if options.mirror is None else Path(options.mirror),
    )  # fmt: skip
    try:
        yield workspace
    except (_Terminated, KeyboardInterrupt) as stopped:
        raise type(stopped)(workspace.stop()) from None
    except StoreError as error:
        raise StoreError(f"{error}; {workspace.left()}") from error
    except Exception:
        with suppress(OSError):  # the first failure is the one to tell of
            workspace.stop()
        raise
    finally:
        workspace.release()


def _layout() -> str:
    """What the bits of a result depend on, beside its settings, versions and kind of machine."""
    import jax

    return f"{jax.process_count()}-processes-{jax.local_device_count()}-devices"


def _write(
    folder: Path, study: Study, settings: dict[str, Any], history: dict[str, Any], started: float,
    clock: _Clock,
) -> None:  # fmt: skip
    """All files of a finished study; the manifest last, for it tells of the others."""
    from lnn.engine import checkpoint
    from lnn.engine.store import save_dataset
    from lnn.report import appendix, figures, provenance

    dataset, summary = study
    save_dataset(dataset, folder / "trajectories.nc")
    summary.to_csv(folder / "summary.csv")
    figures.save(figures.figure(dataset, summary), folder)
    clock.stop("report_seconds")
    manifest = provenance.manifest(settings, dataset, started=started, timings=clock.seconds)
    appendix.write(folder / "appendix.tex", dataset, summary, manifest)
    manifest |= {**history, "checksums": checkpoint.checksums(folder)}
    text = json.dumps(manifest, indent=2, allow_nan=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _show(options: argparse.Namespace, study: Study, folder: Path, when: str) -> None:
    """Print the result as the user asked for it."""
    from lnn.report import table

    if options.json:
        print(study.summary.to_json())
    elif not options.quiet:
        table.print_summary(study.summary)
        names = sorted(path.name + os.sep * path.is_dir() for path in folder.iterdir())
        print(f"\nFiles in {folder}{os.sep}, {when}:\n{', '.join(names)}")


class _Clock:
    """Where the seconds of a command went, part by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def stop(self, part: str) -> None:
        """Give the time since the last call to this part."""
        now = time.monotonic()
        self.seconds[part] = now - self._last
        self._last = now

    def move(self, source: str, target: str, seconds: float) -> None:
        """Take seconds of one part and give them to another."""
        self.seconds[source] -= seconds
        self.seconds[target] = seconds

    def __str__(self) -> str:
        total, compiling = sum(self.seconds.values()), self.seconds["compile_seconds"]
        return f"{total:.0f} s ({compiling:.1f} s compiling)"


def _config(options: argparse.Namespace) -> StudyConfig:
    given = {
        field.name: getattr(options, field.name)
        for field in fields(StudyConfig)
        if getattr(options, field.name) is not None
    }
    if options.init_norm is not None and options.init not in (None, "balanced"):
        raise ValueError(
            f"--init-norm goes with --init balanced; '{options.init}' has the paper's standard "
            "deviation of 0.01"
        )
    if options.rate_range is not None and isinstance(options.rates, list):
        raise ValueError("--lr-range goes with a count of rates, and --lrs lists them: drop one")
    return StudyConfig(**{**(QUICK if options.quick else {}), **given})


def _settings(options: argparse.Namespace, config: StudyConfig) -> dict[str, Any]:
    """Everything that fixes the result, for the manifest; file names without their folders."""
    data = options.data if options.data in BUILT_IN else Path(options.data).name
    source = {"data": data, "p": options.p, "gas": options.gas, "outputs": options.outputs}
    source |= {"label": options.label, "drop_constant": options.drop_constant}
    return {**source, **asdict(config)}


def _default_name(options: argparse.Namespace, config: StudyConfig) -> str:
    data = options.data if options.data in BUILT_IN else Path(options.data).name.split(".")[0]
    depths = "-".join(f"{depth:g}" for depth in config.depths)
    return f"{data or 'data'}-p{options.p:g}-depth{depths}" + ("-quick" if options.quick else "")


def _problem(options: argparse.Namespace) -> Problem:
    from lnn import datasets

    outputs = options.outputs
    if options.data in ("two-point", "synthetic"):
        for name in ("gas", "label", "drop_constant"):
            if getattr(options, name):
                option = name.replace("_", "-")
                raise ValueError(
                    f"--{option} goes with data of gas drift or a file, not with "
                    f"--data {options.data}"
                )
    if options.data == "two-point":
        if outputs not in (None, 1):
            raise ValueError(f"--outputs {outputs}: the two-point problem has one output")
        return datasets.two_point(10.0, 1.0, options.p)
    if options.data == "synthetic":
        if outputs == "gases":
            raise ValueError("--outputs gases: goes with gas-drift data; give a number here")
        return datasets.synthetic(options.p, outputs=outputs or 1)
    if outputs not in (None, 1, "gases"):
        raise ValueError(f"--outputs {outputs}: gas drift has 1 output, or 'gases' for all six")
    path = None if options.data == "gas-drift" else options.data
    if options.label and (path is None or Path(path).is_dir() or path.endswith((".zip", ".dat"))):
        raise ValueError(f"--label names a column of a CSV; --data {options.data} is none")
    with _download_bar(sys.stderr.isatty() and not options.quiet) as progress:
        problem = datasets.gas_drift(
            options.p,
            gas=options.gas or "ethanol",
            outputs=outputs or 1,
            path=path,
            label_column=options.label or LABEL_COLUMN,
            drop_constant=options.drop_constant,
            progress=progress,
        )
    if options.label:  # a table of the user's own, not the gas drift data
        problem = replace(problem, name=f"{Path(options.data).name}, {options.label}")
    return problem


@contextmanager
def _progress_bar(show: bool) -> Iterator[Callable[[int, int, str], None] | None]:
    """A bar with the time left, on standard error; None where it is not to be shown."""
    if not show:
        yield None
        return
    from rich import progress
    from rich.console import Console

    with progress.Progress(
        progress.TextColumn("{task.description:<42}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        # Shown on demand too, in a notebook or a log: the caller has decided.
        console=Console(stderr=True, force_terminal=True),
        transient=True,
    ) as bar:
        task = bar.add_task("preparing", total=None)
        yield lambda done, total, text: bar.update(
            task, completed=done, total=total, description=text
        )


@contextmanager
def _download_bar(show: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    with _progress_bar(show) as report:
        if report is None:
            yield None
        else:
            yield lambda done, total: report(done, total or 0, "downloading gas drift")


def _one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _fail(parser: argparse.ArgumentParser, error: object, code: int) -> int:
    print(f"{parser.prog}: error: {error}", file=sys.stderr)
    return code


class _CallableModule(types.ModuleType):
    """Makes `lnn.compare(...)` the study, though `lnn.compare` is also the command's module."""

    def __call__(self, *arguments: Any, **options: Any) -> Study:
        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
