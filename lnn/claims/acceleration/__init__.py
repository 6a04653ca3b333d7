"""Claims of Arora, Cohen and Hazan (2018), and of the review of the same by Ava (2024)."""

from __future__ import annotations

from lnn.claims.acceleration import (
    appendix_b,
    conservative,
    depth,
    figure_2,
    flow_theory,
    momentum,
    preconditioner,
    tuned,
    two_points,
)
from lnn.claims.claim import Claim

_MODULES = (
    flow_theory, preconditioner, momentum, conservative, two_points, appendix_b, figure_2, tuned,
    depth,
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (claim for module in _MODULES for claim in module.CLAIMS),
        key=lambda claim: int(claim.id[1:]),
    )
)
