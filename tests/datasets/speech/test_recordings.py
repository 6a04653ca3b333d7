"""Recordings and their transcripts: LibriSpeech, WAV files, CSV."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from intake import one_line, within
from wave_files import folder_of

from lnn.core.errors import DataError
from lnn.datasets.speech.recordings import listed


def files(place: Path, contents: dict[str, str | bytes]) -> Path:
    """Files of a folder; those of text are in UTF-8."""
    for name, content in contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        (place / name).write_bytes(data)
    return place


def transcripts(path: Path, folder: Path) -> list[tuple[str, str]]:
    """The recordings' paths in a folder, and their transcripts."""
    items = listed(path)[1]
    return [(item.audio.relative_to(folder).as_posix(), item.transcript()) for item in items]


def test_a_folder_of_wav_files(tmp_path: Path) -> None:
    folder_of(tmp_path / "data", {"b": "two", "a": "One.", "deep/er/c": "three\n"})
    files(tmp_path / "data", {"notes.txt": "no recording", ".hidden.wav": "", ".git/x.wav": ""})
    name, found = listed(tmp_path / "data")
    assert name == "WAV files in data"
    assert [item.place for item in found] == [str(item.audio)[:-3] + "txt" for item in found]
    assert transcripts(tmp_path / "data", tmp_path / "data") == [
        ("a.wav", "One."), ("b.wav", "two"), ("deep/er/c.wav", "three\n"),
    ]  # fmt: skip


def test_a_libri_speech_tree(tmp_path: Path) -> None:
    tree = {
        "84/121123/84-121123.trans.txt": "84-121123-0000 GO\r\n84-121123-0001 DO YOU HEAR\n\n",
        "84/121123/84-121123-0000.flac": "",
        "84/121123/84-121123-0001.wav": "",
        "9/1/9-1.trans.txt": "9-1-0000  WELL",
        "9/1/9-1-0000.flac": "",
        "SPEAKERS.TXT": "about",
    }
    files(tmp_path / "dev", tree)
    assert listed(tmp_path / "dev")[0] == "LibriSpeech in dev"
    assert transcripts(tmp_path / "dev", tmp_path / "dev") == [
        ("84/121123/84-121123-0000.flac", "GO"),
        ("84/121123/84-121123-0001.wav", "DO YOU HEAR"),
        ("9/1/9-1-0000.flac", " WELL"),
    ]
    assert listed(tmp_path / "dev")[1][1].place.endswith("84-121123.trans.txt, line 2")


@pytest.mark.parametrize("header", ["path,text", "text, path,speaker", "\ufeffpath,text"])
def test_a_csv(header: str, tmp_path: Path) -> None:
    folder_of(tmp_path / "sounds", {"b": "", "a": ""})
    folder_of(tmp_path / "elsewhere", {"c": ""})
    rows = [
        ("sounds/b.wav", '"Two, and ""so"""'),
        ("sounds/a.wav", '"one\nmore"'),
        (f"{tmp_path}/elsewhere/c.wav", "three"),
    ]
    cells = [
        f"{text},{path},me" if "speaker" in header else f"{path},{text}" for path, text in rows
    ]
    files(tmp_path, {"list.csv": "\n".join([header, *cells])})
    name, found = listed(tmp_path / "list.csv")
    assert name == "recordings listed in list.csv"
    assert transcripts(tmp_path / "list.csv", tmp_path) == [
        ("elsewhere/c.wav", "three"),
        ("sounds/a.wav", "one\nmore"),
        ("sounds/b.wav", 'Two, and "so"'),
    ]
    lines = {item.audio.stem: item.place.rpartition(" ")[2] for item in found}
    assert lines == {"a": "4", "b": "2", "c": "5"}


