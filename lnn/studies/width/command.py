"""`python -m lnn.width`. Imports nothing heavy at the top, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from lnn.execution import backend
from lnn.studies.command import Run, StudyCommand
from lnn.studies.config import configured
from lnn.studies.options import (
    Flatten,
    Parser,
    add_interruption_options,
    add_output_options,
    listed,
)
from lnn.studies.width.config import OPTIMIZERS, SCALES, SYSTEMS, WidthConfig

if TYPE_CHECKING:
    import xarray as xr

    from lnn.studies.width.jobs import Setting

_DESCRIPTION = """\
Do wider recurrent networks take fewer steps to train, and why? Train a recurrent highway network
on characters, an LSTM on words, and Deep Speech 2 on speech, at several widths, training-set sizes
and seeds; measure the steps to within 1 % of the least validation loss, and how far, how fast and
how straight each group of parameters moves; compare learning rates, optimizers, depths, and each
width at its own tuned rate. Judges the statements of "Empirically Characterizing
Overparameterization Impact on Convergence". Writes all runs (width.nc, width.csv), figures
(width.pdf; geometry-SYSTEM.pdf and structure-SYSTEM.pdf of each; all as .png too) and the
statements (report.md)."""

_EPILOG = """\
The default takes about 40 minutes on two cores; the full scale, of the document's networks, an
estimated week on one NVIDIA H200, and has not been run.

Built-in data, offline: the text of Python's documentation, and synthetic spoken digits. A text
(--data FILE, gzipped or not, or a folder of the Billion Word Benchmark) serves characters and
words; a folder of LibriSpeech, a folder of WAV files with a .txt beside each, or a CSV with the
columns path and text serves speech.

examples:
  python -m lnn.width --quick                        a first look in three minutes
  python -m lnn.width words --data kjv.txt.gz        one system, on a text of your own
  python -m lnn.width characters --optimizer adam --rate 0.002,0.001
  python -m lnn.width --scale full                   the document's networks, on accelerators

