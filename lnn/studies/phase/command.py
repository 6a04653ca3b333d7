"""`python -m lnn.phase`: where depth helps and where it hurts, as a map.

Imports nothing heavy at the top: `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lnn.core.files import check_writable, load_record, save_record
from lnn.execution import backend
from lnn.execution.earlier import set_aside
from lnn.execution.terminal import KEPT, guarded, progress_bar
from lnn.results.plotting import save
from lnn.studies.command import Flatten, Parser, listed
from lnn.studies.phase.config import QUICK, RATES, TUNING, MapConfig

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_DESCRIPTION = """\
Where does depth help? For every cell of a grid over the loss (p), the depth, the norm of the
start, the conditioning of the features and the target accuracy, tune gradient descent and the
end-to-end rule of a depth-N linear network by the same search, and compare the steps they take on
problems that had no part in it. Writes the map as a dataset (phase.nc, phase.csv) and a figure
(phase.pdf, phase.png), and says in words what it shows (phase.txt)."""

_EPILOG = f"""\
Every method, start norm and target has its best of {len(RATES)} learning rates, chosen on {TUNING}
draws of the problem and measured on others. The default map takes about a quarter of an hour on
two cores. What is done is kept: after an interruption the same command goes on, and more values of
p, more conditionings or more seeds make only what is missing. Results of other settings in the
same folder are moved to earlier-N in it.

examples:
  python -m lnn.phase --quick                   a first look in a minute
  python -m lnn.phase                           the map of the figure
  python -m lnn.phase --p 4 --depth 2,16,inf --norm 0.1 --out runs/deep

exit codes: 0 done; 1 files cannot be written; 2 the input is wrong; 130, 143 stopped by a signal,
the same command goes on"""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lnn.phase", description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    default = MapConfig()
    for option, name, what in (
        ("--p", "p", "exponents of the loss |error|^p"),
        ("--depth", "depths", "depths N of the end-to-end rule, real numbers above 1, or inf"),
        ("--norm", "norms", "Frobenius norms of the start W(0)"),
        ("--decay", "decays", "conditioning: 0 equal eigenvalues, 1 as of gas drift, up to 2"),
        ("--targets", "targets", "relative suboptimalities to reach"),
    ):
        values = " ".join(f"{value:g}" for value in getattr(default, name))
        parser.add_argument(
            option, dest=name, nargs="+", action=Flatten, metavar="X",
            type=listed(float, "give numbers such as 2, 4"), help=f"{what} (default {values})",
        )  # fmt: skip
    parser.add_argument("--steps", type=int, help=f"budget of every run (default {default.steps})")
    parser.add_argument(
        "--seeds", type=int, metavar="S",
        help=f"draws of every problem that report (default {default.seeds})",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a small grid and a short budget")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (runs/phase[-quick])")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code, which `--help` explains."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return guarded(parser.prog, lambda: _run(options), KEPT)


def _run(options: argparse.Namespace) -> int:
    started = time.time()
    given = {
        item.name: value
        for item in fields(MapConfig)
        if (value := getattr(options, item.name)) is not None
    }
    config = MapConfig(**{**(QUICK if options.quick else {}), **given})
    out = Path(options.out or f"runs/phase{'-quick' if options.quick else ''}")
    check_writable(out)
    backend.start()
    from lnn.results import provenance
    from lnn.studies.phase.summary import map_of

    with progress_bar(sys.stderr.isatty() and not options.quiet) as report:
        key, draws = _draws(config, out / "records", report)
    found = map_of(config, draws)
    manifest = {**provenance.account(started), "config": asdict(config), "key": key}
    names = (f"phase.{kind}" for kind in ("nc", "csv", "pdf", "png", "txt"))
    set_aside(out, names, manifest, options.quiet)
    told = _write(found, manifest, out)
    if not options.quiet:
        print("\n".join(fill(text, 100, subsequent_indent="  ") for text in told))
        print(
            f"\n{config.studies} tuned studies, {time.time() - started:.0f} s; see {out}/phase.png"
        )
    return 0


def _draws(config: MapConfig, records: Path, report: Any) -> tuple[str, dict[str, np.ndarray]]:
    """All draws of the grid, those made before and those that are missing; and their key."""
    import numpy as np

    from lnn.execution.result_cache import code_key
    from lnn.results import provenance
    from lnn.studies.phase import study

    axes = (config.depths, config.norms, config.targets, config.steps)
    configuration = repr((axes, sorted(provenance.versions().items())))
    key = code_key(configuration, _NOT_COMPUTING)
    # Results of other code or settings lie in folders of their own: nothing is overwritten.
    folder = records / key
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        (p, decay, seed)
        for p in config.p
        for decay in config.decays
        for seed in range(TUNING + config.seeds)
    ]
    made = []
    for done, (p, decay, seed) in enumerate(wanted):
        if report is not None:
            report(done, len(wanted), f"p = {p:g}, decay {decay:g}, draw {seed}")
        # All digits: values that differ in the seventh are different problems.
        path = folder / f"p{p:.17g}-decay{decay:.17g}-draw{seed}.npz"
        draw = load_record(path, study.Draw)
        if draw is None:
            draw = study.run(config, p, decay, seed)
            save_record(path, draw)
        made.append(draw)
    grid = (len(config.p), len(config.decays), TUNING + config.seeds)
    return key, {
        name: np.stack([getattr(draw, name) for draw in made]).reshape(
            grid + np.shape(getattr(made[0], name))
        )
        for name in ("hits", "condition", "solution_norm")
    }


_NOT_COMPUTING = (
    *("report", "claims", "mnist", "command.py", "summary.py", "statements.py", "figure.py"),
    *("reproduce.py", "compare.py", "cli.py", "decomposition.py", "advantage.py"),
)
"""Parts of the package that no draw depends on."""


def _write(found: xr.Dataset, manifest: dict[str, Any], out: Path) -> list[str]:
    """The dataset, the table, the figure and the words; returns these."""
    from lnn.results.dataset import save_dataset
    from lnn.studies.phase.conclusion import statements
    from lnn.studies.phase.figures import caption, draw

    save_dataset(found, out / "phase.nc")
    cells = [name for name in found.data_vars if "draw" not in found[name].dims]
    table = found[cells].to_dataframe().reset_index()
    table.to_csv(out / "phase.csv", index=False, float_format="%.6g")
    save(draw(found), out, "phase")
    told = statements(found)
    text = "\n\n".join(fill(paragraph, 100) for paragraph in (caption(found), *told))
    (out / "phase.txt").write_text(text + "\n", encoding="utf-8")
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return told
