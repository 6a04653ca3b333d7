"""Which runs a study of width makes, the search for rates, and when a run has halted."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from small_width import WIDTHS, World, corpus, made_up_setups

from lnn.core.files import load_record, save_record
from lnn.studies.search import tuning_seeds
from lnn.studies.width import jobs, study
from lnn.studies.width.config import SCALES, Setup
from lnn.studies.width.jobs import RecurrentJob, digest_of, grouped, separated
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.study import halt, steps_to

(CHARACTERS,) = made_up_setups(("characters",))
SHORT = replace(CHARACTERS, least=20, steps=400)
STEPS = np.array([0, 10, 20, 40, 80, 100])


def curve(*loss: float, steps: np.ndarray = STEPS) -> Course:
    """A run with these losses, whose parameters are known where the loss is finite."""
    values = np.full((1, len(steps)), np.nan)
    values[0, : len(loss)] = loss
    known = np.where(np.isfinite(values), 1.0, np.nan)[:, :, None] * np.ones(4)
    marks = np.array([[5, -1]])
    return Course(9.0, steps, values, *5 * [known], marks, np.ones((1, 2, 4)), 0.1)


# Halting.


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ((3.0, 2.0, 1.0, 1.5), (20, 2, 40, False)),
        ((3.0, 1.01, 1.0, 1.5), (10, 1, 40, False)),  # within 1 %
        ((3.0, 1.0101, 1.0, 1.5), (20, 2, 40, False)),
        ((3.0, 2.0, 1.5, 1.0), (40, 3, 40, True)),  # still falling
        ((3.0, 1.005, 1.2, 1.2, 1.0, 1.1), (10, 1, 100, False)),  # 100 is 1.25 times 80
        ((3.0, 1.005, 1.2, 1.2, 1.1, 1.0), (10, 1, 100, True)),
        ((3.0, 2.0, 1.0, 1.5, math.inf), (20, 2, 40, False)),  # only the parameters tell
        ((3.0, 1.0, math.nan), (10, 1, 10, True)),
        ((3.0, 1.0, 3.0, math.nan), (10, 1, 20, False)),
        ((3.0, 4.0, 5.0, 5.0), (0, 0, 40, True)),  # never below the start
        ((3.0, 2.99, 2.98, 4.0), (0, 0, 40, True)),  # never out of its margin
    ],
)
def test_when_a_run_has_halted(
    loss: tuple[float, ...], expected: tuple[int, int, int, bool]
) -> None:
    assert tuple(halt(SHORT, curve(*loss))) == expected


def test_a_run_ends_after_its_least_loss_or_is_censored() -> None:
    for last, censored in ((49, True), (50, False)):
        steps = np.array([0, 10, 20, 40, last])
        assert halt(SHORT, curve(3.0, 2.0, 1.5, 1.0, 1.1, steps=steps)).censored is censored


def test_runs_that_diverge_have_no_halting_time() -> None:
    course = curve(3.0, 2.0, 1.0, 1.5, math.inf)
    course.norm[0, 4] = 1e30  # its loss overflows
    assert halt(SHORT, course).censored
    course = curve(3.0, 1.0, 1.5, 2.0)  # its parameters do: it stopped before the least steps
    assert not halt(SHORT, course).censored
    assert halt(replace(SHORT, least=50), course).censored
    assert not halt(replace(SHORT, least=50, steps=40), course).censored


def test_steps_to_a_loss() -> None:
    course = curve(3.0, 2.0, 1.0, 1.5)
    assert steps_to(course, 2.0) == 10
    # Halfway in both logarithms, and rounded up.
    assert steps_to(course, math.sqrt(2)) == math.ceil(10 * math.sqrt(2))
    assert steps_to(course, 0.9) == math.inf


# Runs.


def test_the_sweep_is_every_width_size_and_seed() -> None:
    found = study.sweep(CHARACTERS)
    assert len(set(found)) == len(found) == 5 * 3 * 3
    assert {(run.width, run.size, run.seeds) for run in found} == {
        (width, size, (seed,))
        for width in WIDTHS for size in CHARACTERS.sizes for seed in range(3)
    }  # fmt: skip
    assert {run._replace(width=0, size=0, seeds=()) for run in found} == {
        RecurrentRun("characters", 0, 0, 4, "sgd", 0.8, 0, ())
    }
    assert [run.width for run in found] == sorted((run.width for run in found), reverse=True)


def test_what_is_compared_with_the_sweep() -> None:
    found = study.further(CHARACTERS)
    assert len(set(found)) == len(found)
    assert {run.size for run in found} == {CHARACTERS.middle_size}
    kinds = [
        (run.depth, run.optimizer, run.rate, run.base, run.width) for run in found
        if run.seeds == (1,)
    ]  # fmt: skip
    assert sorted(kinds) == sorted([
        *((4, "sgd", 0.3, 0, width) for width in WIDTHS),
        *((4, "adam", 0.002, 0, width) for width in WIDTHS),
        *((4, "sgd", 0.8, 16, width) for width in WIDTHS),
        *((depth, "sgd", 0.8, 0, 16) for depth in (2, 8)),
    ])  # fmt: skip


@pytest.mark.parametrize(
    "setup",
    [*SCALES["reduced"].values(), *SCALES["quick"].values(), replace(CHARACTERS, tuned=())],
    ids=lambda setup: f"{setup.system}-{setup.steps}",
)
def test_as_many_runs_are_planned_as_are_made(setup: Setup) -> None:
    made: list[RecurrentRun] = []

    def make(wanted: Iterable[RecurrentRun], text: str) -> Mapping[RecurrentRun, Course]:
        found = {run: inside(run, 3.2) for run in wanted}
        made.extend(found)
        return found

    study.run_system(setup, make)
    assert len(made) == len(set(made)) == study.planned(setup)
    assert len({run.stem("") for run in made}) == len(made)


def inside(run: RecurrentRun, best: float) -> Course:
    """A run to a loss of 1, soonest at one rate; a tuning seed more takes longer."""
    steps = 100 * (1 + np.log2(run.rate / best) ** 2) + run.seeds[0] % 10
    at = np.array([0, round(steps) - 1, round(steps), 2 * round(steps)])
    return curve(3.0, 3.0, 1.0, 1.5, steps=at)


# The search.


def searched(best: Callable[[int], float]) -> tuple[study.SystemRuns, list[RecurrentRun]]:
    asked: list[RecurrentRun] = []

    def make(wanted: Iterable[RecurrentRun], text: str) -> Mapping[RecurrentRun, Course]:
        runs = list(wanted)
        if "," in text:
            asked.extend(runs)
        return {run: inside(run, best(run.width)) for run in runs}

    return study.run_system(CHARACTERS, make), asked


@pytest.mark.parametrize(
    ("best", "chosen", "tried"),
    [
        (3.2, 3.2, 5),
        (3.2 * 2**0.5, 3.2 * 2**0.5, 5),  # between two of the range
        (1.6, 1.6, 7),  # at an end: extended, and found inside
        (12.8, 12.8, 7),
        (100.0, 25.6 * 2**0.5, 7),  # beyond what one extension reaches
        (0.1, 0.4 / 2**0.5, 7),
    ],
)
def test_the_best_rate_is_found(best: float, chosen: float, tried: int) -> None:
    found, asked = searched(lambda width: best)
    for width in WIDTHS:
        assert found.chosen[width] == pytest.approx(chosen)
        assert len(found.tried[width]) == tried
        assert found.tried[width] == sorted(found.tried[width])
    search = [run for run in asked if run.seeds[0] in tuning_seeds(CHARACTERS)]
    assert len(search) == 5 * 2 * tried
    rest = [run for run in asked if run not in search]
    assert [(run.width, run.seeds) for run in rest] == [
        (width, (seed,)) for width in WIDTHS[::-1] for seed in range(3)
    ]
    assert {run.rate for run in rest} == {found.chosen[4]}
    assert {run.size for run in asked} == {CHARACTERS.middle_size}
    assert set(asked) <= set(found.courses)


def test_every_width_has_its_own_search() -> None:
    found, _ = searched(lambda width: 1.6 if width == 64 else 3.2)
    assert found.chosen == {**dict.fromkeys(WIDTHS, 3.2), 64: 1.6}
    assert [len(found.tried[width]) for width in WIDTHS] == [5, 5, 5, 5, 7]


def test_the_goal_is_of_the_narrowest_network() -> None:
    found = study.run_system(CHARACTERS, World().make)
    assert found.goal == pytest.approx(1.05 * 2.001)  # the median of seeds


# Jobs.


def test_seeds_of_a_network_are_computed_together() -> None:
    wanted = study.sweep(CHARACTERS)
    found = grouped([*wanted, wanted[0]])
    assert len(found) == 15
    assert {run.seeds for run in found} == {(0, 1, 2)}
    assert [run._replace(seeds=(0,)) for run in found] == wanted[::3]


def test_together_is_as_separate() -> None:
    world, calls = World(), []

    def together(jobs: list[RecurrentJob], text: str) -> dict[RecurrentJob, Course]:
        calls.append(len(jobs))
        made = {}
        for job in jobs:
            each = [world.course(job.run._replace(seeds=(seed,))) for seed in job.run.seeds]
            arrays = {
                name: np.concatenate([getattr(one, name) for one in each])
                for name in vars(each[0]) if name not in ("parameters", "steps", "seconds")
            }  # fmt: skip
            made[job] = Course(each[0].parameters, each[0].steps, **arrays, seconds=6.0)
        return made

    setting: Any = {"characters": (CHARACTERS, corpus())}
    # Seeds share their steps here.
    wanted = [run for run in study.sweep(CHARACTERS) if run.width == WIDTHS[0]]
    found = [jobs.maker(setting, together, together=flag)(wanted, "") for flag in (True, False)]
    assert calls == [3, 9]
    assert list(found[0]) == wanted
    for run in wanted:
        for item in fields(Course):
            values = [getattr(each[run], item.name) for each in found]
            if item.name != "seconds":
                np.testing.assert_array_equal(*values)
        assert (found[0][run].seconds, found[1][run].seconds) == (2.0, 6.0)
    assert separated(wanted[0], world.course(wanted[0])).keys() == {wanted[0]}


def test_names_tell_runs_apart() -> None:
    run = RecurrentRun("words", 8, 100, 2, "sgd", 0.5, 0, (3,))
    assert run.stem("ab") == "words-width8-size100-depth2-sgd-rate0.5-seed3-ab.npz"
    scaled = run._replace(base=16, seeds=(0, 1, 2))
    assert scaled.stem("ab") == "words-width8-size100-depth2-sgd-base16-rate0.5-seed0to2-ab.npz"
    others: dict[str, Any] = {
        "system": "speech", "width": 9, "size": 101, "depth": 3, "optimizer": "adam", "rate": 0.51,
        "base": 8, "seeds": (4,),
    }  # fmt: skip
    assert set(others) == set(run._fields)
    names = {run._replace(**{name: value}).stem("ab") for name, value in others.items()}
    assert len({*names, run.stem("ab"), run.stem("cd")}) == len(others) + 2


def test_the_digest_is_of_what_determines_a_run_beside_its_name() -> None:
    first = digest_of(CHARACTERS, "data")
    axes: dict[str, Any] = {
        "widths": (2, 3), "sizes": (99,), "seeds": 9, "rates": (1.0,), "optimizers": ("adam",),
        "depths": (7,), "other_rate": 1.0, "tuned": (1.0, 2.0), "tuning_seeds": 5,
    }  # fmt: skip
    for name, value in axes.items():
        assert digest_of(replace(CHARACTERS, **{name: value}), "data") == first
    changed = {first, digest_of(CHARACTERS, "other")}
    for name, value in CHARACTERS.fixed.items():
        other = "words" if isinstance(value, str) else value + 1
        changed.add(digest_of(replace(CHARACTERS, **{name: other}), "data"))
    assert len(changed) == 2 + len(CHARACTERS.fixed)
    assert {item.name for item in fields(Setup)} == set(axes) | set(CHARACTERS.fixed)
    assert len(first) == 8


def test_the_digest_is_the_same_in_every_process() -> None:
    """Of a text, which has no order or address in it."""
    fixed = (
        "[('batch', 16), ('every', 10), ('first', 100), ('least', 600), ('length', 50), "
        "('marks', 16), ('steps', 20000), ('system', 'characters'), ('validation', 5000), "
        "('vocabulary', 0)]"
    )
    true = hashlib.sha256(f"({fixed}, 'data')".encode()).hexdigest()
    assert digest_of(CHARACTERS, "data") == true[:8]


def test_the_key_is_of_versions_and_device() -> None:
    key = jobs.key_of({"jax": "1", "numpy": "2"}, "cpu")
    assert jobs.key_of({"numpy": "2", "jax": "1"}, "cpu") == key
    assert len({key, jobs.key_of({"jax": "2"}, "cpu"), jobs.key_of({"jax": "1"}, "gpu")}) == 3


def test_a_record_comes_back(tmp_path: Any) -> None:
    made = World().course(study.sweep(CHARACTERS)[0])
    save_record(tmp_path / "a.npz", made)
    found = load_record(tmp_path / "a.npz", Course)
    assert found is not None
    for item in fields(Course):
        np.testing.assert_array_equal(getattr(found, item.name), getattr(made, item.name))
