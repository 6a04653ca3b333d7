"""What every benchmark shares: interleaved timing, the table, the JSON lines, the machine.

Imports no JAX: `study.py` measures fresh processes and stays small itself.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from _measure import (
    SETTLE_SECONDS,
    Bar,
    Spread,
    Timing,
    calibrate,
    load_average,
    probe,
    timed,
)

from lnn.execution.backend import cores

ROUNDS = 5
QUIET_LOAD = 0.3
"""Load average per core above which the machine counts as busy before the start."""

QUIET_SPREAD = 0.10
"""Spread of the fixed probe over the rounds above which the machine counts as busy."""

COLUMNS = ("metric", "value", "unit", "low", "high", "compile_seconds", "bar", "better", "ok")
"""Keys of a row that the CSV files keep."""


@dataclass
class Bench:
    """One run of a benchmark: its options, what it found, and how quiet the machine was."""

    name: str
    quick: bool
    rounds: int
    json_only: bool
    extra: argparse.Namespace
    rows: list[dict[str, Any]] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    load: float = field(default_factory=load_average)
    csv: str | None = None
    at_once: bool = False
    """Print and save every row as soon as it is known, for a run that may be cut off."""

    def note(self, text: str) -> None:
        """One line of progress or of warning, on standard error."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def time_loops(
        self, loops: Mapping[str, Callable[[int], object]], seconds: float
    ) -> dict[str, Timing]:
        """Seconds per step of every contestant, interleaved.

        Args:
            loops: contestants, called with a number of steps; they return when the work is done.
            seconds: how long a call is to take; the number of steps is chosen so, per contestant.
        """
        counts, compiled = {}, {}
        self.note(f"preparing {len(loops)} contestants")
        for name, loop in loops.items():
            counts[name], compiled[name] = calibrate(loop, seconds)
        calls = {name: partial(loop, counts[name]) for name, loop in loops.items()}
        times = self.time_calls(calls)
        return {
            name: Timing(tuple(s / counts[name] for s in times[name].rounds), compiled[name])
            for name in loops
        }

    def time_calls(
        self, calls: Mapping[str, Callable[[], object]], rounds: int | None = None
    ) -> dict[str, Timing]:
        """Seconds per call of every contestant, interleaved, each round in another order."""
        rounds = self.rounds if rounds is None else rounds
        names = list(calls)
        times: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds):
            self.note(f"round {number + 1} of {rounds}")
            self.probes.append(probe())
            for name in random.Random(number).sample(names, len(names)):
                time.sleep(SETTLE_SECONDS)
                times[name].append(timed(calls[name]))
        return {name: Timing(tuple(values)) for name, values in times.items()}

    def add(
        self,
        metric: str,
        value: Spread | float,
        unit: str,
        bar: Bar | None = None,
        timing: Timing | None = None,
    ) -> None:
        """One row. `ok` is false where a bar is missed; `timing` adds the compile time."""
        found = value if isinstance(value, Spread) else Spread(value, value, value)
        self.note(f"{metric}: {_short(found.value)} {unit}")  # not lost if the rest is cut off
        self.rows.append(
            {
                "benchmark": self.name,
                "metric": metric,
                "value": float(found.value),
                "unit": unit,
                "bar": None if bar is None else bar.limit,
                "ok": bar is None or bar.holds(found.value),
                "better": None if bar is None else ("higher" if bar.at_least else "lower"),
                "low": float(found.low),
                "high": float(found.high),
                "compile_seconds": None if timing is None else timing.compile_seconds,
                "quick": self.quick,
            }
        )
        if self.at_once:
            print(json.dumps(self.rows[-1], allow_nan=False), flush=True)
            self._save()

    def finish(self) -> None:
        """Print machine, warning, table and JSON lines; write the CSV file if asked for one."""
        if self.probes:
            low, high = min(self.probes), max(self.probes)
            spread = Spread(high / low - 1, 0.0, high / low - 1)
            self.add("quietness: spread of a fixed GEMM over the rounds", spread, "1")
        for warning in self.warnings():
            self.note(f"warning: {warning}")
        if not self.json_only:
            print(f"{machine()}\n")
            for warning in self.warnings():
                print(f"Warning: {warning}.\n")
            print(table(self.rows), end="\n\n")
        if not self.at_once:
            for row in self.rows:
                print(json.dumps(row, allow_nan=False))
        self._save()

    def _save(self) -> None:
        if self.csv is not None:
            with Path(self.csv).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows)

    def warnings(self) -> list[str]:
        """Why these numbers may not be trusted; nothing on a quiet machine."""
        found = []
        if self.load > QUIET_LOAD * cores():
            found.append(f"the machine was not quiet: load average {self.load:.1f} at the start")
        if self.probes and max(self.probes) > (1 + QUIET_SPREAD) * min(self.probes):
            percent = 100 * (max(self.probes) / min(self.probes) - 1)
            found.append(f"the machine was not quiet: a fixed GEMM varied by {percent:.0f} %")
        if self.quick:
            found.append("quick form: short calls, small sizes; its numbers are no results")
        return found


def start(name: str, about: str | None, *options: Sequence[str]) -> Bench:
    """Parse the command line; `options` are further (flag, default, help) options."""
    parser = argparse.ArgumentParser(description=about, prog=f"python benchmarks/{name}.py")
    parser.add_argument("--quick", action="store_true", help="a look in under 2 minutes")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"rounds of every timing (default {ROUNDS})"
    )
    parser.add_argument("--json-only", action="store_true", help="print the JSON lines only")
    parser.add_argument("--csv", metavar="FILE", help="also write the rows to this CSV file")
    for flag, default, text in options:
        parser.add_argument(flag, default=default, help=text)
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error(f"--rounds {chosen.rounds}: give at least 1")
    return Bench(name, chosen.quick, chosen.rounds, chosen.json_only, chosen, csv=chosen.csv)


def machine() -> str:
    """One line: cores, CPU and versions."""
    import lnn
    from lnn.results import provenance

    found = provenance.versions()
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = torch.__version__
    source = provenance.git_state(Path(lnn.__file__).parent)
    if source is not None:
        found["commit"] = source["commit"][:10] + (" with changes" if source["dirty"] else "")
    words = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"Machine: {cores()} cores, {provenance.cpu_name()}; {words}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown, aligned."""
    head = ("metric", "value", "unit", "least to most", "compile, s", "bar", "ok")
    lines: list[tuple[str, ...]] = [head]
    for row in rows:
        single = row["low"] == row["high"]
        bar = "" if row["bar"] is None else str(Bar(row["bar"], row["better"] == "higher"))
        compiled = "" if row["compile_seconds"] is None else _short(row["compile_seconds"])
        spread = "" if single else f"{_short(row['low'])} to {_short(row['high'])}"
        ok = "" if not bar else ("yes" if row["ok"] else "NO")
        lines.append((row["metric"], _short(row["value"]), row["unit"], spread, compiled, bar, ok))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
