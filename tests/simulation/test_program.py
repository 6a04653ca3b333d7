"""The programs for accelerators, read without one: lowered by `jax.export`, then audited.

A CPU ignores the precision that a product asks for, so no run on one could show a bfloat16 mistake.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import optax
import pytest
from audit import (
    ELEMENTS,
    EMPTY,
    audit,
    calls_in,
    every_platform,
    host_calls,
    names_in,
    products_in,
    shape,
    text_of,
    violations,
)
from cases import mostly_slow
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.core import network, spectral
from lnn.core.network import init_factors
from lnn.core.problem import Problem
from lnn.simulation import Group, simulate_groups
from lnn.simulation.placement import ROWS, RUNS, Data, Placed
from lnn.simulation.program import advance
from lnn.simulation.trajectories import RECORDED
from lnn.transforms.catalogue import ONE_OUTPUT
from lnn.transforms.methods import METHODS, Factored, Method, make_method

LAYOUTS = {"one device": (1, 1), "runs": (8, 1), "rows": (1, 8)}
D, EXAMPLES = 12, 40
RUNS_OF_A_GROUP = 80
"""More than a block on CPU has; these and the examples can be shared out among 8 devices."""

DEPTH, HIDDEN = 4, (3, 3, 3)


class ExportedError(Exception):
    """Carries what the engine would have run to the test that asked for it."""

    def __init__(self, text: str, calls: list[str]) -> None:
        self.text, self.calls = text, calls


def group(method: Method, k: int, runs: int = RUNS_OF_A_GROUP) -> Group:
    dims = (D, *HIDDEN, k)
    params: Any = np.ones((runs, k, D))
    if isinstance(method.parameterization, Factored):
        params = tuple(np.ones((runs, above, below)) for below, above in pairwise(dims))
    return Group(method, params, np.ones(runs), np.ones(runs))


def engine_program(
    monkeypatch: pytest.MonkeyPatch,
    groups: list[Group],
    platform: str,
    *,
    k: int,
    p: float = 4.0,
    layout: str = "one device",
    dtype: str = "float32",
    examples: int = EXAMPLES,
    **options: Any,
) -> str:
    """What `simulate_groups` would run on devices of the platform, lowered for them instead."""
    mesh = AbstractMesh(LAYOUTS[layout], (RUNS, ROWS))

    def instead(data: Any, state: Any, *rest: Any, **static: Any) -> None:
        def shapes(tree: Any, *axes: str) -> Any:
            sharding = NamedSharding(mesh, PartitionSpec(*axes))
            return jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
            )

        arguments = (shapes(data, ROWS), shapes(state, RUNS), *map(shapes, rest))
        static |= {"mesh": mesh, "platform": platform}
        calls = host_calls(advance.trace(*arguments, **static).jaxpr)
        text = "" if calls else text_of(platform, advance, *arguments, **static)
        raise ExportedError(text, calls)

    data = Data(*(jax.ShapeDtypeStruct((examples, n), dtype) for n in (D, k)))
    here = Mesh(np.array(jax.local_devices()[:1])[:, None], (RUNS, ROWS))
    with monkeypatch.context() as patch, pytest.raises(ExportedError) as caught:
        # The module, not the function that the package exports under the same name.
        patch.setattr(importlib.import_module("lnn.simulation.simulate"), "advance", instead)
        simulate_groups(Placed(data, here, p, examples, 1.0), groups, 100, dtype=dtype, **options)
    assert caught.value.calls == []
    return caught.value.text


def methods_for(k: int) -> list[Method]:
    return [
        make_method(name, DEPTH, HIDDEN) for name in METHODS if k == 1 or name not in ONE_OUTPUT
    ]


every_method = pytest.mark.parametrize(
    ("k", "name"), [(k, method.name) for k in (1, 6) for method in methods_for(k)]
)
some_methods = pytest.mark.parametrize(
    ("k", "name"),
    mostly_slow(
        [(k, method.name) for k in (1, 6) for method in methods_for(k)],
        *[(1, "gd"), (1, "adam"), (6, "end-to-end"), (6, "projection"), (6, "layerwise-adam")],
    ),
)


@every_platform
@some_methods
def test_every_method(monkeypatch: pytest.MonkeyPatch, platform: str, name: str, k: int) -> None:
    groups = [group(make_method(name, DEPTH, HIDDEN), k)]
    text = engine_program(monkeypatch, groups, platform, k=k)
    assert audit(text, platform, ELEMENTS["float32"]) == []
    # All runs in one block, as on accelerators alone; both products of the pass over the data.
    columns = RUNS_OF_A_GROUP * k
    assert {(columns, EXAMPLES), (columns, D)} <= products_in(text)
    decomposes = name in ("end-to-end", "norm-factor", "projection") and k > 1
    assert bool(calls_in(text)) == decomposes


@every_platform
@pytest.mark.parametrize(("name", "k"), [("gd", 1), ("end-to-end", 6)])
@pytest.mark.parametrize("p", [2.0, 2.5, 3.0])
def test_every_kind_of_loss(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str, k: int, p: float
) -> None:
    groups = [group(make_method(name, DEPTH), k)]
    text = engine_program(monkeypatch, groups, platform, k=k, p=p)
    assert audit(text, platform, ELEMENTS["float32"]) == []


@every_platform
@pytest.mark.parametrize("depth", [1, 2.75, np.inf])
def test_every_kind_of_depth(monkeypatch: pytest.MonkeyPatch, platform: str, depth: float) -> None:
    text = engine_program(monkeypatch, [group(make_method("end-to-end", depth), 6)], platform, k=6)
    assert audit(text, platform, ELEMENTS["float32"]) == []


@every_platform
@pytest.mark.parametrize(
    "options", [{"save_weights": True}, {"drop_ended": False}, {"compensation": False}]
)
def test_every_option(
    monkeypatch: pytest.MonkeyPatch, platform: str, options: dict[str, bool]
) -> None:
    groups = [group(make_method("end-to-end", DEPTH), 6)]
    text = engine_program(monkeypatch, groups, platform, k=6, **options)
    assert audit(text, platform, ELEMENTS["float32"]) == []
    recorded = f"tensor<32x{RUNS_OF_A_GROUP}x6x{D}xf32>" in text  # 32 records a call
    assert recorded == ("save_weights" in options)


@every_platform
@pytest.mark.parametrize(("name", "k"), [("adam", 1), ("end-to-end", 6)])
def test_float64_where_asked_for_and_no_float32_then(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str, k: int
) -> None:
    groups = [group(make_method(name, DEPTH), k)]
    text = engine_program(monkeypatch, groups, platform, k=k, dtype="float64")
    assert audit(text, platform, ELEMENTS["float64"]) == []
    assert "xf64>" in text
    assert "dot_general of f64" in audit(text, platform, ELEMENTS["float32"])


@every_platform
@pytest.mark.parametrize("name", ["adagrad", "adam", "end-to-end", "layerwise-adam"])
def test_float32_stays_so_where_the_user_has_float64_on(
    x64: None, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    """Numbers of which a run has one, as in Adam's correction of its bias, may be float64 then."""
    groups = [group(make_method(name, DEPTH, HIDDEN), 6)]
    text = engine_program(monkeypatch, groups, platform, k=6)
    assert audit(text, platform, {*ELEMENTS["float32"], "i64", "f64"}) == []
    sizes = [
        np.prod([int(n) for n in size.split("x")[:-1]])
        for size in re.findall(r"tensor<((?:\d+x)*)f64>", text)
    ]
    assert max(sizes, default=0) <= RUNS_OF_A_GROUP


