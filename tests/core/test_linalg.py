"""The triangular factor by row blocks is that of the whole, to rounding, for any block size."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import linalg
from threadpoolctl import threadpool_info

from lnn.core.linalg import triangular_factor
from lnn.core.precision import one_blas_thread

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


def test_blas_threads_are_as_before_afterwards() -> None:
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before
