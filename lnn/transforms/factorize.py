"""Explicit factorization of a network's matrices, for direct comparison with the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn.core.checks import MOST_LAYERS, check_whole
from lnn.core.network import balanced_factors, end_to_end, generator
from lnn.transforms.matrix_leaves import Layout, Mask, choose, paths

STARTS = ("balanced", "gaussian")
FORMS = ("product", "layers")

Factorized = dict[str, Any]
"""Every parameter by its path, factored ones as tuples (W_1, ..., W_N)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FactoredMatrix:
    """A matrix W_N ... W_1 (k, d) whose factors are multiplied with x one after the other.

    `x @ W` is x W_N ... W_1 and `W @ x` is W_N ... W_1 x, each product with the precision and types
    of `x @ factor`. Functions of JAX do not accept it: they would need the product.

    Example:
        >>> w, key = jnp.array([[3.0, 6.0], [4.0, 8.0]]), jax.random.key(0)
        >>> factors, layers = lnn.factorize({"w": w}, depth=2, key=key, form="layers")
        >>> print(layers(factors)["w"].shape, jnp.array([1.0, 1.0]) @ layers(factors)["w"])
        (2, 2) [ 7. 14.]
    """

    factors: tuple[jax.Array, ...]

    __array_ufunc__ = None
    """NumPy arrays leave `x @ W` to W."""

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(k, d)."""
        return self.factors[-1].shape[0], self.factors[0].shape[1]

    @property
    def dtype(self) -> Any:
        """Of the factors."""
        return self.factors[0].dtype

    @property
    def T(self) -> FactoredMatrix:  # noqa: N802 - as of arrays
        """The transpose, factor by factor."""
        return FactoredMatrix(tuple(factor.T for factor in self.factors[::-1]))

    def __matmul__(self, x: Any) -> jax.Array:
        for factor in self.factors:
            x = factor @ x
        return x

    def __rmatmul__(self, x: Any) -> jax.Array:
        for factor in self.factors[::-1]:
            x = x @ factor
        return x

    def product(self) -> jax.Array:
        """Return W_N ... W_1, for uses other than `@`, such as a regularizer."""
        return end_to_end(self.factors)


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
    form: str = "product",
) -> tuple[Factorized, Callable[[Factorized], Any]]:
    """Replace each chosen matrix of a network by a product W_N ... W_1, whose factors are trained.

    `lnn.overparameterize` reproduces gradient descent on balanced factors without training them.

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
        form: what stands in place of the matrices inside the loss. "product": the product, an array
            as before; a step costs 3 (N - 1) matrix products more, whatever the number of examples.
            "layers": for matrices of two axes an object W that the network may use as `x @ W` or
            `W @ x`, and that multiplies x by one factor after the other, N layers for one, cheaper
            up to about as many examples as W has rows. It has `T`, `shape`, `dtype` and
            `product()`; functions of JAX do not accept it, so layers of Flax need the product.

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
    _check(depth, start, std, width, form)
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
        """Return the network's parameters, with the product or `FactoredMatrix` of the factors."""
        if set(factors) != set(names):
            raise ValueError(
                f"factors are of {sorted(factors)}, but this network has {sorted(names)}: give the "
                "factors returned with this function"
            )

        def parameter(name: str) -> Any:
            if not isinstance(factors[name], tuple):
                return factors[name]
            if form == "layers" and len(shapes[name]) == 2:
                return FactoredMatrix(factors[name])
            return layout.from_matrix(end_to_end(factors[name]), shapes[name])

        return jax.tree.unflatten(tree, map(parameter, names))

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


def _check(depth: int, start: str, std: float | None, width: int | None, form: str) -> None:
    check_whole("depth", depth, 1, MOST_LAYERS)
    if width is not None:
        check_whole("width", width, 1)
    if start not in STARTS:
        raise ValueError(f"start = {start!r}: choose one of {', '.join(STARTS)}")
    if form not in FORMS:
        raise ValueError(f"form = {form!r}: choose one of {', '.join(FORMS)}")
    if std is not None and (start != "gaussian" or not (np.isfinite(std) and std > 0)):
        raise ValueError(
            f"std = {std!r} with start = {start!r}: give a positive number, for Gaussian factors"
        )
