"""The audit of programs finds everything that it is to find."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit import CUSTOM_CALLS, ELEMENTS, EMPTY, audit, every_platform, shape, violations
from jax.experimental import io_callback
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from lnn.simulation.placement import ROWS, RUNS

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
def test_audit_catches_float64(
    x64: None, standard_promotion: None, platform: str, x64_program: Callable[[Any], Any]
) -> None:
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
