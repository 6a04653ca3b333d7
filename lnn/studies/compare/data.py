"""The problem of `python -m lnn.compare`, from its options, and its description."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import numpy as np

from lnn.core.linalg import condition_number
from lnn.core.problem import Problem
from lnn.datasets import regression
from lnn.datasets.gas_parse import gas_id
from lnn.datasets.gas_regression import gas_drift
from lnn.datasets.tables.files import as_columns
from lnn.datasets.tables.problem import table
from lnn.datasets.tables.wording import options_of_the_command
from lnn.execution.terminal import download_bar
from lnn.results.formatting import count
from lnn.studies.compare.options import BUILT_IN, file_name, two_point_labels

TABLE_OPTIONS = ("label", "drop_constant", "drop_missing", "drop_columns", "one_hot")


def load_problem(options: argparse.Namespace, show_progress: bool) -> Problem:
    """Return the problem that the options name.

    Raises:
        ValueError: options that do not fit each other.
        DataError: the data is unavailable or invalid; the message names options.
    """
    _check_options(options)
    data, p = options.data, options.p
    if data == "two-point":
        return regression.two_point(*two_point_labels(options), p)
    if data == "synthetic":
        return regression.synthetic(p)
    if data == "gaussian":
        return regression.gaussian(p, outputs=options.outputs or 1)
    with options_of_the_command(), download_bar(show_progress) as progress:
        label = options.label
        if label is None and data.lower().endswith((".npz", ".npy")):
            label = "y"
        if label:
            return table(
                data, label, p, drop_missing=options.drop_missing,
                drop_columns=options.drop_columns or (), one_hot=options.one_hot or (),
                drop_constant=options.drop_constant, name=f"{file_name(data)}, {label}",
            )  # fmt: skip
        return gas_drift(
            p,
            gas=options.gas or "ethanol",
            outputs=options.outputs or 1,
            path=None if data == "gas-drift" else data,
            drop_constant=options.drop_constant,
            drop_missing=options.drop_missing,
            drop_columns=options.drop_columns or (),
            one_hot=options.one_hot or (),
            progress=progress,
        )


def _check_options(options: argparse.Namespace) -> None:
    data, outputs = options.data, options.outputs
    made = data in BUILT_IN and data != "gas-drift"
    if made:
        for name in ("gas", *TABLE_OPTIONS):
            if getattr(options, name):
                option = name.replace("_", "-")
                raise ValueError(f"--{option} requires gas-drift data or a file, not --data {data}")
    if options.gas:
        gas_id(options.gas)
    if options.y1 is not None and data != "two-point":
        raise ValueError(f"--y1 requires --data two-point, not {data}")
    if outputs == "gases" and made:
        raise ValueError("--outputs gases requires gas-drift data")
    if data in ("two-point", "synthetic") and outputs not in (None, 1):
        raise ValueError(
            f"--outputs {outputs}: the {data} problem has one output; --data gaussian has "
            "any number"
        )
    if data != "gaussian" and outputs not in (None, 1, "gases"):
        raise ValueError(f"--outputs {outputs}: gas drift has 1 output, or 'gases' for all six")
    for name in TABLE_OPTIONS:
        if name != "drop_constant" and getattr(options, name) and not is_table(options):
            option = name.replace("_", "-")
            raise ValueError(
                f"--{option} names what a table holds, but --data {data} is not a table"
            )
    if options.label and (outputs == "gases" or options.gas):
        option = "--gas" if options.gas else "--outputs gases"
        raise ValueError(f"{option} requires gas drift's own columns: omit --label")


def is_table(options: argparse.Namespace) -> bool:
    """Return whether the data is a table of one's own, not a built-in problem or UCI's files."""
    data = options.data
    if data in BUILT_IN or os.path.isdir(data) or data.lower().endswith(".zip"):
        return False
    return bool(options.label) or not data.lower().endswith(".dat")


def describe(options: argparse.Namespace, show_progress: bool) -> str:
    """Return the description of the data that the options name."""
    problem = load_problem(options, show_progress)
    notes = as_columns(options.data).notes if is_table(options) else ()
    return description(problem, notes)


def description(problem: Problem, notes: Sequence[str] = ()) -> str:
    """Describe size, conditioning, loud rows, labels, and what p makes of the tails."""
    x = np.asarray(problem.x, np.float64)
    y = np.asarray(problem.y, np.float64).reshape(problem.m, -1)
    norms = np.sort(np.linalg.norm(x, axis=1))[::-1]
    largest = float(np.abs(y).max()) or 1.0
    of_loss = np.sort(np.sum((np.abs(y) / largest) ** problem.p, axis=1))[::-1]
    held = np.cumsum(of_loss) / (of_loss.sum() or 1.0)
    half, loud = int(np.searchsorted(held, 0.5)) + 1, max(1, problem.m // 100)
    names = ("minimum", "5 %", "median", "95 %", "maximum")
    levels = zip(names, np.quantile(y, [0, 0.05, 0.5, 0.95, 1]), strict=True)
    size = (count(problem.m, "row"), count(problem.d, "feature"), count(problem.k, "output"))
    lines = {
        "Data": problem.name,
        **({"Read as": "; ".join(notes)} if notes else {}),
        "Size": ", ".join(size),
        "Condition": f"number {condition_number(x):.4g} (ratio of the extreme nonzero eigenvalues "
        "of x^T x)",
        "Row norms": f"largest {', '.join(f'{norm:.3g}' for norm in norms[:5])}; median "
        f"{np.median(norms):.3g}",
        "Labels": ", ".join(f"{name} {value:.3g}" for name, value in levels)
        + f"; {np.unique(y).size} different",
        "Tails": f"at p = {problem.p:g} the {count(loud, 'row')} with the largest labels, of "
        f"{problem.m}, hold {100 * held[loud - 1]:.0f} % of the loss at W = 0; half of it is in "
        f"{count(half, 'row')}",
        **({"Targets": problem.meaning} if problem.meaning else {}),
    }
    return "\n".join(f"{name:<10} {text}" for name, text in lines.items())
