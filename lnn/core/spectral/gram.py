"""A frame from symmetric eigendecompositions, for accelerators."""

from __future__ import annotations

from jaxtyping import Float

from lnn.core.linalg import Array
from lnn.core.spectral.frames import Frame, short_frame


def gram_frame(w: Float[Array, "k d"]) -> Frame:
    """Return the `short_frame` of w from eigenvectors of W W^T."""
    return short_frame(w)
