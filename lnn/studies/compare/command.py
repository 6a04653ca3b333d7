"""`python -m lnn.compare`: how does depth change optimization here? Measured fairly.

Imports nothing heavy at the top: `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lnn.core.errors import StoreError
from lnn.core.files import results_folder
from lnn.datasets.gas_parse import LABEL_COLUMN
from lnn.execution import backend
from lnn.execution.terminal import Clock, Terminated, download_bar, guarded, progress_bar
from lnn.results.plotting import save
from lnn.studies.compare.api import Study, load, measured
from lnn.studies.compare.config import QUICK, StudyConfig
from lnn.studies.compare.options import BUILT_IN, build_parser

if TYPE_CHECKING:
    from lnn.core.problem import Problem
    from lnn.execution.processes import Processes
    from lnn.execution.workspace import Workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code, which `--help` explains."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.distributed:
        return _guarded(parser, options)
    from lnn.execution.supervisor import supervised

    given = list(sys.argv[1:] if arguments is None else arguments)
    command = [sys.executable, *_warning_options(), "-m", "lnn.compare", *given]
    return supervised(command, lambda: _guarded(parser, options), parser.prog)


def _warning_options() -> list[str]:
    return [f"-W{option}" for option in sys.warnoptions]


def _guarded(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    return guarded(parser.prog, lambda: _run(options), _NOTHING)


_NOTHING = "stopped before the end; nothing was written"


def _run(options: argparse.Namespace) -> int:
    started, clock = time.time(), Clock()
    config = _config(options)
    name = options.name or _default_name(options, config)
    results_folder(Path(options.out), name)
    backend.start()
    from lnn.core.problem import checksum
    from lnn.execution.exchange import Exchange
    from lnn.results import provenance
    from lnn.simulation import Known
    from lnn.studies.compare import study as protocol

    clock.stop("import_seconds")
    settings = _settings(options, config)
    with _processes(options, name) as processes:
        is_first = processes.index == 0
        # Process 0 decides what happens to the folder, and tells the others.
        if not is_first and processes.gather(b"")[0] == _FINISHED:
            return 0
        with _open(options, name, settings, is_first) as workspace:
            problem = _problem(options)
            data = checksum(problem)
            workspace.check_data(data)
            clock.stop("data_seconds")
            if workspace.finished:
                workspace.verify()
                processes.gather(_FINISHED)
                _show(options, load(workspace.final), workspace.final, "made before")
                return 0
            compiled = backend.compile_seconds()
            journal, cells = workspace.begin(
                data, provenance.session(), options.checkpoint_every, _layout(), processes.index
            )
            if is_first:
                processes.gather(_BEGUN)
            if journal.earlier_seconds:
                clock.seconds["earlier_seconds"] = journal.earlier_seconds
            with progress_bar(is_first and _shown(options)) as report:
                runs = protocol.run_study(
                    problem, config, report,
                    journal=journal, known=Known(cells), exchange=Exchange(processes),
                )  # fmt: skip
            journal.save()
            if not is_first:
                return 0
            study = measured(runs)
            clock.stop("run_seconds")
            clock.move("run_seconds", "compile_seconds", backend.compile_seconds() - compiled)
            workspace.publish(
                lambda: runs.cells,
                lambda folder: _write(folder, study, settings, workspace.history, started, clock),
            )
            _show(options, study, workspace.final, f"after {clock}")
    return 0


_FINISHED, _BEGUN = b"finished", b"begun"


def _processes(options: argparse.Namespace, name: str) -> Processes:
    """The processes of this study: those that were asked for, or this one alone."""
    from lnn.execution.processes import ALONE, connect

    given = (options.coordinator, options.processes, options.process)
    if options.distributed:
        return connect(*given, Path(options.out) / f".{name}.processes")
    for option, value in zip(("coordinator", "processes", "process"), given, strict=True):
        if value is not None:
            raise ValueError(f"--{option} goes with --distributed")
    return ALONE


def _shown(options: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not options.quiet


@contextmanager
def _open(
    options: argparse.Namespace, name: str, settings: dict[str, Any], is_first: bool
) -> Iterator[Workspace]:
    """The folder of the study: whatever ends the command, what is computed is saved there."""
    from lnn.execution.workspace import Workspace

    workspace = Workspace(
        Path(options.out), name, settings, fresh=options.fresh, extend=options.extend,
        mirror=None if options.mirror is None else Path(options.mirror), leader=is_first,
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


def _layout() -> str:
    """What the bits of a result depend on, beside its settings, versions and kind of machine."""
    import jax

    return f"{jax.process_count()}-processes-{jax.local_device_count()}-devices"


def _write(
    folder: Path, study: Study, settings: dict[str, Any], history: dict[str, Any], started: float,
    clock: Clock,
) -> None:  # fmt: skip
    """All files of a finished study; the manifest last, for it tells of the others."""
    from lnn.execution import checkpoint
    from lnn.results import provenance
    from lnn.results.dataset import save_dataset
    from lnn.studies.compare.attribution import advantages
    from lnn.studies.compare.report import appendix, attribution_report, figures

    dataset, summary = study
    save_dataset(dataset, folder / "trajectories.nc")
    summary.to_csv(folder / "summary.csv")
    save(figures.figure(dataset, summary), folder)
    if found := advantages(dataset):
        attribution_report.write(found, folder)
    clock.stop("report_seconds")
    manifest = provenance.manifest(settings, dataset, started=started, timings=clock.seconds)
    appendix.write(folder / "appendix.tex", dataset, summary, manifest)
    manifest |= {**history, "checksums": checkpoint.checksums(folder)}
    text = json.dumps(manifest, indent=2, allow_nan=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _show(options: argparse.Namespace, study: Study, folder: Path, when: str) -> None:
    """Print the result as the user asked for it."""
    from lnn.studies.compare.attribution import advantages
    from lnn.studies.compare.report import table
    from lnn.studies.compare.report.attribution_report import sentences

    if options.json:
        print(study.summary.to_json())
    elif not options.quiet:
        table.print_summary(study.summary)
        for advantage in advantages(study.dataset):
            print("\n" + fill(sentences(advantage), 100))
        names = sorted(path.name + os.sep * path.is_dir() for path in folder.iterdir())
        print(f"\nFiles in {folder}{os.sep}, {when}:\n{', '.join(names)}")


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
    data = options.data if options.data in BUILT_IN else _file_name(options.data)
    source = {"data": data, "p": options.p, "gas": options.gas, "outputs": options.outputs}
    source |= {"label": options.label, "drop_constant": options.drop_constant}
    return {**source, **asdict(config)}


def _file_name(path: str) -> str:
    """The name of a file as text: bytes that are none become question marks."""
    return Path(path).name.encode("utf-8", "replace").decode()


def _default_name(options: argparse.Namespace, config: StudyConfig) -> str:
    data = options.data if options.data in BUILT_IN else _file_name(options.data).split(".")[0]
    depths = "-".join(f"{depth:g}" for depth in config.depths)
    return f"{data or 'data'}-p{options.p:g}-depth{depths}" + ("-quick" if options.quick else "")


def _problem(options: argparse.Namespace) -> Problem:
    from lnn.datasets import regression

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
        return regression.two_point(10.0, 1.0, options.p)
    if options.data == "synthetic":
        if outputs == "gases":
            raise ValueError("--outputs gases: goes with gas-drift data; give a number here")
        return regression.synthetic(options.p, outputs=outputs or 1)
    if outputs not in (None, 1, "gases"):
        raise ValueError(f"--outputs {outputs}: gas drift has 1 output, or 'gases' for all six")
    path = None if options.data == "gas-drift" else options.data
    if options.label and (path is None or os.path.isdir(path) or path.endswith((".zip", ".dat"))):
        raise ValueError(f"--label names a column of a CSV; --data {options.data} is none")
    with download_bar(_shown(options)) as progress:
        problem = regression.gas_drift(
            options.p,
            gas=options.gas or "ethanol",
            outputs=outputs or 1,
            path=path,
            label_column=options.label or LABEL_COLUMN,
            drop_constant=options.drop_constant,
            progress=progress,
        )
    if options.label:  # a table of the user's own, not the gas drift data
        problem = replace(problem, name=f"{_file_name(options.data)}, {options.label}")
    return problem
