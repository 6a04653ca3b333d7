"""Options of `python -m lnn.compare`. Imports no JAX."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from lnn.core.checks import DTYPES, SCHEMES
from lnn.datasets import LABEL_COLUMN
from lnn.studies.compare.config import QUICK, StudyConfig
from lnn.studies.options import (
    Flatten,
    Parser,
    add_interruption_options,
    add_output_options,
    listed,
    number,
    seconds,
    whole,
)
from lnn.transforms.catalogue import BASELINES, DEEP

BUILT_IN = ("synthetic", "gaussian", "two-point", "gas-drift")


LABELS = (10.0, 1.0)
"""Labels of the two-point problem, unless `--y1` names the first."""


def two_point_labels(options: argparse.Namespace) -> tuple[float, float]:
    """Return both labels of the two-point problem."""
    return (LABELS[0] if options.y1 is None else options.y1), LABELS[1]


def file_name(path: str) -> str:
    """Return a file's name as text; undecodable bytes become question marks."""
    return Path(path).name.encode("utf-8", "replace").decode()


def _rates(text: str) -> int | list[float]:
    if "," not in text:
        with suppress(ValueError):
            return int(text)
    rates: list[float] = listed(float, "give a count, or rates such as 0.001,0.01")(text)
    return rates


def _outputs(text: str) -> int | str:
    if text == "gases":
        return text
    count = whole(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give at least 1, or 'gases'")
    return count


def build_parser() -> Parser:
    """Return the parser of the command's options, with help."""
    parser = Parser(
        prog="python -m lnn.compare",
        description="How does depth change optimization? Train linear models on l_p regression by "
        "plain\ngradient descent, by the end-to-end rule of a depth-N linear network (Arora, "
        "Cohen\nand Hazan 2018), as real deep networks and by adaptive methods; tune each by the\n"
        "same protocol; evaluate on other seeds. Prints a table and a conclusion, and writes\na "
        "table, a figure, the trajectories and an appendix to OUT/NAME.",
        epilog="examples:\n  python -m lnn.compare --depth 4 --p 4            built-in data, no "
        "network\n  python -m lnn.compare --depth 2 3 4 --p 2 --data gas-drift\n  python -m "
        "lnn.compare --quick --data mine.csv --label price\nexit codes: 0 done, 1 results could "
        "not be written or another process holds them,\n2 invalid input, 3 data unavailable, 130 "
        "or 143 stopped by a signal\ncompiled programs are cached; JAX_COMPILATION_CACHE_DIR names "
        "another folder for them",
    )

    _add_problem(parser)
    _add_describe(parser)
    _add_methods(parser)
    _add_protocol(parser)
    add_output_options(parser, "made from data, p and depth", _add_save_weights)
    add_interruption_options(
        parser, "seeds, methods, depths, rates or steps", _add_checkpoint_every
    )
    _add_hosts(parser)
    return parser


def _add_problem(parser: Parser) -> None:
    group = parser.add_argument_group("the problem")
    group.add_argument(
        "--data", default="synthetic", metavar="DATA",
        help="synthetic (a simulated gas-sensor array, built in; the default); gaussian (built in, "
        "with gas drift's spectrum); two-point (Section 7 of the paper); gas-drift (UCI dataset "
        "270, downloaded once); or a path: a table (CSV in any dialect, .npz, .npy, .parquet, "
        ".arff), a folder of batchN.dat files, or the UCI zip",
    )  # fmt: skip
    group.add_argument(
        "--p",
        type=number,
        default=4.0,
        help="loss (1/p) mean |error|^p, any p > 1 (default 4); below 1.1 the minimum may not be "
        "found to tolerance",
    )
    group.add_argument(
        "--gas",
        help="gas whose concentration is predicted, for gas drift (default ethanol)",
    )  # fmt: skip
    group.add_argument(
        "--label", metavar="COLUMN",
        help=f"label column of a table; all others are features (default {LABEL_COLUMN}; y in "
        "NumPy files)",
    )  # fmt: skip
    group.add_argument(
        "--outputs", type=_outputs, metavar="N|gases",
        help="outputs of the gaussian problem (default 1), or 'gases': all six concentrations of "
        "gas drift at once",
    )  # fmt: skip
    group.add_argument(
        "--y1", type=number, metavar="LABEL",
        help="first label of the two-point problem (default {:g}; the second is {:g})".format(
            *LABELS
        ),
    )  # fmt: skip
    group.add_argument(
        "--drop-missing", action="store_true",
        help="leave out rows of a table with missing cells, which otherwise cause an error",
    )  # fmt: skip
    group.add_argument(
        "--drop-columns", nargs="+", action=Flatten, type=listed(str, ""), metavar="COLUMN",
        help="columns of a table to leave out",
    )  # fmt: skip
    group.add_argument(
        "--one-hot", nargs="+", action=Flatten, type=listed(str, ""), metavar="COLUMN",
        help="columns of text, each replaced by columns of 0 and 1 for its values but the first",
    )  # fmt: skip
    group.add_argument(
        "--drop-constant", action="store_true",
        help="drop constant features, which cannot be standardized and otherwise cause an error",
    )  # fmt: skip


def _add_describe(parser: Parser) -> None:
    describe = parser.add_argument(
        "--describe", action="store_true",
        help="print size, conditioning, loud rows, labels and tails of the data, and exit",
    )  # fmt: skip
    parser.elsewhere.add(describe.dest)


def _add_methods(parser: Parser) -> None:
    default = StudyConfig()
    group = parser.add_argument_group("the methods")
    group.add_argument(
        "--depth", dest="depths", nargs="+", action=Flatten, metavar="N",
        type=listed(float, "depths are numbers such as 2, 3, 1.5 or inf"),
        help="depth or depths of the deep methods (default 4); a real number or inf is allowed "
        "for the end-to-end rules",
    )  # fmt: skip
    group.add_argument(
        "--methods", nargs="+", action=Flatten, type=listed(str, ""), metavar="METHOD",
        help=f"which methods (default {' '.join(default.methods)}); all: "
        f"{' '.join((*BASELINES, *DEEP))}",
    )  # fmt: skip
    group.add_argument(
        "--width", dest="hidden", nargs="+", action=Flatten, metavar="W",
        type=listed(int, "widths are whole numbers"),
        help="hidden widths of real networks: one for all layers, or a list (default 1 for one "
        "output, else the number of outputs)",
    )  # fmt: skip
    group.add_argument(
        "--init", choices=SCHEMES,
        help="start: balanced (the same end-to-end matrix for every method; default), near-zero "
        "(the paper's, standard deviation 0.01), identity (the same plus 1 on every diagonal)",
    )  # fmt: skip
    group.add_argument(
        "--init-norm", type=number, metavar="NORM",
        help=f"Frobenius norm of the balanced start (default {default.init_norm:g}); the effect "
        "of depth depends on this norm",
    )  # fmt: skip
    group.add_argument(
        "--weight-decay", type=number, metavar="LAMBDA",
        help="weight decay on every trained parameter (default 0); reported losses exclude it",
    )  # fmt: skip


def _add_protocol(parser: Parser) -> None:
    default = StudyConfig()
    group = parser.add_argument_group("the protocol")
    group.add_argument("--steps", type=whole, help=f"budget of every run (default {default.steps})")
    group.add_argument(
        "--lrs", dest="rates", type=_rates, metavar="COUNT|LIST",
        help=f"learning rates per method (default {default.rates}): half over the range, half "
        "around the best of these; or a list of rates, such as 0.001,0.01",
    )  # fmt: skip
    group.add_argument(
        "--lr-range", dest="rate_range", nargs=2, type=number, metavar=("LOW", "HIGH"),
        help="range of the first pass (default {:g} {:g}); extended once if the best rate is at "
        "an endpoint".format(*default.rate_range),
    )  # fmt: skip
    group.add_argument(
        "--tuning-seeds", type=whole, metavar="S",
        help=f"seeds that choose the rate (default {default.tuning_seeds})",
    )  # fmt: skip
    group.add_argument(
        "--seeds", type=whole, metavar="S",
        help=f"evaluation seeds, never used for tuning (default {default.seeds})",
    )  # fmt: skip
    group.add_argument(
        "--targets", nargs="+", action=Flatten, metavar="T",
        type=listed(float, "targets are numbers between 0 and 1"),
        help="relative suboptimalities (L - L*) / (L(0) - L*) to reach (default "
        f"{' '.join(f'{target:g}' for target in default.targets)}; for the two points, distances "
        "from both labels)",
    )  # fmt: skip
    group.add_argument(
        "--divergence", type=number, metavar="FACTOR",
        help="a run that ends above this multiple of the loss at W = 0, or whose parameters are "
        f"not finite, has diverged and counts as having reached nothing (default "
        f"{default.divergence:g}; inf: only the latter)",
    )  # fmt: skip
    group.add_argument(
        "--dtype", choices=DTYPES, help=f"precision of the runs (default {default.dtype})"
    )
    group.add_argument(
        "--no-compensation", dest="compensation", action="store_const", const=False,
        help="float32 without compensated summation of the parameters: long runs then freeze",
    )  # fmt: skip
    group.add_argument(
        "--quick", action="store_true",
        help="a first look in seconds: {steps} steps, {rates} rates, {seeds} seeds, unless "
        "given".format(**QUICK),
    )  # fmt: skip


def _add_save_weights(group: Any) -> None:
    group.add_argument(
        "--save-weights", action="store_const", const=True,
        help="save the end-to-end matrix of evaluation runs at every recorded step and, with gd "
        "among the methods, report when an end-to-end rule is faster and which factor causes it "
        "(decomposition.png)",
    )  # fmt: skip


def _add_checkpoint_every(group: Any) -> None:
    group.add_argument(
        "--checkpoint-every", type=seconds, default=60.0, metavar="SECONDS",
        help="time between checkpoints (default 60); one is also saved on Ctrl-C and SIGTERM",
    )  # fmt: skip


def _add_hosts(parser: Parser) -> None:
    group = parser.add_argument_group(
        "several hosts", "Start the same command on each host, with OUT on a shared disk."
    )
    group.add_argument(
        "--distributed", action="store_true",
        help="distribute runs over processes; on a TPU pod or a cluster JAX detects the others",
    )  # fmt: skip
    group.add_argument(
        "--coordinator", metavar="HOST:PORT", help="address of process 0, if JAX detects none"
    )
    group.add_argument("--processes", type=whole, metavar="N", help="number of processes")
    group.add_argument("--process", type=whole, metavar="I", help="index of this process, from 0")
    parser.elsewhere.update(
        ("checkpoint_every", "distributed", "coordinator", "processes", "process")
    )
