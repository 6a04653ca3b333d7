"""The preconditioner of the end-to-end rule, in a singular frame of W."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from lnn.core.linalg import Array, dot
from lnn.core.spectral.frames import Frame, short_frame


def precondition(
    w: Float[Array, "k d"], g: Float[Array, "k d"], depth: float
) -> Float[jax.Array, "k d"]:
    r"""$\sum_j [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$ for real depth N >= 1.

    depth = inf is the limit per unit depth: the sum divided by N as N grows, in which entry (r, q)
    of the frame is multiplied by the logarithmic mean of s_r^2 and s_q^2.

    Cost O(min(k, d)^2 max(k, d)). Source: Arora, Cohen and Hazan (2018), eq. 10 and Claim 1.

    Example:
        >>> w, g = jnp.diag(jnp.array([2.0, 3.0])), jnp.ones((2, 2))
        >>> print(lnn.spectral.precondition(w, g, depth=2))  # |W| g + g |W|
        [[4. 5.]
         [5. 6.]]
    """
    if depth == 1:
        return jnp.asarray(g)
    return precondition_in(short_frame(w), g, depth)


def precondition_in(
    frame: Frame, g: Float[Array, "k d"], depth: float | Float[jax.Array, ""]
) -> Float[jax.Array, "k d"]:
    """`precondition` of g for depth N > 1, in the `short_frame` of some w (k, d).

    A depth that is a JAX scalar may be traced; it must be finite.

    Example:
        >>> frame = lnn.spectral.short_frame(jnp.array([[3.0, 4.0]]))
        >>> print(lnn.spectral.precondition_in(frame, jnp.array([[4.0, -3.0]]), 2))  # |W| g
        [[ 20. -15.]]
    """
    if g.shape[0] > g.shape[1]:  # the rule commutes with transposition
        return precondition_in(frame, g.T, depth).T
    u, s, vt = frame
    if isinstance(depth, jax.Array):
        depth = depth.astype(s.dtype)
    rotated = dot(u.T, g)
    factor = _pair_factor(s, depth)
    if _is_infinite(depth):
        return dot(u, dot(dot(rotated, vt.T) * factor, vt))
    # Outside the row space only the term j = N remains, a factor s_r^(2 - 2/N); since it also
    # occurs inside, it is applied to all of g, and the other terms inside.
    last = s[:, None] ** (2 - 2 / depth)
    inside = dot(dot(rotated, vt.T) * (factor - last), vt)
    return dot(u, inside + last * rotated)


def _is_infinite(depth: float | jax.Array) -> bool:
    return not isinstance(depth, jax.Array) and math.isinf(depth)


def _pair_factor(s: jax.Array, depth: float | jax.Array) -> jax.Array:
    """Return the factor of every pair of singular values, (r, r); see the package.

    With x = log(low^2 / high^2) <= 0 it is high^(2-2/N) expm1(x) / expm1(x / N), and high^2
    expm1(x) / x at depth inf. These are smooth in x, so x may be a difference of logarithms of
    single values, and only the exponentials are functions of pairs.
    """
    positive, largest = s > 0, jnp.max(s)
    logs = jnp.log(jnp.where(positive, s / jnp.where(largest > 0, largest, 1), 1))
    both = positive[:, None] & positive[None]
    x = jnp.where(both, -2 * jnp.abs(logs[:, None] - logs[None]), -jnp.inf)
    equal = x == 0
    safe = jnp.where(equal, -1, x)
    if _is_infinite(depth):
        power, ratio = s**2, jnp.where(equal, 1, jnp.expm1(safe) / safe)
    else:
        power = s ** (2 - 2 / depth)
        ratio = jnp.where(equal, depth, jnp.expm1(safe) / jnp.expm1(safe / depth))
    return jnp.maximum(power[:, None], power[None]) * ratio
