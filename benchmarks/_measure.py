"""How things are measured: seconds, spreads, bars, peak memory."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SETTLE_SECONDS = 0.1
"""A pause before each call: idle OpenBLAS and OpenMP threads go on spinning for a while."""

_PROBE_SIZE = 1024
_MOST_GROWTH = 20.0


@dataclass(frozen=True)
class Spread:
    """A value with the lowest and highest of its rounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bar:
    """What a metric is to reach."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Whether the value reaches the bar."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


def at_least(limit: float) -> Bar:
    """The more the better."""
    return Bar(limit, True)


def at_most(limit: float) -> Bar:
    """The less the better."""
    return Bar(limit, False)


@dataclass(frozen=True)
class Timing:
    """Seconds a contestant took in each round (per step, for a loop), compile time apart."""

    rounds: tuple[float, ...]
    compile_seconds: float | None = None

    def spread(self, scale: float = 1.0) -> Spread:
        """Median, least and most seconds, times `scale`."""
        values = [scale * seconds for seconds in self.rounds]
        return Spread(statistics.median(values), min(values), max(values))

    def rate(self, work: float) -> Spread:
        """`work` per second: at the median, the slowest and the fastest round."""
        times = self.spread()
        return Spread(work / times.value, work / times.high, work / times.low)


def ratio(above: Timing, below: Timing, scale: float = 1.0) -> Spread:
    """Ratio of the medians, with the least and most of the rounds' own ratios."""
    pairs = zip(above.rounds, below.rounds, strict=True)
    each = [scale * a / b for a, b in pairs]
    return Spread(scale * above.spread().value / below.spread().value, min(each), max(each))


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def calibrate(loop: Callable[[int], object], seconds: float) -> tuple[int, float]:
    """Steps that take about `seconds`, and what the first call took longer than the second."""
    count = 1
    first = timed(lambda: loop(1))
    taken = timed(lambda: loop(1))
    compiled = max(first - taken, 0.0)
    while taken < seconds / 2:
        grown = min(_MOST_GROWTH, 1.2 * seconds / max(taken, 1e-9))
        count = max(count + 1, int(count * grown))
        taken = timed(lambda: loop(count))  # noqa: B023 - called at once
    return count, compiled


def probe() -> float:
    """Seconds of a fixed matrix product, the best of a few."""
    a = np.ones((_PROBE_SIZE, _PROBE_SIZE), np.float32)
    out = np.empty_like(a)
    time.sleep(SETTLE_SECONDS)
    return min(timed(lambda: np.matmul(a, a, out=out)) for _ in range(5))


def load_average() -> float:
    """Processes that ran or waited in the last minute, on average; 0 where the system has none."""
    found = getattr(os, "getloadavg", None)
    return float(found()[0]) if found is not None else 0.0


def peak_bytes() -> int:
    """Most memory this process has held so far."""
    # VmHWM first: Linux counts the parent's memory into a child's ru_maxrss.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
