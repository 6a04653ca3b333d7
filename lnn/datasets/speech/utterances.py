"""Utterances for a CTC model: log spectrograms, and their letters. Imports no JAX."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from lnn.core.checks import check_whole
from lnn.core.errors import DataError
from lnn.datasets.speech import audio, recordings
from lnn.datasets.speech.digits import spoken
from lnn.datasets.speech.spectrogram import BINS, RATE, log_spectrogram
from lnn.datasets.speech.transcripts import ALPHABET as ALPHABET
from lnn.datasets.speech.transcripts import SUBSAMPLING as SUBSAMPLING
from lnn.datasets.speech.transcripts import encoded, least_outputs, normalized

MOST = 100_000
"""Most utterances of a set."""

LARGEST = 4 << 30
"""Most bytes of all features, padded to the longest utterance."""

_TOO_LONG = f"more than {audio.LONGEST:g} s"


@dataclass(frozen=True)
class Utterances:
    """Utterances, those for validation first.

    Attributes:
        name: in words, such as "synthetic spoken digits" or "LibriSpeech in dev-clean".
        synthetic: nobody spoke them.
        features: (n, frames, BINS) float32, log spectrograms, 0 beyond an utterance's frames.
        frames: (n,) int32, frames of each.
        labels: (n, letters) int32, indices in ALPHABET, 0 beyond an utterance's length.
        lengths: (n,) int32, letters of each.
        validation: how many of the first are for validation; the others are for training.
    """

    name: str
    synthetic: bool
    features: np.ndarray
    frames: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    validation: int

    @property
    def checksum(self) -> str:
        """16 hex digits of the contents."""
        digest = hashlib.sha256()
        for values in (self.features, self.frames, self.labels, self.lengths):
            digest.update(repr(values.shape).encode() + values.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Clip:
    """A recording, named for messages, and its transcript; no wave if it is too long."""

    name: str
    wave: np.ndarray | None
    rate: int
    place: str
    text: str


def load(path: str | os.PathLike[str] | None = None, *, train: int, validation: int) -> Utterances:
    """Load `validation` + `train` utterances, built in or recorded.

    Without a path they are synthetic: one or two spoken digits each, by the synthesizer in
    `lnn.datasets.speech.digits`, about 0.5 s long. A path is one of these:

    * A LibriSpeech tree: lines "ID TRANSCRIPT" in `*.trans.txt`, ID.flac or ID.wav beside them.
      FLAC needs the package soundfile: pip install 'lnn[flac]'.
    * A folder, with subfolders, of WAV files, each with its transcript NAME.txt beside it.
    * A CSV with the columns path, in relation to the CSV's folder, and text.

    Recordings, of any rate, are in the order of their paths, shuffled with a fixed seed. The first
    `validation` are for validation, the next `train` for training: more training utterances contain
    the fewer, and leave validation the same. A speaker may be in both. Only as many are read as
    needed. Recordings of more than 20 s are left out, and counted in the name. Letters are those of
    ALPHABET; other characters but digits, which are refused, are read as spaces.

    Args:
        path: the recordings; None for synthetic utterances.
        train: utterances for training, 1 to MOST.
        validation: utterances for validation, 1 to MOST.

    Raises:
        ValueError: an option outside its range.
        DataError: too few recordings; one of them or a transcript is missing, unreadable or
            damaged, holds no sound or no letter; or a transcript too long for CTC, which needs an
            output, SUBSAMPLING frames, for every letter, and one more between equal neighbours.

    Example:
        >>> from lnn.datasets.speech.utterances import ALPHABET, load
        >>> digits = load(train=3, validation=2)
        >>> print(digits.features.shape[2], "".join(ALPHABET[i] for i in digits.labels[1]))
        81 eight nine
    """
    check_whole("train", train, 1, MOST)
    check_whole("validation", validation, 1, MOST)
    wanted = train + validation
    if path is None:
        name, clips = "synthetic spoken digits", _synthetic()
    else:
        name, found = recordings.listed(Path(path))
        if len(found) < wanted:
            raise DataError(_too_few(path, len(found), train, validation))
        clips = _recorded(found)
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    longest = omitted = 0
    for clip in clips:
        if clip.wave is None:
            omitted += 1
            continue
        features.append(_features(clip))
        labels.append(_labels(clip, len(features[-1])))
        longest = max(longest, len(features[-1]))
        if wanted * longest * BINS * 4 > LARGEST:
            raise DataError(
                f"{clip.name} has {longest} frames, and {wanted} utterances padded to as many "
                f"exceed {LARGEST >> 30} GiB; lower the numbers for training and validation"
            )
        if len(features) == wanted:
            break
    if len(features) < wanted:
        raise DataError(_too_few(path, len(features), train, validation, omitted))
    if omitted:
        name += f", without {omitted} of {_TOO_LONG}"
    return Utterances(name, path is None, *_padded(features), *_padded(labels), validation)


def _synthetic() -> Iterator[_Clip]:
    for index in count():
        wave, text = spoken(index)
        yield _Clip(f"synthetic utterance {index}", wave, RATE, "its words", text)


def _recorded(found: list[recordings.Recording]) -> Iterator[_Clip]:
    for index in np.random.default_rng(0).permutation(len(found)):
        item = found[index]
        sound = audio.read(item.audio)
        wave, rate = sound or (None, 0)
        yield _Clip(str(item.audio), wave, rate, item.place, item.transcript())


def _features(clip: _Clip) -> np.ndarray:
    assert clip.wave is not None
    try:
        return log_spectrogram(clip.wave, clip.rate)
    except ValueError as error:
        raise DataError(f"{clip.name} {error}; replace it, or remove it") from None


def _labels(clip: _Clip, frames: int) -> np.ndarray:
    """Return the labels of a transcript; raise `DataError` if CTC cannot align them to frames."""
    try:
        letters = normalized(clip.text)
    except ValueError as error:
        raise DataError(f"{clip.place}: the transcript of {clip.name} {error}") from None
    outputs, least = frames // SUBSAMPLING, least_outputs(letters)
    if outputs < least:
        raise DataError(
            f"{clip.name} has {frames} frames, {outputs} outputs, and its {len(letters)} letters "
            f"need {least}; is it the transcript of another recording ({clip.place})?"
        )
    return encoded(letters)


def _padded(items: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays of several lengths as one, 0 beyond them, and the lengths (n,) int32."""
    lengths = np.array([len(item) for item in items], np.int32)
    padded = np.zeros((len(items), lengths.max(), *items[0].shape[1:]), items[0].dtype)
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    return padded, lengths


def _too_few(path: object, held: int, train: int, validation: int, omitted: int = 0) -> str:
    also = f" (and {omitted} of {_TOO_LONG})" if omitted else ""
    return (
        f"{path} holds {held} recordings{also}, and {train + validation} are needed: {train} for "
        f"training, {validation} for validation; lower these numbers, or give more recordings"
    )
