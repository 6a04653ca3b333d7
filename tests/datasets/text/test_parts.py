"""What is trained on and what is validated on: nothing is in both, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from intake import one_line

from lnn.core.errors import DataError
from lnn.datasets.text.parts import Parts, Unit, divide
from lnn.datasets.text.texts import Texts
from lnn.datasets.text.tokens import code_points

BLOCKS_OF_TEN = [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
"""Recorded: the order of ten blocks."""


def counted(n: int) -> str:
    """A text of n different characters, that of position i having the number 100 + i."""
    return "".join(map(chr, range(100, 100 + n)))


def divided(n: int, block: int, train: int, validation: int) -> Parts:
    texts = Texts("a text", "a.txt", [counted(n)])
    return divide(texts, code_points, Unit("characters", block), train, validation)


@given(st.integers(2, 300), st.integers(1, 30), st.integers(1, 300), st.data())
def test_the_parts_are_whole_blocks_each_in_one_of_them(
    n: int, block: int, validation: int, data: st.DataObject
) -> None:
    try:
        parts = divided(n, block, 1, validation)
    except DataError:
        assume(False)
    sets = []
    for part in (parts.held_out, parts.training):
        places = part - 100
        # A block begins at each position that is not one more than that before.
        starts = np.flatnonzero(np.diff(places, prepend=-9) != 1)
        assert np.all(places[starts] % block == 0)
        found = {int(place) // block for place in places}
        assert len(places) == sum(min(block, n - block * i) for i in found)
        sets.append(found)
    assert not sets[0] & sets[1]
    assert sets[0] | sets[1] == set(range(-(-n // block)))
    assert len(parts.held_out) - block < validation <= len(parts.held_out)
    train = data.draw(st.integers(1, len(parts.training)))
    again = divided(n, block, train, validation)
    np.testing.assert_array_equal(again.held_out, parts.held_out)
    np.testing.assert_array_equal(again.training, parts.training)


def test_the_order_is_the_same_in_every_version() -> None:
    parts = divided(30, 3, 21, 7)
    first = [int(code - 100) // 3 for code in [*parts.held_out, *parts.training][::3]]
    assert first == BLOCKS_OF_TEN
    assert len(parts.held_out) == 9


SHORT = [
    (0, 10, 1, 1, " leaves 0 for train = 1; lower validation, or give a longer text"),
    (9, 10, 1, 1, "validation = 1, in blocks of 10, leaves 0 for train = 1; lower validation"),
    (25, 5, 16, 10, "leaves 15 for train = 16; lower train to at most 15, or"),
    (25, 5, 15, 11, "leaves 10 for train = 15; lower train to at most 10, or"),
    (25, 5, 1, 26, "leaves 0 for train = 1; lower validation"),
]


@pytest.mark.parametrize(("n", "block", "train", "validation", "match"), SHORT)
def test_a_short_text_is_refused_with_what_it_allows(
    n: int, block: int, train: int, validation: int, match: str
) -> None:
    with pytest.raises(DataError, match=rf"^a\.txt has {n} characters.*{match}") as caught:
        divided(n, block, train, validation)
    one_line(caught.value)


def test_what_the_refusal_allows_is_enough() -> None:
    assert len(divided(25, 5, 15, 10).training) == 15


def test_files_are_read_in_order_and_only_as_needed() -> None:
    read: list[str] = []

    def files(*contents: str) -> Iterator[str]:
        for content in contents:
            read.append(content)
            yield content

    def parts(train: int, validation: int) -> tuple[str, str]:
        read.clear()
        texts = Texts("news", "news/", files("abc", "de", "f"), files("uv", "wx"))
        found = divide(texts, code_points, Unit("characters", 2), train, validation)
        return "".join(map(chr, found.training)), "".join(map(chr, found.held_out))

    assert parts(3, 2) == ("abc", "uv")
    assert read == ["uv", "abc"]
    assert parts(4, 3) == ("abcde", "uvwx")
    assert parts(6, 4) == ("abcdef", "uvwx")
    with pytest.raises(DataError, match=r"^news/ has 6 characters for train = 7; lower train to"):
        parts(7, 4)
    with pytest.raises(DataError, match=r"has 4 characters for validation = 5; lower validation"):
        parts(7, 5)
    assert read == ["uv", "wx"]  # before anything to train on
