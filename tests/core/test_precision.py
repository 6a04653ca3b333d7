"""Float64 where asked for, and one BLAS thread beside XLA's."""

from __future__ import annotations

from threadpoolctl import threadpool_info

from lnn.core.precision import one_blas_thread


def test_blas_threads_are_as_before_afterwards() -> None:
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before
