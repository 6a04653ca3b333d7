"""The list of claims and their texts."""

from __future__ import annotations

from lnn.claims import all_claims, all_figures


def test_every_row_is_there_once_and_in_order() -> None:
    expected = [f"A{i}" for i in range(1, 31)] + [f"B{i}" for i in range(1, 15)]
    expected += [f"C{i}" for i in range(1, 10)] + [f"D{i}" for i in range(1, 17)]
    expected += [f"D17{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert list(all_claims()) == expected


def test_figures_are_drawn_from_claims_that_exist() -> None:
    for name, figure in all_figures().items():
        assert name == figure.name
        assert set(figure.claims) <= set(all_claims())


def test_texts_are_complete() -> None:
    for claim in all_claims().values():
        for text in (claim.source, claim.title, claim.statement, claim.assumptions,
                     claim.parameters, claim.rule):  # fmt: skip
            assert text.strip()
            assert text.isascii()
            assert text.count("$") % 2 == 0
