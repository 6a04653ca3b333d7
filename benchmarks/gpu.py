"""What lnn does on a GPU, in at most six minutes; every row is printed as soon as it is known.

The best matrix products in float32 and in TF32, memory bandwidth, the engine against these and
against vmap(grad), the drop-in against plain SGD, the default study, a step on MNIST, peak memory,
and then fast tests. Each section has its time, and says what it leaves out. Needs a GPU; the quick
form goes through all sections in a tiny form on any device.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import _contestants as c
import drop_in
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _at_once import OUTCOMES
from _harness import Bench, start
from _measure import Timing, at_least, at_most, ratio
from engine import GIGA, xla_pair, xla_square
from study import CACHE_VARIABLE, COMMAND, GIB, QUICK_COMMAND

import lnn
from lnn.datasets.images import CLASSES, SIDE, Images
from lnn.studies.mnist.config import SCALES, MnistConfig
from lnn.studies.mnist.train import train

ENDS = {
    "products": 45, "engine": 120, "drop-in": 180, "study": 250, "mnist": 290, "tests": 355,
}  # fmt: skip
"""Seconds since the start after which a section begins nothing more."""

ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "0",  # one GPU, for lnn as for its contestants
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the study and the tests are other processes
}
PRECISIONS = {
    "float32": jax.lax.Precision.HIGHEST,
    "default precision (TF32)": jax.lax.Precision.DEFAULT,
}
SQUARES, QUICK_SQUARES = (4096, 8192), (256,)
RUNS, QUICK_RUNS = (1, 256, 2048, 16_384), (1, 2048)
MOST_RUNS = 2048
"""Runs of the products of a step that are measured by themselves, and whose share has a bar."""

NUMBERS, QUICK_NUMBERS = 2**28, 2**20
"""Length of the vectors whose sum measures the bandwidth of the memory."""

SHAPES, QUICK_SHAPES = ((1024, 1024), (3136, 512)), ((128, 128),)
"""Of the matrix under the rule; the second is that of the dense layer of MNIST."""

BATCHES, QUICK_BATCHES = (128, 8192), (32,)
ARMS = ("normal", "rule")
MNIST = MnistConfig(**(SCALES["full"] | {"steps": 400, "evaluation": 500}))
QUICK_MNIST = MnistConfig(channels=(2, 3), hidden=8, steps=16, evaluation=50)
MNIST_RATE = 0.01
TESTS = ("simulation", "core", "transforms", "theory")
QUICK_TESTS = ("simulation/test_trajectories.py",)
ROOT = Path(__file__).resolve().parents[1]


class Clock:
    """The time of each section, counted from the start of the script."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.begun = bench, time.monotonic()

    def left(self, section: str) -> float:
        """Seconds that a section still has."""
        return self.begun + ENDS[section] - time.monotonic()

    def fits(self, section: str, what: str) -> bool:
        """Whether there is time left; say what is left out otherwise."""
        if self.left(section) > 0:
            return True
        self.bench.note(f"left out, no time: {what}")
        return False


def measure_products(bench: Bench, clock: Clock, x: np.ndarray) -> dict[str, Timing]:
    """Best rate of each precision and the bandwidth, as seconds per FLOP and per byte."""
    seconds = 0.05 if bench.quick else 0.3
    sizes = QUICK_SQUARES if bench.quick else SQUARES
    best: dict[str, Timing] = {}
    for name, precision in PRECISIONS.items():
        if best and not clock.fits("products", f"GEMM, {name}"):
            continue
        works = {f"{n} x {n}": 2.0 * n**3 for n in sizes}
        loops = {f"{n} x {n}": xla_square(n, "float32", None, precision) for n in sizes}
        works[f"products of {MOST_RUNS} runs"] = 4.0 * x.size * MOST_RUNS
        loops[f"products of {MOST_RUNS} runs"] = xla_pair(x, MOST_RUNS, None, precision)
        times = bench.time_loops(loops, seconds)
        for what, work in works.items():
            rate = times[what].rate(work / GIGA)
            bench.add(f"GEMM, {name}, {what}", rate, "GFLOP/s", timing=times[what])
        each = [_per(times[what], work) for what, work in works.items()]
        best[name] = min(each, key=lambda timing: timing.spread().value)

    numbers = QUICK_NUMBERS if bench.quick else NUMBERS
    y = jnp.ones(numbers, jnp.float32)

    @jax.jit
    def added(y: jax.Array, steps: Any) -> jax.Array:
        return jax.lax.fori_loop(0, steps, lambda _, z: z + 1e-3 * y, y)

    times = bench.time_loops({"sum": lambda steps: added(y, steps).block_until_ready()}, seconds)
    moved = 3.0 * y.nbytes
    bench.add("memory: y + a x", times["sum"].rate(moved / GIGA), "GB/s", timing=times["sum"])
    return best | {"byte": _per(times["sum"], moved)}


