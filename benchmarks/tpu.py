"""The program of a default study, compiled ahead of time for 2 x 2 chips of a TPU v5e.

All methods, depth 4, p = 4, m = 2565, d = 128, one output and six, float32: on one chip, on four
that share out the runs, and on four that share out the rows of the data. Compile time, memory and
work as the compiler states them; clock cycles of a step as it estimates them, against the
arithmetic alone; and what the compiled program must keep: products at full precision, compensated
sums, no traffic that is not asked for. Needs no TPU, but the compiler for it, libtpu: pip install
'lnn[tpu]'.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

import _contestants as c
import jax
import jax.numpy as jnp
import numpy as np
from _cycles import BOOKKEEPING, PARTS, step_cycles
from _harness import Bench, start
from _measure import Timing, at_least, at_most
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.simulation import Group
from lnn.simulation.placement import ROWS, RUNS, Data
from lnn.simulation.program import advance
from lnn.simulation.simulate import blank_state
from lnn.studies.compare.study import coarse_grid, study_methods

TOPOLOGY = "v5e:2x2"
CHIP_MEMORY = 16 * 2**30
SEGMENTS = 32
"""Of a call of the program: so many records it can take."""

OUTPUTS = (1, 6)
LAYOUTS = {
    "one chip": (1, 1),
    "4 chips share the runs": (4, 1),
    "4 chips share the rows": (1, 4),
}
PASSES = 6
"""Products in bfloat16 that make up one of float32 at full precision."""

FLOP_PER_SECOND, CLOCK = 197e12 / PASSES, 1.5e9
"""Of a chip; Google Cloud documentation of TPU v5e, and its clock rate."""

RUNS_TIMED = (288, 2048)
CYCLE_BARS = {(1, 288): at_most(3.5), (1, 2048): at_most(2.0)}
"""By outputs and runs: estimated cycles of a step, as a multiple of those of its arithmetic."""

QUICK = {1: ["4 chips share the rows"], 6: ["4 chips share the runs"]}
QUICK_METHODS = ("gd", "end-to-end", "layerwise-gd")
ENVIRONMENT = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # two processes may compile at once
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_LOG_DIR": "disabled",
    "TPU_SKIP_MDS_QUERY": "1",  # ask no cloud what machine this is
    "TPU_WORKER_HOSTNAMES": "localhost",
}

NARROW = re.compile(r"\b(?:bf16|f16|f64)\[")
PRODUCT = re.compile(r"= [^=]*\s(?:convolution|dot)\(")
TRAFFIC = re.compile(
    r"\s(all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|infeed|outfeed"
    r"|ragged-all-to-all|recv|reduce-scatter|send)(?:-start)?\("
)
HOST_MEMORY = "S(5)"
"""The memory space of an array that lies with the host."""

SUM = re.compile(
    r"%([\w.-]+) = f32\[[\d,]*\]\S* (add|subtract)\((?:\S+ )?%([\w.-]+), (?:\S+ )?%([\w.-]+)\)"
)


class Audit(NamedTuple):
    """What a compiled program holds, counted in its text."""

    products: int
    exact: int
    narrow: int
    traffic: list[str]
    sums: int


def audit(text: str) -> Audit:
    """Read an optimized HLO module.

    A product at HIGHEST says so to the end and takes float32 factors: its passes in bfloat16 are
    made below HLO. One at default precision says nothing, and has factors in bfloat16 where these
    are made once for many products.
    """
    lines = text.splitlines()
    products = [line for line in lines if PRODUCT.search(line)]
    return Audit(
        products=len(products),
        exact=sum("operand_precision={highest,highest}" in line for line in products),
        narrow=sum(bool(NARROW.search(line)) for line in lines),
        traffic=[found[1] for line in lines if (found := TRAFFIC.search(line))]
        + ["host memory" for line in lines if HOST_MEMORY in line],
        sums=sum(map(compensated_sums, re.split(r"^\}", text, flags=re.MULTILINE))),
    )


def compensated_sums(computation: str) -> int:
    """How often the rounding error of a + b comes with all four subtractions of
    `lnn.simulation.step.two_sum`; the sum itself may come from another fusion.
    """
    made = {name: tuple(rest) for name, *rest in SUM.findall(computation)}

    def minus(name: str | None) -> tuple[str | None, str | None]:
        operation, left, right = made.get(name or "", (None, None, None))
        return (left, right) if operation == "subtract" else (None, None)

    def is_error(left: str, right: str) -> bool:
        """Whether left + right is (a - (total - part)) + (b - part), part = total - a."""
        (a, rest), (b, part) = minus(left), minus(right)
        total, also = minus(rest)
        if None in (a, b, part, total) or also != part or minus(part) != (total, a):
            return False
        return made.get(total or "", ("add", a, b)) in (("add", a, b), ("add", b, a))

    sums = [(left, right) for operation, left, right in made.values() if operation == "add"]
    return sum(is_error(*pair) or is_error(*pair[::-1]) for pair in sums)


class Compiled(NamedTuple):
    """A compiled program and how long it took; how many sums it is to compensate."""

    program: Any
    lowering: float
    compiling: float
    sums: int


@cache
def compiled(methods: tuple[lnn.Method, ...], slots: int, k: int, mesh: Mesh) -> Compiled:
    """The engine's program for so many runs of each method, compiled for the devices of a mesh."""

    def shapes(tree: Any, *axes: str, lead: tuple[int, ...] = ()) -> Any:
        sharding = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                (*lead, *leaf.shape[len(lead) :]), leaf.dtype, sharding=sharding
            ),
            tree,
        )

    groups = [Group(method, parameters(method, k), np.ones(1), np.zeros(1)) for method in methods]
    state = tuple(blank_state(group, "float32", compensation=True) for group in groups)
    m = c.M + -c.M % mesh.shape[ROWS]
    x_and_y: Any = [jax.ShapeDtypeStruct((m, columns), np.float32) for columns in (c.D, k)]
    call = (np.float32(0), np.ones(SEGMENTS, np.int32), np.ones(SEGMENTS, bool))
    arguments = (
        shapes(Data(*x_and_y), ROWS),
        shapes(state, RUNS, lead=(slots,)),
        *map(shapes, call),
    )
    begun = time.perf_counter()
    lowered = advance.lower(
        *arguments, methods=methods, mesh=mesh, p=c.P, examples=c.M, save_weights=False,
        drop_ended=True,
    )  # fmt: skip
    between = time.perf_counter()
    program = lowered.compile()
    # Of a step that is recorded and of one that is not.
    sums = 2 * len(jax.tree.leaves([runs.low for runs in state]))
    return Compiled(program, between - begun, time.perf_counter() - between, sums)


