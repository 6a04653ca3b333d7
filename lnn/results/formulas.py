"""Texts with formulas between dollar signs, and numbers, as HTML, LaTeX or plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from html import escape as escape_html
from xml.etree import ElementTree

from latex2mathml.converter import convert

from lnn.results.latex import escape as escape_tex

INLINE_WIDTH = 15.0
"""Formulas wider than this multiple of the font size are displayed on their own line."""

_PUNCTUATION = ".,;:)"
_SCIENTIFIC = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e([+-]?\d{1,3})(?!\w)", re.ASCII)
_ARITY = {
    "mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3,
    "mroot": 2,
}  # fmt: skip
_UNDER_OVER = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_BREAKING = tuple("=<>+\u2212\u2264\u2265\u2248\u2192\u21d2\u226a\u226b\u2260")
_SIGNS, _BARS = ("+", "\u2212"), ("|", "\u2016")
_OPENING, _CLOSING = tuple("([{\u27e8"), tuple(")]}\u27e9")
_LARGE = ("\N{N-ARY SUMMATION}", "\N{N-ARY PRODUCT}")


def segments(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the nonempty parts of a text, each with whether it is a formula.

    An unmatched last dollar sign is text.
    """
    parts = text.split("$")
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}${parts[-1]}"]
    for i, part in enumerate(parts):
        if part:
            yield i % 2 == 1, part


def mathml(latex: str) -> str:
    """Convert a formula, without dollar signs, to an inline MathML element.

    Raises:
        ValueError: the converter does not support the formula.
    """
    return _serialized(_parsed(latex))


def html(text: str) -> str:
    """Convert a text to HTML with MathML formulas, wide ones on their own line.

    Numbers like 1e-8 become powers of ten. Formulas that cannot be converted are shown as source.
    """
    pieces: list[str] = []
    rest = list(segments(text))
    for i, (is_formula, part) in enumerate(rest):
        if not is_formula:
            pieces.append(_powers(escape_html(part), _scientific_html))
            continue
        try:
            root = _parsed(part)
        except ValueError:
            pieces.append(f"<code>{escape_html(part)}</code>")
            continue
        # Punctuation after a formula must not start the next line.
        after = ""
        if i + 1 < len(rest):
            following = rest[i + 1][1]
            after = following[: len(following) - len(following.lstrip(_PUNCTUATION))]
            rest[i + 1] = (False, following[len(after) :])
        if _width(root) > INLINE_WIDTH:
            terms = "<wbr>".join(map(_serialized, _broken(root)))
            pieces.append(f'<span class="display">{terms}{after}</span>')
        elif after:
            pieces.append(f'<span class="tied">{_serialized(root)}{after}</span>')
        else:
            pieces.append(_serialized(root))
    return "".join(pieces)


def tex(text: str) -> str:
    """Convert a text to LaTeX: escaped, formulas unchanged; broken ones as source."""
    pieces = []
    for is_formula, part in segments(text):
        try:
            if is_formula and mathml(part):
                pieces.append(f"${part}$")
            else:
                pieces.append(_powers(escape_tex(part), _scientific_tex))
        except ValueError:
            pieces.append(rf"\texttt{{{escape_tex(part)}}}")
    return "".join(pieces)


def closed(text: str) -> str:
    """Append a full stop if the text lacks one."""
    return text if text.rstrip("$").endswith((".", "?", "!")) else f"{text}."


def plain(text: str) -> str:
    """Return the text without dollar signs, in ASCII."""
    return "".join(part for _, part in segments(text)).encode("ascii", "replace").decode()


def number(value: float, digits: int = 4) -> str:
    """Format a number with this many significant digits: 0.25, 12, 1.2e-09, inf, undefined."""
    if math.isnan(value):
        return "undefined"
    return f"{value + 0.0:.{digits}g}"


def number_html(value: float, digits: int = 4) -> str:
    """Format a number as HTML, with minus sign and powers of ten."""
    return _scientific_html(*_parts(value, digits))


def number_tex(value: float, digits: int = 4) -> str:
    """Format a number as LaTeX."""
    return _scientific_tex(*_parts(value, digits))


def _scientific_html(mantissa: str, exponent: str) -> str:
    mantissa = mantissa.replace("-", "\N{MINUS SIGN}").replace("inf", "\N{INFINITY}")
    if not exponent:
        return mantissa
    power = f"10<sup>{exponent.replace('-', chr(0x2212))}</sup>"
    if mantissa.lstrip("\N{MINUS SIGN}") == "1":
        return mantissa[:-1] + power
    return f"{mantissa}\N{NO-BREAK SPACE}\u00d7\u00a0{power}"


