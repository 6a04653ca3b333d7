"""Waveforms of WAV files, and of FLAC files by the package soundfile. Imports no JAX."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lnn.core.errors import DataError
from lnn.core.files import regular_file
from lnn.datasets.speech.spectrogram import FASTEST, SLOWEST

LONGEST = 20.0
"""Seconds of the longest recording that is read."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CODECS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM", 80: "MPEG", 85: "MP3"}
_CONVERT = "convert it to WAV of 16 bits"


def read(path: Path) -> tuple[np.ndarray, int] | None:
    """Return the waveform (samples,) of a recording, and its rate.

    Channels are averaged. WAV files have 8-, 16-, 24- or 32-bit integers, scaled to [-1, 1), or 32-
    or 64-bit floats.

    Returns:
        float64 samples and samples per second; None if it is longer than LONGEST.

    Raises:
        DataError: unreadable, damaged, another format, or samples that are not finite numbers.
    """
    path = regular_file(path, "give recordings in WAV or FLAC")
    try:
        with path.open("rb") as file:
            kind = file.read(4)
            file.seek(0)
            found = _flac(file) if kind == b"fLaC" else _wav(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{path} {error}") from None
    if found is not None and not np.all(np.isfinite(found[0])):
        raise DataError(f"{path} holds samples that are not finite numbers; {_CONVERT}")
    return found


def _wav(file: BinaryIO) -> tuple[np.ndarray, int] | None:
    """Read a WAV file; raise `ValueError` with a predicate."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise ValueError(f"is not a WAV file (it begins with {head[:4]!r}); {_CONVERT}")
    layout = None
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            layout = _layout(file.read(min(size, 40)))
            size -= min(size, 40)
        elif name == b"data":
            if layout is None:
                raise ValueError("has samples before their format: it is damaged")
            return _samples(file, size, *layout)
        file.seek(size + size % 2, os.SEEK_CUR)  # chunks begin at even bytes
    raise ValueError("ends before its samples: it is damaged or cut; get it again")


def _layout(fields: bytes) -> tuple[str, int, int]:
    """Return the type of samples, the channels and the rate that a format chunk declares."""
    if len(fields) < 16:
        raise ValueError("is cut in its format; get it again")
    codec, channels, rate, _, block, bits = struct.unpack("<HHIIHH", fields[:16])
    if codec == _EXTENSIBLE and len(fields) >= 26:
        codec = struct.unpack("<H", fields[24:26])[0]
    kinds = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "24", (_PCM, 32): "<i4"}
    kinds |= {(_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
    if codec not in (_PCM, _FLOAT):
        name = _CODECS.get(codec, f"code {codec}")
        raise ValueError(f"is compressed ({name}), which is not read; {_CONVERT}")
    if (codec, bits) not in kinds:
        raise ValueError(f"has samples of {bits} bits, which are not read; {_CONVERT}")
    if not channels or block != channels * bits // 8:
        raise ValueError(f"declares {channels} channels in blocks of {block} bytes: it is damaged")
    _check_rate(rate)
    return kinds[codec, bits], channels, rate


def _check_rate(rate: int) -> None:
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(f"has {rate} samples a second; {SLOWEST} to {FASTEST} are read")


def _samples(
    file: BinaryIO, size: int, kind: str, channels: int, rate: int
) -> tuple[np.ndarray, int] | None:
    width = 3 if kind == "24" else np.dtype(kind).itemsize
    held = os.fstat(file.fileno()).st_size - file.tell()
    if held < size:
        raise ValueError(
            f"is cut: it declares {size} bytes of samples and holds {held}; get it again"
        )
    if size > LONGEST * rate * channels * width:
        return None
    data = file.read(size - size % (channels * width))
    if kind == "24":  # the upper bytes of 32 bits
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.view("<i4")[:, 0]
    else:
        values = np.frombuffer(data, kind)
    wave = values.astype(np.float64)
    if kind == "u1":
        wave = wave / 128 - 1
    elif values.dtype.kind == "i":
        wave /= -float(np.iinfo(values.dtype).min)
    return _mono(wave.reshape(-1, channels)), rate


def _mono(channels: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # what is not finite is refused later
        return channels.mean(axis=1)


def _flac(file: BinaryIO) -> tuple[np.ndarray, int] | None:
    """Read a FLAC file; raise `ValueError` with a predicate."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: without its library
        raise ValueError(
            f"is FLAC, which needs the package soundfile: pip install 'lnn[flac]', or {_CONVERT}"
        ) from None
    try:
        with soundfile.SoundFile(file) as opened:
            rate = opened.samplerate
            _check_rate(rate)
            if opened.frames > LONGEST * rate:
                return None
            wave = opened.read(dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"is damaged or cut ({error.error_string}); get it again") from None
    return _mono(wave), rate
