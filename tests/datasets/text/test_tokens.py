"""Words of raw text, and their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.datasets.text.tokens import Numbering, code_points, raw_words

EXAMPLES = {
    "The LORD's day: don't!": ["the", "lord's", "day", ":", "don't", "!"],
    "it\u2019s rock'n'roll": ["it\u2019s", "rock'n'roll"],
    "'tis the boys' own": ["'", "tis", "the", "boys", "'", "own"],
    "1,000.5 is 3.": ["1,000.5", "is", "3", "."],
    "version 3.11, x2y": ["version", "3.11", ",", "x", "2", "y"],
    "__init__(self)": ["_", "_", "init", "_", "_", "(", "self", ")"],
    "<unk> N <eos>": ["<unk>", "n", "<", "eos", ">"],
    "-- “Ça ira” …": ["-", "-", "“", "ça", "ira", "”", "…"],
    "ÄÖ\u2028ß\tčš\n\n": ["äö", "ß", "čš"],
    " \n\t ": [],
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_raw_text_is_split_as_written_by_hand(text: str) -> None:
    assert raw_words(text) == EXAMPLES[text]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_character_but_white_space_is_in_one_word(text: str) -> None:
    found = raw_words(text)
    assert "".join(found) == "".join(text.lower().split())
    assert all(found)
    assert all(raw_words(word) == [word] for word in found if word.lower() == word)


@given(st.lists(st.lists(st.text(max_size=2))))
def test_numbers_are_ranks_of_first_appearance(lists: list[list[str]]) -> None:
    number = Numbering()
    arrays = [number(words) for words in lists]
    every = [word for words in lists for word in words]
    first = sorted(set(every), key=every.index)
    assert number.words == first
    for words, numbers in zip(lists, arrays, strict=True):
        assert numbers.dtype == np.int32
        assert numbers.tolist() == [first.index(word) for word in words]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_code_points_are_those_of_python(text: str) -> None:
    codes = code_points(text)
    assert codes.dtype == np.int32
    assert codes.tolist() == list(map(ord, text))
