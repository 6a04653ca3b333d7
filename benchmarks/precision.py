"""Float32 against float64 over long runs: how far compensated sums carry, and what they cost.

    python benchmarks/precision.py [--data PATH] [--quick]

For every method, the same runs in float64, and in float32 with and without compensation, p = 4. The
deviation is that of the relative suboptimality (L - L*) / (L(0) - L*) from float64's, the largest
over all recorded steps at which that is at least 1e-3. `sensitivity` is how far a float64 run
deviates whose start differs by a relative 1e-7, about what float32 rounds off. Then the products
that accelerators make of narrower factors, `jax.lax.DotAlgorithmPreset`, imitated by rounding.
"""

from __future__ import annotations

from typing import Any

import _contestants as c
import jax
import jax.numpy as jnp
import numpy as np
from _harness import start
from _measure import at_most, ratio

import lnn
from lnn.core import network
from lnn.core.linalg import dot
from lnn.transforms.methods import EndToEnd, Method

DEEPEST = 1e-3
FROZEN = 6.7e-3
"""Where plain float32 stops on the one-dimensional problem."""

# Half the rates that a study of 10,000 steps tunes on gas drift, depth 2; Adam's are lower: above
# them its runs come to oscillate, sooner in float32, for rounding sets the oscillation off.
RATES = {
    "gd": 1.0e-3,
    "momentum": 6.3e-4,
    "adagrad": 5.8e-3,
    "adadelta": 9.4e-3,
    "adam": 5e-5,
    "end-to-end": 1.8e-3,
    "single-output": 1.8e-3,
    "layerwise-gd": 1.8e-3,
    "layerwise-adam": 2e-5,
}
SHARES = (1.0, 0.3)
PRESETS = {
    "BF16_BF16_F32": (7, 1),
    "BF16_BF16_F32_X3": (7, 2),
    "BF16_BF16_F32_X6": (7, 3),
    "TF32_TF32_F32": (10, 1),
    "TF32_TF32_F32_X3": (10, 2),
    "HIGHEST": (23, 1),
}
"""Bits of the mantissa, and into how many parts a factor is split; n parts take n (n + 1) / 2
products. HIGHEST is the sixfold product in bfloat16 on a TPU, and float32 elsewhere.
"""
DEPTH = 2


def main() -> None:
    """Run it."""
    bench = start(
        "precision", __doc__,
        ("--data", "", "gas drift data: a folder, zip or CSV (default: the built-in problem)"),
    )  # fmt: skip
    c.use_all_cores()
    steps = 2_000 if bench.quick else 100_000
    data = bench.extra.data
    problem = lnn.datasets.gas_drift(c.P, path=data) if data else lnn.datasets.synthetic(c.P)
    bench.note(f"{problem.name}, {steps} steps, each method at {SHARES} of its learning rate")
    _, least = lnn.reference_optimum(problem)
    zero = float(np.mean(np.abs(np.asarray(problem.y)) ** c.P) / c.P)
    for name, rate in RATES.items():
        method = lnn.make_method(name, float(DEPTH))
        deviations = long_runs(problem, method, rate, steps, least, zero)
        for what, value in deviations.items():
            bar = at_most(0.01) if what == "compensated" else None
            bench.add(f"{name}: {what}", value, "1", bar)
    frozen(bench, 10_000 if bench.quick else 1_000_000)
    narrow_factors(bench, problem, 500 if bench.quick else 20_000)
    overhead(bench, problem)
    bench.finish()


def long_runs(
    problem: lnn.Problem, method: Method, rate: float, steps: int, least: float, zero: float
) -> dict[str, float]:
    """Largest relative deviations of the suboptimality from float64."""
    factors = network.init_factors(jax.random.key(0), (problem.d, 1, problem.k))
    one: Any = factors
    if isinstance(method.parameterization, EndToEnd):
        one = factors[1] @ factors[0]
    rates = rate * np.array(SHARES)

    def suboptimality(scale: float = 1.0, **options: Any) -> np.ndarray:
        begin = jax.tree.map(lambda leaf: np.stack([scale * leaf] * rates.size), one)
        out = lnn.simulate(problem, method, begin, rates, steps, **options)
        if (out.status == lnn.Status.DIVERGED).any():
            raise SystemExit(f"{method.label} diverges at {rates}: not a stable learning rate")
        return (out.loss.astype(np.float64) - least) / (zero - least)

    exact = suboptimality(dtype="float64")
    counted = exact >= DEEPEST

    def deviation(other: np.ndarray) -> float:
        return float(np.max(np.abs(other / exact - 1), where=counted, initial=0))

    return {
        "least suboptimality": float(exact.min()),
        "compensated": deviation(suboptimality()),
        "plain": deviation(suboptimality(compensation=False)),
        "sensitivity": deviation(suboptimality(1 + 1e-7, dtype="float64")),
    }


