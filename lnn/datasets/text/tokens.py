"""Text as code numbers: of characters, or of words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

UNKNOWN = "<unk>"
"""Symbol for whatever is not in the vocabulary."""

CODE_POINTS = 0x110000

_LETTERS = r"[^\W\d_]+"
_WORD = re.compile(rf"{UNKNOWN}|{_LETTERS}(?:['\u2019]{_LETTERS})*|\d+(?:[.,]\d+)*|[^\w\s]|_")


def code_points(text: str) -> np.ndarray:
    """Return Unicode's number of each character, int32."""
    return np.frombuffer(text.encode("utf-32-le"), "<i4")


def raw_words(text: str) -> list[str]:
    """Split untokenized text, in lower case, into words, numbers and punctuation marks.

    Words may hold apostrophes (don't) and numbers points and commas (1,000.5); each punctuation
    mark is a token of its own, and white space none. "<unk>" in a prepared text is a token.
    """
    return _WORD.findall(text.lower())


class Numbering:
    """Numbers words 0, 1, ... in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__

    def __call__(self, words: Iterable[str]) -> np.ndarray:
        """Return the number of each word, int32."""
        return np.fromiter(map(self._numbers.__getitem__, words), np.int32)

    @property
    def words(self) -> list[str]:
        """The word of each number."""
        return list(self._numbers)
