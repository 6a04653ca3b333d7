"""WAV files written byte by byte, so that what reads them is tested against their format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

RATE = 8000


def wav(
    samples: np.ndarray, rate: int = RATE, bits: int = 16, *, codec: int = 1,
    extensible: bool = False, before: bytes = b"",
) -> bytes:  # fmt: skip
    """A WAV file of samples (n,) or (n, channels): integers of the width, or floats.

    `before` is what stands before the format, such as another chunk.
    """
    channels = samples.shape[1] if samples.ndim == 2 else 1
    flat = samples.reshape(-1).tolist()
    if codec == 3:
        data = struct.pack(f"<{len(flat)}{'f' if bits == 32 else 'd'}", *flat)
    elif bits == 8:
        data = bytes(value + 128 for value in flat)
    else:
        data = b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in flat)
    width = channels * bits // 8
    tag = 0xFFFE if extensible else codec
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)
    if extensible:
        layout += struct.pack("<HHIH14s", 22, bits, 4, codec, b"")
    chunks = before + chunk(b"fmt ", layout) + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk, which ends at an even byte."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Samples of 16 bits, int64."""
    return np.random.default_rng(seed).integers(-20000, 20000, samples)


def folder_of(place: Path, texts: dict[str, str], samples: int = RATE) -> Path:
    """A folder of WAV files of noise, each with its transcript beside it."""
    for number, (name, text) in enumerate(texts.items()):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.wav").write_bytes(wav(noise(samples, number)))
        (place / f"{name}.txt").write_text(text, encoding="utf-8")
    return place
