"""Arrays in blocks of rows: every row once, in order, and no copy of what is in host memory."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lnn.core.linalg import BLOCK_ENTRIES, row_blocks


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
