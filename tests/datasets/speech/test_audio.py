"""WAV and FLAC files as waveforms."""

from __future__ import annotations

import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from intake import one_line, within
from wave_files import RATE, chunk, noise, wav

from lnn.core.errors import DataError
from lnn.datasets.speech import audio

SAMPLES = noise(500)
WHOLE = wav(SAMPLES)


def read(place: Path, content: bytes) -> np.ndarray:
    path = place / "x.wav"
    path.write_bytes(content)
    found = audio.read(path)
    assert found is not None
    assert found[1] == RATE
    return found[0]


SAME = {
    "16 bits": WHOLE,
    "24 bits": wav(SAMPLES * 256, bits=24),
    "32 bits": wav(SAMPLES * 65536, bits=32),
    "floats": wav(SAMPLES / 32768, bits=32, codec=3),
    "doubles": wav(SAMPLES / 32768, bits=64, codec=3),
    "24 bits, extensible": wav(SAMPLES * 256, bits=24, extensible=True),
    "floats, extensible": wav(SAMPLES / 32768, bits=32, codec=3, extensible=True),
    "equal channels": wav(np.stack([SAMPLES, SAMPLES], 1)),
    "channels of that mean": wav(np.stack([SAMPLES + 5000, SAMPLES - 5000], 1) * 256, bits=24),
    "other chunks": wav(SAMPLES, before=chunk(b"LIST", b"odd")),
    "chunks after": WHOLE + chunk(b"id3 ", b"title"),
    "part of a frame": WHOLE[:40] + struct.pack("<I", 1001) + WHOLE[44:] + b"\1",
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_gives_the_samples_that_were_written(form: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, SAME[form]), SAMPLES / 32768)


def test_eight_bits_are_unsigned(tmp_path: Path) -> None:
    values = np.array([-128, -1, 0, 1, 127])
    np.testing.assert_array_equal(read(tmp_path, wav(values, bits=8)), values / 128)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_files_of_pythons_own_writer(width: int, tmp_path: Path) -> None:
    values = noise(300) // 256 if width == 1 else noise(300) << (8 * (width - 2))
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(RATE)
        rows = [int(value) + 128 if width == 1 else int(value) for value in values]
        file.writeframes(b"".join(v.to_bytes(width, "little", signed=width > 1) for v in rows))
    wanted = values.reshape(-1, 2).mean(axis=1) / 2 ** (8 * width - 1)
    np.testing.assert_array_equal(read(tmp_path, (tmp_path / "x.wav").read_bytes()), wanted)


def test_twenty_seconds_are_read_and_no_more(tmp_path: Path) -> None:
    for samples, kept in ((20_000, True), (20_001, False)):
        (tmp_path / "x.wav").write_bytes(wav(np.ones(samples, int), 1000, 8))
        assert (audio.read(tmp_path / "x.wav") is not None) == kept


def declares(offset: int, form: str, value: int) -> bytes:
    """A file whose header says another value."""
    changed = bytearray(WHOLE)
    struct.pack_into(form, changed, offset, value)
    return bytes(changed)


REFUSED = {
    "empty": (b"", r"not a WAV file \(it begins with b''\); convert it"),
    "another format": (b"OggS" + bytes(40), "not a WAV file"),
    "text": (b"a\n\x1b[2Jbc" * 9, "not a WAV file"),
    "riff of another kind": (WHOLE.replace(b"WAVE", b"AVI "), "not a WAV file"),
    "mu-law": (declares(20, "<H", 7), r"compressed \(mu-law\), which is not read; convert it"),
    "unknown codec": (declares(20, "<H", 12345), r"compressed \(code 12345\)"),
    "12 bits": (declares(34, "<H", 12), "samples of 12 bits"),
    "no channel": (declares(22, "<H", 0), "0 channels in blocks of 2 bytes"),
    "wrong blocks": (declares(32, "<H", 3), "1 channels in blocks of 3 bytes"),
    "rate of zero": (declares(24, "<I", 0), "has 0 samples a second; 1000 to 384000 are read"),
    "huge rate": (declares(24, "<I", 2**32 - 1), "has 4294967295 samples a second"),
    "cut": (WHOLE[:-1], "is cut: it declares 1000 bytes of samples and holds 999; get it again"),
    "of a pipe": (declares(40, "<I", 2**32 - 1), "declares 4294967295 bytes"),
    "cut in the header": (WHOLE[:30], "is cut in its format"),
    "cut before samples": (WHOLE[:36], "ends before its samples"),
    "chunk beyond the end": (declares(16, "<I", 2**32 - 2), "ends before its samples"),
    "no format": (WHOLE.replace(b"fmt ", b"junk"), "samples before their format"),
    "not a number": (wav(np.array([0.0, np.nan]), bits=32, codec=3), "are not finite numbers"),
    "infinite": (wav(np.array([np.inf]), bits=64, codec=3), "are not finite numbers"),
    "infinite mean": (wav(np.full((1, 2), 1.7e308), bits=64, codec=3), "not finite numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_told_in_a_line(case: str, tmp_path: Path) -> None:
    content, match = REFUSED[case]
    (tmp_path / "x.wav").write_bytes(content)
    with within(10), pytest.raises(DataError, match=match) as caught:
        audio.read(tmp_path / "x.wav")
    assert str(tmp_path / "x.wav") in one_line(caught.value)


def test_the_header_alone_decides_about_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(declares(40, "<I", 2**32 - 2))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with within(5):
        assert audio.read(path) is None


def test_flac_has_the_samples_of_the_wav(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.flac"
    soundfile.write(path, np.stack([SAMPLES, -SAMPLES // 2], 1).astype(np.int16), RATE)
    found = audio.read(path)
    assert found is not None
    assert found[1] == RATE
    np.testing.assert_array_equal(found[0], (SAMPLES + -SAMPLES // 2) / 65536)
    soundfile.write(path, np.zeros(20_001, np.int16), 1000)
    assert audio.read(path) is None


@pytest.mark.parametrize("kept", [0.03, 0.6, 0.99])
def test_flac_that_is_cut(kept: float, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(16_000).astype(np.int16), RATE)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(
        DataError, match=r"x.flac is damaged or cut \([\w :]+\.\); get it again"
    ) as caught:
        audio.read(path)
    one_line(caught.value)


def test_flac_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (tmp_path / "x.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(
        DataError,
        match=r"x.flac is FLAC, which needs the package soundfile: pip install 'lnn\[flac\]'",
    ):
        audio.read(tmp_path / "x.flac")
