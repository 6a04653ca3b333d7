"""The audit of a program lowered for an accelerator, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import pytest
from jax import export
from jax.extend.mlir import ir
from jax.interpreters.mlir import make_ir_context

PLATFORMS = ("tpu", "cuda")

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


every_platform = pytest.mark.parametrize("platform", PLATFORMS)


def shape(*sizes: int, dtype: str = "float32", sharding: Any = None) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, dtype, sharding=sharding)
