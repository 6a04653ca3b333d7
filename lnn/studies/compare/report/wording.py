"""Sentences shared by table, figure and appendix of a comparison."""

from __future__ import annotations

import math
from typing import Any

from lnn.results.formatting import count
from lnn.studies.compare.rows import Comparison
from lnn.transforms.catalogue import DEEP


def header(summary: Comparison) -> dict[str, str]:
    """Describe the study as (name, text) lines."""
    facts = summary.facts
    outputs = count(int(facts.get("outputs", 1)), "output")
    deep = [row.depth for row in summary.rows if row.rule in DEEP]
    depths = ", ".join(f"{depth:g}" for depth in dict.fromkeys(deep)) or "none (baselines only)"
    if deep and not any(depth.is_integer() for depth in deep):
        depths += " (not whole numbers, so no layerwise methods)"
    norm = float(facts.get("init_norm", math.nan))
    start = str(facts.get("init", "?"))
    if math.isfinite(norm):
        start += f", norm {norm:g}"
    hidden = str(facts.get("hidden", "default"))
    decay = float(facts.get("weight_decay", 0.0))
    lines = {
        "Data": f"{facts.get('problem', '?')}: m = {facts.get('m', '?')}, d = "
        f"{facts.get('d', '?')}, {outputs}, condition number "
        f"{_number(facts.get('condition_number'))}",
        "Loss": f"l_p with p = {_number(facts.get('p'))}"
        + (f", weight decay {decay:g}" if decay else "")
        + f"; {_number(facts.get('zero_loss'))} at W = 0, minimum "
        + _number(facts.get("reference_loss")),
        "Depths": depths,
        "Start": f"{start}; hidden widths: {hidden}; {facts.get('dtype', '?')}",
        "Runs": f"{facts.get('runs', '?')} of up to {summary.steps} steps "
        f"({facts.get('diverged_runs', '?')} diverged) on {facts.get('devices', '?')}"
        + (f", {facts['layout']}" if "layout" in facts else ""),
        "Rates": str(facts.get("rate_protocol", "?")),
        "Seeds": f"{facts.get('tuning_seeds', '?')} for tuning, {summary.seeds} for evaluation",
    }
    if facts.get("constants"):
        lines["Constants"] = str(facts["constants"])
    return lines


def _number(value: Any) -> str:
    return "?" if value is None else f"{float(value):.4g}"


def band_note(summary: Comparison) -> str:
    """Describe how medians and bands are computed."""
    if summary.seeds == 1:
        return "One seed, so no band."
    return (
        f"Medians and 20-80 % bands are order statistics over {summary.seeds} seeds, not "
        "interpolated; runs that missed a target or diverged count as infinity."
    )


def caption(summary: Comparison) -> str:
    """Return the caption of the figure as plain text."""
    facts = summary.facts
    targets = ", ".join(f"{target:g}" for target in summary.targets)
    return (
        f"How depth changes optimization on {facts.get('problem', 'the data')} (p = "
        f"{_number(facts.get('p'))}). Left: relative suboptimality (L - L*) / (L_0 - L*) against "
        "steps, where L* is the minimum of the loss and L_0 the loss at W = 0; letters identify "
        f"methods, horizontal lines are targets ({targets}), crosses are diverged runs. Right: "
        "steps to each target; an open mark at the right edge means that the median seed did not "
        f"reach it within {summary.steps} steps. Numbers count the seeds that reached the target. "
        f"{band_note(summary)} Runs that have reached every target stop and keep their last value. "
        f"Learning rates are tuned on other seeds. {start_note(summary)}"
    )


def start_note(summary: Comparison) -> str:
    """State whether the methods share their starting points."""
    init = str(summary.facts.get("init", "balanced"))
    if init == "balanced":
        return "For each seed, all methods start from the same end-to-end matrix."
    return (
        f"The {init} start initializes the layers, so methods of different depths start from "
        "different end-to-end matrices."
    )