def measure_engine(
    bench: Bench, clock: Clock, problem: lnn.Problem, best: dict[str, Timing]
) -> None:
    """Gradient descent by lnn and by vmap(grad), both in float32 at full precision."""
    method, (m, d) = lnn.make_method("gd"), (problem.m, problem.d)
    for runs in QUICK_RUNS if bench.quick else RUNS:
        head = f"engine, {runs} run{'s' * (runs > 1)}"
        if not clock.fits("engine", head):
            return
        w = c.starts(runs)
        loops = {"lnn": c.lnn_loop(problem, method, w), "vmap": c.vmap_grad_loop(problem, w)}
        with jax.default_matmul_precision("highest"):  # of vmap(grad); lnn's is always that
            times = bench.time_loops(loops, 0.05 if bench.quick else 0.4)
            steps = loops["vmap"](20), loops["lnn"](20)
        c.agree("vmap(grad)", steps[0], steps[1].params, w)
        work = 4.0 * m * d * runs
        # The data read twice, residuals written and read, the matrix read, the gradient written.
        moved = 4.0 * (2 * m * d + 2 * m * runs + 2 * d * runs)
        timing = times["lnn"]
        bench.add(f"{head}: lnn", timing.spread(1e6), "us a step", timing=timing)
        bench.add(f"{head}: lnn, rate", timing.rate(work / GIGA), "GFLOP/s")
        share = ratio(best["float32"], _per(timing, work))
        bar = at_least(0.5) if runs == MOST_RUNS else None
        bench.add(f"{head}: lnn / best float32 GEMM", share, "1", bar)
        traffic = ratio(best["byte"], _per(timing, moved))
        bench.add(f"{head}: lnn, least traffic / bandwidth", traffic, "1")
        bench.add(f"{head}: vmap(grad) / lnn", ratio(times["vmap"], timing), "x")


def measure_drop_in(bench: Bench, clock: Clock) -> None:
    """A training step with the rule inside against one of plain SGD."""
    optimizers = {
        "sgd": optax.sgd(drop_in.RATE),
        "rule": lnn.overparameterize(optax.sgd(drop_in.RATE), drop_in.DEPTH, mask=drop_in.ONLY),
        "rule, factors": drop_in.rule("factors"),
    }
    batches = QUICK_BATCHES if bench.quick else BATCHES
    for shape in QUICK_SHAPES if bench.quick else SHAPES:
        for batch in batches:
            head = f"drop-in, {shape[0]} x {shape[1]}, {batch} examples a step"
            if not clock.fits("drop-in", head):
                continue
            loops = {
                name: drop_in.of_network(shape, batch, optimizer).loop()
                for name, optimizer in optimizers.items()
            }
            times = bench.time_loops(loops, 0.05 if bench.quick else 0.4)
            for name, timing in times.items():
                bench.add(f"{head}: {name}", timing.spread(1e3), "ms a step", timing=timing)
            barred = (shape, batch) == (SHAPES[0], BATCHES[-1])
            bar = at_most(2.0) if barred else None
            for name in list(times)[1:]:
                bench.add(f"{head}: {name} / sgd", ratio(times[name], times["sgd"]), "1", bar)


def measure_study(bench: Bench, clock: Clock) -> None:
    """The default command in a fresh process with an empty cache."""
    if not clock.fits("study", "the default study"):
        return
    with tempfile.TemporaryDirectory() as folder:
        options = QUICK_COMMAND if bench.quick else COMMAND
        command = (
            *(sys.executable, "-m", "lnn.compare", *options, "--quiet"),
            *("--out", folder, "--name", "study"),
        )
        environment = {**os.environ, CACHE_VARIABLE: str(Path(folder) / "cache")}
        begun, most = time.perf_counter(), max(1.0, clock.left("study"))
        try:
            subprocess.run(command, cwd=folder, env=environment, stdout=2, check=True, timeout=most)
        except subprocess.TimeoutExpired:
            bench.note(f"left out: the default study takes more than {most:.0f} s")
            return
        bench.add("default study, empty cache: total", time.perf_counter() - begun, "s")
        manifest = json.loads((Path(folder) / "study" / "manifest.json").read_text("utf-8"))
        for name, seconds in manifest["timings"].items():
            if name.endswith("_seconds"):
                bench.add(f"default study: {name.removesuffix('_seconds')}", seconds, "s")


