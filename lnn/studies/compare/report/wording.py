"""Sentences that the table, the figure and the appendix of a comparison share."""

from __future__ import annotations

import math
from typing import Any

from lnn.results.formatting import count
from lnn.studies.compare.rows import Comparison
from lnn.transforms.catalogue import DEEP


def header(summary: Comparison) -> list[tuple[str, str]]:
    """What was run, as (name, text) lines."""
    facts = summary.facts
    outputs = count(int(facts.get("outputs", 1)), "output")
    deep = [row.depth for row in summary.rows if row.rule in DEEP]
    depths = ", ".join(f"{depth:g}" for depth in dict.fromkeys(deep)) or "none (baselines only)"
    if deep and not any(depth.is_integer() for depth in deep):
        depths += " (none is a whole number, so no layerwise methods)"
    norm = float(facts.get("init_norm", math.nan))
    start = str(facts.get("init", "?"))
    if math.isfinite(norm):
        start += f", norm {norm:g}"
    hidden = str(facts.get("hidden", "default"))
    decay = float(facts.get("weight_decay", 0.0))
    lines = [
        (
            "Data",
            f"{facts.get('problem', '?')}: m = {facts.get('m', '?')}, d = {facts.get('d', '?')}, "
            f"{outputs}, condition number {_number(facts.get('condition_number'))}",
        ),
        (
            "Loss",
            f"l_p with p = {_number(facts.get('p'))}"
            + (f", weight decay {decay:g}" if decay else "")
            + f"; {_number(facts.get('zero_loss'))} at W = 0, least "
            + _number(facts.get("reference_loss")),
        ),
        ("Depths", depths),
        ("Start", f"{start}; hidden widths: {hidden}; {facts.get('dtype', '?')}"),
        (
            "Runs",
            f"{facts.get('runs', '?')} of at most {summary.steps} steps "
            f"({facts.get('diverged_runs', '?')} diverged) on {facts.get('devices', '?')}"
            + (f", {facts['layout']}" if "layout" in facts else ""),
        ),
        ("Rates", str(facts.get("rate_protocol", "?"))),
        (
            "Seeds",
            f"{facts.get('tuning_seeds', '?')} to choose the rate, {summary.seeds} others reported",
        ),
    ]
    if facts.get("constants"):
        lines.append(("Constants", str(facts["constants"])))
    return lines


def _number(value: Any) -> str:
    return "?" if value is None else f"{float(value):.4g}"


def band_note(summary: Comparison) -> str:
    """How medians and bands are made."""
    if summary.seeds == 1:
        return "One seed, so no band."
    return (
        f"Medians and 20-80 % bands are order statistics over {summary.seeds} seeds, not "
        "interpolated; runs that missed a target or diverged stay in as infinity."
    )


def caption(summary: Comparison) -> str:
    """Caption of the figure, as plain text."""
    facts = summary.facts
    targets = ", ".join(f"{target:g}" for target in summary.targets)
    return (
        f"How depth changes optimization on {facts.get('problem', 'the data')} "
        f"(p = {_number(facts.get('p'))}). "
        "Left: relative suboptimality (L - L*) / (L_0 - L*) against steps, where L* is the least "
        "loss and L_0 the loss at W = 0; letters name the methods, horizontal lines are the "
        f"targets ({targets}), crosses are runs that diverged. "
        "Right: steps to each target; an open mark at the right edge means that the median seed "
        f"did not reach it within {summary.steps} steps. Numbers: how many seeds reached the "
        f"target. {band_note(summary)} "
        "A run that has reached every target stops and keeps its last value. "
        f"Learning rates are tuned on other seeds. {start_note(summary)}"
    )


def start_note(summary: Comparison) -> str:
    """Whether the methods share their starting points."""
    init = str(summary.facts.get("init", "balanced"))
    if init == "balanced":
        return "All methods start a seed from the same end-to-end matrix."
    return (
        f"The {init} start draws the layers themselves, so methods of different depths start from "
        "different end-to-end matrices."
    )
