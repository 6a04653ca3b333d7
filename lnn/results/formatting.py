"""Numbers as short texts, with bands, and bounds where a run missed."""

from __future__ import annotations

import math

from lnn.results.statistics import Band


def sentence(text: str) -> str:
    """Capitalize the first letter."""
    return text[0].upper() + text[1:]


def count(number: int, noun: str) -> str:
    """Return number and noun, such as "1 seed" or "9 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def compact(value: float) -> str:
    """Format three significant digits briefly: 0.0123, 4.56, 1230, 45.6k, 7.89M, 1.2e-07."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    size = abs(float(f"{value:.3g}"))
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e9:
        return f"{value:.2e}"
    for limit, factor, suffix in ((1e4, 1.0, ""), (1e6, 1e3, "k"), (math.inf, 1e6, "M")):
        if size < limit:
            rounded = float(f"{value / factor:.3g}")
            digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
            text = f"{rounded:.{digits}f}"
            return f"{text}{suffix}"
    raise AssertionError(value)


def banded(band: Band) -> str:
    """Return median and band, such as "4.27 [4.20, 4.31]"; only the median if all three agree."""
    median, low, high = (compact(value) for value in (band.median, band.low, band.high))
    return median if low == median == high else f"{median} [{low}, {high}]"


def short(value: float) -> str:
    """Format a chosen, not measured, number without trailing zeros (10k, not 10.0k)."""
    text = compact(value)
    number = text.rstrip("kM")
    if "e" in number or "." not in number:
        return text
    return number.rstrip("0").rstrip(".") + text[len(number) :]


def steps_text(value: float, budget: int) -> str:
    """Return steps to a target, or ">budget" if it was missed."""
    return f">{short(budget)}" if math.isinf(value) else compact(value)


def speedup_text(value: float, at_least: float, at_most: float) -> str:
    """Return a speed-up, or a bound if one of the two missed, or "-" if unknown."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return f">{_ratio(at_least)}" if at_least > 0 else "any"
    if value == 0:
        return f"<{_ratio(at_most)}" if math.isfinite(at_most) else "any"
    return _ratio(value)


def _ratio(value: float) -> str:
    """Return two decimals up to 10, two digits below 0.1: 0.034, 0.34, 1.04, 12.3, 456."""
    if 0.0995 <= value < 9.995:
        return f"{value:.2f}"
    return compact(value) if value > 1 else _two_digits(value)


def speedup_parts(value: Band, least: Band, most: Band) -> tuple[str, str]:
    """Return median and band of a speed-up as texts; the band is empty if unknown."""
    median = speedup_text(value.median, least.median, most.median)
    if math.isnan(value.low) or median == "-":
        return median, ""
    low = speedup_text(value.low, least.low, most.low)
    high = speedup_text(value.high, least.high, most.high)
    return median, "" if low == median == high else f"[{low}, {high}]"


def steps_parts(band: Band, budget: int) -> tuple[str, str]:
    """Return median and band of steps to a target as texts; no band if all seeds agree."""
    median, low, high = (steps_text(value, budget) for value in (band.median, band.low, band.high))
    return median, "" if low == median == high else f"[{low}, {high}]"


def final_parts(band: Band) -> tuple[str, str]:
    """Return median and band of the final suboptimality as texts; "inf" for diverged runs."""
    median, low, high = (_two_digits(value) for value in (band.median, band.low, band.high))
    return median, "" if low == median == high else f"[{low}, {high}]"


def _two_digits(value: float) -> str:
    """Return two significant digits: 0.0098, 0.21, 1.2e-05."""
    if not math.isfinite(value) or value == 0:
        return compact(value)
    rounded = float(f"{value:.2g}")
    if not 1e-3 <= abs(rounded) < 1e3:
        return f"{value:.1e}"
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"
