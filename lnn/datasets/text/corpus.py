"""A text as indices into a vocabulary, to train on and to validate on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lnn.core.checks import check_whole
from lnn.core.errors import DataError
from lnn.datasets.text.parts import Parts, Unit, divide
from lnn.datasets.text.texts import open_texts
from lnn.datasets.text.tokens import CODE_POINTS, UNKNOWN, Numbering, code_points, raw_words

MOST_CHARACTERS = 256
"""Largest vocabulary of characters."""

_CHARACTERS = Unit("characters", 200)
_WORDS = Unit("words", 100)


@dataclass(frozen=True)
class Corpus:
    """A text as indices of symbols.

    Attributes:
        name: of the text, in words, for reports.
        symbols: the vocabulary; a symbol's position is its index.
        train: (n,) int32; its prefixes are the smaller training sets.
        validation: (v,) int32.
        unknown: share of the validation symbols that are "<unk>".
    """

    name: str
    symbols: tuple[str, ...]
    train: np.ndarray
    validation: np.ndarray
    unknown: float

    @property
    def checksum(self) -> str:
        """16 hex digits of the contents."""
        digest = hashlib.sha256("\0".join(self.symbols).encode())
        for indices in (self.train, self.validation):
            digest.update(f"\0{len(indices)}\0".encode())
            digest.update(indices.astype("<i4").tobytes())
        return digest.hexdigest()[:16]


def characters(
    path: str | os.PathLike[str] | None = None, *, train: int, validation: int
) -> Corpus:
    """Return a text as `train` characters to train on and `validation` others to validate on.

    The text is cut into blocks of 200 characters, the last shorter, which are shuffled with a
    fixed seed, since the subject of a text changes along it. The validation part comes first, and
    the training part begins with the next block: a larger training set contains the smaller, and
    validation does not depend on `train`.

    The vocabulary is the sorted characters of the whole text, at most 256: of a text with more,
    the 255 most frequent, and "<unk>", of index 0, for all others.

    Args:
        path: None for the text of Python's own documentation, about 465,000 characters, which
            differs between versions of Python: the checksum tells them apart. A file in UTF-8,
            optionally gzipped. Or the folder of the Billion Word Benchmark (Chelba et al. 2013):
            of it as many files are read, in order, as needed, nothing is shuffled, validation is
            its held-out part, each sentence is a line, and "the whole text" is the files read.
        train: number of characters to train on.
        validation: number of characters to validate on.

    Raises:
        ValueError: `train` or `validation` is not a whole number of at least 1.
        DataError: the text is unavailable, invalid, too short, or repeats a single character.
    """
    train, validation = check_whole("train", train, 1), check_whole("validation", validation, 1)
    texts = open_texts(path)
    parts = divide(texts, code_points, _CHARACTERS, train, validation)
    counts = np.bincount(parts.training, minlength=CODE_POINTS)
    counts += np.bincount(parts.held_out, minlength=CODE_POINTS)
    codes = np.flatnonzero(counts)
    if len(codes) < 2:
        raise DataError(
            f"{texts.where} repeats a single character, {chr(codes[0])!r}; give a text of two or "
            "more"
        )
    rare = len(codes) > MOST_CHARACTERS
    if rare:  # a stable sort: of equally frequent characters the first
        frequent = np.argsort(-counts[codes], kind="stable")[: MOST_CHARACTERS - 1]
        codes = codes[np.sort(frequent)]
    names = [chr(code) for code in codes]
    return _corpus(texts.name, parts, codes, names, CODE_POINTS, rare, train, validation)


def words(
    path: str | os.PathLike[str] | None = None, *, train: int, validation: int, vocabulary: int
) -> Corpus:
    """Return a text as `train` words to train on and `validation` others to validate on.

    Words are split off a raw text in lower case; numbers and punctuation marks count as words
    (`lnn.datasets.text.tokens.raw_words`). The tokenized Billion Word Benchmark is split at white
    space, as by Chelba et al. 2013 and Jozefowicz et al. 2016, without marks between sentences.
    The text is divided as by `characters`, in blocks of 100 words.

    The vocabulary is "<unk>", of index 0, for all other words, and then the `vocabulary - 1` most
    frequent words of the whole text without the blocks held out, the most frequent first and
    equally frequent ones in alphabetical order.

    Args:
        path: None, a file or a folder, as for `characters`.
        train: number of words to train on.
        validation: number of words to validate on.
        vocabulary: number of symbols.

    Raises:
        ValueError: a number is not whole or too small.
        DataError: the text is unavailable, invalid, too short, or has too few different words.
    """
    train, validation = check_whole("train", train, 1), check_whole("validation", validation, 1)
    vocabulary = check_whole("vocabulary", vocabulary, 2)
    texts = open_texts(path)
    split = raw_words if texts.held_out is None else str.split
    number = Numbering()
    parts = divide(texts, lambda text: number(split(text)), _WORDS, train, validation)
    names = number.words
    counts = np.bincount(parts.training, minlength=len(names)).tolist()
    found = [code for code, name in enumerate(names) if counts[code] and name != UNKNOWN]
    if len(found) < vocabulary - 1:
        raise DataError(
            f"{texts.where} has {len(found)} different words to train on, with {UNKNOWN} "
            f"{len(found) + 1}; lower vocabulary = {vocabulary} to at most that"
        )
    found.sort(key=lambda code: (-counts[code], names[code]))
    codes = np.array(found[: vocabulary - 1])
    chosen = [names[code] for code in codes]
    return _corpus(texts.name, parts, codes, chosen, len(names), True, train, validation)


def _corpus(
    name: str, parts: Parts, codes: np.ndarray, names: Sequence[str], size: int, rest: bool,
    train: int, validation: int,
) -> Corpus:  # fmt: skip
    """Return the first codes of the parts as indices of `names`, if `rest` after that of others.

    `names` (k,) are those of `codes` (k,), which are below `size`.
    """
    index = np.zeros(size, np.int32)
    index[codes] = np.arange(rest, len(codes) + rest)
    held_out = index[parts.held_out[:validation]]
    return Corpus(
        name=name,
        symbols=(UNKNOWN,) * rest + tuple(names),
        train=index[parts.training[:train]],
        validation=held_out,
        unknown=float(np.mean(held_out == 0)) if rest else 0.0,
    )
