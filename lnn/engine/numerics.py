"""The settings that runs need while they are executed, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax

from lnn._triangle import one_blas_thread


@contextmanager
def numerics(dtype: str) -> Iterator[None]:
    """Float64 where asked for, and one BLAS thread while XLA's devices call into it.

    XLA's CPU decompositions call SciPy's OpenBLAS from several threads at once; its own threads
    then collide, 10 to 100 times slower or stalled. The user's settings come back afterwards.
    """
    with ExitStack() as stack:
        if dtype == "float64" and not jax.config.read("jax_enable_x64"):
            jax.config.update("jax_enable_x64", True)
            stack.callback(jax.config.update, "jax_enable_x64", False)
        stack.enter_context(one_blas_thread())
        yield
