"""Where a text comes from: built in, a file, or the folder of the Billion Word Benchmark.

Chelba et al. 2013, "One Billion Word Benchmark for Measuring Progress in Statistical Language
Modeling".
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lnn.core.errors import DataError, one_line
from lnn.datasets.text.files import WANTED, read_text

_TRAINING = "training-monolingual.tokenized.shuffled"
_HELD_OUT = "heldout-monolingual.tokenized.shuffled"
_ARCHIVE = "1-billion-word-language-modeling-benchmark-r13output"
"""Folder that the published archive unpacks to."""


@dataclass(frozen=True)
class Texts:
    """A text, or the texts of a benchmark, which are read one by one as they are needed.

    Attributes:
        name: in words, for reports.
        where: source, for messages.
        training: texts to train on.
        held_out: texts to validate on, or None if they are to be split off.
    """

    name: str
    where: str
    training: Iterable[str]
    held_out: Iterable[str] | None = None


def open_texts(path: str | os.PathLike[str] | None) -> Texts:
    """Return the built-in text, that of a file, or those of a folder.

    Raises:
        DataError: there is none, or it cannot be read; files of a folder are read later.
    """
    if path is None:
        return _built_in()
    place = Path(path)
    is_folder = False
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        is_folder = place.expanduser().is_dir()
    if is_folder:
        return _benchmark(place.expanduser())
    return Texts(one_line(place.name), str(place), [read_text(place)])


def _built_in() -> Texts:
    name = "the text of Python's documentation"
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(f"this Python comes without {name} (pydoc_data); {WANTED}") from None
    return Texts(name, name, ["\n".join(topics[topic] for topic in sorted(topics))])


def _benchmark(folder: Path) -> Texts:
    folder = Path(os.path.abspath(folder))  # so that "." has a name and a parent
    places = [folder, folder / _ARCHIVE]
    if folder.name == _TRAINING:
        places.append(folder.parent)
    base = next((place for place in places if os.path.isdir(place / _TRAINING)), None)
    if base is None:
        raise DataError(f"{folder} holds no folder {_TRAINING}; {WANTED}")
    training = _files(base / _TRAINING, "news.en-")
    held_out = _files(base / _HELD_OUT, "news.en.heldout-")
    name = f"the Billion Word Benchmark in {one_line(base.name)}/"
    return Texts(name, str(base), map(read_text, training), map(read_text, held_out))


def _files(folder: Path, prefix: str) -> list[Path]:
    """Return the files of a part of the benchmark, sorted."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(
            f"cannot read the folder {folder}: {error.strerror}; unpack the whole benchmark"
        ) from None
    pattern = re.compile(re.escape(prefix) + r"\d{5}-of-\d{5}")
    found = [folder / name for name in names if pattern.fullmatch(name)]
    if not found:
        raise DataError(
            f"{folder} holds no file {prefix}NNNNN-of-NNNNN; unpack the whole benchmark"
        )
    return found
