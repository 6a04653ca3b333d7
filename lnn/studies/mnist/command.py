"""`python -m lnn.mnist`. Imports nothing heavy at the top, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from lnn.execution import backend
from lnn.execution.terminal import download_bar
from lnn.studies.command import Run, StudyCommand, is_shown
from lnn.studies.config import configured
from lnn.studies.mnist.config import QUICK, REFRESH_EVERY, SCALES, MnistConfig
from lnn.studies.options import Parser, add_interruption_options, add_output_options

if TYPE_CHECKING:
    import xarray as xr

    from lnn.datasets.images import Images

_DESCRIPTION = """\
Does depth train a convolutional network faster, and in which term of its loss? Train the network
of the TensorFlow MNIST tutorial unchanged, with every dense matrix factored in two, and with the
end-to-end rule as a drop-in; tune the learning rate of each by the same search, and evaluate on
other seeds, also at the tutorial's rate. Cross-entropy and regularizer are measured separately:
Arora et al. (Figure 5, right) saw the loss fall faster, Hou et al. only the regularizer. Writes
curves (mnist.nc), a table (mnist.csv), a figure (mnist.pdf, mnist.png) and conclusions
(report.md)."""

_EPILOG = f"""\
The default is a reduced network: {MnistConfig().network};
about 22 minutes on two cores. The full one is meant for a GPU, about 45 minutes on an NVIDIA H200:
{MnistConfig(**SCALES["full"]).network}.

examples:
  python -m lnn.mnist --quick             a first look in two minutes
  python -m lnn.mnist --data ~/mnist      from a folder with the four idx files
  python -m lnn.mnist --scale full        the tutorial's network

Without --data the images are downloaded once to your cache folder and verified; LNN_DATA names
another folder, LNN_MNIST_URL another address.

exit codes: 0 done; 1 files cannot be written; 2 invalid input; 3 images unavailable; 130, 143
stopped by a signal, the same command resumes"""


class Trained(NamedTuple):
    """Result of the study: curves, time per step, and number of runs reused."""

    dataset: xr.Dataset
    milliseconds: dict[str, float]
    kept: int


class MnistCommand(StudyCommand[MnistConfig, "Images", Trained]):
    """A convolutional network, normal, factored and with the rule, each at its tuned rate."""

    extendable = ("seeds", "tuning_seeds")

    def parser(self) -> Parser:
        parser = Parser(prog="python -m lnn.mnist", description=_DESCRIPTION, epilog=_EPILOG)
        parser.add_argument(
            "--data", metavar="DIR", help="folder of MNIST's four idx files, gzipped or not"
        )
        parser.add_argument(
            "--scale", choices=list(SCALES), help="of the network (default reduced)"
        )
        parser.add_argument("--steps", type=int, help="of every run (default: of the scale)")
        parser.add_argument(
            "--seeds", type=int, metavar="S", help=f"for evaluation (default {MnistConfig().seeds})"
        )
        parser.add_argument(
            "--quick", action="store_true",
            help=f"a small network ({MnistConfig(**QUICK).network}) and {QUICK['seeds']} seeds",
        )  # fmt: skip
        add_output_options(parser, "mnist, or mnist-quick")
        add_interruption_options(parser, "seeds")
        return parser

    def configuration(self, options: argparse.Namespace) -> MnistConfig:
        if options.quick and options.scale:
            raise ValueError("--quick sets its own scale: omit --quick or --scale")
        base = QUICK if options.quick else SCALES[options.scale or "reduced"]
        return configured(MnistConfig, options, base)

    def settings(self, options: argparse.Namespace, config: MnistConfig) -> dict[str, Any]:
        return asdict(config)

    def default_name(self, options: argparse.Namespace, config: MnistConfig) -> str:
        return "mnist" + "-quick" * options.quick

    def load_data(self, options: argparse.Namespace, config: MnistConfig) -> tuple[Images, str]:
        from lnn.datasets import mnist

        with download_bar(is_shown(options), "MNIST") as bar:
            images = mnist.load(options.data, progress=bar)
        if len(images.train) < config.evaluation:
            raise ValueError(
                f"evaluation = {config.evaluation}, but there are {len(images.train)} images"
            )
        return images, images.checksum

    def key(self, options: argparse.Namespace, config: MnistConfig, checksum: str) -> str:
        """Identify what a run depends on, which excludes the number of seeds."""
        from lnn.results import provenance
        from lnn.studies.mnist.study import key_of

        return key_of(config, checksum, provenance.versions(), _device())

    def compute(self, run: Run[MnistConfig, Images]) -> Trained:
        """Run all training runs, on an accelerator one after the other."""
        from lnn.studies.mnist import study, summary
        from lnn.studies.mnist.runs import Curve
        from lnn.studies.mnist.train import run_job

        config, device = run.config, _device()
        runner = run.runner(
            run_job, (config, run.data), Curve,
            workers=backend.cores() if device == "cpu" else 0, planned=study.planned(config),
        )  # fmt: skip
        made = study.run_study(config, runner)
        facts = {
            "network": config.network, "evaluation": config.evaluation,
            "refresh_every": REFRESH_EVERY, "protocol": study.protocol(config),
            "data_checksum": run.checksum, "runs": len(made.curves), "device": device,
        }  # fmt: skip
        dataset = summary.dataset(config, made, facts)
        return Trained(dataset, summary.milliseconds_per_step(made, config), runner.kept)

    def write(self, found: Trained, folder: Path, run: Run[MnistConfig, Images]) -> dict[str, Any]:
        from lnn.results import plotting, provenance
        from lnn.results.dataset import save_dataset
        from lnn.studies.mnist.figures import draw
        from lnn.studies.mnist.report import markdown, to_csv
        from lnn.studies.mnist.summary import summarize

        save_dataset(found.dataset, folder / "mnist.nc")
        rows = summarize(found.dataset)
        for name, text in (
            ("mnist.csv", to_csv(rows)),
            ("report.md", markdown(found.dataset, rows)),
        ):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        plotting.save(draw(found.dataset), folder, "mnist")
        return {
            **provenance.account(run.started), "device": found.dataset.attrs["device"],
            "runs_kept_from_before": found.kept, "milliseconds_per_step": found.milliseconds,
        }  # fmt: skip

    def load(self, folder: Path) -> Trained:
        from lnn.results.dataset import load_dataset

        return Trained(load_dataset(folder / "mnist.nc"), {}, 0)

    def show(self, found: Trained) -> None:
        from lnn.studies.mnist.conclusion import statements
        from lnn.studies.mnist.summary import summarize

        told = statements(summarize(found.dataset))
        print("\n".join(fill(text, 100, subsequent_indent="  ") for text in told))
        kept = f", {found.kept} of them completed earlier" if found.kept else ""
        print(f"\n{int(found.dataset.attrs['runs'])} training runs{kept}")

    def as_json(self, found: Trained) -> str:
        from lnn.core.files import strict
        from lnn.studies.mnist.conclusion import statements
        from lnn.studies.mnist.summary import summarize

        rows = summarize(found.dataset)
        return json.dumps(
            strict({"conclusion": statements(rows), "rows": list(map(asdict, rows))}), indent=2
        )


def _device() -> str:
    import jax

    return jax.default_backend()


main = MnistCommand().main
