"""Plain text as LaTeX."""

from __future__ import annotations

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "~": r"\textasciitilde{}",
    "^": r"$\wedge$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    "\u221e": r"$\infty$",
}


def escape(text: str) -> str:
    """Escape text for LaTeX; characters that pdflatex's basic fonts lack become question marks."""
    escaped = "".join(_SPECIAL.get(character, character) for character in text)
    return escaped.encode("ascii", "replace").decode()


def checksum_prefix(checksum: object, digits: int = 12) -> str:
    """Return the first digits of a checksum, with the name of its algorithm, if any."""
    name, _, value = str(checksum or "unknown").rpartition(":")
    return f"{name}:{value[:digits]}" if name else value[:digits]
