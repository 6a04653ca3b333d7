"""Plain text as LaTeX."""

from __future__ import annotations

import pytest

from lnn.results.latex import checksum_prefix, escape


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % of a_1 & b", r"50 \% of a\_1 \& b"),
        ("{x}^2 ~ \\y", r"\{x\}$\wedge$2 \textasciitilde{} \textbackslash{}y"),
        ('"$1 < #2" | \u221e', r"''\$1 $<$ \#2'' $|$ $\infty$"),
        ("na\u00efve", "na?ve"),
    ],
)
def test_escaped(text: str, latex: str) -> None:
    assert escape(text) == latex


def test_a_checksum_is_shortened_and_keeps_its_algorithm() -> None:
    assert checksum_prefix("sha256:0123456789abcdef") == "sha256:0123456789ab"
    assert checksum_prefix("0123456789abcdef", 4) == "0123"
    assert checksum_prefix(None) == "unknown"
