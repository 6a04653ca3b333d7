"""The programs for accelerators, read without one: lowered by `jax.export`, then audited.

A CPU ignores the precision that a product asks for, so no run on one could show a bfloat16 mistake.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import export
from jax.experimental import io_callback
from jax.extend.mlir import ir
from jax.interpreters.mlir import make_ir_context
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.core import network, spectral
from lnn.core.problem import Problem
from lnn.simulation import Group, simulate_groups
from lnn.simulation.placement import ROWS, RUNS, Data, Placed
from lnn.simulation.program import advance
from lnn.transforms.catalogue import ONE_OUTPUT
from lnn.transforms.methods import METHODS, Factored, Method, make_method

PLATFORMS = ("tpu", "cuda")
LAYOUTS = {"one device": (1, 1), "runs": (8, 1), "rows": (1, 8)}
D, EXAMPLES = 12, 40
RUNS_OF_A_GROUP = 80
"""More than a block on CPU has; these and the examples can be shared out among 8 devices."""

DEPTH, HIDDEN = 4, (3, 3, 3)

ELEMENTS = {"float32": {"f32", "i32", "i1"}, "float64": {"f64", "i64", "i32", "i1"}}
CUSTOM_CALLS = {
    "cpu": {},
    "tpu": {
        "Eigh": "XLA's eigensolver, a part of the singular value decomposition; on the device",
        "Qr": "XLA's Householder QR, a part of the same; on the device",
        "ProductOfElementaryHouseholderReflectors": "the Q of that QR; on the device",
    },
    "cuda": {
        "cusolver_gesvdj_ffi": "cuSOLVER's singular value decomposition; on the device",
        "cusolver_syevd_ffi": "cuSOLVER's eigensolver, for `psd_power`; on the device",
    },
}
PRODUCTS = {"dot", "dot_general", "ragged_dot", "convolution", "dynamic_conv"}
HOST_TRAFFIC = {"infeed", "outfeed", "send", "recv", "create_token", "after_all"}
COLLECTIVES = {
    "all_gather", "all_reduce", "all_slice", "all_to_all", "collective_broadcast",
    "collective_permute", "cross-replica-sum", "reduce_scatter", "reshard",
}  # fmt: skip
EMPTY = "an empty constant"
"""XLA of JAX 0.11.2 crashes on one, when it compiles for several devices of the CPU."""

OUTSIDE = {"sdy.manual_computation", "sdy.sharding_constraint", "stablehlo.constant", "func.return"}
"""What may surround the program that each device runs for itself; the constraint restates how its
results are sharded."""


def operations(operation: Any) -> Iterator[Any]:
    """The operation and all inside it."""
    yield operation
    for region in operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from operations(inner.operation)


def element_type(value: Any) -> str:
    try:
        return str(ir.ShapedType(value.type).element_type)
    except ValueError:
        return str(value.type)


def values(operation: Any) -> Iterator[Any]:
    yield from operation.operands
    yield from operation.results
    for region in operation.regions:
        for block in region.blocks:
            yield from block.arguments


def asked_precision(attributes: Any) -> list[str]:
    """Of both factors of a product; none is the default."""
    if "precision_config" not in attributes:
        return []
    return [str(one).split()[-1].strip(">") for one in attributes["precision_config"]]


def audit(
    text: str, platform: str, elements: set[str], reductions: bool = False, shards: int = 1
) -> list[str]:
    """Everything that an exported module must not contain, in words; nothing if all is well."""
    found = []
    with make_ir_context():
        module = ir.Module.parse(text)
        for operation in operations(module.operation):
            name, attributes = operation.name.split(".")[-1], operation.attributes
            found += [
                f"{name} of {kind}"
                for kind in {element_type(value) for value in values(operation)} - elements
            ]
            if name in PRODUCTS:
                if asked_precision(attributes) != ["HIGHEST", "HIGHEST"]:
                    found.append(f"{name} not at HIGHEST")
                if "algorithm" in attributes:
                    found.append(f"{name} by an algorithm of its own")
            if name == "constant" and 0 in ir.ShapedType(operation.results[0].type).shape:
                found.append(EMPTY)
            if name == "reduce_precision":
                found.append("precision thrown away")
            if name in HOST_TRAFFIC:
                found.append(f"traffic with the host: {name}")
            if name in COLLECTIVES - ({"all_reduce"} if reductions else set()):
                found.append(f"traffic between devices: {name}")
            if name == "custom_call":
                target = ir.StringAttr(attributes["call_target_name"]).value
                if target not in CUSTOM_CALLS[platform]:
                    found.append(f"call of {target}")
                if "has_side_effect" in attributes and str(attributes["has_side_effect"]) == "true":
                    found.append(f"side effect of {target}")
        if shards > 1:
            found += outside(module)
    return sorted(set(found))


def outside(module: Any) -> list[str]:
    """What a partitioner would have to share out, because the program has not done so itself."""
    main = next(
        one.operation
        for one in module.body.operations
        if one.operation.name == "func.func"
        and ir.StringAttr(one.operation.attributes["sym_name"]).value == "main"
    )
    names = [one.operation.name for one in main.regions[0].blocks[0].operations]
    found = [f"left to the partitioner: {name}" for name in names if name not in OUTSIDE]
    return found + ["no program of each device"] * ("sdy.manual_computation" not in names)


def host_calls(jaxpr: Any) -> list[str]:
    """Calls into Python; JAX will not even lower them for a device that it does not have."""
    found = []
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if "callback" in name or name in ("debug_print", "infeed", "outfeed"):
            found.append(f"call into Python: {name}")
        for leaf in jax.tree.leaves(tuple(equation.params.values())):
            inner = getattr(leaf, "jaxpr", leaf)
            if hasattr(inner, "eqns"):
                found += host_calls(inner)
    return found


def text_of(lowered_for: str, function: Any, *arguments: Any, **static: Any) -> str:
    return export.export(function, platforms=[lowered_for])(*arguments, **static).mlir_module()


def violations(
    function: Any, platform: str, *arguments: Any, dtype: str = "float32", shards: int = 1
) -> list[str]:
    found = host_calls(function.trace(*arguments).jaxpr)
    return found or audit(
        text_of(platform, function, *arguments), platform, ELEMENTS[dtype], shards=shards
    )


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
        simulate_groups(Placed(data, here, p, examples), groups, 100, dtype=dtype, **options)
    assert caught.value.calls == []
    return caught.value.text


def calls_in(text: str) -> set[str]:
    with make_ir_context():
        return {
            ir.StringAttr(one.attributes["call_target_name"]).value
            for one in operations(ir.Module.parse(text).operation)
            if one.name == "stablehlo.custom_call"
        }


def names_in(text: str) -> set[str]:
    with make_ir_context():
        return {one.name.split(".")[-1] for one in operations(ir.Module.parse(text).operation)}


def products_in(text: str) -> set[tuple[int, ...]]:
    """Shapes of all products."""
    with make_ir_context():
        return {
            tuple(ir.ShapedType(one.results[0].type).shape)
            for one in operations(ir.Module.parse(text).operation)
            if one.name == "stablehlo.dot_general"
        }


def methods_for(k: int) -> list[Method]:
    return [
        make_method(name, DEPTH, HIDDEN) for name in METHODS if k == 1 or name not in ONE_OUTPUT
    ]


every_platform = pytest.mark.parametrize("platform", PLATFORMS)
every_method = pytest.mark.parametrize(
    ("k", "name"), [(k, method.name) for k in (1, 6) for method in methods_for(k)]
)


@every_platform
@every_method
def test_every_method(monkeypatch: pytest.MonkeyPatch, platform: str, name: str, k: int) -> None:
    groups = [group(make_method(name, DEPTH, HIDDEN), k)]
    text = engine_program(monkeypatch, groups, platform, k=k)
    assert audit(text, platform, ELEMENTS["float32"]) == []
    # All runs in one block, as on accelerators alone; both products of the pass over the data.
    columns = RUNS_OF_A_GROUP * k
    assert {(EXAMPLES, columns), (D, columns)} <= products_in(text)
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
    recorded = f"tensor<8x{RUNS_OF_A_GROUP}x6x{D}xf32>" in text  # 8 records a call
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
        assert (rows, RUNS_OF_A_GROUP * k) in products_in(text)
        transposed_first = "contracting_dims = [0] x [0]" in text
        assert transposed_first == (rows != most)


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
        assert (EXAMPLES, RUNS_OF_A_GROUP // 8 * k) in products_in(text)
    else:
        assert (EXAMPLES // 8, RUNS_OF_A_GROUP * k) in products_in(text)
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


def shape(*sizes: int, dtype: str = "float32", sharding: Any = None) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, dtype, sharding=sharding)


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


# The audit itself finds everything that it is to find.

SQUARE = shape(8, 8)
HIGHEST, HIGH = jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGH


def python(x: Any) -> Any:
    return np.asarray(x)


def pure(x: Any) -> Any:
    return jax.pure_callback(python, SQUARE, x)


def printing(x: Any) -> Any:
    jax.debug.print("{}", x[0, 0])
    return x + 1


def deep_inside(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def loop(x: Any) -> Any:
        return jax.lax.fori_loop(0, 9, lambda _, y: jax.jit(function)(y), x)

    return lambda x: jax.lax.cond(x[0, 0] > 0, loop, lambda x: x, x)


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "product": (lambda x: x @ x, "dot_general not at HIGHEST"),
    "product in a loop": (deep_inside(lambda x: x @ x), "dot_general not at HIGHEST"),
    "product, one side at HIGHEST": (
        lambda x: jnp.matmul(x, x, precision=(HIGHEST, HIGH)),
        "dot_general not at HIGHEST",
    ),
    "product by an algorithm": (
        lambda x: jax.lax.dot(x, x, precision=jax.lax.DotAlgorithmPreset.BF16_BF16_F32),
        "dot_general (by an algorithm of its own|not at HIGHEST)",
    ),
    "convolution": (
        lambda x: jax.lax.conv(x[None, None], x[None, None], (1, 1), "SAME"),
        "convolution not at HIGHEST",
    ),
    "bfloat16": (lambda x: x.astype(jnp.bfloat16) + 1, ".* of bf16"),
    "empty": (lambda x: x + jnp.sum(jnp.asarray(np.empty(0, np.float32))), EMPTY),
    "rounding": (lambda x: jax.lax.reduce_precision(x, 8, 7), "precision thrown away"),
    "host memory": (
        lambda x: jax.device_put(x, jax.memory.Space.Host),
        "(call|side effect) of annotate_device_placement",
    ),
    "LU": (
        jnp.linalg.inv,
        "call of (LuDecomposition|cusolver_getrf_ffi|cu_lu_pivots_to_permutation)",
    ),
    "pure_callback": (pure, "call into Python: pure_callback"),
    "pure_callback in a loop": (deep_inside(pure), "call into Python: pure_callback"),
    "io_callback": (
        lambda x: io_callback(python, SQUARE, x),
        "call into Python: io_callback",
    ),
    "debug.print": (printing, "call into Python: debug_"),
    "debug.print in a loop": (deep_inside(printing), "call into Python: debug_"),
}
CALLBACKS = {name: bad for name, (bad, message) in BAD.items() if "Python" in message}


def only(message: str, found: list[str]) -> bool:
    return bool(found) and all(re.match(message, one) for one in found)


@every_platform
@pytest.mark.parametrize("name", BAD)
def test_audit_catches(platform: str, name: str) -> None:
    bad, message = BAD[name]
    assert only(message, violations(jax.jit(bad), platform, SQUARE))


@pytest.mark.parametrize("name", CALLBACKS)
def test_audit_catches_what_becomes_of_a_callback(name: str) -> None:
    """JAX lowers it only for devices that are there, here the CPU."""
    text = jax.jit(CALLBACKS[name]).lower(SQUARE).as_text()
    assert any(
        re.match("call of .*callback", one) for one in audit(text, "cpu", ELEMENTS["float32"])
    )


@every_platform
@pytest.mark.parametrize("x64_program", [lambda x: x * np.float64(2), lambda x: x.astype(float)])
def test_audit_catches_float64(x64: None, platform: str, x64_program: Callable[[Any], Any]) -> None:
    found = violations(jax.jit(x64_program), platform, SQUARE)
    assert "convert of f64" in found
    assert only(".* of f64", found)


@every_platform
def test_audit_catches_float32_where_float64_was_asked_for(x64: None, platform: str) -> None:
    narrowed = jax.jit(lambda x: x.astype(jnp.float32).astype(jnp.float64))
    found = violations(narrowed, platform, shape(8, dtype="float64"), dtype="float64")
    assert found == ["convert of f32"]


@every_platform
def test_audit_catches_64_bit_integers(x64: None, platform: str) -> None:
    found = violations(jax.jit(lambda x: jnp.argsort(x[0])), platform, SQUARE)
    assert only(".* of i64", found)


def shared_out(function: Callable[[Any], Any], *axes: str) -> tuple[Any, Any]:
    mesh = AbstractMesh((8, 1), (RUNS, ROWS))
    spec = PartitionSpec(*axes)
    mapped = jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return mapped, shape(64, 8, sharding=NamedSharding(mesh, spec))


TRAFFIC: dict[str, tuple[Callable[[Any], Any], str]] = {
    "all_gather": (lambda x: jax.lax.all_gather(x, RUNS)[0], "all_gather"),
    "psum": (lambda x: jax.lax.psum(x, RUNS), "all_reduce"),
    "ppermute": (lambda x: jax.lax.ppermute(x, RUNS, [(0, 1)]), "collective_permute"),
    "all_to_all": (lambda x: jax.lax.all_to_all(x, RUNS, 1, 1, tiled=True), "all_to_all"),
    "psum_scatter": (lambda x: jax.lax.psum_scatter(x, RUNS, tiled=True), "reduce_scatter"),
}


@every_platform
@pytest.mark.parametrize("name", TRAFFIC)
def test_audit_catches_traffic_between_devices(platform: str, name: str) -> None:
    function, message = TRAFFIC[name]
    mapped, argument = shared_out(function, RUNS)
    found = violations(jax.jit(mapped), platform, argument, shards=8)
    assert found == [f"traffic between devices: {message}"]


@every_platform
def test_audit_catches_what_is_left_to_the_partitioner(platform: str) -> None:
    mapped, argument = shared_out(lambda x: x + 1, RUNS)
    assert violations(jax.jit(mapped), platform, argument, shards=8) == []
    found = violations(jax.jit(lambda x: mapped(x) * 2), platform, argument, shards=8)
    assert "left to the partitioner: stablehlo.multiply" in found
    found = violations(jax.jit(lambda x: x * 2), platform, argument, shards=8)
    assert "no program of each device" in found


HOST = """
func.func public @main(%x: tensor<8xf32>) -> tensor<8xf32> {{
  %token = stablehlo.create_token : !stablehlo.token
  {}
  return %x : tensor<8xf32>
}}"""
FACING_THE_HOST = {
    "send": """%sent = "stablehlo.send"(%x, %token) {is_host_transfer = true, channel_handle =
      #stablehlo.channel_handle<handle = 1, type = 2>}
      : (tensor<8xf32>, !stablehlo.token) -> !stablehlo.token""",
    "recv": """%got:2 = "stablehlo.recv"(%token) {is_host_transfer = true, channel_handle =
      #stablehlo.channel_handle<handle = 1, type = 3>}
      : (!stablehlo.token) -> (tensor<8xf32>, !stablehlo.token)""",
    "infeed": """%fed:2 = "stablehlo.infeed"(%token)
      : (!stablehlo.token) -> (tensor<8xf32>, !stablehlo.token)""",
    "outfeed": """%out = "stablehlo.outfeed"(%x, %token)
      : (tensor<8xf32>, !stablehlo.token) -> !stablehlo.token""",
}


@every_platform
@pytest.mark.parametrize("name", FACING_THE_HOST)
def test_audit_catches_traffic_with_the_host(platform: str, name: str) -> None:
    text = HOST.format(FACING_THE_HOST[name])
    found = audit(text, platform, ELEMENTS["float32"])
    assert f"traffic with the host: {name}" in found
    assert f"{name} of !stablehlo.token" in found


@pytest.mark.parametrize("effect", ["true", "false"])
def test_audit_catches_a_call_with_a_side_effect(
    monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    monkeypatch.setitem(CUSTOM_CALLS["cuda"], "known", "made up")
    call = (
        f"stablehlo.custom_call @known(%x) {{has_side_effect = {effect}}} : (tensor<8xf32>) -> ()"
    )
    found = audit(HOST.format(call), "cuda", {*ELEMENTS["float32"], "!stablehlo.token"})
    assert ("side effect of known" in found) == (effect == "true")
