"""Claims on the rates of gradient descent on the l_p loss, with and without depth."""

from __future__ import annotations

from lnn.claims.claim import Claim
from lnn.claims.rates.norms import C9
from lnn.claims.rates.scalar import C4, C5, C6, C7
from lnn.claims.rates.single import C1, C2, C3, C8

CLAIMS: tuple[Claim, ...] = (C1, C2, C3, C4, C5, C6, C7, C8, C9)
