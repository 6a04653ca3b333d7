"""Text files of every usual origin are read; what is no text is refused in one line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake import one_line, within

from lnn.core.errors import DataError
from lnn.datasets.text import files
from lnn.datasets.text.corpus import characters, words

TEXT = "In the beginning\nwas the “Wörd” 😀\n"
WRITTEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(WRITTEN)
def test_any_text_is_read_as_python_reads_it_packed_or_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(text.encode("utf-8"))
    theirs = path.read_text(encoding="utf-8-sig")  # with universal line ends
    for data in (text.encode("utf-8"), gzip.compress(text.encode("utf-8"))):
        path.write_bytes(data)
        if theirs:
            assert files.read_text(path) == theirs
        else:
            with pytest.raises(DataError, match="is empty"):
                files.read_text(path)


def test_mark_line_ends_and_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.read_text(Path("~/x")) == "a\nb\nc\n"


def test_gzip_of_several_members_and_pieces(tmp_path: Path) -> None:
    parts = ["ab" * 700_000, "é" * 700_000]
    (tmp_path / "x").write_bytes(b"".join(gzip.compress(part.encode()) for part in parts))
    assert files.read_text(tmp_path / "x") == "".join(parts)


PACKED = gzip.compress(TEXT.encode() * 50)
CONTENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; give a text file"),
    "empty but for the mark": (b"\xef\xbb\xbf", "is empty; give a text file"),
    "empty gzip": (gzip.compress(b""), "is empty; give a text file"),
    "latin-1": (b"caf\xe9 noir", r"not UTF-8 text \(byte 3 is 0xe9\); save it as UTF-8"),
    "latin-1 after a mark": (b"\xef\xbb\xbf\xe9", r"byte 3 is 0xe9"),
    "packed latin-1": (gzip.compress(b"a" * (1 << 20) + b"\xe9"), r"byte 1048576 is 0xe9"),
    "cut character": ("né".encode()[:-1], r"byte 1 is 0xc3"),
    "surrogate": (b"a\xed\xa0\x80", r"byte 1 is 0xed"),
    "UTF-16": ("text".encode("utf-16-le"), r"binary or UTF-16 \(byte 1 is 0\); give a text"),
    "binary": (b"a" * (1 << 20) + b"\0", r"binary or UTF-16 \(byte 1048576 is 0\)"),
    "cut gzip": (PACKED[:-12], "damaged or cut gzip file .*; get it again"),
    "only the magic": (b"\x1f\x8b", "damaged or cut gzip file"),
    "gzip of another method": (b"\x1f\x8b\x07" + PACKED[3:], "damaged or cut gzip file"),
    "gzip with a wrong sum": (PACKED[:-8] + b"ABCD" + PACKED[-4:], "damaged or cut gzip file"),
    "gzip with wrong data": (PACKED[:15] + b"\xff" * 9 + PACKED[24:], "damaged or cut gzip file"),
    "gzip of no data": (PACKED[:10] + b"\xff" * 20, "damaged or cut gzip file"),
    "gzip with an appendix": (PACKED + b"appendix", "damaged or cut gzip file"),
}


def refused(path: Path, match: str) -> None:
    """Both kinds of corpus refuse the file in time, for this reason, in one line."""
    sizes = {"train": 1, "validation": 1}
    for load in (characters, lambda path, **sizes: words(path, vocabulary=2, **sizes)):
        with within(10), pytest.raises(DataError, match=match) as caught:
            load(path, **sizes)
        assert len(one_line(caught.value)) < 600


@pytest.mark.parametrize("case", CONTENTS)
def test_bad_content_is_refused(case: str, tmp_path: Path) -> None:
    content, match = CONTENTS[case]
    path = tmp_path / "x\n\x1b[2J.txt"
    path.write_bytes(content)
    refused(path, match)


@pytest.mark.parametrize("packed", [True, False])
def test_files_have_a_limit(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.LIMIT == 2**30
    monkeypatch.setattr(files, "LIMIT", 3 << 20)
    data = b"a\nb " * (3 << 18)
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert len(files.read_text(path)) == 3 << 20
    path.write_bytes(gzip.compress(data + b"c") if packed else data + b"c")
    refused(path, "holds more than 3145728 bytes of text; give a part of it")


def test_a_bomb_ends_at_its_first_zero(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(bytes(1 << 20)) * 2000)
    refused(tmp_path / "x", r"byte 0 is 0")


SPECIAL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda path: None, "does not exist; give a text file"),
    "pipe": (os.mkfifo, "is a folder, a pipe or a device; give a text file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device; give a text file"),
    "link to itself": (lambda path: path.symlink_to(path), "cannot read .*symbolic links"),
    "empty folder": (os.mkdir, "holds no folder training-monolingual.*; give a text file"),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file_is_refused(case: str, tmp_path: Path) -> None:
    make, match = SPECIAL[case]
    make(tmp_path / "x")
    refused(tmp_path / "x", match)


@pytest.mark.parametrize("name", ["a\0b", "~nobody-of-this-name/x", "x" * 300, "/dev/null/x"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    refused(Path(name), "does not exist|cannot read")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(TEXT, encoding="utf-8")
    (tmp_path / "x").chmod(0)
    if os.access(tmp_path / "x", os.R_OK):
        pytest.skip("root may read every file")
    refused(tmp_path / "x", "cannot read .*Permission denied")
