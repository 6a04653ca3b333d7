"""Table and report of a study, from its dataset."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from lnn.results.csv_text import csv_text
from lnn.results.formatting import banded, compact
from lnn.results.statistics import band_name
from lnn.results.verdict import Check, Relation, Role
from lnn.studies.width.conclusion.listed import judged_all
from lnn.studies.width.config import MARGIN, PATIENCE, REACHED, Setup
from lnn.studies.width.figures import compared, named
from lnn.studies.width.runs import GROUPS
from lnn.studies.width.selection import bands, lengths, select, setups, slope

_RUN = (
    *("system", "width", "size", "depth", "optimizer", "rate", "base", "seed", "parameters"),
    *("steps", "taken", "censored", "least", "steps_to_goal"),
)
_HEADS = ("System", "Data", "Width", "Parameters", "Steps to halt", "Censored", "Least loss",
          "Steps to common loss")  # fmt: skip


def rows(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return a row for each run, with lengths and angles by group."""
    return [
        {
            **{name: _plain(found[name].values[i]) for name in _RUN},
            **{
                f"{name}_{group}": _plain(found[name].values[i, j])
                for name in lengths(found)
                for j, group in enumerate(GROUPS)
            },
        }
        for i in range(found.sizes["run"])
    ]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def to_csv(found: xr.Dataset) -> str:
    """Return a line per run."""
    return csv_text([
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows(found)
    ])  # fmt: skip


def table(found: xr.Dataset) -> list[tuple[str, ...]]:
    """Return heads, and a line for every system, size and width: medians and bands."""
    lines: list[tuple[str, ...]] = [_HEADS]
    for setup in setups(found):
        for size in setup.sizes:
            sweep = select(found, setup, size)
            columns = zip(
                sweep.widths, sweep.parameters, bands(sweep.steps), sweep.censored,
                bands(sweep.least), bands(sweep.goal), strict=True,
            )  # fmt: skip
            lines += [
                (
                    setup.system, str(size), str(width), compact(float(parameters)),
                    banded(steps), f"{int(lost.sum())} of {lost.size}", banded(least),
                    banded(goal),
                )
                for width, parameters, steps, lost, least, goal in columns
            ]  # fmt: skip
    return lines


def table_text(found: xr.Dataset) -> str:
    """Return the table for a terminal."""
    lines = table(found)
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(found: xr.Dataset) -> str:
    """Return the report: statements with verdicts, table, figures and protocol."""
    statements = [
        "\n".join([
            f"### {each.statement.id}. {each.title}: {each.verdict}",
            f"{each.statement.statement} ({each.statement.source})\n\n{each.words}\n",
            *(f"- {_told(check)}" for check in each.findings.checks),
            f"\n{each.statement.rule}",
        ])
        for each in judged_all(found)
    ]  # fmt: skip
    head, *body = table(found)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)]
    seeds = dict.fromkeys(band_name(setup.seeds) for setup in setups(found))
    parts = [
        "# Width and halting time in recurrent networks",
        "## Data\n\n" + "\n".join(f"- {text}" for text in _data(found)),
        "## Results\n\n" + "\n".join(lines),
        f"Median [{' or '.join(seeds)}]. Data: training characters, words or utterances. Steps to "
        f"halt: the first evaluation within {MARGIN:.0%} of the run's least validation loss, "
        "without censored runs, whose least loss lies after "
        f"{1 / PATIENCE:.1f} of their steps. Losses in nats per character, word or letter. Common "
        f"loss: {REACHED} times the narrowest network's median least, at the middle size.",
        *(f"![{name}]({name}.png)\n\n{text}" for name, text in captions(found).items()),
        "## Statements",
        *statements,
        "## Protocol\n\n" + "\n".join(f"- {text}" for text in _protocol(found)),
    ]
    return "\n\n".join(parts) + "\n"


