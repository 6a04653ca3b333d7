"""Where texts come from: Python's documentation, files, and the Billion Word layout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from intake import one_line

from lnn.core.errors import DataError
from lnn.datasets.text.texts import open_texts

TRAINING = "training-monolingual.tokenized.shuffled"
HELD_OUT = "heldout-monolingual.tokenized.shuffled"


def test_built_in_is_pythons_documentation() -> None:
    texts = open_texts(None)
    (text,) = texts.training
    assert 'The "assert" statement' in text
    assert len(text) > 300_000
    assert texts.held_out is None
    assert texts.name == texts.where == "the text of Python's documentation"


def test_topics_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoc_data.topics.topics", {"c": "three", "a": "one", "b": "two"})
    assert list(open_texts(None).training) == ["one\ntwo\nthree"]


def test_a_python_without_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"without .*documentation.*; give a text file"):
        open_texts(None)


def test_a_file_is_named_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.txt"
    path.write_text("text", encoding="utf-8")
    for given in (path, str(path)):
        texts = open_texts(given)
        assert (texts.name, texts.training, texts.held_out) == (r"a\nb.txt", ["text"], None)


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """The folder of the benchmark, with files that are no part of it."""
    folder = tmp_path / "news"
    for part, names in (
        (TRAINING, ["news.en-00010-of-00100", "news.en-00002-of-00100", "news.en-00001-of-00100~"]),
        (HELD_OUT, ["news.en.heldout-00001-of-00050", "news.en.heldout-00000-of-00050", "README"]),
    ):
        (folder / part).mkdir(parents=True)
        for name in names:
            (folder / part / name).write_text(f"{name}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("where", ["itself", "part", "archive", "current"])
def test_the_layout_is_found(where: str, news: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, given = "news", news
    if where == "part":
        given = news / TRAINING
    elif where == "archive":
        given = news.parent
        name = "1-billion-word-language-modeling-benchmark-r13output"
        news.rename(given / name)
    elif where == "current":
        monkeypatch.chdir(news)
        given = Path()
    texts = open_texts(given)
    assert texts.name == f"the Billion Word Benchmark in {name}/"
    assert list(texts.training) == ["news.en-00002-of-00100\n", "news.en-00010-of-00100\n"]
    assert texts.held_out is not None
    assert list(texts.held_out) == [f"news.en.heldout-0000{i}-of-00050\n" for i in (0, 1)]


@pytest.mark.parametrize("part", [TRAINING, HELD_OUT])
@pytest.mark.parametrize("how", ["empty", "missing", "file"])
def test_half_a_layout_is_refused(part: str, how: str, news: Path) -> None:
    for path in (news / part).iterdir():
        path.unlink()
    if how != "empty":
        (news / part).rmdir()
    if how == "file":
        (news / part).touch()
    match = rf"{part} holds no file news.en.*unpack the whole|(holds no|cannot read the) folder .*"
    with pytest.raises(DataError, match=match + part * (how != "empty")) as caught:
        open_texts(news)
    one_line(caught.value)


def test_a_bad_file_of_the_layout_is_told_when_it_is_read(news: Path) -> None:
    (news / TRAINING / "news.en-00010-of-00100").write_bytes(b"a\xff")
    training = iter(open_texts(news).training)
    next(training)
    with pytest.raises(DataError, match=r"news.en-00010-of-00100 is not UTF-8 text \(byte 1 is"):
        next(training)
