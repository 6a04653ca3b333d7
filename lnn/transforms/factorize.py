"""Explicit factorization of a network's matrices, for direct comparison with the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.checks import MOST_LAYERS, check_whole
from lnn.core.network import balanced_factors, end_to_end, generator
from lnn.transforms.matrix_leaves import Layout, Mask, choose, paths

STARTS = ("balanced", "gaussian")

Factorized = dict[str, Any]
"""Every parameter by its path, factored ones as tuples (W_1, ..., W_N)."""


def factorize(
    params: Any,
    depth: int = 2,
    *,
    key: jax.Array,
    mask: Mask | None = None,
    start: str = "balanced",
    std: float | None = None,
    width: int | None = None,
    output_axis: int = -1,
    batch_axes: int | Sequence[int] | None = None,
) -> tuple[Factorized, Callable[[Factorized], Any]]:
    """Replace each chosen matrix of a network by a product W_N ... W_1, whose factors are trained.

    `lnn.overparameterize` reproduces gradient descent on balanced factors without the factors.

    Args:
        params: the network's parameters, concrete arrays.
        depth: number of factors N, a whole number.
        key: a JAX random key: for the frames of balanced factors, or for Gaussian entries.
        mask: which leaves are matrices, as in `lnn.overparameterize`.
        start: "balanced": W_(j+1)^T W_(j+1) = W_j W_j^T, and the product is the parameter.
            "gaussian": independent entries of standard deviation `std`, whose product is not the
            parameter (Arora, Cohen and Hazan 2018, Appendix C.2).
        std: of Gaussian factors; default: the root mean square of the parameter, "initialized in
            the same way as their predecessors".
        width: of every hidden layer; default the smaller side, the minimum that preserves rank.
        output_axis: as in `lnn.overparameterize`.
        batch_axes: as in `lnn.overparameterize`; the factors of a stack of matrices are stacks,
            with one batch axis in front.

    Returns:
        The factored parameters, a plain dict, and a function that returns parameters of the
        original structure, shapes and dtypes, for use inside the loss.

    Raises:
        ValueError: an argument out of range, a mask that does not fit, a width below the rank of a
            balanced matrix, or a chosen parameter that is not finite.

    Example:
        >>> params = {"w": jnp.array([[3.0, 4.0]])}
        >>> factors, product = lnn.factorize(params, depth=3, key=jax.random.key(0))
        >>> gradient = jax.grad(lambda factors: jnp.sum(product(factors)["w"] ** 2))(factors)
        >>> print([g.shape for g in gradient["['w']"]], np.allclose(product(factors)["w"], [3, 4]))
        [(1, 2), (1, 1), (1, 1)] True
    """
    _check(depth, start, std, width)
    layout = Layout.of(output_axis, batch_axes)
    rng = generator(key)
    names, (leaves, tree) = paths(params), jax.tree.flatten(params)
    shapes = dict(zip(names, map(np.shape, leaves), strict=True))
    factors: Factorized = {}
    for name, leaf, chosen in zip(
        names, leaves, jax.tree.leaves(choose(mask, params, layout)), strict=True
    ):
        if chosen:
            w = np.asarray(layout.as_matrix(leaf), np.float64)
            each = [
                _factors(name, one, int(depth), rng, start, std, width)
                for one in w.reshape(-1, *w.shape[-2:])
            ]
            stacks = (
                np.stack(layers).reshape(*w.shape[:-2], *layers[0].shape)
                for layers in zip(*each, strict=True)
            )
            factors[name] = tuple(jnp.asarray(factor, leaf.dtype) for factor in stacks)
        else:
            factors[name] = leaf

    def product(factors: Factorized) -> Any:
        """Return the network's parameters, with W_N ... W_1 in place of the factors."""
        if set(factors) != set(names):
            raise ValueError(
                f"factors are of {sorted(factors)}, but this network has {sorted(names)}: give the "
                "factors returned with this function"
            )
        return jax.tree.unflatten(
            tree,
            [
                layout.from_matrix(end_to_end(factors[name]), shapes[name])
                if isinstance(factors[name], tuple)
                else factors[name]
                for name in names
            ],
        )

    return factors, product


def _factors(
    name: str, w: np.ndarray, depth: int, rng: np.random.Generator, start: str,
    std: float | None, width: int | None,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    if not np.isfinite(w).all():
        raise ValueError(f"parameter {name} has values that are not finite")
    k, d = w.shape
    dims = (d, *((width or min(k, d),) * (depth - 1)), k)
    if start == "balanced":
        return balanced_factors(w, dims, rng)
    deviation = float(np.sqrt(np.mean(w**2))) if std is None else std
    return tuple(deviation * rng.standard_normal((above, below)) for below, above in pairwise(dims))


def _check(depth: int, start: str, std: float | None, width: int | None) -> None:
    check_whole("depth", depth, 1, MOST_LAYERS)
    if width is not None:
        check_whole("width", width, 1)
    if start not in STARTS:
        raise ValueError(f"start = {start!r}: choose one of {', '.join(STARTS)}")
    if std is not None and (start != "gaussian" or not (np.isfinite(std) and std > 0)):
        raise ValueError(
            f"std = {std!r} with start = {start!r}: give a positive number, for Gaussian factors"
        )
