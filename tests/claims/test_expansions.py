"""Every claim on expansions: its verdict, and that breaking its subject changes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mutation import QUICK, Mutation, by_speed, check_caught, check_figure, check_sound

from lnn.claims import all_claims, all_figures
from lnn.claims.expansions import conclusions
from lnn.claims.expansions.cases import SLIP
from lnn.results.verdict import Verdict
from lnn.theory import noisy_quadratic as nq

CLAIMS = [claim for i, claim in all_claims().items() if i.startswith("B")]
FIGURES = [figure for name, figure in all_figures().items() if name.startswith("expansions")]

pytestmark = pytest.mark.usefixtures("x64")

EXPECTED = {
    "B1": Verdict.MISPRINTED,
    "B2": Verdict.MISPRINTED,
    "B3": Verdict.HOLDS,
    "B4": Verdict.MISPRINTED,
    "B5": Verdict.MISPRINTED,
    "B6": Verdict.MISPRINTED,
    "B7": Verdict.MISPRINTED,
    "B8": Verdict.MISPRINTED,
    "B9": Verdict.HOLDS,
    "B10": "holds (L)",
    "B11": Verdict.MISPRINTED,
    "B12": Verdict.HOLDS,
    "B13": "false as printed (B), holds (L)",
    "B14": Verdict.HOLDS,
}
SLOW = {"B1", "B4", "B5", "B10", "B12", "B14"}


def louder(sample: Any) -> Any:
    """A sampler whose noise is 5 % too strong."""
    return lambda key, eigenvalues, w, step, noise, draws: sample(
        key, eigenvalues, w, step, 1.05 * noise, draws
    )


def flatter(expansion: Any) -> Any:
    """Average curvature that falls as sqrt(N): eigenvalue sqrt(N) rho in place of N rho."""
    return lambda mean, n: expansion(mean / np.sqrt(n), n)


def exponent_of_noise(moments: Any) -> Any:
    """Moments of noise whose variance grows like its size."""
    return lambda eigenvalues, w, step, noise, steps: moments(
        eigenvalues, w, step, np.sqrt(noise), steps
    )


MUTATIONS = [
    Mutation("B1", "lnn.theory.noisy_quadratic.sampled_speed", louder, "noise 5 % too strong"),
    Mutation(
        "B2",
        "lnn.theory.noisy_quadratic.second_moments",
        lambda f: lambda e, w, step, noise, steps: f(e, w, step, 1.1 * noise, steps),
        "noise 10 % too strong",
    ),
    Mutation(
        "B3",
        "lnn.claims.expansions.speed.descend",
        lambda f: lambda rates, start, steps: f(rates / 2, start, steps),
        "the gradient of w^2 / 2",
    ),
    Mutation(
        "B3",
        "lnn.claims.expansions.speed.descend",
        lambda f: lambda rates, start, steps: f(1.02 * rates, start, steps),
        "learning steps 2 % too large",
    ),
    Mutation("B4", "lnn.theory.noisy_quadratic.sampled_speed", louder, "noise 5 % too strong"),
    Mutation("B5", "lnn.theory.noisy_quadratic.sampled_speed", louder, "noise 5 % too strong"),
    Mutation(
        "B6",
        "lnn.theory.noisy_quadratic.second_moments",
        exponent_of_noise,
        "variance in proportion to the noise",
    ),
    Mutation("B7", "lnn.theory.noisy_quadratic.single_eigenvalue", flatter, "flatter with N"),
    Mutation(
        "B8",
        "lnn.theory.noisy_quadratic.on_the_diagonal",
        lambda _: lambda radius, n: np.concatenate([[radius], np.zeros(n - 1)]),
        "a start with all of its distance along the steep direction",
    ),
    Mutation(
        "B9",
        "lnn.theory.noisy_quadratic.task_difficulty",
        lambda f: lambda *arguments: f(*arguments) / 2,
        "half the difficulty",
    ),
    Mutation(
        "B9",
        "lnn.theory.noisy_quadratic.steady_second_moments",
        lambda f: lambda eigenvalues, step, noise: f(eigenvalues, step, 1.1 * noise),
        "a state that is not the stationary one",
    ),
    Mutation(
        "B10",
        "lnn.theory.noisy_quadratic.simulate",
        lambda f: (
            lambda key, e, w, step, noise, steps, chains: f(
                key, e, w, 1.05 * step, noise, steps, chains
            )
        ),
        "steps 5 % too large",
    ),
    Mutation(
        "B11",
        "lnn.theory.noisy_quadratic.optimal_step",
        lambda f: lambda *arguments: f(*arguments) / 2,
        "the printed step",
    ),
    Mutation(
        "B12",
        "lnn.theory.noisy_quadratic.steady_loss",
        lambda f: lambda eigenvalues, step, noise: f(eigenvalues, step, 0.1),
        "noise that does not fall with the step",
    ),
    Mutation("B13", "lnn.theory.noisy_quadratic.single_eigenvalue", flatter, "flatter with N"),
    Mutation(
        "B13",
        "lnn.claims.expansions.conclusions._noiseless_end",
        lambda f: lambda n, steps: f(max(n - 5, 1), steps),
        "fewer dimensions in the search for the limit of stability",
    ),
    Mutation(
        "B14",
        "lnn.theory.noisy_quadratic.equal_eigenvalues",
        lambda _: nq.single_eigenvalue,
        "the other expansion",
    ),
    Mutation(
        "B14",
        "lnn.claims.expansions.conclusions.FAR",
        lambda _: 2.0,
        "the slow decrease looked for near the minimum",
    ),
    Mutation(
        "B14",
        "lnn.claims.expansions.conclusions._fall",
        lambda f: lambda radius: (f(radius)[0], 0.1),
        "another factor than that of the formula",
    ),
]


# Those of the slow claims are held against the record by the command itself, in CI.
@pytest.mark.parametrize("claim", [i for i in CLAIMS if i.id not in SLOW], ids=lambda i: i.id)
def test_verdict(claim: Any) -> None:
    check_sound(claim, EXPECTED[claim.id])


@pytest.mark.parametrize(
    "mutation", by_speed(MUTATIONS, lambda mutation: mutation.claim, SLOW.__contains__)
)
def test_mutation_is_caught(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    check_caught(monkeypatch, mutation, EXPECTED[mutation.claim])


def test_nine_misprints_are_one_slip() -> None:
    slipped = [claim.id for claim in CLAIMS if claim.slip]
    assert slipped == ["B1", "B2", "B4", "B5", "B6", "B7", "B8", "B11", "B13"]
    assert {claim.slip for claim in CLAIMS if claim.slip} == {SLIP}
    assert slipped == [i for i, expected in EXPECTED.items() if "printed" in str(expected)]
    assert [claim.id for claim in CLAIMS if claim.printed] == slipped


@pytest.mark.parametrize("radius", [2.0, 20.0])
def test_best_speed_falls_slowly_far_from_the_minimum(radius: float) -> None:
    """Against eq. 67, whose prefactor does not matter."""
    found, error = conclusions._fall(radius)
    noise = 1 / 0.7**2
    assert found == pytest.approx(
        (1.5**2 * radius**2 + 64 * noise) / (1.5**2 * radius**2 + noise), rel=1e-6
    )
    assert error < 1e-6
    assert (found < 2) == (radius == 20.0)


def test_the_slope_of_eq_33_is_no_misprint() -> None:
    """It is linear in N at a fixed w_1, of which the text speaks."""
    (claim,) = (claim for claim in CLAIMS if claim.id == "B4")
    roles = {check.what: check.passed for check in claim.run(QUICK).checks if "slope" in check.what}
    assert len(roles) == 2
    assert False not in roles.values()


def test_every_claim_is_here_in_order_and_broken_once() -> None:
    assert [claim.id for claim in CLAIMS] == [f"B{i}" for i in range(1, 15)] == list(EXPECTED)
    assert {mutation.claim for mutation in MUTATIONS} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_are_drawn_from_the_records(figure: Any) -> None:
    check_figure(figure, CLAIMS)
