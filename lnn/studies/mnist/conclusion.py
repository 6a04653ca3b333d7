"""Conclusions in words, derived from a study's rows.

A term is called lower or higher if the whole band of the differences is on one side: with five
seeds the least and the most of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lnn.results.formatting import banded, compact, sentence
from lnn.results.statistics import BAND, Band, band_name, quantile_place
from lnn.studies.mnist.config import ARMS
from lnn.studies.mnist.summary import SETTINGS, Row

_RATES = {"tuned": "at tuned rates", "hard-coded": "at the tutorial's rate"}


def statements(rows: Sequence[Row]) -> list[str]:
    """State the answer in one sentence, then each arm and setting, then the sources' claims."""
    by_name = {(row.setting, row.arm): row for row in rows}
    told = [_headline(by_name)]
    for setting in SETTINGS:
        arms = [by_name[setting, arm] for arm in ARMS if arm != "normal"]
        told += [sentence(f"{_RATES[setting]}, {_against_normal(row)}") for row in arms]
        told.append(_rule(by_name[setting, "rule"], by_name[setting, "balanced"], setting))
    told += [_start(by_name), _hou(by_name), _arora(by_name)]
    edges = [row for row in rows if row.edge]
    told += [
        f"Warning: the tuned rate of {ARMS[row.arm].phrase}, {row.learning_rate:.3g}, is the "
        f"{'highest' if row.edge > 0 else 'lowest'} tried; a better one may lie beyond."
        for row in edges
    ]
    diverged = [
        f"{row.diverged} of {ARMS[row.arm].phrase} ({row.setting})" for row in rows if row.diverged
    ]
    if diverged:
        told.append(f"Diverged runs, which count as infinity: {', '.join(diverged)}.")
    return told


def _headline(rows: dict[tuple[str, str], Row]) -> str:
    parts = [
        f"{where} " + ", ".join(_verdict(rows[setting, arm]) for arm in ARMS if arm != "normal")
        for setting, where in _RATES.items()
    ]
    seeds = band_name(rows["tuned", "normal"].seeds)
    return (
        "Relative to the normal network, by steps to its final cross-entropy + regularizer on the "
        "product (in parentheses the final difference and its main term; bands in brackets: "
        f"{seeds}): {'; '.join(parts)}."
    )


def _verdict(row: Row) -> str:
    term = _term(row)
    by = f" ({_signed(row.end.objective)} nats, {term})" if term else ""
    return f"{ARMS[row.arm].phrase} is {faster(row.speedup)}{by}"


def faster(speedup: Band) -> str:
    """Classify a speed-up as faster, slower or neither, by its band."""
    return _sided(speedup, 1.0, "slower", "faster", "neither clearly faster nor slower")


def lower(difference: Band) -> str:
    """Classify a difference as lower, higher or neither, by its band."""
    return _sided(difference, 0.0, "lower", "higher", "not clearly different")


def _sided(band: Band, middle: float, below: str, above: str, neither: str) -> str:
    if math.isnan(band.median):
        return "not comparable"
    if band.high < middle:
        return below
    return above if band.low > middle else neither


def _against_normal(row: Row) -> str:
    name = ARMS[row.arm].phrase
    if math.isnan(row.speedup.median) or math.isnan(row.end.objective.median):
        return f"{name} cannot be compared, as the normal network diverged."
    end, early = row.end, row.early
    return (
        f"{name} is {faster(row.speedup)}: {_reached(row)}. Its cross-entropy is "
        f"{lower(end.cross_entropy)} at the end ({_signed(end.cross_entropy)} nats; after "
        f"{early.steps} steps {_signed(early.cross_entropy)}), the regularizer on its product "
        f"{lower(end.regularizer)} ({_signed(end.regularizer)}; after {early.steps} steps "
        f"{_signed(early.regularizer)}){_share(row)}."
    )


def _reached(row: Row) -> str:
    objective = f"{_times(row.speedup, row.seeds)}, " if row.speedup.median > 0 else ""
    return (
        f"it reaches the normal network's final objective {objective}in {row.reached} of "
        f"{row.seeds} seeds (its final cross-entropy: "
        f"{_times(row.speedup_cross_entropy, row.seeds)})"
    )


def _times(speedup: Band, seeds: int) -> str:
    if math.isnan(speedup.median):
        return "not comparable"
    if speedup.median > 0:
        return f"{banded(speedup)} times as fast"
    if speedup.high > 0:
        return "in at most half of the seeds"
    return "never" if quantile_place(BAND[0], seeds) == 0 else "in few seeds or none"


def _share(row: Row) -> str:
    term = _term(row)
    side = lower(row.end.objective)
    return f"; the difference of the objective, {side} at the end, has {term}" if term else ""


