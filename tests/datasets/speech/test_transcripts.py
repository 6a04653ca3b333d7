"""Transcripts as letters, and CTC's rule of lengths against all paths."""

from __future__ import annotations

import itertools
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.datasets.speech.transcripts import ALPHABET, encoded, least_outputs, normalized


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Hello, world!", "hello world"),
        ("  MISTER QUILTER'S\tMANNER\r\n", "mister quilter's manner"),
        ("Don\N{RIGHT SINGLE QUOTATION MARK}t", "don't"),
        ("Café déjà-vu", "cafe deja vu"),
        ("Cafe\N{COMBINING ACUTE ACCENT}", "cafe"),
        ("\N{LATIN SMALL LIGATURE FI}ve \N{FULLWIDTH LATIN CAPITAL LETTER X}", "five x"),
        ("Straße ' '' x_y", "strasse x y"),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}n", "in"),
    ],
)
def test_letters_remain(text: str, letters: str) -> None:
    assert normalized(text) == letters


@given(st.text(alphabet=string.ascii_letters + string.punctuation + string.whitespace))
def test_ascii_is_lower_case_with_single_spaces(text: str) -> None:
    words = re.findall("'*[a-z][a-z']*", re.sub("[^a-z']", " ", text.lower()))
    if not words:
        with pytest.raises(ValueError, match="holds no letter a to z"):
            normalized(text)
    else:
        assert normalized(text) == " ".join(words) == normalized(text.swapcase())


@given(st.text(st.sampled_from("aéÀß' .") | st.characters()))
def test_any_text_is_refused_or_ends_in_the_alphabet(text: str) -> None:
    try:
        letters = normalized(text)
    except ValueError:
        return
    assert normalized(letters) == letters
    assert re.fullmatch("[a-z']+( [a-z']+)*", letters)
    assert "".join(ALPHABET[label] for label in encoded(letters)) == letters


@pytest.mark.parametrize("text", ["press 1", "x²", "½ hour", "٣ steps"])
def test_digits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"holds the digit .; write numbers as words"):
        normalized(text)


@pytest.mark.parametrize("text", ["", " \n", "...", "' '", "привет", "_"])
def test_no_letter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="holds no letter a to z"):
        normalized(text)


def test_labels_are_those_of_the_alphabet() -> None:
    assert list(ALPHABET) == ["_", " ", "'", *string.ascii_lowercase]
    assert encoded("a z'").tolist() == [3, 1, 28, 2]


def collapsed(path: tuple[str, ...]) -> str:
    """Merge repetitions, and then drop blanks, as CTC does."""
    return "".join(letter for letter, _ in itertools.groupby(path)).replace("_", "")


def test_fewest_outputs_are_those_of_the_shortest_path() -> None:
    found: dict[str, int] = {}
    for length in range(1, 8):
        for path in itertools.product("_ab", repeat=length):
            found.setdefault(collapsed(path), length)
    assert found.pop("") == 1
    short = [word for word in found if len(word) <= 4]
    assert len(short) == 2 + 4 + 8 + 16
    assert {word: least_outputs(word) for word in short} == {word: found[word] for word in short}