def frozen(bench: Any, steps: int) -> None:
    """(1/4) (w - 1)^4 by gradient descent from 0 at rate 0.1: the distance falls like t^(-1/2)."""
    problem = lnn.Problem(np.ones((1, 1)), np.ones(1), 4.0)
    kinds: dict[str, dict[str, Any]] = {
        "float64": {"dtype": "float64"},
        "float32, compensated": {},
        "float32, plain": {"compensation": False},
    }
    ends = {}
    for name, options in kinds.items():
        out = lnn.simulate(problem, lnn.make_method("gd"), np.zeros((1, 1)), 0.1, steps, **options)
        distance = (4 * out.loss.astype(np.float64)) ** 0.25
        ends[name] = distance
        bench.add(f"frozen run, {name}: distance after {steps} steps", distance[-1], "1")
    worst = np.max(np.abs(ends["float32, compensated"] / ends["float64"] - 1))
    bench.add("frozen run, compensated: deviation", float(worst), "1", at_most(0.01))


def narrow_factors(bench: Any, problem: lnn.Problem, steps: int) -> None:
    """Error of one gradient, and of the loss along a descent, by product and against float64."""
    arrays = np.asarray(problem.x), np.asarray(problem.y).reshape(problem.m, 1)
    begin = c.starts(1, 1, problem.d)[0].T
    rate = RATES["gd"]

    def descent(bits: int, parts: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        x, y, start = (jnp.asarray(array, dtype) for array in (*arrays, begin))

        def split(a: jax.Array) -> list[jax.Array]:
            found = []
            for _ in range(parts):
                found.append(jax.lax.reduce_precision(a, 8, bits) if dtype == "float32" else a)
                a = a - found[-1]
            return found

        def product(a: list[jax.Array], b: jax.Array) -> jax.Array:
            others = split(b)
            terms = [dot(one, other) for i, one in enumerate(a) for other in others[: parts - i]]
            return sum(terms[::-1], jnp.zeros((), b.dtype))  # the smallest first

        rows, columns = split(x), split(x.T)

        def slope(w: jax.Array) -> tuple[jax.Array, jax.Array]:
            residual = product(rows, w) - y
            return jnp.mean(residual**4) / 4, product(columns, residual**3) / problem.m

        def step(w: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            loss, gradient = slope(w)
            return w - rate * gradient, loss

        _, losses = jax.jit(lambda w: jax.lax.scan(step, w, length=steps))(start)
        return np.asarray(slope(start)[1], np.float64), np.asarray(losses, np.float64)

    with c.x64(True):
        gradient, losses = descent(52, 1, "float64")
    for name, (bits, parts) in PRESETS.items():
        other, others = descent(bits, parts, "float32")
        error = np.linalg.norm(other - gradient) / np.linalg.norm(gradient)
        bench.add(f"{name}: relative error of a gradient", float(error), "1")
        deviation = float(np.max(np.abs(others / losses - 1)))
        bench.add(f"{name}: deviation of the loss in {steps} steps of GD", deviation, "1")


def overhead(bench: Any, problem: lnn.Problem) -> None:
    """Time of a step with compensation over one without, 256 runs."""
    runs = 16 if bench.quick else 256
    rates = np.resize(np.array(c.RATES), runs)
    factors = c.factor_starts(runs, (problem.d, 1, 1, 1, problem.k))
    loops: dict[str, c.Loop] = {}
    for name, method, begin in (
        ("GD", lnn.make_method("gd"), c.starts(runs, problem.k, problem.d)),
        ("Adam", lnn.make_method("adam"), c.starts(runs, problem.k, problem.d)),
        ("layerwise Adam, depth 4", lnn.make_method("layerwise-adam", 4.0), factors),
    ):
        for compensation in (True, False):

            def loop(
                steps: int, method: Any = method, begin: Any = begin, on: bool = compensation
            ) -> object:
                return lnn.simulate(problem, method, begin, rates, steps, compensation=on)

            loops[f"{name}, {'compensated' if compensation else 'plain'}"] = loop
    times = bench.time_loops(loops, 0.2 if bench.quick else 1.5)
    for name in ("GD", "Adam", "layerwise Adam, depth 4"):
        found = ratio(times[f"{name}, compensated"], times[f"{name}, plain"])
        bench.add(f"{name}, {runs} runs: step compensated / plain", found, "x")


if __name__ == "__main__":
    main()
