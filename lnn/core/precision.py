"""The numerical settings of runs: their precision, and the BLAS threads beside XLA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import jax
from threadpoolctl import ThreadpoolController


@contextmanager
def numerics(dtype: str) -> Iterator[None]:
    """Float64 where asked for and nowhere else, and one BLAS thread while XLA's devices call it.

    XLA's CPU decompositions call SciPy's OpenBLAS from several threads at once; its own threads
    then collide, 10 to 100 times slower or stalled. The user's settings come back afterwards.
    """
    with ExitStack() as stack:
        before, wanted = jax.config.read("jax_enable_x64"), dtype == "float64"
        if before != wanted:
            jax.config.update("jax_enable_x64", wanted)
            stack.callback(jax.config.update, "jax_enable_x64", before)
        stack.enter_context(one_blas_thread())
        yield


# SciPy has loaded its BLAS by now. Looked for once: to look again while another thread imports a
# compiled module can stop both for ever, each holding the lock that the other waits for.
_BLAS = ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses the thread that calls it; the user's setting comes back after.

    Row blocks are too small to share between threads. OpenBLAS shares them out nevertheless: 2
    times slower, 30 times where another process computes.
    """
    return _BLAS.limit(limits=1, user_api="blas")


def numerics_note(dtype: str, compensation: bool) -> str:
    """How the parameters are added up, in words."""
    if dtype == "float64":
        return "float64"
    kind = "with compensated" if compensation else "with plain"
    return f"float32 {kind} accumulation of the parameters; every product at full precision"
