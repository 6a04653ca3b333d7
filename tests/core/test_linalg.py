"""The triangular factor by row blocks is that of the whole, to rounding, for any block size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import linalg

from lnn.core.linalg import BLOCK_ENTRIES, condition_number, row_blocks, triangular_factor

EPS = np.finfo(np.float64).eps


def matrix(seed: int, m: int, d: int, k: int, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Columns of sizes over nine decades; every third problem has two equal columns."""
    rng = np.random.default_rng([seed, m, d])
    x = rng.standard_normal((m, d)) * np.geomspace(1, 1e-9, d)
    if seed % 3 == 0:
        x[:, -1] = x[:, 0]
    y = [None, rng.standard_normal(m), rng.standard_normal((m, 2))][k]
    return x.astype(dtype), None if y is None else y.astype(dtype)


def whole(x: np.ndarray, y: np.ndarray | None) -> np.ndarray:
    return np.column_stack([x] if y is None else [x, y]).astype(np.longdouble)


@given(
    seed=st.integers(0, 10**6), m=st.integers(1, 60), d=st.integers(1, 20), k=st.integers(0, 2),
    rows=st.integers(1, 70), dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
@example(seed=0, m=40, d=20, k=1, rows=1, dtype="float64")
@example(seed=1, m=3, d=20, k=2, rows=2, dtype="float32")
@example(seed=2, m=1, d=1, k=0, rows=1, dtype="float64")
def test_factor_has_the_second_moments_of_the_rows(
    seed: int, m: int, d: int, k: int, rows: int, dtype: str
) -> None:
    x, y = matrix(seed, m, d, k, dtype)
    given_x = x.copy()
    factor, a = triangular_factor(x, y, block_rows=rows), whole(x, y)
    assert factor.dtype == np.float64
    assert factor.shape == (min(a.shape), a.shape[1])
    assert np.array_equal(factor, np.triu(factor))
    assert np.array_equal(x, given_x)
    sizes = np.linalg.norm(a.astype(np.float64), axis=0)
    error = np.abs(factor.astype(np.longdouble).T @ factor - a.T @ a)
    assert np.all(error <= 20 * EPS * np.sqrt(m) * np.outer(sizes, sizes))


@pytest.mark.parametrize("rows", [1, 7, 64, 1000, None])
def test_singular_values_keep_what_second_moments_lose(rows: int | None) -> None:
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, 12)))[0] for n in (300, 12))
    x = u * np.geomspace(1, 1e-10, 12) @ v.T
    values = linalg.svdvals(triangular_factor(x, block_rows=rows))
    np.testing.assert_allclose(values, linalg.svdvals(x), rtol=0, atol=20 * EPS)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_array_given_stays_as_it_is(order: str) -> None:
    x = np.array(np.random.default_rng(0).standard_normal((50, 4)), order=order)  # type: ignore[call-overload]
    before = x.copy()
    triangular_factor(x)
    assert np.array_equal(x, before)


@pytest.mark.usefixtures("two_devices")
def test_factor_of_a_jax_array_on_two_devices() -> None:
    x, y = matrix(1, 40, 6, 1, "float32")
    assert y is not None
    mesh = Mesh(np.array(jax.devices()[:2]), ("i",))
    put = NamedSharding(mesh, PartitionSpec("i"))
    sharded = triangular_factor(jax.device_put(x, put), jax.device_put(y, put), block_rows=20)
    assert np.array_equal(sharded, triangular_factor(x, y, block_rows=20))


def joined(x: np.ndarray | jax.Array, rows: int | None = None) -> np.ndarray:
    blocks, end = [], 0
    for where, block in row_blocks(x, rows):
        assert where == slice(end, end + len(block))
        assert rows is None or len(block) <= rows
        blocks.append(block)
        end = where.stop
    assert {block.dtype for block in blocks} == {np.dtype(x.dtype)}
    return np.concatenate(blocks)


@given(m=st.integers(1, 30), d=st.integers(0, 4), rows=st.integers(1, 40), jaxs=st.booleans())
def test_blocks_are_the_rows_in_order(m: int, d: int, rows: int, jaxs: bool) -> None:
    shape = (m, d) if d else (m,)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.array_equal(joined(jax.numpy.asarray(x) if jaxs else x, rows), x)


@pytest.mark.parametrize("spec", [("i", None), (None, "i"), (None, None)])
@pytest.mark.parametrize("rows", [1, 3, 5, None])
def test_a_sharded_array_gives_its_rows_in_order(spec: tuple[str | None], rows: int | None) -> None:
    mesh = Mesh(np.array(jax.devices()[:2][::-1]), ("i",))
    x = np.arange(32.0, dtype=np.float32).reshape(8, 4)
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
    assert np.array_equal(joined(sharded, rows), x)


def test_blocks_in_host_memory_are_views_a_shard_at_a_time() -> None:
    x = np.zeros((3 * BLOCK_ENTRIES // 4, 4), np.float32)
    assert [len(block) for _, block in row_blocks(x)] == 3 * [BLOCK_ENTRIES // 4]
    assert all(np.shares_memory(block, x) for _, block in row_blocks(x))
    mesh = Mesh(np.array(jax.devices("cpu")[:2]), ("i",))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("i")))
    parts = [np.asarray(shard.data) for shard in sharded.addressable_shards]
    for _, block in row_blocks(sharded):
        assert any(np.shares_memory(block, part) for part in parts)


def test_a_block_has_as_many_rows_as_columns_at_least() -> None:
    wide = np.zeros((3, BLOCK_ENTRIES), np.float32)
    assert [len(block) for _, block in row_blocks(wide)] == [3]


def test_condition_number_leaves_exact_zeros_out() -> None:
    x = np.diag([3.0, 1.0, 0.0])
    assert condition_number(x) == pytest.approx(9.0)


def test_condition_number_is_that_of_the_whole_in_any_precision() -> None:
    x = np.random.default_rng(0).standard_normal((50_000, 6)) * np.geomspace(1, 1e-5, 6)
    assert condition_number(x) == pytest.approx(np.linalg.cond(x) ** 2, rel=1e-9)
    single = x.astype(np.float32)
    double = single.astype(np.float64)
    assert condition_number(jnp.asarray(single)) == pytest.approx(
        np.linalg.cond(double) ** 2, rel=1e-9
    )