LINE = "1-2-0000 ONE\n"
REFUSED: dict[str, tuple[dict[str, str | bytes], str, str]] = {
    "nothing there": ({}, "x", "x does not exist; give a folder of LibriSpeech"),
    "empty folder": ({"x/y.txt": ""}, "x", "x holds no recording; give a folder of LibriSpeech"),
    "no transcript": ({"x/a.wav": ""}, "x", "a.wav has no transcript: put it into a.txt beside"),
    "transcripts alone": ({"x/1.trans.txt": "\n"}, "x", "x holds no recording"),
    "no recording": ({"x/1.trans.txt": LINE}, "x", "line 1: there is no recording '1-2-0000'"),
    "evil name": ({"x/1.trans.txt": "../\x1b[2J A"}, "x", r"no recording '../\\x1b\[2J'"),
    "recording not in the list": (
        {"x/1.trans.txt": LINE, "x/1-2-0000.wav": "", "x/1-2-0001.flac": ""}, "x",
        "1-2-0001.flac has no transcript in a .trans.txt file of its folder",
    ),
    "listed twice": (
        {"x/1.trans.txt": LINE + LINE, "x/1-2-0000.wav": ""}, "x",
        r"line 2: .*1-2-0000.wav is listed again, after .*line 1; remove one",
    ),
    "not UTF-8, in a tree": ({"x/1.trans.txt": b"1 \xe9"}, "x", "line 1: not UTF-8 text"),
    "a recording": ({"a.wav": ""}, "a.wav", "a.wav is a single recording; give a folder"),
    "empty CSV": ({"x.csv": ""}, "x.csv", "begins with '', not path,text"),
    "CSV without columns": ({"x.csv": "a.wav,one\n"}, "x.csv", "begins with 'a.wav, one', not"),
    "CSV without rows": ({"x.csv": "path,text\n"}, "x.csv", "x.csv holds no recording"),
    "missing recording": (
        {"x.csv": "path,text\nno.wav,one"}, "x.csv", "no.wav does not exist; repair .*line 2"
    ),
    "short row": ({"x.csv": "path,text\na.wav"}, "x.csv", "line 2: it is not a path and a text"),
    "long row": ({"x.csv": "path,text\na.wav,b,c"}, "x.csv", "line 2: it is not a path and"),
    "no path": ({"x.csv": "path,text\n,b"}, "x.csv", "line 2: it is not a path and a text"),
    "folder in a CSV": ({"x.csv": "path,text\n.,b"}, "x.csv", "is a folder, .*; repair .*line 2"),
    "NUL": ({"x.csv": "path,text\na\0,b"}, "x.csv", "does not exist; repair .*line 2|NUL"),
    "open quote": ({"x.csv": 'path,text\na,"b'}, "x.csv", "line 2: unexpected end of data"),
    "huge cell": ({"x.csv": "path,text\na," + "b" * 200_000}, "x.csv", "line 2: field larger"),
    "not UTF-8": ({"x.csv": b"path,text\na,\xe9"}, "x.csv", "line 2: not UTF-8 text"),
    "not a table": ({"x.zip": b"PK\x03\x04\0\0\n"}, "x.zip", "x.zip begins with"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_told_in_a_line(case: str, tmp_path: Path) -> None:
    contents, name, match = REFUSED[case]
    files(tmp_path, contents)
    with within(10), pytest.raises(DataError, match=match) as caught:
        listed(tmp_path / name)
    one_line(caught.value)


SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "is a folder, a pipe or a device"),
    "link to nothing": (lambda path: path.symlink_to("nothing"), "does not exist"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a folder, a pipe or a"),
    "name of NUL": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file_is_not_opened(case: str, tmp_path: Path) -> None:
    make, match = SPECIAL[case]
    path = tmp_path / ("x\0" if case == "name of NUL" else "x.csv")
    make(path)
    with within(10), pytest.raises(DataError, match=match):
        listed(path)


def test_a_transcript_that_is_a_pipe(tmp_path: Path) -> None:
    files(tmp_path, {"a.wav": ""})
    os.mkfifo(tmp_path / "a.txt")
    (item,) = listed(tmp_path)[1]
    with within(10), pytest.raises(DataError, match="is a folder, a pipe or a device"):
        item.transcript()
