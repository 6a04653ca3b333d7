"""`python -m lnn.compare`. Imports nothing heavy at the top, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lnn.datasets.built_in.two_point_targets import two_point_targets
from lnn.execution.terminal import calm_streams, guarded, printing
from lnn.studies.command import Run, StudyCommand, is_shown
from lnn.studies.compare.config import QUICK, StudyConfig
from lnn.studies.compare.options import (
    BUILT_IN,
    build_parser,
    file_name,
    two_point_labels,
)
from lnn.studies.config import configured
from lnn.studies.options import Parser, parsed

if TYPE_CHECKING:
    from lnn.core.problem import Problem
    from lnn.execution.processes import Processes
    from lnn.simulation.stored_runs import Cell
    from lnn.studies.compare.api import Study

Compared = tuple["Study", "Sequence[Cell]"]
"""A study, and all its runs for reuse by later studies."""


class CompareCommand(StudyCommand[StudyConfig, "Problem", Compared]):
    """Comparison of methods on one problem, optionally on several hosts."""

    extendable = ("depths", "methods", "seeds", "tuning_seeds", "steps", "rates", "rate_range")

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command; on several hosts, below a parent that watches the others."""
        parser = self.parser()
        options = parsed(parser, arguments)
        if not options.distributed:
            return self.guarded(parser, options)
        from lnn.execution.supervisor import supervised

        given = list(sys.argv[1:] if arguments is None else arguments)
        warnings = [f"-W{option}" for option in sys.warnoptions]
        command = [sys.executable, *warnings, "-m", "lnn.compare", *given]
        return supervised(command, lambda: self.guarded(parser, options), parser.prog)

    def guarded(self, parser: Parser, options: argparse.Namespace) -> int:
        """Run the command, or describe its data only, and report errors in one line."""
        if not options.describe:
            return super().guarded(parser, options)
        return guarded(parser.prog, lambda: _describe(options), "stopped")

    def parser(self) -> Parser:
        return build_parser()

    def configuration(self, options: argparse.Namespace) -> StudyConfig:
        if options.init_norm is not None and options.init not in (None, "balanced"):
            raise ValueError(
                f"--init-norm requires --init balanced; '{options.init}' has the paper's standard "
                "deviation of 0.01"
            )
        if options.rate_range is not None and isinstance(options.rates, list):
            raise ValueError(
                "--lr-range requires a count of rates, but --lrs lists them: omit one of the two"
            )
        base: dict[str, Any] = dict(QUICK) if options.quick else {}
        if options.data == "two-point" and 1 < options.p < math.inf:
            own = two_point_targets(*two_point_labels(options), options.p)
            base |= {"targets": own} if own else {}
        return configured(StudyConfig, options, base)

    def settings(self, options: argparse.Namespace, config: StudyConfig) -> dict[str, Any]:
        """Return data and configuration; file names without folders."""
        data = options.data if options.data in BUILT_IN else file_name(options.data)
        source = {"data": data, "p": options.p, "gas": options.gas, "outputs": options.outputs}
        source |= {"label": options.label, "drop_constant": options.drop_constant}
        source |= {"drop_missing": options.drop_missing, "drop_columns": options.drop_columns}
        source |= {"one_hot": options.one_hot, "y1": options.y1}
        return {**source, **asdict(config)}

    def idle(self, config: StudyConfig) -> set[str]:
        listed = {"rate_range"} if not isinstance(config.rates, int) else set()
        return listed | ({"init_norm"} if config.init != "balanced" else set())

    def default_name(self, options: argparse.Namespace, config: StudyConfig) -> str:
        """Return a name such as synthetic-p4-depth4-quick."""
        data = options.data if options.data in BUILT_IN else file_name(options.data).split(".")[0]
        data += "" if options.y1 is None else f"-{options.y1:g}"
        depths = "-".join(f"{depth:g}" for depth in config.depths)
        quick = "-quick" * options.quick
        return f"{data or 'data'}-p{options.p:g}-depth{depths}{quick}"

    def load_data(self, options: argparse.Namespace, config: StudyConfig) -> tuple[Problem, str]:
        from lnn.core.problem import checksum
        from lnn.studies.compare.data import load_problem

        problem = load_problem(options, is_shown(options))
        return problem, checksum(problem)

    def processes(self, options: argparse.Namespace, name: str) -> Processes:
        from lnn.execution.processes import ALONE, connect

        given = (options.coordinator, options.processes, options.process)
        if options.distributed:
            return connect(*given, Path(options.out) / f".{name}.processes")
        for option, value in zip(("coordinator", "processes", "process"), given, strict=True):
            if value is not None:
                raise ValueError(f"--{option} requires --distributed")
        return ALONE

    def layout(self) -> str:
        """Identify processes and devices, on which the last digits depend."""
        return _layout()

    def compute(self, run: Run[StudyConfig, Problem]) -> Compared | None:
        """Run the study with a journal, distributed over processes."""
        from lnn.execution.journal import Journal, stored_cells
        from lnn.simulation.exchange import Exchange
        from lnn.simulation.stored_runs import Known
        from lnn.studies.compare import study
        from lnn.studies.compare.api import measured

        workspace = run.workspace
        journal = Journal(
            workspace.checkpoints(run.processes.index), run.options.checkpoint_every,
            workspace.copy, workspace.marker,
        )  # fmt: skip
        workspace.save = journal.save
        if journal.earlier_seconds:
            run.clock.seconds["earlier_seconds"] = journal.earlier_seconds
        known = [cell for folder in run.earlier for cell in stored_cells(folder)]
        runs = study.run_study(
            run.data, run.config, run.progress,
            journal=journal, known=Known(known), exchange=Exchange(run.processes),
        )  # fmt: skip
        journal.save()
        return (measured(runs), runs.cells) if run.processes.index == 0 else None

    def write(
        self, found: Compared, folder: Path, run: Run[StudyConfig, Problem]
    ) -> dict[str, Any]:
        from lnn.execution.journal import STATE, save_cells
        from lnn.results import plotting, provenance
        from lnn.results.dataset import save_dataset
        from lnn.studies.compare.attribution import advantages
        from lnn.studies.compare.report import appendix, attribution_report, figures

        (dataset, summary), cells = found
        save_cells(folder / STATE, list(cells))
        save_dataset(dataset, folder / "trajectories.nc")
        summary.to_csv(folder / "summary.csv")
        plotting.save(figures.figure(dataset, summary), folder)
        if explained := advantages(dataset):
            attribution_report.write(explained, folder)
        run.clock.stop("report_seconds")
        manifest = provenance.manifest(
            self.settings(run.options, run.config), dataset,
            started=run.started, timings=run.clock.seconds,
        )  # fmt: skip
        appendix.write(folder / "appendix.tex", dataset, summary, manifest)
        return manifest

    def load(self, folder: Path) -> Compared:
        from lnn.studies.compare.api import load

        return load(folder), ()

    def show(self, found: Compared) -> None:
        from lnn.studies.compare.attribution import advantages
        from lnn.studies.compare.report import table
        from lnn.studies.compare.report.attribution_report import sentences

        table.print_summary(found[0].summary)
        for advantage in advantages(found[0].dataset):
            print("\n" + fill(sentences(advantage), 100))

    def as_json(self, found: Compared) -> str:
        return found[0].summary.to_json()


def _describe(options: argparse.Namespace) -> int:
    from lnn.execution import backend
    from lnn.studies.compare.data import describe

    calm_streams()
    backend.start()
    told = describe(options, is_shown(options))
    with printing(options.data):
        print(told)
    return 0


def _layout() -> str:
    import jax

    return f"{jax.process_count()}-processes-{jax.local_device_count()}-devices"


main = CompareCommand().main
