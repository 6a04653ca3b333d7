"""Claims on network expansions of quadratics under noisy gradient descent."""

from __future__ import annotations

from lnn.claims.claim import Claim
from lnn.claims.expansions.conclusions import B12, B13, B14
from lnn.claims.expansions.optimum import B6, B7, B8
from lnn.claims.expansions.speed import B1, B2, B3, B4, B5
from lnn.claims.expansions.steady import B9, B10, B11

CLAIMS: tuple[Claim, ...] = (B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14)
