"""The settings that runs need while they are executed, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax

from lnn.core.triangle import one_blas_thread


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
