"""Names, numbers and sentences that the table, the figure and the appendix share."""

from __future__ import annotations

import math

from lnn.results.statistics import Band


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[0].upper() + text[1:]


def count(number: int, noun: str) -> str:
    """Number and noun, such as "1 seed" or "9 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def compact(value: float) -> str:
    """Three significant digits in few characters: 0.0123, 4.56, 1230, 45.6k, 7.89M, 1.2e-07."""
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
    """Median and band, such as "4.27 [4.20, 4.31]"; the median alone where all three look alike."""
    median, low, high = (compact(value) for value in (band.median, band.low, band.high))
    return median if low == median == high else f"{median} [{low}, {high}]"


def short(value: float) -> str:
    """A number that was chosen, not measured: no trailing zeros (10k, not 10.0k)."""
    text = compact(value)
    number = text.rstrip("kM")
    if "e" in number or "." not in number:
        return text
    return number.rstrip("0").rstrip(".") + text[len(number) :]
