"""Table and report of a study, from its rows and dataset."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from lnn.results.csv_text import csv_text, flat
from lnn.results.formatting import compact
from lnn.results.statistics import Band, band_name
from lnn.studies.mnist.conclusion import statements
from lnn.studies.mnist.config import ARMS
from lnn.studies.mnist.figures import caption
from lnn.studies.mnist.summary import SETTINGS, Row

_HEADS = (
    "Network", "Rate", "Objective", "Cross-entropy", "Regularizer, product",
    "Regularizer, factors", "at the start", "Test error, %", "Speed-up", "in cross-entropy",
)  # fmt: skip


def to_csv(rows: Sequence[Row]) -> str:
    """Return a line per setting and arm with all numbers of the rows, bands as three columns."""
    return csv_text([flat(vars(row)) for row in rows])


def table(rows: Sequence[Row], setting: str) -> list[tuple[str, ...]]:
    """Return heads and a line per arm at this setting, with medians and bands as text."""
    return [_HEADS, *(_cells(row) for row in rows if row.setting == setting)]


def _cells(row: Row) -> tuple[str, ...]:
    error = Band(*(100 * value for value in vars(row.test_error).values()))
    edge = {-1: " (lowest)", 0: "", 1: " (highest)"}[row.edge]
    return (
        ARMS[row.arm].label, f"{row.learning_rate:.3g}{edge}", _text(row.objective),
        _text(row.cross_entropy), _text(row.regularizer_product), _text(row.regularizer_factors),
        compact(row.start), _text(error), _text(row.speedup), _text(row.speedup_cross_entropy),
    )  # fmt: skip


def _text(band: Band) -> str:
    median, low, high = (compact(value) for value in (band.median, band.low, band.high))
    return median if low == median == high else f"{median} [{low}, {high}]"


def markdown(found: xr.Dataset, rows: Sequence[Row]) -> str:
    """Return the report: conclusion, tables, figure and protocol."""
    facts = found.attrs
    parts = [
        "# Depth in a convolutional network on MNIST",
        "## Conclusion",
        "\n".join(f"- {text}" for text in statements(rows)),
    ]
    for setting in SETTINGS:
        title = "tuned learning rates" if setting == "tuned" else "the tutorial's rate for all"
        parts += [f"## Results at {title}", _markdown_table(table(rows, setting))]
    parts += [
        f"Median [{band_name(found.sizes['seed'])}], at the last step. Objective: cross-entropy + "
        "regularizer on the product. Speed-up: steps of the normal network to its own final value, "
        "divided by steps of this network to the same value; 0 if not reached"
        f"{_excluded(rows)}. At the start: regularizer on the product.",
        f"## Figure\n\n![Both terms of the loss](mnist.png)\n\n{caption(found)}",
        "## Protocol\n\n" + "\n".join(f"- {text}" for text in _made(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _excluded(rows: Sequence[Row]) -> str:
    """Say that speed-ups have fewer seeds, if the normal network diverged on some."""
    lost = any(row.diverged for row in rows if row.arm == "normal")
    return ", without seeds whose normal network diverged" if lost else ""


def _made(facts: dict[str, object]) -> list[str]:
    return [
        f"Network: {facts['network']}; 5 x 5 convolutions, ReLU, pooling by 2, dropout 0.5, as in "
        "the TensorFlow MNIST tutorial. SGD with momentum 0.9 on batches of 64, the rate times "
        "0.95 at every epoch of 55000 images. Loss: cross-entropy + 5e-4 times half the sum of "
        "squares of dense weights and biases.",
        "Factored: both dense matrices are explicit products of two, with Gaussian entries of "
        "standard deviation 0.1 (Arora et al., Appendix C.2), and are trained with the regularizer "
        "on the product, as Hou et al. measure it. Factors regularized: the same start, trained "
        "with the sum over the factors. Balanced start: the product is the normal network's "
        "matrix. Drop-in rule: `lnn.overparameterize(optax.sgd(rate, momentum=0.9), depth=2, "
        f"refresh_every={facts['refresh_every']})` on the normal network; its momentum acts on the "
        "preconditioned gradient, that of factors on each factor.",
        "The reduced scale changes the product of factors of standard deviation 0.1, whose entries "
        "scale with the square root of the width.",
        f"Learning rates: {facts['protocol']}.",
    ]


def _markdown_table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))
