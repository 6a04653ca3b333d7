"""The rule of depth 2 by the polar factor of W."""

from __future__ import annotations

import jax
from jaxtyping import Float

from lnn.core.linalg import Array
from lnn.core.spectral.rule import precondition


def precondition_by_polar(
    w: Float[Array, "k d"], g: Float[Array, "k d"]
) -> Float[jax.Array, "k d"]:
    """`precondition` at depth 2, by matrix products alone: W Q^T g + g Q^T W."""
    return precondition(w, g, 2)