def measure_mnist(bench: Bench, clock: Clock) -> None:
    """The network of the study on MNIST at full scale, on images of noise: plain, and the rule."""
    config = QUICK_MNIST if bench.quick else MNIST
    rng = np.random.default_rng(0)
    count = 10 * config.evaluation
    pixels = rng.integers(0, 256, (2, count, SIDE, SIDE), np.uint8)
    labels = rng.integers(0, CLASSES, (2, count), np.uint8)
    data = Images(pixels[0], labels[0], pixels[1, :50], labels[1, :50])
    for arm in ARMS:
        if not clock.fits("mnist", f"mnist, {arm}"):
            continue
        call = partial(train, config, arm, MNIST_RATE, 0, data)
        call()  # compiles
        times = bench.time_calls({arm: call}, min(bench.rounds, 2))
        spread = times[arm].spread(1e3 / config.steps)
        bench.add(f"mnist, {arm}: batch of 64, with measuring", spread, "ms a step")


def measure_memory(bench: Bench, device: jax.Device) -> None:
    """Most memory of the device that this process has held."""
    found = device.memory_stats() or {}
    if "peak_bytes_in_use" not in found:
        bench.note("left out: the device does not state its peak memory")
        return
    bench.add("peak memory of the device", found["peak_bytes_in_use"] / GIB, "GiB")


def run_tests(bench: Bench, clock: Clock, device: jax.Device) -> None:
    """Fast tests on the device, until the time is over; failures are printed at once."""
    if importlib.util.find_spec("pytest") is None:
        bench.note("left out: the tests need pytest (pip install 'lnn[dev]')")
        return
    if not clock.fits("tests", "the tests"):
        return
    here = device.platform
    if here == "gpu":
        here = "rocm" if "rocm" in device.client.platform_version else "cuda"
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes"
        outcomes.touch()
        places = [str(ROOT / "tests" / name) for name in (QUICK_TESTS if bench.quick else TESTS)]
        paths = [str(Path(__file__).parent), str(ROOT)]
        environment = {
            **os.environ,
            OUTCOMES: str(outcomes),
            "JAX_PLATFORMS": ",".join(dict.fromkeys((here, "cpu"))),
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
        }
        command = (
            *(sys.executable, "-u", "-m", "pytest", "-q", "--maxfail=30", "--tb=short"),
            *("-p", "_at_once", "-p", "no:cacheprovider", *places),
        )
        try:
            subprocess.run(
                command, cwd=ROOT, env=environment, stdout=2, check=False,
                timeout=max(1.0, clock.left("tests")),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            bench.note("the time is over: the remaining tests are left out")
        found = Counter(outcomes.read_text("utf-8").split())
    for outcome in ("passed", "skipped"):
        bench.add(f"tests: {outcome}", found[outcome], "tests")
    bench.add("tests: failed", found["failed"], "tests", at_most(0))


def _per(timing: Timing, work: float) -> Timing:
    """Seconds for each unit of work."""
    return Timing(tuple(seconds / work for seconds in timing.rounds))


def main() -> None:
    """Run it."""
    bench = start("gpu", __doc__)
    bench.at_once = True
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        device = jax.devices()[0]
    except (RuntimeError, AssertionError):  # JAX_PLATFORMS asks for one that is not there
        device = None
    if device is None or not (bench.quick or device.platform == "gpu"):
        print("gpu: skipped: JAX finds no GPU (pip install 'jax[cuda12]'); --quick needs none")
        return
    clock = Clock(bench)
    bench.add(f"devices: {device.device_kind}", jax.local_device_count(), "1")
    problem = lnn.datasets.synthetic(c.P)
    best = measure_products(bench, clock, np.asarray(problem.x, np.float32))
    measure_engine(bench, clock, problem, best)
    measure_drop_in(bench, clock)
    measure_study(bench, clock)
    measure_mnist(bench, clock)
    measure_memory(bench, device)
    run_tests(bench, clock, device)
    bench.finish()


if __name__ == "__main__":
    main()
