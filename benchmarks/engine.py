"""The engine against the machine's best GEMM rate, and against vmap(grad) in a loop.

Gradient descent, p = 4, m = 2565, d = 128. A step of one run is 4 m d k FLOP.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import _contestants as c
import jax
import jax.numpy as jnp
import numpy as np
from _harness import Bench, start
from _measure import Timing, at_least, ratio
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.execution.backend import cores

RUNS = (1, 16, 64, 256, 1024)
QUICK_RUNS = {"float32": RUNS, "float64": (256,)}
SQUARES = (1024, 2048)
GEMM_RUNS = (256, 1024)
LEAST_SHARE, SHARED_RUNS = at_least(0.9), (64, 256, 1024)
"""Of the best GEMM rate, from so many runs on."""

LEAST_RATIO = at_least(1.0)
"""To vmap(grad), at any number of runs."""

GIGA = 1e9


def numpy_square(n: int, dtype: str) -> c.Loop:
    """Square products by NumPy's BLAS, all cores."""
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    out = np.empty_like(a)

    def run(steps: int) -> None:
        for _ in range(steps):
            np.matmul(a, a, out=out)

    return run


def numpy_pair(x: np.ndarray, runs: int) -> c.Loop:
    """The two products of a step, by NumPy's BLAS, all cores."""
    w = np.ones((runs, x.shape[1]), x.dtype)
    residual, gradient = np.empty((runs, len(x)), x.dtype), np.empty_like(w)
    xt = np.ascontiguousarray(x.T)

    def run(steps: int) -> None:
        for _ in range(steps):
            np.matmul(w, xt, out=residual)
            np.matmul(residual, x, out=gradient)

    return run


def _placed(array: Any, mesh: Mesh | None, *axes: str | None) -> jax.Array:
    """On the default device, or over a mesh of one device per core."""
    if mesh is None:
        return jax.device_put(array)
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))


def xla_square(n: int, dtype: str, mesh: Mesh | None, precision: Any = None) -> c.Loop:
    """Square products by XLA; over a mesh, every device has its share of the rows."""
    rows = n if mesh is None else n // mesh.size * mesh.size
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    left, right = _placed(a[:rows], mesh, "runs", None), _placed(a, mesh)
    product = jax.jit(partial(jnp.matmul, precision=precision))

    def run(steps: int) -> None:
        for _ in range(steps):
            jax.block_until_ready(product(left, right))

    return run


def xla_pair(x: np.ndarray, runs: int, mesh: Mesh | None, precision: Any = None) -> c.Loop:
    """The two products of a step and nothing else, in a jitted loop; runs over the mesh."""
    runs = runs if mesh is None else runs // mesh.size * mesh.size
    scale = _placed(np.asarray(1 / np.linalg.norm(x, 2) ** 2, x.dtype), mesh)
    w = _placed(np.ones((runs, x.shape[1]), x.dtype), mesh, "runs", None)
    left, right = _placed(np.ascontiguousarray(x.T), mesh), _placed(x, mesh)

    product = partial(jnp.matmul, precision=precision)

    @jax.jit
    def products(w: Any, xt: Any, x: Any, scale: Any, steps: Any) -> jax.Array:
        return jax.lax.fori_loop(0, steps, lambda _, w: scale * product(product(w, xt), x), w)

    return lambda steps: jax.block_until_ready(products(w, left, right, scale, steps))


def gemms(x: np.ndarray, dtype: str, quick: bool) -> dict[str, tuple[c.Loop, float]]:
    """Every way to the machine's best GEMM rate: the loop, and the FLOP of its step."""
    x = x.astype(dtype)
    mesh = Mesh(np.array(jax.devices()), ("runs",))
    ways: dict[str, Mesh | None] = {"XLA": None}
    if mesh.size > 1:
        ways["XLA, a device per core"] = mesh
    found: dict[str, tuple[c.Loop, float]] = {}
    for n in SQUARES[quick:]:
        found[f"NumPy, {n} x {n}"] = numpy_square(n, dtype), 2.0 * n**3
        for way, over in ways.items():
            rows = n if over is None else n // over.size * over.size
            found[f"{way}, {n} x {n}"] = xla_square(n, dtype, over), 2.0 * rows * n**2
    for runs in GEMM_RUNS[quick:]:
        work = 4.0 * x.size
        found[f"NumPy, products of {runs} runs"] = numpy_pair(x, runs), work * runs
        for way, over in ways.items():
            kept = runs if over is None else runs // over.size * over.size
            found[f"{way}, products of {runs} runs"] = xla_pair(x, runs, over), work * kept
    return found


def measure(bench: Bench, problem: lnn.Problem, dtype: str) -> None:
    """All rows of one precision."""
    method = lnn.make_method("gd")
    products = gemms(np.asarray(problem.x), dtype, bench.quick)
    loops = {name: loop for name, (loop, _) in products.items()}
    sizes = QUICK_RUNS[dtype] if bench.quick else RUNS
    for runs in sizes:
        w = c.starts(runs)
        ours, theirs = c.lnn_loop(problem, method, w, dtype), c.vmap_grad_loop(problem, w, dtype)
        loops[f"lnn {runs}"], loops[f"vmap {runs}"] = ours, theirs
    times = bench.time_loops(loops, 0.2 if bench.quick else 2.0)
    c.agree("vmap(grad)", loops["vmap 256"](20), loops["lnn 256"](20).params, c.starts(256))

    def seconds_per_flop(name: str, work: float) -> Timing:
        return Timing(tuple(seconds / work for seconds in times[name].rounds))

    rates = {name: times[name].rate(work / GIGA) for name, (_, work) in products.items()}
    best = max(rates, key=lambda name: rates[name].value)
    for name, rate in rates.items():
        mark = ", the best" if name == best else ""
        bench.add(f"{dtype}, GEMM, {name}{mark}", rate, "GFLOP/s")
    best_time = seconds_per_flop(best, products[best][1])
    for runs in sizes:
        work = 4.0 * problem.m * problem.d * runs
        lnn_time, vmap_time = times[f"lnn {runs}"], times[f"vmap {runs}"]
        head = f"{dtype}, {runs} run{'s' * (runs > 1)}"
        bench.add(f"{head}: lnn", lnn_time.rate(work / GIGA), "GFLOP/s", timing=lnn_time)
        bench.add(f"{head}: vmap(grad)", vmap_time.rate(work / GIGA), "GFLOP/s", timing=vmap_time)
        share = ratio(best_time, seconds_per_flop(f"lnn {runs}", work))
        bar = LEAST_SHARE if runs in SHARED_RUNS else None
        bench.add(f"{head}: lnn / best GEMM", share, "1", bar)
        bench.add(f"{head}: lnn / vmap(grad)", ratio(vmap_time, lnn_time), "x", LEAST_RATIO)


def main() -> None:
    """Run it."""
    bench = start("engine", __doc__)
    c.use_all_cores()
    bench.note(f"{cores()} cores")
    problem = lnn.datasets.synthetic(c.P)
    for dtype in ("float32", "float64"):
        with c.x64(dtype == "float64"):
            measure(bench, problem, dtype)
    bench.finish()


if __name__ == "__main__":
    main()
