"""`python -m lnn.mnist`: what depth does for a convolutional network, term by term.

Imports nothing heavy at the top: `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lnn.core.files import check_writable
from lnn.execution import backend
from lnn.execution.earlier import set_aside
from lnn.execution.terminal import KEPT, download_bar, guarded, progress_bar
from lnn.results.plotting import save
from lnn.studies.command import Parser
from lnn.studies.mnist.config import QUICK, REFRESH_EVERY, SCALES, MnistConfig

if TYPE_CHECKING:
    from lnn.studies.mnist.study import Study

_DESCRIPTION = """\
Does depth train a convolutional network faster, and in which term of its loss? Train the network
of the TensorFlow MNIST tutorial as it is, with every dense matrix a product of two, and with the
end-to-end rule as a drop-in; tune the learning rate of each by the same search, and report on
other seeds, beside the tutorial's rate for all. Cross-entropy and regularizer are measured apart:
Arora et al. (Figure 5, right) saw a faster fall of the loss, Hou et al. of the regularizer only.
Writes curves (mnist.nc), a table (mnist.csv), a figure (mnist.pdf, mnist.png) and what they say in
words (report.md)."""

_EPILOG = f"""\
The default network is a reduced one: {MnistConfig().network};
about twenty-two minutes on two cores. The full one is for a GPU, about three quarters of an hour
on an NVIDIA H200: {MnistConfig(**SCALES["full"]).network}.
What is done is kept: after an interruption the same command goes on, and more seeds make only what
is missing. Results of other settings in the same folder are moved to earlier-N in it.

examples:
  python -m lnn.mnist --quick             a first look in two minutes
  python -m lnn.mnist --data ~/mnist      from a folder with the four idx files
  python -m lnn.mnist --scale full        the tutorial's network

Without --data the images come from your cache folder, where they are downloaded once and checked;
LNN_DATA names another folder, LNN_MNIST_URL another address to download from.

exit codes: 0 done; 1 files cannot be written; 2 the input is wrong; 3 the images cannot be had;
130, 143 stopped by a signal, the same command goes on"""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lnn.mnist", description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DIR", help="folder of MNIST's four idx files, gzipped or not"
    )
    parser.add_argument("--scale", choices=list(SCALES), help="of the network (default reduced)")
    parser.add_argument("--steps", type=int, help="of every run (default: of the scale)")
    parser.add_argument(
        "--seeds", type=int, metavar="S", help=f"that report (default {MnistConfig().seeds})"
    )
    parser.add_argument(
        "--quick", action="store_true",
        help=f"a small network ({MnistConfig(**QUICK).network}) and {QUICK['seeds']} seeds",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder of the results (runs/mnist[-quick])")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code, which `--help` explains."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.quick and options.scale:
        parser.error("--quick has a scale of its own: leave one of --quick and --scale out")
    return guarded(parser.prog, lambda: _run(options), KEPT)


def _run(options: argparse.Namespace) -> int:
    started = time.time()
    base = QUICK if options.quick else SCALES[options.scale or "reduced"]
    given = {
        name: value for name in ("steps", "seeds") if (value := getattr(options, name)) is not None
    }
    config = MnistConfig(**{**base, **given})
    out = Path(options.out or f"runs/mnist{'-quick' if options.quick else ''}")
    check_writable(out)
    show = sys.stderr.isatty() and not options.quiet
    from lnn.datasets import mnist

    with download_bar(show, "MNIST") as bar:
        data = mnist.load(options.data, progress=bar)
    if len(data.train) < config.evaluation:
        raise ValueError(
            f"evaluation = {config.evaluation}, but there are {len(data.train)} images"
        )
    from lnn.results import provenance
    from lnn.studies.mnist import study as search
    from lnn.studies.mnist import summary
    from lnn.studies.mnist.runs import Runner, key_of

    backend.start()
    import jax

    device, versions = jax.default_backend(), provenance.versions()
    key = key_of(config, data.checksum, versions, device)
    # Results of other code or settings lie in folders of their own: nothing is overwritten.
    folder = out / "records" / key
    folder.mkdir(parents=True, exist_ok=True)
    workers = backend.cores() if device == "cpu" else 0
    with progress_bar(show) as report:
        runner = Runner(config, data, folder, workers, report)
        runner.planned = search.planned(config)
        study = search.run_study(config, runner)
    found = summary.dataset(
        config, study,
        {
            "network": config.network, "evaluation": config.evaluation,
            "refresh_every": REFRESH_EVERY, "protocol": search.protocol(config),
            "data_checksum": data.checksum, "runs": len(study.curves), "device": device,
        },
    )  # fmt: skip
    manifest = {
        **provenance.account(started), "device": device, "workers": workers,
        "runs_kept_from_before": runner.kept,
        "config": asdict(config), "key": key, "data_checksum": data.checksum,
        "milliseconds_per_step": _costs(study, config),
    }  # fmt: skip
    names = (*(f"mnist.{kind}" for kind in ("nc", "csv", "pdf", "png")), "report.md")
    set_aside(out, names, manifest, options.quiet)
    said = _write(out, found, manifest)
    if not options.quiet:
        print("\n".join(fill(text, 100, subsequent_indent="  ") for text in said))
        kept = f", {runner.kept} of them done before" if runner.kept else ""
        print(
            f"\n{len(study.curves)} training runs{kept}, {time.time() - started:.0f} s; read "
            f"{out}/report.md"
        )
    return 0


def _costs(study: Study, config: MnistConfig) -> dict[str, float]:
    """Median time of a run divided by its steps, measuring included, for each arm."""
    import numpy as np

    times: dict[str, list[float]] = {}
    for run, curve in study.curves.items():
        times.setdefault(run.arm, []).append(1000 * curve.seconds / config.steps)
    return {arm: round(float(np.median(values)), 2) for arm, values in times.items()}


def _write(out: Path, found: Any, manifest: dict[str, Any]) -> list[str]:
    """The dataset, table, figure, report and manifest; returns the conclusion."""
    from lnn.results.dataset import save_dataset
    from lnn.studies.mnist.conclusion import statements
    from lnn.studies.mnist.figures import draw
    from lnn.studies.mnist.report import markdown, to_csv
    from lnn.studies.mnist.summary import summarize

    save_dataset(found, out / "mnist.nc")
    rows = summarize(found)
    for name, text in (
        ("mnist.csv", to_csv(rows)),
        ("report.md", markdown(found, rows)),
        ("manifest.json", json.dumps(manifest, indent=2) + "\n"),
    ):
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    save(draw(found), out, "mnist")
    return statements(rows)
