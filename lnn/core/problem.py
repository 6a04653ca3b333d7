r"""l_p regression with a linear predictor: loss and gradient.

The loss is $L(W) = \frac{1}{pm} \sum_{i=1}^m \sum_c |w_c \cdot x_i - y_{ic}|^p$, as in Arora, Cohen
and Hazan (2018), Section 8 (p = 2 and p = 4 there, any real p > 1 here).
"""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lnn.core.arrays import as_floats
from lnn.core.checks import as_tuple, plain, reals
from lnn.core.linalg import Array, dot, row_blocks


def signed_power(residual: Array, p: float) -> Array:
    """Return sign(r) |r|^(p-1), by integer powers if p is an integer."""
    if p == 2:
        return residual
    if float(p).is_integer():
        power = residual ** (int(p) - 1)
        return power if int(p) % 2 == 0 else jnp.sign(residual) * power
    return jnp.sign(residual) * jnp.abs(residual) ** (p - 1)


def absolute_power(residual: Array, p: float) -> Array:
    """Return |r|^p, by integer powers if p is an even integer."""
    if float(p).is_integer() and int(p) % 2 == 0:
        return residual ** int(p)
    return jnp.abs(residual) ** p


@dataclass(frozen=True)
class Problem:
    r"""An l_p regression problem: $L(W) = \frac{1}{pm} \sum_i \sum_c |w_c \cdot x_i - y_{ic}|^p$.

    Frozen, and a JAX pytree with leaves `x` and `y`. Arrays are kept as given; simulations use them
    directly, or a copy in their own dtype.

    Attributes:
        x: examples; any array of numbers, also of pandas, xarray or PyTorch, or lists.
        y: labels, (m,) for one output.
        p: real, above 1.
        name: for tables and figures.
        targets: relative suboptimalities that measure what the problem is about, for studies
            without targets of their own; () for the defaults of `lnn.StudyConfig`.
        meaning: what these targets mean, in a few words.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, p <= 1, no examples, or
            targets that are not between 0 and 1.

    Example:
        >>> problem = lnn.Problem(x=np.eye(2), y=np.array([3.0, 1.0]), p=2)
        >>> print(problem.loss(np.zeros((1, 2))), problem.gradient(np.zeros((1, 2))))
        2.5 [[-1.5 -0.5]]
    """

    x: Float[Array, "m d"]
    y: Float[Array, " m"] | Float[Array, "m k"]
    p: float
    name: str = ""
    targets: tuple[float, ...] = ()
    meaning: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, as_floats(name, getattr(self, name)))
        object.__setattr__(self, "targets", reals("targets", as_tuple(plain(self.targets))))
        _check(self.x, self.y, self.p)
        if not all(0 < target < 1 for target in self.targets):
            raise ValueError(
                f"targets = {list(self.targets)}: relative suboptimalities lie between 0 and 1"
            )

    @property
    def m(self) -> int:
        """Number of examples."""
        return int(self.x.shape[0])

    @property
    def d(self) -> int:
        """Number of features."""
        return int(self.x.shape[1])

    @property
    def k(self) -> int:
        """Number of outputs."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    def astype(self, dtype: Any) -> Problem:
        """Return the problem with JAX arrays of this dtype."""
        return replace(self, x=jnp.asarray(self.x, dtype), y=jnp.asarray(self.y, dtype))

    def loss(self, w: Float[Array, "... d"]) -> Float[jax.Array, ...]:
        """Return L(w) of matrices (..., k, d) or, for one output, a weight vector (d,)."""
        return self._loss_of(self.residual(w))

    def gradient(self, w: Float[Array, "... d"]) -> Float[jax.Array, "... d"]:
        """Return dL/dw, of the shape of w, by two passes over x."""
        return self._gradient_of(self.residual(w)).reshape(w.shape)

    def loss_and_gradient(
        self, w: Float[Array, "... d"]
    ) -> tuple[Float[jax.Array, ...], Float[jax.Array, "... d"]]:
        """Return loss and gradient from one set of residuals."""
        residual = self.residual(w)
        return self._loss_of(residual), self._gradient_of(residual).reshape(w.shape)

    def residual(self, w: Float[Array, "... d"]) -> Float[jax.Array, "... m"]:
        """Return w x - y for every output and example.

        Raises:
            ValueError: w is not (..., k, d), nor (d,) with one output.
        """
        w = as_matrices(self, w)
        if w.shape[-2:] != (self.k, self.d):
            vector = f", or ({self.d},)" if self.k == 1 else ""
            raise ValueError(
                f"w has shape {w.shape}: give matrices (..., {self.k}, {self.d}){vector}"
            )
        # All outputs of all runs are rows of one matrix: one GEMM for any batch.
        predicted = dot(jnp.reshape(w, (-1, self.d)), jnp.transpose(self.x))
        labels = jnp.reshape(jnp.transpose(self.y), (self.k, self.m))
        residual = jnp.reshape(predicted, (*w.shape[:-1], self.m))
        # Of the same rank, where JAX is told to promote none.
        return residual - jnp.reshape(labels, (1,) * (residual.ndim - 2) + labels.shape)

    def _loss_of(self, residual: jax.Array) -> jax.Array:
        return jnp.sum(jnp.mean(absolute_power(residual, self.p), axis=-1), axis=-1) / self.p

    def _gradient_of(self, residual: jax.Array) -> jax.Array:
        pulled = jnp.reshape(signed_power(residual, self.p), (-1, self.m))
        gradient = dot(pulled, self.x) / self.m
        return jnp.reshape(gradient, (*residual.shape[:-1], self.d))


def as_matrices(problem: Problem, w: Any) -> Any:
    """Return end-to-end matrices: a weight vector (d,) of one output as (1, d), others as is."""
    return w[None] if problem.k == 1 and w.shape == (problem.d,) else w


_STATIC = ("p", "name", "targets", "meaning")


def _flatten(problem: Problem) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return (problem.x, problem.y), tuple(getattr(problem, name) for name in _STATIC)


def _unflatten(static: tuple[Any, ...], leaves: tuple[Any, ...]) -> Problem:
    # Bypasses the constructor's checks: leaves may be tracers, shapes or placeholders.
    problem = object.__new__(Problem)
    for name, value in zip(("x", "y", *_STATIC), (*leaves, *static), strict=True):
        object.__setattr__(problem, name, value)
    return problem


jax.tree_util.register_pytree_node(Problem, _flatten, _unflatten)


def _check(x: Any, y: Any, p: Any) -> None:
    # Python integers may exceed every float.
    whole = isinstance(p, int) and p <= sys.float_info.max
    if not ((whole or isinstance(p, float | np.integer | np.floating)) and 1 < p < math.inf):
        raise ValueError(
            f"p = {p!r}: the l_p loss needs a real number p > 1 (below, it has no gradient at a "
            "zero residual); choose for example p = 2 or p = 4"
        )
    shape_x, shape_y = np.shape(x), np.shape(y)
    if len(shape_x) != 2 or len(shape_y) not in (1, 2) or shape_x[0] != shape_y[0]:
        raise ValueError(
            f"x has shape {shape_x}, y has shape {shape_y}: x must be (m, d) and y (m,) or (m, k) "
            "with the same m"
        )
    if 0 in shape_x or 0 in shape_y:
        raise ValueError(
            f"x has shape {shape_x}, y has shape {shape_y}: give at least one example, feature "
            "and output"
        )
    if isinstance(x, jax.core.Tracer) or isinstance(y, jax.core.Tracer):
        return
    for label, values in (("x", x), ("y", y)):
        for rows, block in row_blocks(values):
            if not np.isfinite(block).all():
                first, *rest = (int(i) for i in np.argwhere(~np.isfinite(block))[0])
                raise ValueError(
                    f"{label}{[rows.start + first, *rest]} is {block[(first, *rest)]}: every value "
                    "must be finite; remove or impute the row"
                )


def checksum(problem: Problem) -> str:
    """Return the SHA-256, in hex, of shapes and float64 bytes of x and y.

    Example:
        >>> print(lnn.datasets.checksum(lnn.Problem(np.eye(2), np.ones(2), p=2))[:8])
        4280e4be
    """
    digest = hashlib.sha256()
    for values in (problem.x, problem.y):
        digest.update(repr(tuple(values.shape)).encode())
        for _, block in row_blocks(values):
            digest.update(np.ascontiguousarray(block, dtype="<f8").data)
    return digest.hexdigest()
