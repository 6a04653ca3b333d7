"""Recordings and where their transcripts are: a LibriSpeech tree, WAV files, or a CSV.

Imports no JAX.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lnn.core.errors import DataError, clip
from lnn.core.files import regular_file
from lnn.datasets.tables.cells import decoded, file_bytes

KINDS = (
    "a folder of LibriSpeech, a folder of WAV files each with its transcript NAME.txt beside it, "
    "or a CSV with the columns path and text"
)
COLUMNS = ("path", "text")
"""Columns of a CSV: a recording, in relation to the CSV's folder, and its transcript."""

_TRANSCRIPTS = ".trans.txt"
_SUFFIXES = (".flac", ".wav")


@dataclass(frozen=True)
class Recording:
    """A recording, and the place of its transcript.

    Attributes:
        audio: the recording.
        place: the transcript's place, for messages.
        text: the transcript; None for the content of the file `place`.
    """

    audio: Path
    place: str
    text: str | None

    def transcript(self) -> str:
        """Return the transcript; raise `DataError` if its file is not text in UTF-8."""
        return _read_text(Path(self.place)) if self.text is None else self.text


def listed(path: Path) -> tuple[str, list[Recording]]:
    """Return what `path` is, in words, and its recordings, sorted by path.

    Raises:
        DataError: it does not exist, is none of KINDS, or a recording lacks a transcript or a
            transcript its recording.
    """
    try:
        path = path.expanduser()
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, RuntimeError, ValueError):  # unknown home folder, or NUL in the name
        raise DataError(f"{path} does not exist; give {KINDS}") from None
    name = path.resolve().name
    if not is_folder:
        kind, recordings = "recordings listed in", _from_csv(regular_file(path, f"give {KINDS}"))
    else:
        files = _files(path)
        if any(file.name.endswith(_TRANSCRIPTS) for file in files):
            kind, recordings = "LibriSpeech in", _from_tree(files)
        else:
            kind, recordings = "WAV files in", _from_folder(files)
    if not recordings:
        raise DataError(f"{path} holds no recording; give {KINDS}")
    places: dict[Path, str] = {}
    for item in recordings:
        if item.audio in places:  # it could be in both sets
            raise DataError(
                f"{item.place}: {item.audio} is listed again, after {places[item.audio]}; remove "
                "one of the two"
            )
        places[item.audio] = item.place
    return f"{kind} {name}", sorted(recordings, key=lambda item: item.audio)


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders, sorted; those of hidden ones excepted."""

    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from None

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _from_tree(files: list[Path]) -> list[Recording]:
    """List a LibriSpeech tree: lines "ID TRANSCRIPT" in SPEAKER/CHAPTER/*.trans.txt."""
    audio = {file.with_suffix(""): file for file in files if file.suffix.lower() in _SUFFIXES}
    recordings = []
    for file in files:
        if not file.name.endswith(_TRANSCRIPTS):
            continue
        for number, line in enumerate(_read_text(file).split("\n"), 1):
            identity, _, text = line.strip().partition(" ")
            if not identity:
                continue
            found = audio.get(file.parent / identity)
            if found is None:
                name = clip(identity)
                raise DataError(
                    f"{file}, line {number}: there is no recording {name} (.flac or .wav) beside "
                    "it; get it, or remove the line"
                )
            recordings.append(Recording(found, f"{file}, line {number}", text))
    for file in sorted(set(audio.values()) - {item.audio for item in recordings}):
        raise DataError(
            f"{file} has no transcript in a {_TRANSCRIPTS} file of its folder; add it, or remove "
            "the recording"
        )
    return recordings


def _from_folder(files: list[Path]) -> list[Recording]:
    """List WAV files with transcripts beside them."""
    texts = {file for file in files if file.suffix == ".txt"}
    recordings = []
    for file in files:
        if file.suffix.lower() == ".wav":
            text = file.with_suffix(".txt")
            if text not in texts:
                raise DataError(f"{file} has no transcript: put it into {text.name} beside it")
            recordings.append(Recording(file, str(text), None))
    return recordings


def _from_csv(path: Path) -> list[Recording]:
    """List the rows of a CSV."""
    if path.suffix.lower() in _SUFFIXES:
        raise DataError(f"{path} is a single recording; give {KINDS}")
    reader = csv.DictReader(
        io.StringIO(_read_text(path), newline=""), strict=True, skipinitialspace=True
    )
    recordings = []
    try:
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            names = clip(", ".join(reader.fieldnames or ()), 100)
            raise DataError(f"{path} begins with {names}, not path,text; give {KINDS}")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if not row["path"] or row["text"] is None or None in row:
                raise DataError(f"{place}: it is not a path and a text; repair the line")
            audio = regular_file(path.parent / row["path"].strip(), f"repair {place}")
            recordings.append(Recording(audio, place, row["text"]))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.reader.line_num}: {error}; repair the file"
        ) from None
    return recordings


def _read_text(path: Path) -> str:
    return decoded(file_bytes(regular_file(path, "give the transcript as text")), str(path))