exit codes: 0 done; 1 files cannot be written; 2 invalid input; 3 data unavailable or invalid;
130, 143 stopped by a signal, the same command resumes"""


class Measured(NamedTuple):
    """Result of the study: all runs, and the number of those reused."""

    dataset: xr.Dataset
    kept: int


class WidthCommand(StudyCommand[WidthConfig, "Setting", Measured]):
    """Recurrent networks of several widths, until their validation loss is at its least."""

    extendable = ("systems", "widths", "sizes", "rates", "optimizers", "depths", "seeds")

    def parser(self) -> Parser:
        parser = Parser(prog="python -m lnn.width", description=_DESCRIPTION, epilog=_EPILOG)
        parser.add_argument(
            "systems", nargs="*", metavar="SYSTEM",
            help=f"of {', '.join(SYSTEMS)} (default: all)",
        )  # fmt: skip
        parser.add_argument(
            "--data", metavar="PATH", help="text, or speech with transcripts (default: built in)"
        )
        parser.add_argument(
            "--scale", choices=[name for name in SCALES if name != "quick"],
            help="of networks and data (default reduced)",
        )  # fmt: skip
        number, whole = "give numbers such as 0.8,0.3", "give whole numbers such as 8,16,32"
        for option, dest, kind, expected, text in (
            ("--widths", "widths", int, whole, "hidden units of a layer"),
            ("--sizes", "sizes", int, whole, "training characters, words or utterances"),
            ("--rate", "rates", float, number, "learning rates; further ones are compared"),
            ("--optimizer", "optimizers", str, "", f"of {', '.join(OPTIMIZERS)}; likewise"),
            ("--depth", "depths", int, whole, "layers of a recurrent step, or LSTM layers; "
             "likewise"),
        ):  # fmt: skip
            parser.add_argument(
                option, dest=dest, nargs="+", action=Flatten, metavar="X",
                type=listed(kind, expected), help=f"{text} (of one system)",
            )  # fmt: skip
        parser.add_argument("--seeds", type=int, metavar="S", help="for evaluation")
        parser.add_argument("--quick", action="store_true", help="few, small and short runs")
        add_output_options(parser, "width, or width-quick; with the systems if not all")
        add_interruption_options(parser, "systems, widths, sizes, rates, optimizers, depths, seeds")
        return parser

    def configuration(self, options: argparse.Namespace) -> WidthConfig:
        if options.quick and options.scale:
            raise ValueError("--quick sets its own scale: omit --quick or --scale")
        options.systems = tuple(options.systems) or None
        config = configured(WidthConfig, options, {"scale": "quick"} if options.quick else {})
        if options.data is not None and "speech" in config.systems and len(config.systems) > 1:
            raise ValueError(
                f"--data {options.data} for {' and '.join(config.systems)}: no file is text and "
                "speech, so name the systems that it serves: characters and words, or speech"
            )
        return config

    def settings(self, options: argparse.Namespace, config: WidthConfig) -> dict[str, Any]:
        return asdict(config)

    def default_name(self, options: argparse.Namespace, config: WidthConfig) -> str:
        systems = () if config.systems == SYSTEMS else config.systems
        return "-".join(("width", *systems)) + "-quick" * options.quick

    def load_data(self, options: argparse.Namespace, config: WidthConfig) -> tuple[Setting, str]:
        from lnn.studies.width.tasks import load_system

        found = {setup.system: (setup, load_system(setup, options.data)) for setup in config.setups}
        return found, "-".join(data.checksum for _, data in found.values())

    def key(self, options: argparse.Namespace, config: WidthConfig, checksum: str) -> str:
        """Identify what all runs depend on; file names say the rest."""
        from lnn.results import provenance
        from lnn.studies.width.jobs import key_of

        return key_of(provenance.versions(), _device())

    def compute(self, run: Run[WidthConfig, Setting]) -> Measured:
        """Make all runs: on processors each alone, on accelerators all seeds at once."""
        from lnn.studies.width import jobs, study, summary
        from lnn.studies.width.runs import Course

        processor = _device() == "cpu"
        runner = run.runner(
            jobs.run_job, run.data, Course, workers=backend.cores() if processor else 0,
            planned=sum(study.planned(setup) for setup in run.config.setups) if processor else 0,
        )  # fmt: skip
        make = jobs.maker(run.data, runner, together=not processor)
        found = [study.run_system(setup, make) for setup in run.config.setups]
        names = {f"{name}_data": data.name for name, (_, data) in run.data.items()}
        facts = {"device": _device(), "scale": run.config.scale, **names}
        return Measured(summary.dataset(found, facts), runner.kept)

    def write(
        self, found: Measured, folder: Path, run: Run[WidthConfig, Setting]
    ) -> dict[str, Any]:
        from lnn.results import plotting, provenance
        from lnn.results.dataset import save_dataset
        from lnn.studies.width.figures import draw_all
        from lnn.studies.width.report import markdown, to_csv

        save_dataset(found.dataset, folder / "width.nc")
        for name, text in (
            ("width.csv", to_csv(found.dataset)),
            ("report.md", markdown(found.dataset)),
        ):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        for name, figure in draw_all(found.dataset).items():
            plotting.save(figure, folder, name)
        return {
            **provenance.account(run.started), "device": found.dataset.attrs["device"],
            "runs_kept_from_before": found.kept,
        }  # fmt: skip

    def load(self, folder: Path) -> Measured:
        from lnn.results.dataset import load_dataset

        return Measured(load_dataset(folder / "width.nc"), 0)

    def show(self, found: Measured) -> None:
        from lnn.studies.width.conclusion.listed import judged_all
        from lnn.studies.width.report import table_text

        print(table_text(found.dataset))
        for each in judged_all(found.dataset):
            print(fill(f"{each.title}: {each.verdict}. {each.words}", 100, subsequent_indent="  "))
        kept = f", {found.kept} of them completed earlier" if found.kept else ""
        print(f"\n{found.dataset.sizes['run']} training runs{kept}")

    def as_json(self, found: Measured) -> str:
        from lnn.core.files import strict
        from lnn.studies.width.conclusion.listed import judged_all
        from lnn.studies.width.report import rows

        told = [each.as_json() for each in judged_all(found.dataset)]
        return json.dumps(strict({"statements": told, "rows": rows(found.dataset)}), indent=2)


def _device() -> str:
    import jax

    return jax.default_backend()


main = WidthCommand().main
