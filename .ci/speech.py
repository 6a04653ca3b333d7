"""Load recordings of speech: python .ci/speech.py FOLDER

FOLDER holds Debian's packages asterisk-core-sounds-en-wav and asterisk-core-sounds-en, unpacked by
`dpkg -x PACKAGE FOLDER`: recordings of one speaker, and what they say. The short ones are listed in
FOLDER/short.csv, to train on.
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from lnn.datasets.speech.spectrogram import HOP, RATE
from lnn.datasets.speech.utterances import load

SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"


SHORT = 2 * 3 * RATE
"""Bytes of three seconds of 16-bit samples."""


def main(folder: str) -> None:
    """Load all whose transcript has neither digits nor a sound in brackets, and describe them."""
    root = Path(folder).resolve()
    lines = gzip.decompress((root / TEXTS).read_bytes()).decode("utf-8").splitlines()
    rows = []
    for line in lines:
        name, _, text = line.partition(": ")
        audio = root / SOUNDS / f"{name}.wav"
        if audio.is_file() and re.fullmatch(r"[^\d\[]*[a-z][^\d\[]*", text, re.IGNORECASE):
            rows.append((str(audio), text))
    listed(root / "short.csv", [row for row in rows if Path(row[0]).stat().st_size < SHORT])
    with tempfile.TemporaryDirectory() as place:
        table = listed(Path(place) / "recordings.csv", rows)
        # Some are longer than what is read.
        found = load(table, train=len(rows) - 60, validation=50)
    seconds = found.frames.sum() * HOP / RATE
    letters = found.labels[np.arange(found.labels.shape[1]) < found.lengths[:, None]]
    assert np.all(letters > 0)
    assert np.all(np.isfinite(found.features))
    print(
        f"{found.name}: {len(found.frames)} of {len(rows)} recordings, {seconds:.0f} s, "
        f"{found.frames.mean():.0f} frames and {found.lengths.mean():.0f} letters on average, "
        f"checksum {found.checksum}"
    )


def listed(table: Path, rows: list[tuple[str, str]]) -> Path:
    """Write paths and transcripts to a CSV, and return its path."""
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "text"), *rows])
    return table


if __name__ == "__main__":
    main(*sys.argv[1:])
