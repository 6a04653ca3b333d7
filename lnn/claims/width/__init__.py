"""Claims on width and halting time."""

from __future__ import annotations

from lnn.claims.claim import Claim
from lnn.claims.width.lengths import D10, D11, D12
from lnn.claims.width.steps import D8, D9, D13, D14
from lnn.claims.width.structure import D15, D16
from lnn.claims.width.theory import D5, D6, D7
from lnn.claims.width.toy import D1, D2, D3, D4

CLAIMS: tuple[Claim, ...] = (D1, D2, D3, D4, D5, D6, D7, D8, D9, D10, D11, D12, D13, D14, D15, D16)
