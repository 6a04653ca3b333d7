"""Whole studies as a user meets them: the default command, its start, 10,000 runs, large data.

Every measurement is of a fresh process. The command is `python -m lnn.compare --depth 4 --p 4`,
with an empty and with a filled cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from _harness import Bench, start
from _measure import Bar, Spread, Timing, at_least, at_most, ratio

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""The environment variable that names the folder of the command's compiled programs."""

COMPILE = "compile_seconds"
"""One of the parts in `timings` of the command's manifest.json; all parts end in "_seconds"."""

COMMAND = ("--depth", "4", "--p", "4")
QUICK_COMMAND = (
    *COMMAND, "--data", "two-point", "--steps", "20", "--methods", "gd",
    "--lrs", "0.0001,0.001", "--seeds", "1", "--tuning-seeds", "1",
)  # fmt: skip
QUICK_PROCESSES = 2
"""Rounds of whole commands and of whole processes in the quick form."""

STARTS = {
    "--help": (("-m", "lnn.compare", "--help"), at_most(0.5)),
    "import lnn": (("-c", "import lnn"), at_most(1.5)),
    "import lnn; lnn.simulate": (("-c", "import lnn; lnn.simulate"), None),
    "python alone": (("-c", ""), None),
}
GRID_SIZES = (2500, 5000, 10_000)
LARGE_M, LARGE_RUNS, LARGE_STEPS = 1_000_000, 8, 5
GIB = 2.0**30


def measure_starts(bench: Bench) -> None:
    """How long the user waits before anything happens."""
    calls = {name: partial(_python, *code) for name, (code, _) in STARTS.items()}
    for call in calls.values():
        call()
    times = bench.time_calls(calls)
    for name, (_, bar) in STARTS.items():
        bench.add(name, times[name].spread(), "s", bar)


def measure_command(bench: Bench, folder: Path, rounds: int) -> None:
    """The command with an empty and with a filled cache, and where its time goes."""
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}

    def run(kind: str, filled: bool = False) -> None:
        number = sum(map(len, found.values()))
        cache = folder / ("cache-filled" if kind == "warm" or filled else f"cache-{number}")
        cache.mkdir(exist_ok=True)
        name = "filling" if filled else f"study-{number}"
        options = QUICK_COMMAND if bench.quick else COMMAND
        _python(
            "-m", "lnn.compare", *options, "--quiet", "--out", str(folder), "--name", name,
            cache=cache,
        )  # fmt: skip
        if not filled:
            manifest = json.loads((folder / name / "manifest.json").read_text(encoding="utf-8"))
            found[kind].append(manifest.get("timings", {}))

    run("warm", filled=True)
    times = bench.time_calls({kind: partial(run, kind) for kind in found}, rounds)
    for kind, timing in times.items():
        bar = at_most(60.0) if kind == "cold" and not bench.quick else None
        bench.add(f"command, {kind} cache: total", timing.spread(), "s", bar)
        if not all(COMPILE in each for each in found[kind]):
            bench.note("the command's manifest.json has no timings: its parts are left out")
            continue
        for key in found[kind][0]:
            part = Timing(tuple(each[key] for each in found[kind]))
            few = key == COMPILE and kind == "warm" and not bench.quick
            name = key.removesuffix("_seconds")
            bar = at_most(2.0) if few else None
            bench.add(f"command, {kind} cache: {name}", part.spread(), "s", bar)
        if kind == "cold":
            compiled = Timing(tuple(each[COMPILE] for each in found[kind]))
            share = ratio(compiled, timing)
            bar = None if bench.quick else at_most(0.25)
            bench.add("command, cold cache: compile / total", share, "1", bar)


