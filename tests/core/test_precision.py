"""Float64 where asked for, and one BLAS thread beside XLA's."""

from __future__ import annotations

import jax
import pytest
from threadpoolctl import threadpool_info

from lnn.core.precision import numerics, one_blas_thread


def test_blas_threads_are_as_before_afterwards() -> None:
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float64_is_on_where_asked_for_and_nowhere_else(before: bool, dtype: str) -> None:
    was = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", before)
    try:
        with pytest.raises(KeyError), numerics(dtype):
            assert jax.config.read("jax_enable_x64") == (dtype == "float64")
            raise KeyError
        assert jax.config.read("jax_enable_x64") == before
    finally:
        jax.config.update("jax_enable_x64", was)
