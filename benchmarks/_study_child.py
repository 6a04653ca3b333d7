"""What `study.py` measures in a fresh process: `python _study_child.py KIND OPTIONS-IN-JSON`.

Prints what it found as one line of JSON. A process of its own shows its own peak memory.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import _contestants as c
import jax
import numpy as np
from _harness import Bench
from _measure import peak_bytes, timed

import lnn

RATES, SEEDS = 24, 11
DECADES = 2.0
"""The grid of the active set reaches so far to both sides of the stability limit."""

ENGINE = "lnn.simulation.simulate"
"""The module of `simulate_groups` and `Group`."""

DROP = "drop_ended"
"""The option of `simulate_groups` that drops ended runs."""

_ALIGNMENT = 64
_NOISE = 0.3


def _bench(rounds: int) -> Bench:
    return Bench("study", False, rounds, True, argparse.Namespace())


def grid(runs: int, steps: int) -> dict[str, Any]:
    """One grid of gradient descent, compiled and run once: seconds and peak memory."""
    problem = lnn.datasets.synthetic(c.P)
    loop = c.lnn_loop(problem, lnn.make_method("gd"), c.starts(runs))
    return {"seconds": timed(lambda: loop(steps)), "peak": peak_bytes()}


def linearity(sizes: list[int], steps: int, rounds: int) -> dict[str, Any]:
    """Seconds of the same steps of batches of these sizes, interleaved, compiled before."""
    problem, method = lnn.datasets.synthetic(c.P), lnn.make_method("gd")
    loops = {str(runs): c.lnn_loop(problem, method, c.starts(runs)) for runs in sizes}
    for loop in loops.values():
        loop(steps)
    bench = _bench(rounds)
    times = bench.time_calls({name: partial(loop, steps) for name, loop in loops.items()})
    return {
        "times": {name: timing.rounds for name, timing in times.items()},
        "probes": bench.probes,
    }


def active_set(steps: int, rounds: int) -> dict[str, Any]:
    """A grid of which about half diverges, with finished runs dropped and with them kept."""
    engine = importlib.import_module(ENGINE)
    if not hasattr(engine, "simulate_groups"):
        return {"missing": f"{ENGINE}.simulate_groups"}
    problem, method = lnn.datasets.synthetic(c.P), lnn.make_method("gd")
    limit = stability_limit(problem, method, steps)
    rates = limit * np.geomspace(10**-DECADES, 10**DECADES, RATES)
    start = np.repeat(c.starts(SEEDS), RATES, axis=0)
    group = engine.Group(method, start, np.tile(rates, SEEDS), np.zeros(SEEDS * RATES))

    def run(drop: bool) -> int:
        """How many runs diverged."""
        (found,) = engine.simulate_groups(problem, [group], steps, **{DROP: drop})
        return int((found.status == lnn.Status.DIVERGED).sum())

    diverged = [run(True), run(False)]
    if diverged[0] != diverged[1]:
        raise RuntimeError(f"the active set changes what diverges: {diverged}")
    bench = _bench(rounds)
    times = bench.time_calls({"with": partial(run, True), "without": partial(run, False)})
    return {
        "times": {name: timing.rounds for name, timing in times.items()},
        "probes": bench.probes,
        "diverged": diverged[0] / (SEEDS * RATES),
    }


def stability_limit(problem: lnn.Problem, method: lnn.Method, steps: int) -> float:
    """The learning rate, to 4 %, above which gradient descent diverges from the first start."""
    low, high = 1e-6, 1e3
    for _ in range(3):
        rates = np.geomspace(low, high, 16)
        start = np.repeat(c.starts(1), rates.size, axis=0)
        found = lnn.simulate(problem, method, start, rates, steps)
        first = int(np.argmax(found.status == lnn.Status.DIVERGED))
        if first == 0:
            raise RuntimeError(f"no stability limit between rates {low:g} and {high:g}")
        low, high = float(rates[first - 1]), float(rates[first])
    return float(np.sqrt(low * high))


def large(m: int, runs: int, steps: int) -> dict[str, Any]:
    """Peak memory of a problem with many examples, its data aligned as XLA takes it uncopied."""
    rng = np.random.default_rng(0)
    x, y = _aligned((m, c.D)), _aligned((m,))
    rng.standard_normal(dtype=np.float32, out=x)
    rng.standard_normal(dtype=np.float32, out=y)
    y *= _NOISE
    y += x @ np.full(c.D, c.D**-0.5, np.float32)
    loop = c.lnn_loop(lnn.Problem(x, y, c.P), lnn.make_method("gd"), c.starts(runs))
    seconds = timed(lambda: loop(steps))
    return {
        "seconds": seconds,
        "peak": peak_bytes(),
        "data": x.nbytes + y.nbytes,
    }


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An empty float32 array that begins at a multiple of 64 bytes."""
    size = 4 * int(np.prod(shape))
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    shift = -raw.ctypes.data % _ALIGNMENT
    return raw[shift : shift + size].view(np.float32).reshape(shape)


KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "grid": grid,
    "linearity": linearity,
    "active_set": active_set,
    "large": large,
}

if __name__ == "__main__":
    c.use_all_cores()
    jax.devices()  # started before anything is measured
    print(json.dumps(KINDS[sys.argv[1]](**json.loads(sys.argv[2]))))