def parameters(method: lnn.Method, k: int) -> Any:
    """Of one run."""
    if not method.name.startswith("layerwise"):
        return c.starts(1, k)
    hidden = lnn.StudyConfig().hidden_widths(method.depth, k, c.D)
    return c.factor_starts(1, (c.D, *hidden, k))


def measure(bench: Bench, devices: np.ndarray, k: int, layout: str) -> None:
    """All rows of one program."""
    config = lnn.StudyConfig(methods=QUICK_METHODS) if bench.quick else lnn.StudyConfig()
    slots = max(coarse_grid(config).size * config.tuning_seeds, config.seeds)
    shape = LAYOUTS[layout]
    mesh = Mesh(devices[: np.prod(shape)].reshape(shape), (RUNS, ROWS))
    head = f"k = {k}, {layout}"
    bench.note(f"{head}: compiling")
    found = compiled(tuple(study_methods(config, k, c.D)), slots, k, mesh)
    memory, cost = found.program.memory_analysis(), found.program.cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    timing = Timing((found.lowering,), found.compiling)
    bench.add(f"{head}: lowering", found.lowering, "s", timing=timing)
    parts = {
        "arguments": memory.argument_size_in_bytes,
        "results": memory.output_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "code": memory.generated_code_size_in_bytes,
    }
    for name, size in parts.items():
        bench.add(f"{head}: {name}", size / 1e6, "MB a chip")
    share = sum(parts.values()) / CHIP_MEMORY
    bench.add(f"{head}: all of these, of a chip's 16 GiB", share, "1", at_most(1))
    bench.add(f"{head}: work, loop bodies once", cost["flops"] / 1e6, "MFLOP a chip")
    bench.add(f"{head}: bytes, loop bodies once", cost["bytes accessed"] / 1e6, "MB a chip")
    seen = audit(str(found.program.as_text()))
    exact = seen.exact / seen.products
    bench.add(f"{head}: at HIGHEST, of {seen.products} products", exact, "1", at_least(1))
    bench.add(f"{head}: bfloat16, float16 or float64", seen.narrow, "values", at_most(0))
    asked = "all-reduce" if mesh.shape[ROWS] > 1 else None
    other = sum(operation != asked for operation in seen.traffic)
    bench.add(f"{head}: traffic not asked for", other, "operations", at_most(0))
    if asked:
        bench.add(f"{head}: sums over the chips", seen.traffic.count(asked), "operations")
    kept = seen.sums / found.sums
    bench.add(f"{head}: kept, of {found.sums} compensated sums", kept, "1", at_least(1))


