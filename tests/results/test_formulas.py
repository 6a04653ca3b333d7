"""Formulas and numbers of texts, on a page, in LaTeX and in plain text."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from fake_claims import LONG, Page
from hypothesis import given
from hypothesis import strategies as st

from lnn.results import formulas

# Formulas and numbers


@given(st.text(alphabet="ab$ <&\\{_", max_size=20))
def test_segments_lose_nothing(text: str) -> None:
    parts = list(formulas.segments(text))
    assert "".join(part for _, part in parts).count("$") <= 1
    assert "".join(part for _, part in parts).replace("$", "") == text.replace("$", "")


@given(st.text(max_size=30))
def test_any_text_becomes_html(text: str) -> None:
    cleaned = text.replace("\x00", "").replace("\r", "")
    Page(f"<p>{formulas.html(cleaned)}</p>")


def test_wide_formulas_can_break() -> None:
    text = formulas.html(LONG)
    display = re.search(r'<span class="display">(.*?),</span>', text)
    assert display is not None
    pieces = [ElementTree.fromstring(piece) for piece in display[1].split("<wbr>")]
    # Before = and before the last minus, not before the first, which is a sign, nor in a bracket.
    assert len(pieces) == 3
    assert [piece[0][0].text for piece in pieces[1:]] == ["=", "\N{MINUS SIGN}"]
    whole = ElementTree.fromstring(formulas.mathml(LONG.split("$")[1]))
    assert "".join("".join(piece.itertext()) for piece in pieces) == "".join(whole.itertext())


@pytest.mark.parametrize("latex", [r"\frac{a}", r"\unknown x", "a & b", "{", r"x_"])
def test_broken_formulas_are_named_and_shown(latex: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        formulas.mathml(latex)
    assert f"<code>{latex.replace('&', '&amp;')}</code>" in formulas.html(f"a ${latex}$.")
    assert r"\texttt{" in formulas.tex(f"a ${latex}$.")


@pytest.mark.parametrize(
    ("value", "plain", "page", "tex"),
    [
        (1e-8, "1e-08", "10<sup>\u22128</sup>", "$10^{-8}$"),
        (-2.5e9, "-2.5e+09", "\u22122.5\u00a0\u00d7\u00a010<sup>9</sup>", r"$-2.5\times 10^{9}$"),
        (-1e-12, "-1e-12", "\u221210<sup>\u221212</sup>", "$-10^{-12}$"),
        (-0.0, "0", "0", "$0$"),
        (0.123456, "0.1235", "0.1235", "$0.1235$"),
        (-math.inf, "-inf", "\u2212\u221e", r"$-\infty$"),
        (math.nan, "undefined", "undefined", "undefined"),
    ],
)
def test_numbers(value: float, plain: str, page: str, tex: str) -> None:
    assert formulas.number(value) == plain
    assert formulas.number_html(value) == page
    assert formulas.number_tex(value) == tex


def test_numbers_in_texts() -> None:
    text = "to 2.50e-10, -1e-8. but not x1e5, 1e5a or 0x1e5; 3e+06"
    assert formulas.html(text) == (
        "to 2.50\u00a0\u00d7\u00a010<sup>\u221210</sup>, \u221210<sup>\u22128</sup>. but not "
        "x1e5, 1e5a or 0x1e5; 3\u00a0\u00d7\u00a010<sup>6</sup>"
    )
    assert formulas.tex("at 2.5e-10") == r"at $2.5\times 10^{-10}$"


def test_closed_texts() -> None:
    assert formulas.closed("so $x$") == "so $x$."
    assert formulas.closed("so $x.$") == "so $x.$"
    assert formulas.closed("Is it?") == "Is it?"
