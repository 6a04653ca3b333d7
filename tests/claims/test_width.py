"""Claims on width in linear networks: verdicts, and that breaking their subject changes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mutation import QUICK, Mutation, by_speed, check_caught, check_figure, check_sound, mutated

from lnn.claims import all_claims, all_figures
from lnn.claims.width import runs, steps
from lnn.results.verdict import Findings, Verdict

CLAIMS = [claim for i, claim in all_claims().items() if re.fullmatch(r"D\d+", i)]
FIGURES = [
    figure
    for name, figure in all_figures().items()
    if name.startswith("width") and "recurrent" not in name
]

pytestmark = pytest.mark.usefixtures("x64")

EXPECTED = {
    "D1": Verdict.MISPRINTED,
    "D2": Verdict.MISPRINTED,
    "D3": "holds (D), holds under a condition (L)",
    "D4": "holds (L)",
    "D5": Verdict.HOLDS,
    "D6": Verdict.MISPRINTED,
    "D7": Verdict.HOLDS,
    "D8": "analogue (D), holds under a condition (here)",
    "D9": "analogue (D), false (here)",
    "D10": "analogue (D), holds under a condition (here)",
    "D11": "analogue (D), holds under a condition (here)",
    "D12": "analogue (D), holds (here)",
    "D13": "analogue (D), holds (here)",
    "D14": "reported (L)",
    "D15": "analogue (D), holds under a condition (here)",
    "D16": "analogue (D), reported (here)",
}
FAST = {"D1", "D2", "D5", "D7"}


def starts_that_shrink(power: float) -> Callable[[Any], Any]:
    """Standard deviations that fall with the hidden width, 32 being as before."""

    def broken(original: Any) -> Any:
        def draw(seed: int, dims: Any, std: Any = None, gain: Any = None) -> Any:
            scale = (32 / dims[1]) ** power
            return tuple(scale * factor for factor in original(seed, dims, std, gain))

        return draw

    return broken


MUTATIONS = [
    Mutation(
        "D1",
        "lnn.claims.width.toy.mean_distance_from_ball",
        lambda _: lambda offset, dimension, radius: offset,
        "the printed formula",
    ),
    Mutation(
        "D2",
        "lnn.claims.width.toy.mean_distance_from_ball",
        lambda _: lambda offset, dimension, radius: offset / dimension,
        "the printed formula",
    ),
    Mutation(
        "D3",
        "lnn.theory.teacher_student.descend",
        lambda f: lambda factors, train, new, rate, steps: f(factors, train, new, rate, 2),
        "descent stopped half way",
    ),
    Mutation(
        "D3",
        "lnn.theory.teacher_student.Moments",
        lambda f: lambda xx, yx, yy: f(np.diag(xx[0] * np.eye(len(xx))[0]), yx * xx[0, 0], yy),
        "one input that counts",
    ),
    Mutation(
        "D4",
        "lnn.theory.teacher_student.narrowed_scalar_start",
        lambda f: lambda seed, k, std, n: f(seed, k, std / np.sqrt(k), n),
        "starts whose standard deviation falls with width",
    ),
    Mutation(
        "D5",
        "lnn.claims.width.theory.telescoped_squares",
        lambda f: lambda start, goal, gradients, rate: f(start, goal, -gradients, rate),
        "ascent",
    ),
    Mutation(
        "D6",
        "lnn.claims.width.theory.path_angles",
        lambda f: lambda trajectory, updates: f(trajectory, -updates),
        "the gradient in place of the update",
    ),
    Mutation(
        "D7",
        "lnn.claims.width.theory._quadratic_descent",
        lambda f: lambda hessian, start, rate, steps: f(hessian, start, rate / 2, steps),
        "another rate than the law's",
    ),
    Mutation(
        "D8",
        "lnn.theory.teacher_student.gaussian_factors",
        starts_that_shrink(1.0),
        "starts that shrink with width",
    ),
    Mutation(
        "D9",
        "lnn.claims.width.runs.halting_time",
        lambda _: lambda losses: np.argmax(losses < 5.5, axis=-1),
        "halting at the same loss",
    ),
    Mutation(
        "D10",
        "lnn.theory.teacher_student.gaussian_factors",
        starts_that_shrink(1.0),
        "starts that shrink with width",
    ),
    Mutation(
        "D11",
        "lnn.theory.teacher_student.gaussian_factors",
        starts_that_shrink(0.5),
        "starts that shrink with width",
    ),
    Mutation(
        "D12",
        "lnn.theory.teacher_student.mean_angles",
        lambda f: lambda *arguments: tuple(180 - angle for angle in f(*arguments)),
        "the gradient in place of the update",
    ),
    Mutation(
        "D13",
        "lnn.claims.width.runs.halting_time",
        lambda f: lambda losses: f(losses) + 20,
        "a part of the steps that does not scale with the rate",
    ),
    Mutation(
        "D15",
        "lnn.theory.teacher_student.gaussian_factors",
        lambda f: lambda seed, dims, std=None, gain=None: f(seed, dims, gain=1.0),
        "starts that keep the size of a signal",
    ),
    Mutation(
        "D15",
        "lnn.theory.teacher_student.gaussian_factors",
        lambda f: lambda seed, dims, std=None, gain=None: f(seed, dims, std=0.05),
        "small starts",
    ),
]


@pytest.fixture
def fresh_runs() -> Iterator[None]:
    """No run is taken over from a sound claim to a broken one, or back."""
    runs.table.cache_clear()
    runs.angles.cache_clear()
    yield
    runs.table.cache_clear()
    runs.angles.cache_clear()


# Those of the slow claims are held against the record by the command itself, in CI.
@pytest.mark.parametrize("claim", [i for i in CLAIMS if i.id in FAST], ids=lambda i: i.id)
def test_verdict(claim: Any) -> None:
    check_sound(claim, EXPECTED[claim.id])


@pytest.mark.usefixtures("fresh_runs")
@pytest.mark.parametrize(
    "mutation", by_speed(MUTATIONS, lambda mutation: mutation.claim, lambda i: i not in FAST)
)
def test_mutation_is_caught(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    check_caught(monkeypatch, mutation, EXPECTED[mutation.claim])


def first(found: Findings) -> float:
    return found.checks[0].measured


def test_d14_chooses_rates_on_other_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each width, for the worst of them; every width is judged by seeds that did not."""
    tuning, reporting = steps.tuning_seeds(QUICK)
    assert not set(tuning) & set(reporting)
    tried = np.full((len(tuning), 3, 7), 50.0)
    tried[0, :, 4], tried[:, :, 2], tried[1:, :, 4] = 90.0, 40.0, 1.0
    monkeypatch.setattr(
        steps, "converged",
        lambda rates, seeds: tried if seeds == tuning else np.tile(np.arange(7.0), (3, 3, 1)),
    )  # fmt: skip
    (claim,) = (claim for claim in CLAIMS if claim.id == "D14")
    found = claim.run(QUICK).arrays
    assert found["tuned"].tolist() == [[2.0] * 3] * 3
    np.testing.assert_allclose(found["best"], np.geomspace(0.08, 0.64, 7)[2])


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_runs")
@pytest.mark.parametrize(
    "mutation",
    [
        Mutation(
            "D14",
            "lnn.theory.teacher_student.gaussian_factors",
            starts_that_shrink(1.0),
            "shrinking starts",
        ),
        Mutation(
            "D16",
            "lnn.theory.teacher_student.teacher_task",
            lambda f: lambda seed, samples=400, noise=0.3: f(seed, 400, noise),
            "the same data at every size",
        ),
    ],
    ids=lambda mutation: mutation.claim,
)
def test_reported_number_moves(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    claim = next(claim for claim in CLAIMS if claim.id == mutation.claim)
    sound = first(claim.run(QUICK))
    runs.table.cache_clear()
    assert abs(first(mutated(monkeypatch, mutation)) - sound) > 0.5 * abs(sound)


def test_every_claim_is_here_in_order() -> None:
    assert [claim.id for claim in CLAIMS] == [f"D{i}" for i in range(1, 17)]
    assert set(EXPECTED) == {claim.id for claim in CLAIMS}


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_are_drawn_from_the_records(figure: Any) -> None:
    check_figure(figure, CLAIMS)
