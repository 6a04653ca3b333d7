"""Texts as indices, against plain lists and counters of Python."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake import one_line

from lnn.core.errors import DataError
from lnn.datasets.text.corpus import Corpus, characters, words


def in_two(tokens: Sequence[str], block: int, validation: int) -> tuple[list[str], list[str]]:
    """The tokens to train on and those of the blocks held out, in their order."""
    blocks = [list(tokens[i : i + block]) for i in range(0, len(tokens), block)]
    order = np.random.RandomState(0).permutation(len(blocks)).tolist()
    held: list[str] = []
    while len(held) < validation:
        held += blocks[order.pop(0)]
    return [token for i in order for token in blocks[i]], held


def decoded(corpus: Corpus) -> tuple[list[str], list[str]]:
    assert corpus.train.dtype == corpus.validation.dtype == np.int32
    train, validation = (
        [corpus.symbols[i] for i in part] for part in (corpus.train, corpus.validation)
    )
    return train, validation


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@given(st.integers(1, 4000), st.integers(1, 1500), st.integers(0, 2**32), st.integers(2, 400))
def test_characters_decode_to_the_text(
    tmp_path: Path, train: int, validation: int, seed: int, kinds: int
) -> None:
    pick = random.Random(seed)
    n = train + validation + 499 + pick.randrange(1000)
    text = "".join(pick.choices([chr(i) for i in range(0x4E00, 0x4E00 + kinds)], k=n))
    corpus = characters(written(tmp_path / "x", text), train=train, validation=validation)
    counts = Counter(text)
    symbols = sorted(counts)
    if len(symbols) > 256:
        ranked = sorted(symbols, key=lambda symbol: (-counts[symbol], symbol))
        symbols = ["<unk>", *sorted(ranked[:255])]
    assert corpus.symbols == tuple(symbols)
    rest, held = in_two(text, 200, validation)
    given = [rest[:train], held[:validation]]
    shown = [[token if token in symbols else "<unk>" for token in part] for part in given]
    assert list(decoded(corpus)) == shown
    assert corpus.unknown == shown[1].count("<unk>") / validation
    assert corpus.unknown == 0 or len(symbols) == 256


def test_256_characters_need_no_other(tmp_path: Path) -> None:
    text = "".join(map(chr, range(256, 512))) * 4
    corpus = characters(written(tmp_path / "x", text), train=400, validation=100)
    assert corpus.symbols == tuple(text[:256])
    more = characters(written(tmp_path / "x", text + "\u2028"), train=400, validation=100)
    assert more.symbols == ("<unk>", *text[:255])


@given(
    st.integers(1, 900), st.integers(1, 300), st.integers(0, 2**32), st.integers(1, 60), st.data()
)
def test_words_are_the_most_frequent_of_what_is_trained_on(
    tmp_path: Path, train: int, validation: int, seed: int, kinds: int, data: st.DataObject
) -> None:
    pick = random.Random(seed)
    names = ["".join(pick.choices("abc", k=pick.randrange(1, 5))) for _ in range(kinds)]
    names[0] = pick.choice(["<unk>", "'", "it's"])
    tokens = pick.choices(names, k=train + validation + 99 + pick.randrange(300))
    rest, held = in_two(tokens, 100, validation)
    counts = Counter(token for token in rest if token != "<unk>")
    path = written(tmp_path / "x", "\n".join(tokens).upper().replace("<UNK>", "<unk>"))
    if not counts:
        with pytest.raises(DataError, match="has 0 different words to train on"):
            words(path, train=train, validation=validation, vocabulary=2)
        return
    vocabulary = data.draw(st.integers(2, len(counts) + 1))
    corpus = words(path, train=train, validation=validation, vocabulary=vocabulary)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    assert corpus.symbols == ("<unk>", *ranked[: vocabulary - 1])
    shown = [
        [token if token in corpus.symbols else "<unk>" for token in part]
        for part in (rest[:train], held[:validation])
    ]
    assert list(decoded(corpus)) == shown
    assert corpus.unknown == shown[1].count("<unk>") / validation
    match = f"has {len(counts)} different words to train on, with <unk> {len(counts) + 1}; lower"
    with pytest.raises(DataError, match=match) as caught:
        words(path, train=train, validation=validation, vocabulary=len(counts) + 2)
    one_line(caught.value)


@pytest.mark.parametrize("load", [characters, words])
def test_larger_training_sets_hold_the_smaller(load: Any) -> None:
    more = {"vocabulary": 500} if load is words else {}
    small, large = (load(train=n, validation=3000, **more) for n in (1000, 50_000))
    np.testing.assert_array_equal(large.train[:1000], small.train)
    np.testing.assert_array_equal(large.validation, small.validation)
    assert (len(large.train), len(large.validation)) == (50_000, 3000)
    assert large.symbols == small.symbols
    assert large.unknown == small.unknown
    assert large.checksum != small.checksum == load(train=1000, validation=3000, **more).checksum


def test_checksum_is_of_all_contents() -> None:
    one = Corpus("x", ("a", "b"), np.array([0, 1], np.int32), np.array([1, 0], np.int32), 0.0)
    others = [
        replace(one, symbols=("a", "c")), replace(one, train=one.train[::-1]),
        replace(one, validation=one.train), replace(one, symbols=("ab",)),
        replace(one, train=one.train[:1]),
        replace(one, train=one.train[:1], validation=np.array([1, 1, 0], np.int32)),
    ]  # fmt: skip
    sums = {corpus.checksum for corpus in (one, *others)}
    assert len(sums) == 7
    assert all(len(text) == 16 and int(text, 16) for text in sums)
    assert replace(one, name="y", train=one.train.astype(np.int64)).checksum == one.checksum


OPTIONS = [("train", 0), ("train", 2.5), ("validation", 0), ("validation", True)]
OPTIONS += [("vocabulary", 1), ("vocabulary", "many")]


@pytest.mark.parametrize(("name", "value"), OPTIONS)
def test_bad_options_are_refused_before_anything_is_read(name: str, value: Any) -> None:
    sizes = {"train": 1, "validation": 1, "vocabulary": 2, name: value}
    with pytest.raises(ValueError, match=f"^{name} = {value!r}: give a whole") as caught:
        words("nowhere", **sizes)
    assert not isinstance(caught.value, DataError)
    if name != "vocabulary":
        del sizes["vocabulary"]
        with pytest.raises(ValueError, match=f"^{name} = {value!r}: give a whole"):
            characters("nowhere", **sizes)


def test_a_single_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"repeats a single character, '\\n'; give a text of two"):
        characters(written(tmp_path / "x", "\n" * 2000), train=10, validation=10)


def test_too_short_a_text_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x", "a b " * 500)
    with pytest.raises(
        DataError, match=r"2000 characters, .* lower train to at most 1400, or give"
    ):
        characters(path, train=1401, validation=500)
    with pytest.raises(DataError, match=r"1000 words, .* lower train to at most 900, or give"):
        words(path, train=901, validation=100, vocabulary=2)
    with pytest.raises(DataError, match=r"of Python's documentation has .* characters, of which"):
        characters(train=10**9, validation=100)


def test_benchmark_is_split_at_white_space_and_in_its_own_parts(tmp_path: Path) -> None:
    lines = [["Don 't STOP .", "a_b a_b ?"], ["a_b , Don"], ["not read"]]
    held = [["stop Don ,", "new ."], ["not read"]]
    for folder, name, contents in (
        ("training-monolingual.tokenized.shuffled", "news.en-0000{}-of-00100", lines),
        ("heldout-monolingual.tokenized.shuffled", "news.en.heldout-0000{}-of-00050", held),
    ):
        (tmp_path / folder).mkdir()
        for i, content in enumerate(contents):
            written(tmp_path / folder / name.format(i + 1), "".join(f"{x}\n" for x in content))
    corpus = words(tmp_path, train=8, validation=4, vocabulary=4)
    assert corpus.symbols == ("<unk>", "a_b", "Don", "'t")  # three, two, and alphabetical
    assert decoded(corpus) == (
        ["Don", "'t", "<unk>", "<unk>", "a_b", "a_b", "<unk>", "a_b"],
        ["<unk>", "Don", "<unk>", "<unk>"],
    )
    assert corpus.unknown == 0.75
    assert corpus.name == f"the Billion Word Benchmark in {tmp_path.name}/"
    by_character = characters(tmp_path, train=25, validation=5)
    text = "Don 't STOP .\na_b a_b ?\na_b , Don\n"
    assert decoded(by_character) == (list(text[:25]), list("stop "))
    assert by_character.symbols == tuple(sorted(set(text + "stop Don ,\nnew .\n")))
    with pytest.raises(DataError, match="has 7 different words to train on, with <unk> 8; lower"):
        words(tmp_path, train=8, validation=4, vocabulary=10)


REAL = {"tinyshakespeare.txt.gz": (1_115_394, 65), "kjv.txt.gz": (4_137_850, 63)}


@pytest.mark.parametrize("name", REAL)
def test_real_texts(name: str, shared_data: Path) -> None:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{name} is not in {shared_data} (set LNN_SHARED_DATA)")
    length, kinds = REAL[name]
    corpus = characters(path, train=length - 10_000, validation=10_000)
    assert (corpus.name, len(corpus.symbols), corpus.unknown) == (name, kinds, 0.0)
    with pytest.raises(DataError, match=f"has {length} characters"):
        characters(path, train=length, validation=10_000)
    by_word = words(path, train=100_000, validation=10_000, vocabulary=10_000)
    assert len(by_word.symbols) == 10_000
    assert {"the", ",", "and"} < set(by_word.symbols[1:10])
    assert 0 < by_word.unknown < 0.05
    # Both parts are of the whole text: their frequencies differ little.
    shares = [
        np.bincount(part, minlength=10_000)[1:] / len(part)
        for part in (by_word.train, by_word.validation)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.01


def test_no_jax_is_imported() -> None:
    code = "import lnn.datasets.text.corpus, sys; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
