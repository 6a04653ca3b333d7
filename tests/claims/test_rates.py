"""Every claim on rates: its verdict, and that breaking its subject changes it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from mutation import (
    QUICK,
    Mutation,
    by_speed,
    check_caught,
    check_figure,
    check_sound,
    judged,
    mutated,
)

from lnn.claims import all_claims, all_figures
from lnn.claims.rates import norms, tuned
from lnn.core.problem import Problem
from lnn.results.verdict import Verdict
from lnn.simulation.simulate import simulate
from lnn.theory import lp_rates
from lnn.transforms.methods import make_method

CLAIMS = [claim for i, claim in all_claims().items() if i.startswith("C")]
FIGURES = [figure for name, figure in all_figures().items() if name.startswith("hou")]

pytestmark = pytest.mark.usefixtures("x64")

EXPECTED = {
    "C1": Verdict.HOLDS,
    "C2": Verdict.MISPRINTED,
    "C3": Verdict.MISPRINTED,
    "C4": Verdict.HOLDS,
    "C5": Verdict.HOLDS,
    "C6": Verdict.HOLDS,
    "C7": Verdict.HOLDS,
    "C8": "holds (L)",
    "C9": "analogue (C), reported (here)",
}
SLOW = {"C4", "C5", "C6", "C9"}


def steeper(descend: Any) -> Any:
    """Another exponent of the loss."""
    return lambda y, p, rate, record, *start: descend(y, np.asarray(p) + 0.2, rate, record, *start)


def half_rate(descend: Any) -> Any:
    return lambda y, p, rate, record, *start: descend(y, p, rate / 2, record, *start)


MUTATIONS = [
    Mutation("C1", "lnn.theory.lp_rates.descend", steeper, "another exponent of the loss"),
    Mutation("C2", "lnn.theory.lp_rates.descend", half_rate, "half of the learning rate"),
    Mutation(
        "C3",
        "lnn.claims.rates.single.factor",
        lambda f: lambda p, t: f(p, t) / 2,
        "the printed coefficient",
    ),
    Mutation("C4", "lnn.theory.lp_rates.descend_scaled", steeper, "another exponent of the loss"),
    Mutation(
        "C5",
        "lnn.claims.rates.scalar.balanced",
        lambda f: lambda s: 200 * f(s),
        "a start far from balance",
    ),
    Mutation(
        "C5",
        "lnn.theory.lp_rates.flow_scaled",
        lambda f: (
            lambda y, p, time, s, m: f(y, p, time, s, m)._replace(
                delta=-2 * np.sign(y) * time[:, None, None] ** (-1 / (p - 2))
            )
        ),
        "a scalar that enlarges the constant",
    ),
    Mutation(
        "C6",
        "lnn.theory.lp_rates.descend_scaled",
        lambda _: lambda y, p, rate, record, s, m: lp_rates.descend(y, p, rate, record),
        "no scalar",
    ),
    Mutation(
        "C7",
        "lnn.theory.lp_rates.scaled_loss",
        lambda f: lambda v, y, p: f(v, y, p) + 0.01 * v @ v,
        "weight decay",
    ),
    Mutation("C7", "lnn.theory.lp_rates.descend_scaled", half_rate, "half of the learning rate"),
    Mutation("C8", "lnn.theory.lp_rates.descend", steeper, "an exponent above 2"),
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


@pytest.mark.slow
def test_rates_that_the_reporting_starts_choose_change_the_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (claim,) = (claim for claim in CLAIMS if claim.id == "C6")
    sound = [check.measured for check in claim.run(QUICK).checks]
    monkeypatch.setattr(tuned, "tuning_starts", lambda y: tuned.reporting_starts(y, 5))
    found = [check.measured for check in claim.run(QUICK).checks]
    assert max(abs(a / b - 1) for a, b in zip(found, sound, strict=True)) > 0.05


def test_no_start_that_reports_has_chosen_a_rate() -> None:
    y = np.array([4.0, 1.0])
    tuning, reporting = tuned.tuning_starts(y), tuned.reporting_starts(y, 15)
    assert not np.isin(reporting.s, tuning.s).any()
    assert np.array_equal(tuned.reporting_starts(y, 5).s, reporting.s[:5])
    lengths = np.linalg.norm(tuning.m, axis=1)
    assert (lengths <= tuning.s).all()
    assert tuning.s.min() >= 0.1 * np.linalg.norm(y) ** 0.5
    assert tuning.s.max() <= 0.3 * np.linalg.norm(y) ** 0.5


def test_errors_start_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p, rates = np.array([2.0, 1.0]), 4.0, np.array([[0.1, 0.2], [0.05, 0.3]])
    starts = tuned.reporting_starts(y, 2)
    monkeypatch.setattr(tuned, "STEPS", 3)
    found = tuned.errors(y, p, rates, starts)
    for i, (s, m) in enumerate(zip(*starts, strict=True)):
        for j in range(2):
            w, a, v = s * m, s, m
            for _ in range(3):
                w = w - rates[0, j] * (w - y) ** 3
                pull = rates[1, j] * (a * v - y) ** 3
                a, v = a - pull @ v, v - a * pull
            expected = [np.linalg.norm(w - y), np.linalg.norm(a * v - y)]
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-12)


def test_a_lucky_rate_does_not_count_with_leeway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that fall with the rate but for a dip, in one of two starts that decide together."""
    size = tuned.RATES.size
    errors = np.tile(np.linspace(1, 0.5, size), (2, 2, 1))
    errors[:, :, 50] = 0.1
    errors[:, 1, -20:] = np.inf
    monkeypatch.setattr(tuned, "errors", lambda *_: errors)
    chosen = tuned.tune(np.array([1.0, 1.0]), 4.0, tuned.Starts(np.ones(2), np.ones((2, 2))))
    assert np.array_equal(chosen.alone, tuned.RATES[[50, 50]])
    assert (chosen.leeway > tuned.RATES[100]).all()
    assert (chosen.leeway < tuned.RATES[-20]).all()


