"""Transcripts as letters of a fixed alphabet, and their least length for CTC. Imports no JAX.

Graves et al. (2006), "Connectionist temporal classification".
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np

ALPHABET = "_ 'abcdefghijklmnopqrstuvwxyz"
"""Letters by label; label 0 is CTC's blank, and pads labels."""

SUBSAMPLING = 2
"""Frames of a spectrogram to an output of the network."""

_LABELS = {letter: label for label, letter in enumerate(ALPHABET) if label}


def normalized(text: str) -> str:
    """Return a transcript in the letters of ALPHABET: lower case, without accents.

    Whatever else it holds, such as punctuation, becomes a space; spaces are merged, and stripped.

    Raises:
        ValueError: it holds a digit, whose reading is unknown, or no letter at all; the message is
            a predicate.
    """
    apart = unicodedata.normalize("NFKD", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    plain = "".join(c for c in apart.casefold() if not unicodedata.combining(c))
    digit = next((c for c in plain if c.isdigit()), None)
    if digit is not None:
        raise ValueError(f"holds the digit {digit}; write numbers as words, as they are spoken")
    letters = "".join(c if c in _LABELS else " " for c in plain)
    words = [word for word in letters.split() if word.strip("'")]
    if not words:
        raise ValueError("holds no letter a to z")
    return " ".join(words)


def encoded(letters: str) -> np.ndarray:
    """Return the labels (letters,) int32 of a normalized transcript."""
    return np.array([_LABELS[letter] for letter in letters], np.int32)


def least_outputs(letters: str) -> int:
    """Return the fewest outputs that CTC aligns: a blank must part neighbours that are equal."""
    return len(letters) + sum(a == b for a, b in pairwise(letters))
