"""Utterances: what is read, in what order, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from intake import one_line
from wave_files import RATE, folder_of, noise, wav

from lnn.core.errors import DataError
from lnn.datasets.speech import audio, utterances
from lnn.datasets.speech.digits import spoken
from lnn.datasets.speech.spectrogram import log_spectrogram
from lnn.datasets.speech.utterances import ALPHABET, SUBSAMPLING, Utterances, load


def texts(data: Utterances) -> list[str]:
    rows = zip(data.labels, data.lengths, strict=True)
    return ["".join(ALPHABET[label] for label in row[:length]) for row, length in rows]


def checked(data: Utterances) -> Utterances:
    """The data, whose types and padding are as promised."""
    n = len(data.frames)
    assert data.features.shape == (n, max(data.frames), 81)
    assert data.labels.shape == (n, max(data.lengths))
    assert data.features.dtype == np.float32
    assert {data.frames.dtype, data.labels.dtype, data.lengths.dtype} == {np.dtype(np.int32)}
    beyond = np.arange(data.features.shape[1]) >= data.frames[:, None]
    assert not data.features[beyond].any()
    assert np.all((data.labels > 0) == (np.arange(data.labels.shape[1]) < data.lengths[:, None]))
    return data


def test_synthetic_utterances_are_spectrograms_of_spoken_digits() -> None:
    data = checked(load(train=5, validation=3))
    assert (data.name, data.synthetic, data.validation) == ("synthetic spoken digits", True, 3)
    assert texts(data) == [spoken(index)[1] for index in range(8)]
    for index in range(8):
        wanted = log_spectrogram(spoken(index)[0], RATE)
        np.testing.assert_array_equal(data.features[index, : data.frames[index]], wanted)


def same_prefix(few: Utterances, many: Utterances) -> None:
    n, frames, _ = few.features.shape
    np.testing.assert_array_equal(few.features, many.features[:n, :frames])
    np.testing.assert_array_equal(few.frames, many.frames[:n])
    np.testing.assert_array_equal(few.lengths, many.lengths[:n])
    assert texts(few) == texts(many)[:n]


def test_more_synthetic_utterances_contain_the_fewer() -> None:
    same_prefix(load(train=4, validation=3), load(train=9, validation=3))


TWENTY = {f"{chr(97 + i)}": f"number {chr(97 + i)}" for i in range(20)}


def test_more_recordings_contain_the_fewer(tmp_path: Path) -> None:
    folder_of(tmp_path / "data", TWENTY)
    few = checked(load(tmp_path / "data", train=4, validation=3))
    many = checked(load(str(tmp_path / "data"), train=17, validation=3))
    assert (few.name, few.synthetic, few.validation) == ("WAV files in data", False, 3)
    same_prefix(few, many)
    order = np.random.default_rng(0).permutation(20)
    assert texts(many) == [f"number {chr(97 + i)}" for i in order]
    for row, index in enumerate(order):
        wanted = log_spectrogram(noise(RATE, index) / 32768, RATE)
        np.testing.assert_array_equal(many.features[row, : many.frames[row]], wanted)


def test_only_what_is_needed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, TWENTY)
    seen: list[Path] = []
    read = audio.read
    monkeypatch.setattr(audio, "read", lambda path: seen.append(path) or read(path))
    load(tmp_path, train=3, validation=2)
    assert len(seen) == 5


def test_all_layouts_give_the_same_utterances(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "wav", TWENTY)
    tree = tmp_path / "tree" / "1" / "2"
    tree.mkdir(parents=True)
    for name in TWENTY:
        (tree / f"{name}.wav").write_bytes((folder / f"{name}.wav").read_bytes())
    lines = [f"{name} {text.upper()}" for name, text in TWENTY.items()]
    (tree / "1-2.trans.txt").write_text("\n".join(lines))
    rows = [f"wav/{name}.wav,{text}" for name, text in reversed(TWENTY.items())]
    (tmp_path / "list.csv").write_text("\n".join(["path,text", *rows]))
    paths = (folder, tmp_path / "tree", tmp_path / "list.csv")
    found = [load(path, train=5, validation=2) for path in paths]
    assert len({data.checksum for data in found}) == 1
    assert [data.name for data in found] == [
        "WAV files in wav", "LibriSpeech in tree", "recordings listed in list.csv",
    ]  # fmt: skip


def test_flac_and_wav_give_the_same_utterances(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for kind in ("flac", "wav"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.trans.txt").write_text("x ONE\ny TWO\n")
        for seed, name in enumerate("xy"):
            path = tmp_path / kind / f"{name}.{kind}"
            soundfile.write(path, noise(9000, seed).astype(np.int16), 16_000, subtype="PCM_16")
    found = [load(tmp_path / kind, train=1, validation=1) for kind in ("flac", "wav")]
    assert found[0].checksum == found[1].checksum


def test_long_recordings_are_left_out_and_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, TWENTY)
    for name in "cdefg":
        (tmp_path / f"{name}.wav").write_bytes(wav(np.ones(20_001, int), 1000, 8))
    data = load(tmp_path, train=12, validation=3)
    assert data.name == f"WAV files in {tmp_path.name}, without 5 of more than 20 s"
    assert sorted(texts(data)) == [f"number {name}" for name in sorted(set(TWENTY) - set("cdefg"))]
    match = r"holds 15 recordings \(and 5 of more than 20 s\), and 16 are needed: 13 for training"
    with pytest.raises(DataError, match=match) as caught:
        load(tmp_path, train=13, validation=3)
    one_line(caught.value)


@pytest.mark.parametrize("text", ["aab", "hello all"])
def test_a_transcript_needs_an_output_for_each_letter(text: str, tmp_path: Path) -> None:
    repeats = {"aab": 1, "hello all": 2}[text]
    frames = SUBSAMPLING * (len(text) + repeats)
    folder_of(tmp_path, {"a": text, "b": "b"}, samples=160 + 80 * (frames - 1))
    assert set(load(tmp_path, train=1, validation=1).frames) == {frames}
    (tmp_path / "a.wav").write_bytes(wav(noise(160 + 80 * (frames - 1) - 1)))
    with pytest.raises(DataError) as caught:
        load(tmp_path, train=1, validation=1)
    assert (
        f"a.wav has {frames - 1} frames, {frames // 2 - 1} outputs, and its {len(text)} letters "
        f"need {frames // 2};"
    ) in one_line(caught.value)


SILENT = wav(np.zeros(8000, int))
REFUSED: dict[str, tuple[str, bytes | str, str]] = {
    "silence": ("a.wav", SILENT, "a.wav is silent; replace it"),
    "no samples": ("a.wav", wav(np.zeros(0, int)), "a.wav holds no samples; replace it"),
    "a click": ("a.wav", wav(noise(100)), "a.wav is shorter than a frame of 20 ms"),
    "cut": ("a.wav", SILENT[:-9], "a.wav is cut"),
    "empty transcript": ("a.txt", "", "a.txt: the transcript of .*a.wav holds no letter a to z"),
    "digits": ("a.txt", "press 1", "a.txt: .* holds the digit 1; write numbers as words"),
    "not UTF-8": ("a.txt", b"caf\xe9", "a.txt, line 1: not UTF-8 text"),
    "long transcript": ("a.txt", "abcd " * 12, "a.wav has 99 frames, .* another recording"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_told_in_a_line(case: str, tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": "one", "b": "two"})
    name, content, match = REFUSED[case]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=match) as caught:
        load(tmp_path, train=1, validation=1)
    one_line(caught.value)


def test_too_few_recordings(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": "one", "b": "two"})
    match = "holds 2 recordings, and 5 are needed: 4 for training, 1 for validation; lower these"
    with pytest.raises(DataError, match=match):
        load(tmp_path, train=4, validation=1)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, 100_001])
def test_numbers_must_be_whole(value: object) -> None:
    with pytest.raises(ValueError, match=r"train = .*: give a whole number, 1 to 100000"):
        load(train=value, validation=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"validation = .*: give a whole number, 1 to 100000"):
        load(train=1, validation=value)  # type: ignore[arg-type]


def test_what_would_not_fit_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "LARGEST", 60 * 81 * 4 * 9)
    assert max(load(train=5, validation=1).frames) == 87
    with pytest.raises(DataError, match="7 utterances padded to as many exceed 0 GiB; lower the"):
        load(train=6, validation=1)


@pytest.mark.parametrize("name", ["features", "frames", "labels", "lengths"])
def test_the_checksum_is_of_all_contents(name: str) -> None:
    data = load(train=1, validation=1)
    values = getattr(data, name).copy()
    values.flat[0] += 1
    assert replace(data, **{name: values}).checksum != data.checksum
    assert len(data.checksum) == 16
    assert load(train=1, validation=1).checksum == data.checksum


def test_jax_is_not_imported() -> None:
    code = (
        "import sys; from lnn.datasets.speech.utterances import load; load(train=1, validation=1); "
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
