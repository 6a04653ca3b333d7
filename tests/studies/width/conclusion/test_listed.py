"""Statements on width, judged by made-up runs whose exponents are known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_width import SIZES, WIDTHS, World, made_up_setups

from lnn.results.verdict import Role, Verdict, verdict
from lnn.studies.width.conclusion.listed import STATEMENTS, judged_all
from lnn.studies.width.conclusion.statement import JudgedStatement
from lnn.studies.width.config import SYSTEMS
from lnn.studies.width.report import markdown, table_text
from lnn.studies.width.runs import RecurrentRun

WORLD = World()
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def judged(world: World, systems: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """Judged statements by letter."""
    setups = made_up_setups(systems, **changes) if systems else made_up_setups(**changes)
    return {each.statement.id[3:]: each for each in judged_all(world.dataset(setups))}


def changed(name: str, at: int, value: float) -> World:
    """The world with another entry of a field."""
    values = list(getattr(WORLD, name))
    values[at] = value
    return replace(WORLD, **{name: tuple(values)})


@pytest.fixture(scope="module")
def holding() -> dict[str, JudgedStatement]:
    return judged(WORLD)


def test_every_statement_is_stated_once_in_plain_text() -> None:
    assert [each.id for each in STATEMENTS] == [f"D17{letter}" for letter in LETTERS]
    for each in STATEMENTS:
        text = " ".join((each.source, each.title, each.statement, each.rule))
        assert text.isascii()
        assert text.count("$") % 2 == 0
        assert each.documents == ("L" if each.id == "D17z" else "D")
        assert each.rule.startswith(("Holds if", "Reported: "))


def test_all_hold_where_they_should(holding: dict[str, JudgedStatement]) -> None:
    expected = {**dict.fromkeys(LETTERS, Verdict.HOLDS), "i": Verdict.REPORTED}
    assert {letter: each.verdict for letter, each in holding.items()} == expected


@pytest.mark.parametrize(
    ("letter", "what", "value"),
    [
        ("a", "mean exponent", -0.5),
        ("b", "mean exponent", -0.3),
        ("c", "mean exponent", -0.1),
        ("a", "mean exponent of the steps to the loss of the narrowest", -0.5),
        ("f", "exponent in the size, words", 1.0),
        ("f", "exponent in the size, speech", 1.1),
        ("h", "exponent at the narrow end", -0.5),
        ("h", "exponent at the wide end", 0.0),
        ("i", "share of seeds whose widest network is no better, 4000", 1.0),
        ("j", "exponent at the slower rate minus that at the faster", 0.0),
        ("k", "exponent with Adam", -0.3),
        ("l", "mean exponent", -0.3),
        ("s", "exponent of the mean step, softmax", 0.45),
        ("t", "exponent of the mean step, hidden", 0.21),
        ("v", "ratio of the mean steps, widest over narrowest, median", 16**0.02),
        ("x", "angle to the end at the widest, degrees", 80.0),
        ("y", "exponent of the steps", -0.5),
        ("z", "the same at one rate for all", -0.5),
        ("z", "the same with the maximal update parametrization", -0.2),
        ("z", "exponent of the steps to halt, tuned", -0.3),
    ],
)
def test_numbers_are_those_put_in(
    holding: dict[str, JudgedStatement], letter: str, what: str, value: float
) -> None:
    check = next(each for each in holding[letter].findings.checks if each.what == what)
    assert check.measured == pytest.approx(value, abs=1e-3)
    assert check.band is None or check.band[0] - 1e-3 <= value <= check.band[1] + 1e-3


FALSE, CONDITIONAL, MISPRINTED = Verdict.FALSE, Verdict.CONDITIONAL, Verdict.MISPRINTED
MUTATIONS = [
    ("a", changed("drop", 0, 0.2), FALSE),
    ("b", changed("drop", 1, 0.2), FALSE),
    ("c", changed("drop", 2, 0.2), FALSE),
    ("c", replace(changed("drop", 2, -0.01), noise=0.2), FALSE),  # within the scatter of seeds
    ("d", replace(WORLD, bend=2.0), FALSE),
    ("e", changed("data", 0, -0.5), FALSE),
    ("e", changed("data", 2, -0.5), CONDITIONAL),  # speech, of which the document says it not
    ("f", changed("data", 0, 0.7), FALSE),
    ("f", changed("data", 2, 0.7), CONDITIONAL),
    ("g", replace(WORLD, drop=(-0.3, -0.3, -0.3)), FALSE),
    ("h", replace(WORLD, flat=False), FALSE),
    ("j", replace(WORLD, slower=(0.8, 0.0)), FALSE),
    ("j", replace(WORLD, slower=(1.5, 0.2)), FALSE),
    ("k", replace(WORLD, adam=(0.5, 0.0)), FALSE),
    ("k", replace(WORLD, adam=(4**-0.2, 0.2)), FALSE),  # as many steps in the mean
    ("l", replace(WORLD, depth=0.3), FALSE),
    *(("m", changed("distance", group, 0.1), FALSE) for group in range(4)),
    ("n", changed("step", 3, 0.6), FALSE),  # the path grows
    ("n", changed("distance", 3, -0.25), FALSE),  # the distance shrinks faster than the path
    ("o", changed("far", 2, 5.0), FALSE),
    ("o", changed("distance", 2, -0.06), FALSE),
    ("p", changed("distance", 0, -0.4), FALSE),
    ("p", changed("distance", 1, -0.4), FALSE),
    ("q", changed("distance", 3, -0.6), FALSE),  # no logarithm
    ("r", changed("step", 3, 0.6), FALSE),
    ("r", changed("step", 3, -0.1), FALSE),
    ("s", changed("step", 2, 0.3), FALSE),
    ("t", changed("step", 1, 0.35), FALSE),
    ("u", changed("long", 2, 0.09), FALSE),  # the softmax layer overtakes it
    ("u", changed("long", 0, 0.11), FALSE),
    ("v", changed("step", 0, 0.2), FALSE),
    ("w", replace(WORLD, angle=60.0), FALSE),
    ("w", replace(WORLD, opening=-4.0), FALSE),
    ("w", replace(WORLD, printed=40.0), MISPRINTED),
    ("x", changed("step", 3, 0.45), FALSE),
    ("y", changed("distance", 3, 0.05), FALSE),
    ("y", changed("step", 3, 0.45), FALSE),  # distance over path shrinks
    ("y", changed("step", 3, -0.1), FALSE),
    ("z", replace(WORLD, tuned=0.3), FALSE),
]


@pytest.mark.parametrize(("letter", "world", "expected"), MUTATIONS)
def test_what_breaks_it_is_noticed(letter: str, world: World, expected: Verdict) -> None:
    systems = SYSTEMS if letter in "bcdefg" else ("characters",)
    statement = STATEMENTS[LETTERS.index(letter)]
    found = statement.judge(world.dataset(made_up_setups(systems)))
    assert found is not None
    assert verdict(found.checks) is expected


@pytest.mark.parametrize(
    ("systems", "changes", "letters"),
    [
        (("words",), {}, "bdef"),
        (("words", "speech"), {"sizes": SIZES[:1]}, "bcdg"),
        (("characters",), {"sizes": SIZES[:1]}, "adhijklmnopqrstuvwxyz"),
        (("characters",), {"widths": WIDTHS[:2]}, "aefjklmnoprstuvwxyz"),
        (("characters",), {"widths": WIDTHS[:3]}, "adefijklmnopqrstuvwxyz"),
        (("characters",), {"rates": (0.8,)}, "adefhiklmnopqrstuvwxyz"),
        (("characters",), {"optimizers": ("sgd",)}, "adefhijlmnopqrstuvwxyz"),
        (("characters",), {"depths": (4,)}, "adefhijkmnopqrstuvwxyz"),
        (("characters",), {"tuned": ()}, "adefhijklmnopqrstuvwxy"),
        # Of one seed there are no intervals.
        (("characters",), {"seeds": 1}, "dfiqstv"),
    ],
)
def test_what_lacks_runs_is_left_out(
    systems: tuple[str, ...], changes: dict[str, Any], letters: str
) -> None:
    assert "".join(judged(WORLD, systems, **changes)) == letters


def narrow(run: RecurrentRun) -> bool:
    return run.width == WIDTHS[0]


CENSORED: list[tuple[Callable[[RecurrentRun], bool], str]] = [
    (lambda run: True, "ciz"),  # of loss and steps to a common loss
    # At one end one seed is known, at the other another.
    (lambda run: run.seeds[0] != (0 if narrow(run) else 1), "cdefijqstz"),
    (lambda run: run.depth != 4, "acdefghijkmnopqrstuvwxyz"),
]
MORE: list[tuple[Callable[[RecurrentRun], bool], str]] = [
    (narrow, "acdefgijklmnopqrstuvwxyz"),
    (lambda run: run.width == WIDTHS[-1], "acdefgijklmnopqrstuvwxyz"),
    (lambda run: run.width != WIDTHS[1], "cefiz"),
    (lambda run: run.seeds[0] == 0, "acdefghijklmnopqrstuvwxyz"),
    (lambda run: run.optimizer == "adam", "acdefghijlmnopqrstuvwxyz"),
    (lambda run: run.rate == 0.3, "acdefghiklmnopqrstuvwxyz"),
]


@pytest.mark.parametrize(
    ("lost", "letters"),
    [*CENSORED, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)],
)
def test_censored_runs_are_left_out(lost: Callable[[RecurrentRun], bool], letters: str) -> None:
    """Runs on characters are censored, those on speech are not."""
    world = replace(WORLD, lost=lambda run: run.system == "characters" and lost(run))
    found = world.dataset(made_up_setups(("characters", "speech")))
    told = judged_all(found)
    assert "".join(each.statement.id[3:] for each in told) == letters
    for each in told:
        for check in each.findings.checks:
            assert check.role is Role.REPORT or math.isfinite(check.measured)
    for text in (markdown(found), table_text(found)):
        assert not re.search(r"\bnan\b", text)


def test_whether_more_width_helps_is_told() -> None:
    told = judged(replace(WORLD, worse=(True, False)), ("characters",))["i"]
    assert [check.measured for check in told.findings.checks] == [1.0, 0.0]


def test_a_ratio_of_nothing_is_not_told() -> None:
    told = judged(replace(WORLD, drop=(0.0, 0.0, 0.0)), ("characters",))
    assert "accounts for" not in told["z"].words
    assert told["h"].verdict is FALSE
    assert "the rate accounts for 40%" in judged(WORLD, ("characters",))["z"].words


def test_a_study_where_nothing_is_reached_is_told() -> None:
    class Worse(World):
        def least(self, run: RecurrentRun) -> float:
            return 2.0 + 0.11 * WIDTHS.index(run.width)

    told = judged(Worse(), ("characters",))
    assert "z" not in told
    assert told["a"].verdict is Verdict.HOLDS
    assert "have exponent unknown." in told["a"].words
    assert np.isnan(told["a"].findings.checks[2].measured)