def measure_cycles(bench: Bench, device: Any, k: int, runs: int) -> None:
    """Cycles of a step on one chip, by part, and against the arithmetic of the data pass alone."""
    methods = tuple(study_methods(lnn.StudyConfig(), k, c.D))
    mesh = Mesh(np.array([[device]]), (RUNS, ROWS))
    head = f"k = {k}, {runs} runs"
    bench.note(f"{head}: compiling")
    found = compiled(methods, runs // len(methods), k, mesh)
    step = step_cycles(str(found.program.as_text()))
    arithmetic = 4.0 * c.M * c.D * k * runs / FLOP_PER_SECOND * CLOCK
    for part in (*PARTS, BOOKKEEPING):
        bench.add(f"{head}: cycles a step, {part}", step.cycles[part], "cycles")
    bench.add(f"{head}: cycles a step", step.total, "cycles")
    if step.loops:
        bench.add(f"{head}: of these, loops counted once", step.loops, "loops")
    bench.add(f"{head}: share of the chip's limit", arithmetic / step.total, "1")
    bar = CYCLE_BARS.get((k, runs))
    bench.add(f"cycles a step / arithmetic, {head}", step.total / arithmetic, "1", bar)


def check_audit(bench: Bench, devices: np.ndarray) -> None:
    """What the audit is to find in a program that is wrong on purpose, it finds."""
    mesh = Mesh(devices, (RUNS,))

    def wrong(x: Any, w: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            a, low = carry
            b = low - x.T @ (x @ a) + jax.lax.all_gather(a, RUNS).sum(0)
            total = a + b
            return total, b - (total - a)  # two subtractions of the four

        return sum(jax.lax.fori_loop(0, 9, step, (w, jnp.zeros_like(w))))

    spec = (PartitionSpec(), PartitionSpec(RUNS))
    mapped = jax.shard_map(wrong, mesh=mesh, in_specs=spec, out_specs=spec[1], check_vma=False)
    arguments = [
        jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, axes))
        for shape, axes in zip(((c.M, c.D), (4 * c.D, 64)), spec, strict=True)
    ]
    seen = audit(str(jax.jit(mapped).lower(*arguments).compile().as_text()))
    found = (seen.exact < seen.products) + (seen.narrow > 0) + ("all-gather" in seen.traffic)
    found += seen.sums == 0
    bench.add("found, of 4 faults in a program made for it", found / 4, "1", at_least(1))


def main() -> None:
    """Run it."""
    bench = start("tpu", __doc__)
    if importlib.util.find_spec("libtpu") is None:
        print("tpu: skipped: libtpu is not installed (pip install 'lnn[tpu]')")
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    jax.config.update("jax_platforms", "cpu")
    from jax.experimental import topologies

    topology = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY)
    devices: np.ndarray = np.array(topology.devices)
    if not bench.json_only:
        print(f"Compiled by libtpu {metadata.version('libtpu')} for {TOPOLOGY}; nothing was run.")
    for k in OUTPUTS:
        for layout in QUICK[k] if bench.quick else LAYOUTS:
            measure(bench, devices, k, layout)
    for k in OUTPUTS[:1] if bench.quick else OUTPUTS:
        for runs in RUNS_TIMED[:1] if bench.quick else RUNS_TIMED:
            measure_cycles(bench, devices[0], k, runs)
    check_audit(bench, devices)
    bench.finish()
    if not all(row["ok"] for row in bench.rows):
        sys.exit("tpu: a bar was missed; none of them is a measured time, so this is a failure")


if __name__ == "__main__":
    main()
