"""How the cost of a step grows: with depth, runs, examples, inputs, outputs and width.

One quantity grows at a time, from m = 2565, d = 128, one output, 64 runs, p = 4. Exponents are
those of the upper half of the sizes, where what is fixed no longer hides the growth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import _contestants as c
import numpy as np
from _growth_figure import Curve, draw
from _harness import Bench, start
from _measure import Spread, at_most, ratio

import lnn

RUNS = 64
WIDE_RUNS, WIDE_OUTPUTS, WIDE_DEPTH = 8, 10, 4
DEPTHS = (1, 2, 4, 8, 16, 32, 64)
DEPTH_BARS = {"end-to-end": at_most(1.05), "layerwise-gd": at_most(1.3)}
EXPONENT_BARS = dict.fromkeys(("runs", "m", "d", "k"), at_most(1.1))
MICRO = 1e6


@dataclass(frozen=True)
class Axis:
    """One quantity that grows."""

    name: str
    label: str
    sizes: tuple[int, ...]
    families: dict[str, Callable[[int], tuple[c.Loop, int]]]
    """Rule -> size -> the loop and how many runs it has."""


def problem_of(m: int = c.M, d: int = c.D, k: int = 1) -> lnn.Problem:
    """Gaussian data: the speed does not depend on the numbers, and this is made fast."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((m, k))
    return lnn.Problem(rng.standard_normal((m, d)), y[:, 0] if k == 1 else y, c.P)


def gd(m: int = c.M, d: int = c.D, runs: int = RUNS) -> tuple[c.Loop, int]:
    """Plain gradient descent, one output."""
    return c.lnn_loop(problem_of(m, d), lnn.make_method("gd"), c.starts(runs, 1, d)), runs


def by_depth(depth: int) -> tuple[c.Loop, int]:
    """The end-to-end rule."""
    method = lnn.make_method("end-to-end", depth)
    return c.lnn_loop(problem_of(), method, c.starts(RUNS)), RUNS


def by_layers(depth: int) -> tuple[c.Loop, int]:
    """Gradient descent on the layers, hidden width 1."""
    first = c.factor_starts(RUNS, (c.D,) + (1,) * depth)
    return c.lnn_loop(problem_of(), lnn.make_method("layerwise-gd", depth), first), RUNS


def by_outputs(name: str) -> Callable[[int], tuple[c.Loop, int]]:
    """A rule as the outputs grow."""

    def loop(k: int) -> tuple[c.Loop, int]:
        method = lnn.make_method(name, WIDE_DEPTH)
        return c.lnn_loop(problem_of(k=k), method, c.starts(WIDE_RUNS, k)), WIDE_RUNS

    return loop


def by_width(width: int) -> tuple[c.Loop, int]:
    """Gradient descent on layers of this width, several outputs."""
    hidden = (width,) * (WIDE_DEPTH - 1)
    first = c.factor_starts(WIDE_RUNS, (c.D, *hidden, WIDE_OUTPUTS))
    method = lnn.make_method("layerwise-gd", WIDE_DEPTH, hidden)
    return c.lnn_loop(problem_of(k=WIDE_OUTPUTS), method, first), WIDE_RUNS


AXES = (
    Axis("depth", "depth (layers)", DEPTHS, {"end-to-end": by_depth, "layerwise-gd": by_layers}),
    Axis("runs", "runs in a batch", (1, 4, 16, 64, 256, 1024), {"gd": lambda n: gd(runs=n)}),
    Axis(
        "m", "examples, m", (500, 1000, 2000, 4000, 8000, 16000, 32000), {"gd": lambda m: gd(m=m)}
    ),
    Axis("d", "inputs, d", (16, 32, 64, 128, 256, 512, 1024), {"gd": lambda d: gd(d=d)}),
    Axis(
        "k",
        "outputs, k",
        (1, 2, 4, 8, 16, 32, 64, 128),
        {"gd": by_outputs("gd"), "end-to-end": by_outputs("end-to-end")},
    ),
    Axis("width", "hidden width", (1, 4, 16, 64, 128, 256), {"layerwise-gd": by_width}),
)
QUICK = {
    "depth": (2, 8, 64),
    "runs": (4, 64, 256),
    "m": (500, 2000, 8000),
    "d": (32, 128, 512),
    "k": (1, 8, 64),
    "width": (1, 16, 64),
}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log size, by least squares, over the upper half of the sizes."""
    kept = max(3, (len(sizes) + 1) // 2)
    x, y = np.log(sizes[-kept:]), np.log(seconds[-kept:])
    return float(np.polyfit(x, y, 1)[0])


def measure(bench: Bench, axis: Axis) -> list[Curve]:
    """All rows of one quantity that grows."""
    sizes = QUICK[axis.name] if bench.quick else axis.sizes
    made = {(rule, size): family(size) for rule, family in axis.families.items() for size in sizes}
    names = {key: f"{key[0]}, {axis.name} = {key[1]}" for key in made}
    loops = {names[key]: loop for key, (loop, _) in made.items()}
    times = bench.time_loops(loops, 0.15 if bench.quick else 1.0)
    curves = []
    for rule in axis.families:
        found: list[Spread] = []
        for size in sizes:
            timing = times[names[rule, size]]
            scale = MICRO if axis.name == "runs" else MICRO / made[rule, size][1]
            unit = "us a step of the batch" if axis.name == "runs" else "us a step of a run"
            found.append(timing.spread(scale))
            bench.add(names[rule, size], found[-1], unit, timing=timing)
        slope = exponent(sizes, [spread.value for spread in found])
        bar = EXPONENT_BARS.get(axis.name)
        bench.add(f"{rule}: exponent in {axis.name}, sizes above the middle", slope, "1", bar)
        if axis.name == "depth":
            growth = ratio(times[names[rule, 64]], times[names[rule, 2]])
            bench.add(f"{rule}: depth 64 / depth 2", growth, "1", DEPTH_BARS[rule])
        curves.append(Curve(axis.name, axis.label, rule, tuple(sizes), tuple(found), slope))
    return curves


def main() -> None:
    """Run it."""
    bench = start(
        "growth",
        __doc__,
        ("--out", str(Path(__file__).parent / "results"), "folder of growth.pdf and growth.png"),
    )
    c.use_all_cores()
    curves = [curve for axis in AXES for curve in measure(bench, axis)]
    draw(curves, Path(bench.extra.out))
    bench.finish()


if __name__ == "__main__":
    main()
