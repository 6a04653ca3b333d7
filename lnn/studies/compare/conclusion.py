"""The conclusion of a study as one sentence, derived from its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lnn.results.formatting import compact, sentence, speedup_parts
from lnn.results.statistics import band_name
from lnn.studies.compare.rows import Comparison, MethodSummary, TargetResult
from lnn.transforms.catalogue import DEPTH_ALONE, inline_name


def conclusion(summary: Comparison) -> str:
    """Name the fastest method, and say whether depth helps relative to tuned GD.

    Refers to the hardest target that the median seed of any method reaches. "Helps" or "does not
    help" requires that the whole band of the speed-up lies on one side of 1 and that the median
    differs from 1 by more than the spacing of learning rates, which could cause as much.
    """
    rows = summary.rows
    if all(row.diverged == summary.seeds for row in rows):
        return (
            "Every reported run diverged, so nothing can be concluded: lower the range of learning "
            "rates (--lr-range)."
        )
    target = _hardest_reached(summary, rows)
    if target is None:
        return (
            f"No method reaches even the easiest target, {summary.targets[0]:g}, on half of its "
            f"seeds within {summary.steps} steps, so nothing can be concluded: extend the steps "
            "(--steps) or add easier targets (--targets)."
        )
    fastest = min(rows, key=lambda row: row.result(target).steps.median)
    name = inline_name(fastest.rule, fastest.depth)
    hardest = "" if target == summary.targets[-1] else ", the hardest target reached"
    first = (
        f"{sentence(name)} is the fastest to a relative suboptimality of {target:g}"
        f"{hardest} ({_steps(fastest.result(target))})"
    )
    if len(rows) == 1:
        first = first.replace("is the fastest to", "reaches")
    return f"{first}; {_on_depth(summary)}."


def _on_depth(summary: Comparison) -> str:
    deep, gd = _compared(summary)
    if not deep:
        if any(row.rule == "layerwise-adam" for row in summary.rows):
            return (
                "no conclusion about depth, since layerwise Adam also changes the optimizer: add "
                "the method end-to-end"
            )
        return "no conclusion about depth, since no deep method was run: add end-to-end"
    if gd is None:
        target = _hardest_reached(summary, deep)
        if target is None:
            return "no conclusion about depth: GD was not run and no deep rule reaches a target"
        best = _best(deep, target)
        return (
            f"the best deep rule is {inline_name(best.rule, best.depth)}, but whether depth helps "
            f"is unknown without GD: add the method gd{_spread(deep, best, target)}"
        )
    target = _hardest_reached(summary, [gd, *deep])
    if target is None:
        return (
            "no conclusion about depth, since neither GD nor a deep rule reaches a target on "
            f"half of its seeds: extend the steps (--steps, now {summary.steps})"
        )
    best = _best(deep, target)
    verdict = _verdict(summary, gd, deep, best, target)
    brackets = f"; brackets: {band_name(summary.seeds)}" if "[" in verdict else ""
    return verdict + _spread(deep, best, target) + _edges(gd, best) + brackets


def _verdict(
    summary: Comparison, gd: MethodSummary, deep: list[MethodSummary], best: MethodSummary,
    target: float,
) -> str:  # fmt: skip
    """Compare the best deep rule with GD at a target that one of them reaches."""
    result, ours = best.result(target), gd.result(target)
    name = inline_name(best.rule, best.depth)
    who = name if len(deep) == 1 else f"the best of {len(deep)} deep rules, {name},"
    if math.isinf(result.steps.median) and result.speedup.high < 1:
        none = f"{name} does not reach" if len(deep) == 1 else "no deep rule reaches"
        return (
            f"depth does not help here: {none} {target:g} on half of the seeds within "
            f"{summary.steps} steps, tuned GD does ({_steps(ours)})"
        )
    median, band = speedup_parts(result.speedup, result.at_least, result.at_most)
    value = result.speedup
    spacing = max((r for r in (gd.rate_spacing, best.rate_spacing) if r > 1), default=1.0)
    inside = 1 / spacing <= value.median <= spacing
    median = median.replace(">", "more than ").replace("<", "less than ")
    times = f"{median} times{' ' + band if band else ''}"
    if math.isnan(value.median):
        return (
            f"no clear difference between {who} and tuned GD at {target:g}: too few seeds "
            "distinguish them"
        )
    if value.low > 1 and not inside:
        missed = (
            f", which tuned GD does not reach on half of the seeds within {summary.steps} steps"
            if math.isinf(ours.steps.median)
            else ""
        )
        return f"depth helps here: {who} is {times} as fast as tuned GD to {target:g}{missed}"
    if value.high < 1 and not inside:
        return f"depth does not help here: {who} is {times} as fast as tuned GD to {target:g}"
    reason = (
        f", less than the spacing of the learning rates tried (a factor {compact(spacing)})"
        if value.low > 1 or value.high < 1
        else ""
    )
    return (
        f"depth makes no clear difference here: {who} is {times} as fast as tuned GD to "
        f"{target:g}{reason}"
    )


def _spread(deep: list[MethodSummary], best: MethodSummary, target: float) -> str:
    same = [row for row in deep if row.rule == best.rule]
    if len(same) < 2:
        return ""
    steps = [row.result(target).steps.median for row in same]
    depths = ", ".join(f"{row.depth:g}" for row in same)
    missed = [f"{row.depth:g}" for row, value in zip(same, steps, strict=True) if value == math.inf]
    finite = [value for value in steps if value < math.inf]
    parts = []
    if len(finite) > 1 and min(finite) > 0:
        reaching = "" if missed else f" {depths}"
        kept = " that reach it" if missed else ""
        factor = compact(max(finite) / min(finite))
        parts.append(f"depths{reaching}{kept} differ by a factor {factor} in median steps")
    if missed and finite:
        noun = "depth" if len(missed) == 1 else "depths"
        verb = "misses" if len(missed) == 1 else "miss"
        parts.append(f"{noun} {', '.join(missed)} {verb} it")
    return f" ({'; '.join(parts)})" if parts else ""


def _edges(gd: MethodSummary, best: MethodSummary) -> str:
    names = [inline_name(row.rule, row.depth) for row in (gd, best) if row.edge]
    if not names:
        return ""
    verb = "lies" if len(names) == 1 else "lie"
    noun = "rate" if len(names) == 1 else "rates"
    return (
        f", but the tuned {noun} of {' and '.join(names)} {verb} at an end of the range tried: "
        "widen it (--lr-range)"
    )


def depth_target(summary: Comparison) -> float | None:
    """Return the target at which deep rules are compared with GD; None if there is none."""
    deep, gd = _compared(summary)
    return _hardest_reached(summary, [gd, *deep]) if deep and gd is not None else None


def _compared(summary: Comparison) -> tuple[list[MethodSummary], MethodSummary | None]:
    """Return the rules that differ from GD by depth alone, and GD if it was run."""
    deep = [row for row in summary.rows if row.rule in DEPTH_ALONE and row.depth > 1]
    return deep, next((row for row in summary.rows if row.label == "gd"), None)


def _best(deep: list[MethodSummary], target: float) -> MethodSummary:
    """Return the rule with fewest median steps or, if none is finite, most seeds that reach it."""
    return min(deep, key=lambda row: (row.result(target).steps.median, -row.result(target).reached))


def _hardest_reached(summary: Comparison, rows: Sequence[MethodSummary]) -> float | None:
    reached = [
        target
        for target in summary.targets
        if any(math.isfinite(row.result(target).steps.median) for row in rows)
    ]
    return min(reached, default=None)


def _steps(result: TargetResult) -> str:
    return f"median {compact(result.steps.median)} steps"
