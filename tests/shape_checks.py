"""Calls with right and wrong shapes while types are checked: a program that test_shapes.py runs.

It is a process of its own since jaxtyping's hook reaches only what is imported under it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np

check = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
"""Whole numbers are numbers."""

MODULES = (
    *("core.network", "core.problem", "core.reference", "core.spectral"),
    *("theory.decomposition", "theory.flow", "theory.geometry", "theory.line_integrals"),
    *("theory.noisy_quadratic", "theory.power_law", "transforms.end_to_end"),
    *("transforms.overparameterize", "transforms.single_output"),
)

Shape = tuple[int, ...]


def traced() -> Iterator[tuple[Callable[..., Any], list[Shape], list[Shape]]]:
    """Functions of JAX arrays, with shapes that fit and shapes that do not."""
    from lnn.core import network, spectral
    from lnn.theory import geometry, line_integrals

    # Of a sequence one item is checked.
    yield lambda *w: network.end_to_end(w), [(4, 2, 3), (4, 1, 2)], [(3,), (3,)]
    yield lambda *w: network.balancedness_gap(w), [(4, 2, 3), (4, 1, 2)], [(3,), (3,)]
    yield lambda *w: network.conserved(w), [(4, 2, 3), (4, 1, 2)], [(3,), (3,)]
    yield spectral.singular_frame, [(2, 3)], [(4, 2, 3)]
    yield spectral.row_direction, [(1, 3)], [(2, 3)]
    yield lambda w, g: spectral.precondition(w, g, 3), [(2, 3), (2, 3)], [(2, 3), (3, 2)]
    yield lambda a: spectral.psd_power(a, 0.5), [(3, 3)], [(3, 2)]
    yield lambda w: spectral.preconditioner_matrix(w, 3), [(2, 3)], [(6,)]
    yield lambda w: spectral.preconditioner_eigenpairs(w, 3), [(2, 3)], [(1, 2, 3)]
    yield geometry.angle, [(3,), (3,)], []
    yield lambda w: line_integrals.curl(lambda v: v, w), [(3,)], [(1, 3)]
    yield lambda a, b: line_integrals.segment(a, b).point(0.5), [(3,), (3,)], [(3,), (2,)]


def computed() -> Iterator[tuple[Callable[..., Any], list[Shape], list[Shape]]]:
    """Functions of NumPy arrays, likewise."""
    import lnn
    from lnn.core import network
    from lnn.theory import geometry, noisy_quadratic, power_law
    from lnn.theory.decomposition import decompose

    rng, problem = np.random.default_rng(0), lnn.datasets.two_point(3.0, 1.0)
    yield lambda w: network.balanced_factors(w, (3, 2, 2), rng), [(2, 3)], [(3,)]
    yield lambda x, y: lnn.Problem(x, y, 2), [(3, 2), (3, 1)], [(3, 2), (2,)]
    yield problem.loss, [(4, 1, 2)], [()]
    yield problem.gradient, [(1, 2)], [()]
    yield lambda w: decompose(problem, w, 2, 0.1), [], [()]
    yield (
        lambda *g: geometry.telescoped_squares(*g, 0.1),
        [(2,), (2,), (5, 2)],
        [(2,), (3,), (5, 2)],
    )
    yield geometry.halting_time, [(4, 9)], [()]
    yield noisy_quadratic.loss, [(3,), (4, 3)], [(3,), (4, 2)]
    yield lambda *v: noisy_quadratic.second_moments(*v, 0.1, 0.1, 5), [(3,), (3,)], [(3,), (2,)]
    yield power_law.local_exponent, [], [(3,), (4,)]


def complaint(call: Callable[..., Any], arguments: list[Any]) -> str:
    """What the type checker says of a call; nothing if all is right."""
    try:
        call(*arguments)
    except jaxtyping.TypeCheckError as error:
        return str(error).partition("\n")[0]
    return ""


def main() -> str:
    """What is wrong; nothing if the checks work."""
    with jaxtyping.install_import_hook([f"lnn.{name}" for name in MODULES], "shape_checks.check"):
        jitted, eager = list(traced()), list(computed())
    calls = [
        *(
            (lambda *a, call=call: jax.eval_shape(call, *a), jnp.ones, r, w)
            for call, r, w in jitted
        ),
        *((call, np.ones, right, wrong) for call, right, wrong in eager),
    ]
    wrongs = []
    for i, (call, ones, right, wrong) in enumerate(calls):
        if right and (said := complaint(call, [ones(shape) for shape in right])):
            wrongs.append(f"call {i} of the right shapes {right}: {said}")
        if wrong and not complaint(call, [ones(shape) for shape in wrong]):
            wrongs.append(f"call {i} takes the wrong shapes {wrong}")
    return "\n".join(wrongs)


if __name__ == "__main__":
    sys.exit(main() or 0)
