"""The part of a text to train on and the part to validate on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lnn.core.errors import DataError
from lnn.datasets.text.texts import Texts

_SEED = 0


@dataclass(frozen=True)
class Unit:
    """What a text is made of.

    Attributes:
        name: "characters" or "words".
        block: number in a block, the smallest piece that is wholly in one part.
    """

    name: str
    block: int


@dataclass(frozen=True)
class Parts:
    """The codes read, int32, to train on and to validate on: at least as many as asked for."""

    training: np.ndarray
    held_out: np.ndarray


def divide(
    texts: Texts, encode: Callable[[str], np.ndarray], unit: Unit, train: int, validation: int
) -> Parts:
    """Encode as much of the texts as is needed, and divide it.

    A single text is cut into blocks, which are shuffled: those that hold the first `validation`
    codes are held out, all others are to train on. Texts with a held-out part are read in order
    and up to the end of a file.

    Raises:
        DataError: the texts are too short.
    """
    if texts.held_out is None:
        (text,) = texts.training
        return _shuffled(encode(text), unit, train, validation, texts.where)
    parts = []
    for option, wanted, files in (
        ("validation", validation, texts.held_out), ("train", train, texts.training),
    ):  # fmt: skip
        codes = _as_many(files, encode, wanted)
        if len(codes) < wanted:
            raise DataError(
                f"{texts.where} has {len(codes)} {unit.name} for {option} = {wanted}; lower "
                f"{option} to at most {len(codes)}"
            )
        parts.append(codes)
    held_out, training = parts
    return Parts(training, held_out)


def _as_many(files: Iterable[str], encode: Callable[[str], np.ndarray], wanted: int) -> np.ndarray:
    """Return the codes of the first files, which hold as many as `wanted` if there are."""
    found, count = [], 0
    for text in files:
        found.append(encode(text))
        count += len(found[-1])
        if count >= wanted:
            break
    return np.concatenate(found)


def _shuffled(codes: np.ndarray, unit: Unit, train: int, validation: int, where: str) -> Parts:
    blocks = [codes[start : start + unit.block] for start in range(0, len(codes), unit.block)]
    # Its numbers, unlike those of NumPy's newer generators, are the same in every version.
    order = np.random.RandomState(_SEED).permutation(len(blocks))
    ends = np.cumsum([len(blocks[i]) for i in order])
    held = int(np.searchsorted(ends, validation)) + 1
    training = [blocks[i] for i in order[held:]]
    left = sum(map(len, training))
    if left < train:
        todo = f"lower train to at most {left}" if left else "lower validation"
        raise DataError(
            f"{where} has {len(codes)} {unit.name}, of which validation = {validation}, in blocks "
            f"of {unit.block}, leaves {left} for train = {train}; {todo}, or give a longer text"
        )
    return Parts(np.concatenate(training), np.concatenate([blocks[i] for i in order[:held]]))
