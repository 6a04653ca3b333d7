"""Numerical settings of runs: precision, and BLAS threads beside XLA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import jax
import scipy.linalg  # noqa: F401 - loads the BLAS that XLA calls
from threadpoolctl import ThreadpoolController

REQUIRED = {
    "jax_debug_nans": False,  # NaN marks what was not recorded
    "jax_debug_infs": False,
    "jax_disable_jit": False,  # thousands of times slower
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}
"""Settings of JAX that our own programs are written for, whatever the user's programs need."""


@contextmanager
def numerics(dtype: str) -> Iterator[None]:
    """Make the settings of JAX those that our programs need; restore the user's afterwards.

    Float64 is enabled if requested and only then. BLAS uses one thread: XLA's CPU decompositions
    call SciPy's OpenBLAS from several threads, whose own threads then collide: 10 to 100 times
    slower, or stalled.
    """
    with ExitStack() as stack:
        before, wanted = jax.config.read("jax_enable_x64"), dtype == "float64"
        if before != wanted:
            jax.config.update("jax_enable_x64", wanted)
            stack.callback(jax.config.update, "jax_enable_x64", before)
        # In contexts: the user's setting may be one too, which no global setting overrides.
        for name, value in REQUIRED.items():
            if getattr(jax.config, name) != value:
                stack.enter_context(getattr(jax, name.removeprefix("jax_"))(value))
        stack.enter_context(jax.transfer_guard("allow"))
        stack.enter_context(one_blas_thread())
        yield


# Searched once: searching again while another thread imports a compiled module can deadlock.
_BLAS = ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses the calling thread only; the setting is restored after
    it.

    Row blocks are too small to be divided among threads, which OpenBLAS does nevertheless: 2 times
    slower, or 30 times if another process computes.
    """
    return _BLAS.limit(limits=1, user_api="blas")


def numerics_note(dtype: str, compensation: bool) -> str:
    """Describe the accumulation of the parameters."""
    if dtype == "float64":
        return "float64"
    kind = "with compensated" if compensation else "with plain"
    return f"float32 {kind} accumulation of the parameters; every product at full precision"