def measure_grid(bench: Bench, rounds: int) -> None:
    """10,000 runs of gradient descent: time, peak memory, and whether time is linear in runs."""
    sizes = [runs // 10 for runs in GRID_SIZES] if bench.quick else list(GRID_SIZES)
    steps = 20 if bench.quick else 200
    name = f"{sizes[-1]} runs, {steps} steps"
    each = [_child("grid", runs=sizes[-1], steps=steps) for _ in range(rounds)]
    seconds = Timing(tuple(one["seconds"] for one in each))
    bench.add(f"{name}: time, with compiling", seconds.spread(), "s")
    peak = Timing(tuple(one["peak"] / GIB for one in each))
    bench.add(f"{name}: peak memory", peak.spread(), "GiB", _unless(bench, at_most(2.0)))

    child = _child("linearity", sizes=sizes, steps=steps, rounds=bench.rounds)
    bench.probes.extend(child["probes"])
    times = {runs: Timing(tuple(child["times"][str(runs)])) for runs in sizes}
    most = sizes[-1]
    for runs, timing in times.items():
        bench.add(f"{runs} runs, {steps} steps: time", timing.spread(), "s")
    for runs in sizes[:-1]:
        per_run = ratio(times[runs], times[most], most / runs)
        off = [abs(part - 1) for part in (per_run.value, per_run.low, per_run.high)]
        least = 0.0 if per_run.low <= 1 <= per_run.high else min(off)
        spread = Spread(off[0], least, max(off))
        bar = _unless(bench, at_most(0.10))
        bench.add(f"departure from linear time, {runs} against {most} runs", spread, "1", bar)


def measure_active_set(bench: Bench) -> None:
    """What dropping finished runs saves where half of a grid diverges."""
    steps = 200 if bench.quick else 2000
    child = _child("active_set", steps=steps, rounds=bench.rounds)
    if "missing" in child:
        bench.note(f"{child['missing']} is not there: the active set is left out")
        return
    bench.probes.extend(child["probes"])
    times = {name: Timing(tuple(rounds)) for name, rounds in child["times"].items()}
    head = f"24 rates x 11 seeds, {steps} steps"
    bench.add(f"{head}: share that diverges", child["diverged"], "1")
    for name, timing in times.items():
        bench.add(f"{head}: {name} the active set", timing.spread(), "s")
    gain = ratio(times["without"], times["with"])
    bench.add("without / with the active set", gain, "x", _unless(bench, at_least(1.5)))


def measure_large(bench: Bench, rounds: int) -> None:
    """Memory of a process, and what of it a problem of a thousand examples does without."""
    m = LARGE_M // 10 if bench.quick else LARGE_M
    each = [_child("large", m=m, runs=LARGE_RUNS, steps=LARGE_STEPS) for _ in range(rounds)]
    small = _child("large", m=1000, runs=LARGE_RUNS, steps=LARGE_STEPS)["peak"]
    data = each[0]["data"]
    head = f"m = {m}, float32, aligned, {LARGE_RUNS} runs"
    bench.add(f"{head}: data", data / GIB, "GiB")
    bench.add(f"{head}: time, with compiling", _spread(each, "seconds", 1.0), "s")
    bench.add("m = 1000, float32: peak memory", small / GIB, "GiB")
    above = [{"above": one["peak"] - small} for one in each]
    bench.add(f"{head}: peak above that of m = 1000 / data", _spread(above, "above", data), "1")
    bar = _unless(bench, at_most(1.6))
    bench.add(f"{head}: peak memory / data", _spread(each, "peak", data), "1", bar)


def _spread(each: Sequence[dict[str, Any]], key: str, unit: float) -> Spread:
    return Timing(tuple(one[key] / unit for one in each)).spread()


def _unless(bench: Bench, bar: Bar) -> Bar | None:
    """The bar, unless the quick form has shrunk what it is for."""
    return None if bench.quick else bar


def _child(kind: str, **options: Any) -> Any:
    script = str(Path(__file__).with_name("_study_child.py"))
    return json.loads(_python(script, kind, json.dumps(options)).splitlines()[-1])


def _python(*arguments: str, cache: Path | None = None) -> str:
    """Standard output of a fresh Python; its standard error goes where ours goes."""
    environment = {k: v for k, v in os.environ.items() if k != CACHE_VARIABLE}
    if cache is not None:
        environment[CACHE_VARIABLE] = str(cache)
    with tempfile.TemporaryDirectory() as elsewhere:  # no package to be found by accident
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=elsewhere, env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return done.stdout


def main() -> None:
    """Run it."""
    bench = start("study", __doc__)
    rounds = min(bench.rounds, QUICK_PROCESSES) if bench.quick else bench.rounds
    measure_starts(bench)
    with tempfile.TemporaryDirectory() as folder:
        measure_command(bench, Path(folder), rounds)
    measure_grid(bench, rounds)
    measure_active_set(bench)
    measure_large(bench, rounds)
    bench.finish()


if __name__ == "__main__":
    main()