def _scientific_tex(mantissa: str, exponent: str) -> str:
    if mantissa == "undefined":
        return mantissa
    mantissa = mantissa.replace("inf", r"\infty")
    if not exponent:
        return f"${mantissa}$"
    power = f"10^{{{exponent}}}"
    if mantissa.lstrip("-") == "1":
        return f"${mantissa[:-1]}{power}$"
    return rf"${mantissa}\times {power}$"


def _powers(text: str, written: Callable[[str, str], str]) -> str:
    """Rewrite numbers like 1e-8 in a text; 0.0e+00 is 0."""
    return _SCIENTIFIC.sub(
        lambda found: written(found[1], str(int(found[2]))) if float(found[1]) else "0", text
    )


def _parts(value: float, digits: int) -> tuple[str, str]:
    """Return mantissa and exponent; "" without an exponent."""
    text = number(value, digits)
    if not math.isfinite(value) or "e" not in text:
        return text, ""
    mantissa, exponent = text.split("e")
    return mantissa, str(int(exponent))


def _parsed(latex: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(convert(latex))
    except Exception as error:  # the converter's errors have no common base
        raise ValueError(f"cannot convert the formula ${latex}$: {error!r}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if "\\" in (element.text or ""):
            raise ValueError(f"the formula ${latex}$ has an unknown command, {element.text}")
        if len(element) != _ARITY.get(element.tag, len(element)):
            raise ValueError(f"the formula ${latex}$ has an incomplete {element.tag[1:]}")
    for element in root.iter():
        _tidy(element)
    return root


def _tidy(element: ElementTree.Element) -> None:
    """Fix limits of sums, spaces of functions, signs and capitals after the converter."""
    children = list(element)
    if element.tag in _UNDER_OVER and (children[0].text or "") in _LARGE:
        element.tag = _UNDER_OVER[element.tag]
    for i, child in enumerate(children):
        name = child.text or ""
        if child.tag not in ("mi", "mo"):
            continue
        if name == "/":
            child.attrib.update(lspace="0", rspace="0")
        elif name in _BARS and "fence" not in child.attrib:
            child.set("stretchy", "false")
        elif name in _SIGNS and i and children[i - 1].tag == "mo" and _ends(children[i - 1]):
            child.set("form", "prefix")
        elif "\u0391" <= name <= "\u03a9":
            child.set("mathvariant", "normal")  # LaTeX sets Greek capitals upright
        elif len(name) > 1 and name.isalpha():
            child.tag = "mo"
            opens = i + 1 < len(children) and (children[i + 1].text or "") in _OPENING + _CLOSING
            child.set("lspace", "0" if not i or children[i - 1].tag == "mo" else "0.17em")
            child.set("rspace", "0" if opens or i + 1 == len(children) else "0.17em")


def _ends(operator: ElementTree.Element) -> bool:
    """Return whether a sign after the operator is a prefix of what follows."""
    return (operator.text or "") not in (*_CLOSING, *_BARS, "!", "\u22a4")


def _broken(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Split the formula at relations, plus and minus outside brackets.

    Browsers do not break lines within a MathML element, so long formulas would overflow a phone.
    """
    pieces = [_math()]
    depth = bars = 0
    unary = True
    for child in root[0] if len(root) == 1 and root[0].tag == "mrow" else root:
        sign = (child if child.tag == "mo" or not len(child) else child[0]).text or ""
        breaks = child.tag == "mo" and sign in _BREAKING
        if breaks and not unary and depth == 0 and bars % 2 == 0:
            pieces.append(_math())
            child.set("form", "infix")  # at the start of an element it would be a prefix
        pieces[-1][0].append(child)
        unary = breaks
        depth += (sign in _OPENING) - (sign in _CLOSING)
        bars += sign in _BARS
    return pieces


def _math() -> ElementTree.Element:
    root = ElementTree.Element("math")
    ElementTree.SubElement(root, "mrow")
    return root


def _serialized(root: ElementTree.Element) -> str:
    root.attrib = {"display": "inline"}
    return ElementTree.tostring(root, encoding="unicode")


def _width(element: ElementTree.Element) -> float:
    """Estimate the width in units of the font size."""
    widths = [_width(child) for child in element]
    match element.tag:
        case "mfrac" | "munder" | "mover" | "munderover":
            return max(widths, default=0.0)
        case "msub" | "msup":
            return widths[0] + 0.7 * widths[1]
        case "msubsup":
            return widths[0] + 0.7 * max(widths[1:])
        case "mo":
            text = element.text or ""
            return 0.4 if text in "()[]|,.'\u2016" else max(1.0, 0.55 * len(text))
        case _:
            return sum(widths) + 0.55 * len(element.text or "")
