"""Claims of this document."""

from __future__ import annotations

from lnn.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
