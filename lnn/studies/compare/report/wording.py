"""Sentences shared by table, figure and appendix of a comparison."""

from __future__ import annotations

import math
from typing import Any

from lnn.results.formatting import count
from lnn.results.statistics import band_name
from lnn.studies.compare.conclusion import depth_target
from lnn.studies.compare.rows import Comparison
from lnn.transforms.catalogue import DEEP, DEPTH_ALONE, inline_name


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
        f"({facts.get('diverged_runs', '?')} diverged{_above(facts)}) on "
        f"{facts.get('devices', '?')}" + (f", {facts['layout']}" if "layout" in facts else ""),
        "Rates": str(facts.get("rate_protocol", "?")),
        **_targets(summary),
        "Seeds": f"{facts.get('tuning_seeds', '?')} for tuning, {summary.seeds} for evaluation",
    }
    if facts.get("constants"):
        lines["Constants"] = str(facts["constants"])
    return lines


def _above(facts: dict[str, Any]) -> str:
    """Say which runs count as diverged."""
    factor = facts.get("divergence")
    if factor is None:
        return ""
    if factor == "inf" or math.isinf(float(factor)):
        return ": not finite"
    return f": not finite, or ending above {float(factor):g} times the loss at W = 0"


def _targets(summary: Comparison) -> dict[str, str]:
    """Say what the targets mean, if the problem says so."""
    meaning = summary.facts.get("targets_meaning")
    listed = ", ".join(f"{target:g}" for target in summary.targets)
    return {"Targets": f"{listed}: {meaning}"} if meaning else {}


MOST_UNTOUCHED = 0.5


def untouched_note(summary: Comparison) -> str:
    """Name the targets that most of the labels need not be touched for; "" if there are none."""
    shares = summary.facts.get("untouched_labels", ())
    easy = [
        f"{share:.0%} at {target:g}".replace("%", " %")
        for target, share in zip(summary.targets, shares, strict=False)
        if share >= MOST_UNTOUCHED
    ]
    if not easy:
        return ""
    return (
        f"Share of the labels that a run can leave as at W = 0 and still reach a target: "
        f"{', '.join(easy)}; such a target measures the large labels only."
    )


FEWEST = 3
"""Fewer tuning seeds say too little about each start's own rate."""
LARGE = 1.2
"""A difference below this factor is none, if the spacing of the rates is not larger."""


def own_rates_note(summary: Comparison) -> str:
    """Compare one rate for all starts with the best rate for each; "" where they agree."""
    target = depth_target(summary)
    seeds = int(summary.facts.get("tuning_seeds", 0))
    if target is None or seeds < FEWEST:
        return ""
    pairs, differs = [], False
    for row in summary.rows:
        result = row.result(target)
        one, own = result.speedup.median, result.own_rates
        known = own is not None and math.isfinite(one) and 0 < own < math.inf
        if row.rule in DEPTH_ALONE and row.depth > 1 and known and own is not None:
            pairs.append(f"{inline_name(row.rule, row.depth)} {one:.2f} and {own:.2f}")
            spacing = row.rate_spacing if row.rate_spacing > 1 else 1.0
            differs = differs or own > one * max(spacing, LARGE)
    if not differs:
        return ""
    return (
        f"Speed-up over tuned GD to {target:g} with one rate for all starts, and with the best "
        f"rate for each of the {seeds} tuning seeds: {', '.join(pairs)}. The difference is how "
        "finely the rate must be set for the start."
    )


def _number(value: Any) -> str:
    return "?" if value is None else f"{float(value):.4g}"


def band_heading(summary: Comparison) -> str:
    """Name the numbers of a cell: median and, of several seeds, the ends of the band by rank."""
    ranks = band_name(summary.seeds).partition(",")[0]
    return "median" if summary.seeds == 1 else f"median [{ranks}]"


def band_note(summary: Comparison) -> str:
    """Describe how medians and bands are computed."""
    if summary.seeds == 1:
        return "One seed, so no band."
    return (
        f"Medians and bands ({band_name(summary.seeds)}) are order statistics, not interpolated; "
        "runs that missed a target or diverged count as infinity."
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