def _term(row: Row) -> str:
    """Name the term that makes up most of a difference in the objective; "" if there is none."""
    side = lower(row.end.objective)
    entropy, weights = row.end.cross_entropy.median, row.end.regularizer.median
    if side not in ("lower", "higher") or not math.isfinite(entropy + weights):
        return ""
    sign = 1 if side == "higher" else -1
    if sign * entropy <= 0 < sign * weights:
        return "all of it in the regularizer"
    if sign * weights <= 0 < sign * entropy:
        return "all of it in the cross-entropy"
    return "most of it in the " + (
        "cross-entropy" if abs(entropy) > abs(weights) else "regularizer"
    )


def _rule(rule: Row, balanced: Row, setting: str) -> str:
    """State whether the drop-in rule has the same effects as balanced factors."""
    pairs = [
        (faster(rule.speedup), faster(balanced.speedup)),
        (lower(rule.end.cross_entropy), lower(balanced.end.cross_entropy)),
        (lower(rule.end.regularizer), lower(balanced.end.regularizer)),
    ]
    same = all(a == b for a, b in pairs)
    named = zip(("speed", "final cross-entropy", "regularizer"), pairs, strict=True)
    where = [f"{what} ({a}, with factors {b})" for what, (a, b) in named if a != b]
    rates = f"{rule.learning_rate:.3g}"
    if rule.learning_rate != balanced.learning_rate:
        rates = f"{rates} for the rule, {balanced.learning_rate:.3g} for factors"
    return sentence(
        f"{_RATES[setting]} ({rates}), the drop-in rule, which adds no parameters, "
        + ("has the same effects as" if same else "differs from")
        + " balanced factors"
        + (f" in {', '.join(where)}" if where else "")
        + ", relative to the normal network: final objective "
        f"{banded(rule.objective)} against {banded(balanced.objective)}, cross-entropy "
        f"{banded(rule.cross_entropy)} against {banded(balanced.cross_entropy)}, regularizer "
        f"{banded(rule.regularizer_product)} against {banded(balanced.regularizer_product)}."
    )


def _start(rows: dict[tuple[str, str], Row]) -> str:
    """Compare the starts: Gaussian factors do not multiply to the normal network's matrix."""
    ratio = rows["tuned", "factored"].start / rows["tuned", "normal"].start
    return (
        "At the start, the regularizer on the product is "
        f"{compact(ratio)} times the normal network's with Gaussian factors, which explains part "
        "of a difference in the regularizer; with balanced factors and the rule it is the same."
    )


def _hou(rows: dict[tuple[str, str], Row]) -> str:
    """Check the claims of Hou et al.: no gain in the cross-entropy, a gain in the regularizer."""
    groups: dict[str, list[str]] = {}
    for arm in ("factored", "factored-factors", "balanced"):
        for setting in SETTINGS:
            row = rows[setting, arm]
            entropy, weights = lower(row.end.cross_entropy), lower(row.end.regularizer)
            if "not comparable" in (entropy, weights):
                found = "cannot be judged"
            elif entropy != "lower" and weights == "lower":
                found = "both hold"
            elif entropy != "lower":
                found = "the first holds, the second does not"
            else:
                found = "the first does not hold, the second " + (
                    "does" if weights == "lower" else "neither"
                )
            groups.setdefault(found, []).append(f"{ARMS[arm].phrase} {_RATES[setting]}")
    told = "; ".join(f"{found} for {', '.join(cases)}" for found, cases in groups.items())
    return (
        "Hou et al. found that factors do not lower the cross-entropy, and that they lower the "
        f"regularizer on the product. Here, at the end: {told}."
    )


def _arora(rows: dict[tuple[str, str], Row]) -> str:
    """Check Arora et al., Figure 5 (right): faster training in the trained objective."""
    parts = []
    for arm in ("factored", "factored-factors"):
        fixed, tuned = (
            f"{faster(row.speedup_trained)} {_RATES[row.setting]} ({_trained(row)})"
            for row in (rows["hard-coded", arm], rows["tuned", arm])
        )
        parts.append(f"{ARMS[arm].phrase} is {fixed} and {tuned}")
    return (
        "Arora et al. (Figure 5, right) show that factored dense layers train faster at the "
        "tutorial's rate, and report the same at tuned rates. Here, in the objective that each is "
        f"trained with: {'; '.join(parts)}."
    )


def _trained(row: Row) -> str:
    """Tell the speed-up in the trained objective, and how many seeds reach it where known."""
    told = _times(row.speedup_trained, row.seeds)
    counted = ARMS[row.arm].regularizer == "product"
    return f"{told}, {row.reached} of {row.seeds} seeds" if counted else told


def _signed(band: Band) -> str:
    median, low, high = (
        ("+" if value > 0 else "") + compact(value) for value in (band.median, band.low, band.high)
    )
    return f"{median} [{low}, {high}]"