def test_a_start_on_which_the_scalar_diverges_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = np.array([[0.4, np.inf, 0.4, np.inf], [0.2, 0.2, np.inf, np.inf]])[..., None]
    monkeypatch.setattr(tuned, "errors", lambda *_: errors)
    starts = tuned.Starts(np.ones(4), np.ones((4, 2)))
    found = tuned.gains(np.ones(2), 4.0, np.ones(2), starts)
    assert found.tolist() == pytest.approx([4, np.inf, 0, 0])


@pytest.mark.parametrize(
    ("equal", "others", "expected"),
    [
        (1.0, 1.5, "holds (C), false (L)"),
        (1.5, 1.5, "holds (C, L)"),
        (2.0, 1.5, "holds (C, L)"),
        (1.0, 1.05, "false (C, L)"),
        (2.0, 1.1, "false (C, L)"),
    ],
)
def test_equal_labels_decide_on_the_cause(
    monkeypatch: pytest.MonkeyPatch, equal: float, others: float, expected: str
) -> None:
    monkeypatch.setattr(tuned, "tune", lambda y, p, starts: tuned.Rates(np.ones(2), np.ones(2)))
    monkeypatch.setattr(
        tuned, "gains",
        lambda y, p, rates, starts: np.full(len(starts.s), equal if y[0] == 1 else others),
    )  # fmt: skip
    (claim,) = (claim for claim in CLAIMS if claim.id == "C6")
    found = claim.run(QUICK)
    assert judged(claim, found) == expected
    assert ("not the cause" in found.words) == (equal > others)


@pytest.mark.slow
def test_reported_norms_move_with_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    (claim,) = (claim for claim in CLAIMS if claim.id == "C9")
    sound = claim.run(QUICK).checks[0].measured
    mutation = Mutation(
        "C9",
        "lnn.core.network.balanced_factors",
        lambda f: lambda w, dims, rng: f(300 * w, dims, rng),
        "deep networks that start with large weights",
    )
    assert abs(mutated(monkeypatch, mutation).checks[0].measured - sound) > 0.1


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.slow
def test_descent_on_moments_is_that_of_the_networks(depth: int) -> None:
    """Against `lnn.simulate`, which goes through the examples."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    problem = Problem(x, x @ rng.standard_normal((4, 3)) + rng.standard_normal((30, 3)), 2.0)
    dims = (4, *(3,) * (depth - 1), 3)
    factors = tuple(rng.standard_normal((n, m)) for m, n in pairwise(dims))
    decays = (0.0, 0.1)
    out = simulate(
        problem, make_method("layerwise-gd", depth, dims[1:-1]),
        tuple(np.stack([factor] * 2) for factor in factors), np.full(2, 0.02), 50,
        weight_decay=np.array(decays), save_weights=True, dtype="float64",
    )  # fmt: skip
    assert out.w is not None
    record = out.steps[out.steps > 0]
    losses, sizes = norms.descend(problem, factors, decays, 0.02, record)
    least = problem.loss(np.linalg.lstsq(x, problem.y, rcond=None)[0].T)
    zero = problem.loss(np.zeros((3, 4))) - least
    assert np.allclose(losses.T, (out.loss[:, 1:] - least) / zero, rtol=1e-9)
    assert np.allclose(sizes.T, np.linalg.norm(out.w[:, 1:], axis=(-2, -1)), rtol=1e-10)


def test_norms_are_read_where_the_loss_passes_the_level() -> None:
    losses, sizes = np.array([1.0, 0.1, 0.01]), np.array([0.0, 1.0, 2.0])
    assert norms._at(losses, sizes, 0.1) == 1.0
    assert norms._at(losses, sizes, 10**-1.5) == pytest.approx(1.5)
    assert norms._at(losses, sizes, 2.0) == 0.0
    assert np.isnan(norms._at(losses, sizes, 1e-3))


def test_every_claim_is_here_in_order_and_broken_once() -> None:
    assert [claim.id for claim in CLAIMS] == [f"C{i}" for i in range(1, 10)] == list(EXPECTED)
    assert {mutation.claim for mutation in MUTATIONS} == set(EXPECTED) - {"C9"}


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_are_drawn_from_the_records(figure: Any) -> None:
    check_figure(figure, CLAIMS)
