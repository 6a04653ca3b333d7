"""Numbers and sentences that the table, the figure and the appendix of a comparison share."""

from __future__ import annotations

import math
from typing import Any

from lnn.results.formatting import compact, count, short
from lnn.results.statistics import Band
from lnn.studies.compare.rows import TargetResult
from lnn.studies.compare.summary import Summary
from lnn.transforms.catalogue import DEEP


def steps_text(value: float, budget: int) -> str:
    """Steps to a target, or ">budget" where it was missed."""
    return f">{short(budget)}" if math.isinf(value) else compact(value)


def speedup_text(value: float, at_least: float, at_most: float) -> str:
    """A speed-up: a number, or a bound where one of the two missed, "-" where nothing is known."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return f">{_ratio(at_least)}" if at_least > 0 else "any"
    if value == 0:
        return f"<{_ratio(at_most)}" if math.isfinite(at_most) else "any"
    return _ratio(value)


def _ratio(value: float) -> str:
    """Two decimals up to 10, two digits below 0.1: 0.034, 0.34, 1.04, 12.3, 456."""
    if 0.0995 <= value < 9.995:
        return f"{value:.2f}"
    return compact(value) if value > 1 else _two_digits(value)


def speedup_parts(result: TargetResult) -> tuple[str, str]:
    """Median and band of a speed-up as texts; the band is empty where nothing is known."""
    value, least, most = result.speedup, result.at_least, result.at_most
    median = speedup_text(value.median, least.median, most.median)
    if math.isnan(value.low) or median == "-":
        return median, ""
    low = speedup_text(value.low, least.low, most.low)
    high = speedup_text(value.high, least.high, most.high)
    return median, "" if low == median == high else f"[{low}, {high}]"


def steps_parts(band: Band, budget: int) -> tuple[str, str]:
    """Median and band of steps to a target as texts; no band where all seeds agree."""
    median, low, high = (steps_text(value, budget) for value in (band.median, band.low, band.high))
    return median, "" if low == median == high else f"[{low}, {high}]"


def final_parts(band: Band) -> tuple[str, str]:
    """Median and band of the final relative suboptimality; a run that diverged is "inf"."""
    median, low, high = (_two_digits(value) for value in (band.median, band.low, band.high))
    return median, "" if low == median == high else f"[{low}, {high}]"


def _two_digits(value: float) -> str:
    """Two significant digits: 0.0098, 0.21, 1.2e-05."""
    if not math.isfinite(value) or value == 0:
        return compact(value)
    rounded = float(f"{value:.2g}")
    if not 1e-3 <= abs(rounded) < 1e3:
        return f"{value:.1e}"
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def header(summary: Summary) -> list[tuple[str, str]]:
    """What was run, as (name, text) lines."""
    facts = summary.facts
    outputs = count(int(facts.get("outputs", 1)), "output")
    depths = list(dict.fromkeys(f"{row.depth:g}" for row in summary.rows if row.rule in DEEP))
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
        ("Depths", ", ".join(depths) or "none (baselines only)"),
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


def band_note(summary: Summary) -> str:
    """How medians and bands are made."""
    if summary.seeds == 1:
        return "One seed, so no band."
    return (
        f"Medians and 20-80 % bands are order statistics over {summary.seeds} seeds, not "
        "interpolated; runs that missed a target or diverged stay in as infinity."
    )


def caption(summary: Summary) -> str:
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


def start_note(summary: Summary) -> str:
    """Whether the methods share their starting points."""
    init = str(summary.facts.get("init", "balanced"))
    if init == "balanced":
        return "All methods start a seed from the same end-to-end matrix."
    return (
        f"The {init} start draws the layers themselves, so methods of different depths start from "
        "different end-to-end matrices."
    )
