"""Float64 where asked for, and one BLAS thread beside XLA's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import numpy as np
import pytest
from threadpoolctl import threadpool_info

import lnn
from lnn.core.precision import REQUIRED, numerics, one_blas_thread


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


OTHERS = {
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_disable_jit": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_transfer_guard": "disallow",
}


@contextmanager
def everywhere(name: str) -> Iterator[None]:
    before = getattr(jax.config, name)
    jax.config.update(name, OTHERS[name])
    try:
        yield
    finally:
        jax.config.update(name, before)


def in_a_context(name: str) -> AbstractContextManager[Any]:
    context: AbstractContextManager[Any] = getattr(jax, name.removeprefix("jax_"))(OTHERS[name])
    return context


@pytest.mark.parametrize("made", [everywhere, in_a_context])
@pytest.mark.parametrize("name", OTHERS)
def test_settings_of_jax_change_no_bit_of_a_run(name: str, made: Any) -> None:
    """One run diverges: NaN marks what it has not recorded. Then the setting is what it was."""
    rng = np.random.default_rng(0)
    problem = lnn.Problem(rng.standard_normal((30, 4)), rng.standard_normal((30, 3)), 4)
    starts = 0.1 * rng.standard_normal((2, 3, 4))

    def losses() -> np.ndarray:
        method, rates = lnn.make_method("end-to-end", 3), np.array([1e12, 1e-2])
        return lnn.simulate(problem, method, starts, rates, 20).loss

    calm, before = losses(), getattr(jax.config, name)
    assert np.isnan(calm).any()
    with made(name):
        during = getattr(jax.config, name)
        np.testing.assert_array_equal(losses(), calm)
        assert getattr(jax.config, name) == during
    assert getattr(jax.config, name) == before


def test_every_required_setting_is_tried() -> None:
    assert set(REQUIRED) <= set(OTHERS)