@every_platform
@pytest.mark.parametrize("k", [1, 6])
def test_data_in_row_blocks(monkeypatch: pytest.MonkeyPatch, platform: str, k: int) -> None:
    most = 2**30 // (4 * RUNS_OF_A_GROUP * k)  # rows whose residuals accelerators take at once
    block = most // 4
    groups = [group(make_method("gd"), k)]
    for examples, rows in ((most, most), (most + 1, block), (most + 1, (most + 1) % block)):
        text = engine_program(monkeypatch, groups, platform, k=k, examples=examples)
        assert audit(text, platform, ELEMENTS["float32"]) == []
        assert (RUNS_OF_A_GROUP * k, rows) in products_in(text)


@every_platform
@pytest.mark.parametrize(("name", "k"), [("gd", 1), ("end-to-end", 6), ("layerwise-adam", 6)])
@pytest.mark.parametrize("layout", ["runs", "rows"])
def test_eight_devices(
    monkeypatch: pytest.MonkeyPatch, platform: str, name: str, k: int, layout: str
) -> None:
    groups = [group(make_method(name, DEPTH, HIDDEN), k)]
    text = engine_program(monkeypatch, groups, platform, k=k, layout=layout)
    assert audit(text, platform, ELEMENTS["float32"], layout == "rows", shards=8) == []
    assert ("all_reduce" in names_in(text)) == (layout == "rows")
    if layout == "runs":
        assert (RUNS_OF_A_GROUP // 8 * k, EXAMPLES) in products_in(text)
    else:
        assert (RUNS_OF_A_GROUP * k, EXAMPLES // 8) in products_in(text)
    assert bool(calls_in(text)) == (name == "end-to-end")


@every_platform
@pytest.mark.parametrize(
    "layout",
    ["one device", *(pytest.param(name, marks=pytest.mark.slow) for name in ("runs", "rows"))],
)
@pytest.mark.parametrize("k", [1, 6])
def test_all_methods_of_a_study_in_one_program(
    monkeypatch: pytest.MonkeyPatch, platform: str, layout: str, k: int
) -> None:
    groups = [group(method, k) for method in methods_for(k)]
    text = engine_program(monkeypatch, groups, platform, k=k, layout=layout)
    shards = 1 if layout == "one device" else 8
    assert audit(text, platform, ELEMENTS["float32"], layout == "rows", shards) == []


@pytest.mark.parametrize("layout", ["runs", "rows"])
@pytest.mark.parametrize("k", [1, 6])
def test_no_empty_constant_on_cpu_either(
    monkeypatch: pytest.MonkeyPatch, layout: str, k: int
) -> None:
    groups = [group(method, k) for method in methods_for(k)]
    text = engine_program(monkeypatch, groups, "cpu", k=k, layout=layout)
    found = audit(text, "cpu", ELEMENTS["float32"], layout == "rows", shards=8)
    assert EMPTY not in found


@pytest.mark.slow
@every_platform
@every_method
@pytest.mark.parametrize("p", [2.0, 2.5])
@pytest.mark.parametrize("layout", ["runs", "rows"])
@pytest.mark.parametrize("dtype", ELEMENTS)
def test_every_combination(
    monkeypatch: pytest.MonkeyPatch,
    platform: str, name: str, k: int, p: float, layout: str, dtype: str,
) -> None:  # fmt: skip
    text = engine_program(
        monkeypatch, [group(make_method(name, DEPTH, HIDDEN), k)], platform,
        k=k, p=p, layout=layout, dtype=dtype, save_weights=True,
    )  # fmt: skip
    assert audit(text, platform, ELEMENTS[dtype], layout == "rows", shards=8) == []


def losses(x: Any, y: Any, w: Any) -> Any:
    structure = jax.tree.structure(Problem(np.ones((1, 1)), np.ones((1, 1)), 4.0))
    return jax.tree.unflatten(structure, [x, y]).loss_and_gradient(w)


def drop_in(*params: Any) -> Any:
    optimizer = lnn.overparameterize(optax.sgd(0.1), 3, mask=True, refresh_every=2)
    return optimizer.update(params, optimizer.init(params), params)


BY_HAND: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "psd_power": (lambda a: spectral.psd_power(a, 0.75), (shape(6, 6),)),
    "preconditioner_matrix": (lambda w: spectral.preconditioner_matrix(w, 3), (shape(2, 3),)),
    "precondition, tall": (lambda w, g: spectral.precondition(w, g, 4), (shape(9, 3),) * 2),
    "precondition, wide": (lambda w, g: spectral.precondition(w, g, 4), (shape(3, 9),) * 2),
    "overparameterize": (drop_in, (shape(3, 9), shape(9, 3), shape(3, 3, 2, 4))),
    "end_to_end": (lambda *w: network.end_to_end(w), (shape(3, 9), shape(2, 3))),
    "balancedness_gap": (lambda *w: network.balancedness_gap(w), (shape(3, 9), shape(2, 3))),
    "loss and gradient": (losses, (shape(9, 5), shape(9, 2), shape(2, 5))),
}


@every_platform
@pytest.mark.parametrize("name", BY_HAND)
def test_what_users_call_themselves(platform: str, name: str) -> None:
    function, arguments = BY_HAND[name]
    assert violations(jax.jit(function), platform, *arguments) == []


@pytest.mark.parametrize(
    ("k", "names"),
    [
        (1, ("end-to-end", "layerwise-adam")),
        *(pytest.param(k, METHODS, marks=pytest.mark.slow) for k in (1, 6)),
    ],
)
def test_what_accelerators_run_gives_the_numbers_of_a_cpu(
    x64: None, monkeypatch: pytest.MonkeyPatch, k: int, names: Collection[str]
) -> None:
    """The same runs through both forms of the program, on this CPU; some end before others."""
    methods = [method for method in methods_for(k) if method.name in names]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((EXAMPLES, D))
    problem = Problem(x, x @ rng.standard_normal((D, k)) / D, 4.0)
    rates = np.array([1e-3, 1e-2, 0.1, 100.0])  # the last is far beyond stability
    groups = []
    for method in methods:
        params: Any = 0.3 * rng.standard_normal((rates.size, k, D))
        if isinstance(method.parameterization, Factored):
            dims = (D, *HIDDEN, k)
            factors = [init_factors(jax.random.key(i), dims, scale=0.3) for i in range(rates.size)]
            params = jax.tree.map(lambda *leaves: np.stack(leaves), *factors)
        groups.append(Group(method, params, rates, np.full(rates.size, 0.01)))

    def run() -> list[Any]:
        return simulate_groups(problem, groups, 60, stop_loss=1e-3, dtype="float64")

    here = run()
    monkeypatch.setattr(
        importlib.import_module("lnn.simulation.simulate"),
        "advance",
        partial(advance, platform="gpu"),
    )
    ended = set()
    for method, cpu, accelerator in zip(methods, here, run(), strict=True):
        assert np.array_equal(cpu.status, accelerator.status), method.label
        stable = cpu.status != lnn.Status.DIVERGED
        for name in RECORDED:
            found, expected = getattr(accelerator, name)[stable], getattr(cpu, name)[stable]
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-14)
        for one, other in zip(
            jax.tree.leaves(cpu.state.optimizer),
            jax.tree.leaves(accelerator.state.optimizer),
            strict=True,
        ):
            assert one.shape == other.shape
        ended |= set(cpu.status.tolist())
    assert {lnn.Status.REACHED, lnn.Status.DIVERGED, lnn.Status.BUDGET_SPENT} <= ended
