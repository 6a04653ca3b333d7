"""`python -m lnn.phase`. Imports nothing heavy at the top, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lnn.studies.command import Run, StudyCommand
from lnn.studies.config import configured
from lnn.studies.options import (
    Flatten,
    Parser,
    add_interruption_options,
    add_output_options,
    listed,
)
from lnn.studies.phase.config import QUICK, RATES, TUNING, MapConfig

if TYPE_CHECKING:
    import xarray as xr

_DESCRIPTION = """\
Where does depth help? For every cell of a grid over the loss (p), the depth, the norm of the
start, the conditioning of the features and the target accuracy, tune gradient descent and the
end-to-end rule of a depth-N linear network by the same search, and compare their steps on problems
never used for tuning. Where the rule is faster or slower is decided by sign tests, at a
false-discovery rate of 5 %; at one conditioning the layers of the network are trained too. Writes
the map as a dataset (phase.nc, phase.csv), a figure (phase.pdf, phase.png) and conclusions
(phase.txt)."""

_EPILOG = f"""\
Every method, start norm and target uses the best of {len(RATES)} learning rates, chosen on {TUNING}
draws of the problem and evaluated on others. The default map takes about 25 minutes on two cores.

examples:
  python -m lnn.phase --quick                   a first look in a minute
  python -m lnn.phase                           the map of the figure
  python -m lnn.phase --p 4 --depth 2,16,inf --norm 0.01 --name deep

exit codes: 0 done; 1 files cannot be written; 2 invalid input; 130, 143 stopped by a signal,
the same command resumes"""


class MapCommand(StudyCommand[MapConfig, None, "xr.Dataset"]):
    """Gradient descent and the end-to-end rule, tuned in every cell of a grid."""

    extendable = ("p", "decays", "seeds")

    def parser(self) -> Parser:
        parser = Parser(prog="python -m lnn.phase", description=_DESCRIPTION, epilog=_EPILOG)
        default = MapConfig()
        # The last name of an option is its name in study.toml.
        for options, name, what in (
            (["--p"], "p", "exponents of the loss |error|^p"),
            (["--depth"], "depths", "depths N of the rule, real numbers above 1, or inf"),
            (
                ["--norm", "--relative-norm"],
                "relative_norms",
                "Frobenius norms of the start W(0), relative to that of the optimum W* of the draw",
            ),
            (["--decay"], "decays", "conditioning: 0 equal eigenvalues, 1 as of gas drift, to 2"),
            (["--targets"], "targets", "relative suboptimalities to reach"),
        ):
            values = " ".join(f"{value:g}" for value in getattr(default, name))
            parser.add_argument(
                *options, dest=name, nargs="+", action=Flatten, metavar="X",
                type=listed(float, "give numbers such as 2, 4"), help=f"{what} (default {values})",
            )  # fmt: skip
        parser.add_argument(
            "--steps", type=int, help=f"budget of every run (default {default.steps})"
        )
        parser.add_argument(
            "--seeds", type=int, metavar="S",
            help=f"evaluation draws of every problem (default {default.seeds})",
        )  # fmt: skip
        parser.add_argument("--quick", action="store_true", help="a small grid and a short budget")
        add_output_options(parser, "phase, or phase-quick")
        add_interruption_options(parser, "values of p, conditionings or seeds")
        return parser

    def configuration(self, options: argparse.Namespace) -> MapConfig:
        return configured(MapConfig, options, QUICK if options.quick else {})

    def settings(self, options: argparse.Namespace, config: MapConfig) -> dict[str, Any]:
        return asdict(config)

    def default_name(self, options: argparse.Namespace, config: MapConfig) -> str:
        return "phase" + "-quick" * options.quick

    def load_data(self, options: argparse.Namespace, config: MapConfig) -> tuple[None, str]:
        return None, ""

    def key(self, options: argparse.Namespace, config: MapConfig, checksum: str) -> str:
        """Identify what a draw depends on, which excludes the other draws."""
        from lnn.execution.result_cache import code_key
        from lnn.results import provenance

        axes = (config.depths, config.relative_norms, config.targets, config.steps)
        devices = provenance.session()["devices"]
        configuration = repr((axes, sorted(provenance.versions().items()), devices))
        return code_key(configuration, "lnn.studies.phase.study")

    def compute(self, run: Run[MapConfig, None]) -> xr.Dataset:
        from lnn.studies.phase import study
        from lnn.studies.phase.summary import map_of

        config = run.config
        jobs, networks = study.jobs(config), study.network_jobs(config)
        runner = run.runner(study.draw, config, study.Draw, planned=len(jobs) + len(networks))
        draws = runner([*jobs, *networks], "draws of problems")
        found = study.gathered(config, [draws[job] for job in jobs])
        if networks:
            layers = study.gathered(config, [draws[job] for job in networks])
            found["network_hits"] = layers["hits"]
        return map_of(config, found)

    def write(self, found: xr.Dataset, folder: Path, run: Run[MapConfig, None]) -> dict[str, Any]:
        from lnn.results import plotting, provenance
        from lnn.results.dataset import save_dataset
        from lnn.studies.phase.conclusion import statements
        from lnn.studies.phase.figures import caption, draw
        from lnn.studies.phase.summary import cell_table

        save_dataset(found, folder / "phase.nc")
        table = cell_table(found)
        table.to_csv(folder / "phase.csv", index=False, float_format="%.6g")
        plotting.save(draw(found), folder, "phase")
        text = "\n\n".join(fill(part, 100) for part in (caption(found), *statements(found)))
        (folder / "phase.txt").write_text(text + "\n", encoding="utf-8")
        return provenance.account(run.started)

    def load(self, folder: Path) -> xr.Dataset:
        from lnn.results.dataset import load_dataset

        return load_dataset(folder / "phase.nc")

    def show(self, found: xr.Dataset) -> None:
        from lnn.studies.phase.conclusion import statements

        print("\n".join(fill(text, 100, subsequent_indent="  ") for text in statements(found)))
        print(f"{int(found.attrs['studies'])} tuned studies")

    def as_json(self, found: xr.Dataset) -> str:
        from lnn.core.files import strict
        from lnn.studies.phase.conclusion import statements
        from lnn.studies.phase.summary import cell_table

        cells = cell_table(found).to_dict("records")
        return json.dumps(strict({"conclusion": statements(found), "cells": cells}), indent=2)


main = MapCommand().main