def _told(check: Check) -> str:
    """Return a check in one line: what, measured, expected, and whether it holds."""
    band = "" if check.band is None else f" [{check.band[0]:.3g}, {check.band[1]:.3g}]"
    text = f"{check.what}: {check.measured:.3g}{band}"
    if check.role is Role.REPORT:
        return f"{check.what}: unknown" if math.isnan(check.measured) else text
    wanted = {
        Relation.WITHIN: f"{check.expected:g} to {check.tolerance:g}",
        Relation.AT_MOST: f"at most {check.expected:g}",
        Relation.AT_LEAST: f"at least {check.expected:g}",
    }[check.relation]
    role = "" if check.role is Role.CLAIM else f", {check.role}"
    return f"{text}, expected {wanted}{role}: {'yes' if check.passed else 'no'}"


def _data(found: xr.Dataset) -> list[str]:
    return [f"{setup.system}: {found.attrs[f'{setup.system}_data']}" for setup in setups(found)]


def captions(found: xr.Dataset) -> dict[str, str]:
    """Return the captions by file name of the figure."""
    systems = setups(found)
    told = {
        "width": (
            "Steps to halt against the number of parameters, which grows with the width alone: "
            "every seed (open points), medians (filled), and the power law fitted to each seed and "
            "averaged (lines). Triangles that point up: censored runs, at their last step. Data: "
            f"{'; '.join(_data(found))}."
        )
    }
    for setup in systems:
        first = named(setup, "input")
        sweep = select(found, setup)
        told[f"geometry-{setup.system}"] = (
            f"Parameters on their way, {setup.system}, up to the halting time, by group ({first}, "
            f"hidden, softmax, all): every seed (open points, {setup.seeds} of them) and medians "
            f"(lines), {setup.middle_size} training symbols or utterances. (a) Direct distance "
            f"between start and end, (b) path length, (c) mean step, (d) distance over path, 1 on "
            "a straight line; mean angle between the update and (e) the way back to the start, (f) "
            "the way to the parameters of the least loss. Dotted: right angle. Exponent of the "
            "distance in the width, all parameters: "
            f"{slope(sweep.widths, sweep.lengths['distance'][:, :, -1])}."
        )
        if len(setup.sizes) > 1 or compared(setup):
            told[f"structure-{setup.system}"] = _structure(setup)
    return told


def _structure(setup: Setup) -> str:
    parts = [
        (len(setup.rates) > 1, "at several learning rates"),
        (len(setup.optimizers) > 1, "with each optimizer"),
        (len(setup.depths) > 1, f"against depth, at width {setup.middle_width}"),
        (len(setup.sizes) > 1, "against the size of the training set, at three widths"),
        (bool(setup.tuned), "steps to a common loss at one rate for all, at each width's tuned "
         "rate (numbers), and with the maximal update parametrization"),
        (True, "least validation loss against parameters"),
    ]  # fmt: skip
    told = [text for is_shown, text in parts if is_shown]
    lettered = ", ".join(f"({letter}) {text}" for letter, text in zip("abcdef", told, strict=False))
    return (
        f"Steps to halt, {setup.system}: {lettered}. Every seed (open points) and medians (lines); "
        "triangles that point up are censored runs, at their last step."
    )


def _protocol(found: xr.Dataset) -> list[str]:
    told = []
    for setup in setups(found):
        window = f"windows of {setup.length} symbols, state 0 at the start of each, " * bool(
            setup.length
        )
        told.append(
            f"{setup.system}: {setup.optimizers[0].upper()} at rate {setup.rates[0]:g}, batches of "
            f"{setup.batch} drawn with replacement, {window}depth {setup.depths[0]}, "
            f"{setup.validation} validation symbols or utterances, up to {setup.steps} steps."
        )
    runs = found.sizes["run"]
    lost = int(np.sum(found["censored"].values))
    return [*told, f"{runs} runs, {lost} of them censored ({lost / runs:.0%})."]
