"""The exact claims of Arora, Cohen and Hazan: their verdicts, and what breaks them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from mutation import Mutation, check_caught, check_sound

from lnn.claims import all_claims
from lnn.claims.acceleration.example import relative
from lnn.claims.acceleration.preconditioner import printed_values
from lnn.results.verdict import Verdict

pytestmark = pytest.mark.usefixtures("x64")

_A = "lnn.claims.acceleration"
EXPECTED = {
    "A1": Verdict.HOLDS,
    "A2": Verdict.HOLDS,
    "A3": Verdict.HOLDS,
    "A4": Verdict.HOLDS,
    "A5": Verdict.HOLDS,
    "A7": "holds (A), false as printed (R)",
    "A8": "holds (A), false as printed (R)",
    "A9": Verdict.HOLDS,
    "A10": "holds (A), false as printed (R)",
    "A11": Verdict.HOLDS,
    "A13": Verdict.HOLDS,
    "A14": "holds (A), false as printed (R)",
    "A15": "holds (A), false as printed (R)",
    "A16": Verdict.HOLDS,
    "A17": "holds (A), holds under a condition (R)",
    "A18": Verdict.HOLDS,
}
SLOW = {f"A{i}" for i in range(1, 19)} - {"A6", "A12", "A14"}


def unbalanced(original):  # type: ignore[no-untyped-def]
    """The first factor four times as large, the last a quarter: the same product."""

    def start(*arguments, **options):  # type: ignore[no-untyped-def]
        first, *rest = original(*arguments, **options)
        return (4 * first, *rest[:-1], rest[-1] / 4)

    return start


def wrong_depth(original):  # type: ignore[no-untyped-def]
    """The exponents of a network one layer deeper."""
    return lambda w, g, depth: original(w, g, depth + 1)


MUTATIONS = [
    Mutation("A1", f"{_A}.flow_theory.balanced_start", unbalanced, "an unbalanced start"),
    Mutation("A1", "lnn.theory.flow.precondition", wrong_depth, "a wrong exponent"),
    Mutation(
        "A2", "lnn.core.network.conserved",
        lambda original: lambda factors: [d + f @ jnp.swapaxes(f, -1, -2) / 10
            for d, f in zip(original(factors), factors[:-1], strict=True)],
        "another combination of the factors",
    ),
    Mutation(
        "A3", f"{_A}.flow_theory.gaussian_start",
        lambda original: lambda hidden, std, seed: __import__(
            f"{_A}.flow_theory", fromlist=["x"]).balanced_start(hidden),
        "a balanced start",
    ),
    Mutation("A4", f"{_A}.flow_theory.precondition", wrong_depth, "a wrong exponent"),
    Mutation("A5", f"{_A}.flow_theory.balanced_start", unbalanced, "an unbalanced start"),
    Mutation("A7", "lnn.core.spectral.precondition", wrong_depth, "a wrong exponent"),
    Mutation(
        "A8", "lnn.core.spectral.preconditioner_eigenpairs",
        lambda original: lambda w, depth: (original(w, depth)[0] * 1.01, original(w, depth)[1]),
        "eigenvalues off by a percent",
    ),
    Mutation(
        "A8", f"{_A}.preconditioner.printed_values",
        lambda _: lambda s, depth: sum(
            s[:, None] ** (2 * (depth - j) / depth) * s ** (2 * (j - 1) / depth)
            for j in range(1, depth + 1)),
        "the paper's formula for the review's",
    ),
    Mutation(
        "A9", "lnn.core.spectral.preconditioner_eigenpairs",
        lambda original: lambda w, depth: (
            jnp.minimum(original(w, depth)[0], 10.0), original(w, depth)[1]),
        "eigenvalues that stop growing",
    ),
    Mutation(
        "A10", f"{_A}.preconditioner.scale_by_single_output",
        lambda original: lambda depth: original(depth + 0.01), "a wrong factor",
    ),
    Mutation(
        "A11", "lnn.core.network.balanced_factors",
        lambda original: lambda w, dims, rng: tuple(
            f + 0.001 * dims[1] * np.ones_like(f) for f in original(w, dims, rng)),
        "starts that depend on the width",
    ),
    Mutation(
        "A13", f"{_A}.flow_theory.gaussian_start",
        lambda original: lambda hidden, std, seed: original((max(1, hidden[0] - 1),), std, seed),
        "one unit less than stated",
    ),
    Mutation(
        "A14", f"{_A}.momentum.predicted",
        lambda original: lambda w1, w2, g, rate: original(w1, w2, g, rate)
        - rate**2 * w2 * float(w1 @ g) * g,
        "the last term dropped",
    ),
    Mutation(
        "A15", f"{_A}.momentum.coefficient",
        lambda original: lambda rate, slope2, w2: 2 * original(rate, slope2, w2),
        "momentum twice as strong",
    ),
    Mutation(
        "A16", f"{_A}.conservative.loop_integral_of_constant",
        lambda original: lambda depth, r, R: original(depth + 1, r, R), "a wrong exponent",
    ),
    Mutation(
        "A17", f"{_A}.conservative.transformed_field",
        lambda original: lambda field, depth: original(field, depth - 0.5), "another depth",
    ),
    Mutation(
        "A18", f"{_A}.conservative.transformed_field",
        lambda original: lambda field, depth: original(field, depth + 0.1), "another depth",
    ),
]  # fmt: skip


def _slow(claim: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if claim in SLOW else []


# Those of the slow claims are held against the record by the command itself, in CI.
@pytest.mark.parametrize("claim", sorted(set(EXPECTED) - SLOW))
def test_verdict(claim: str) -> None:
    check_sound(all_claims()[claim], EXPECTED[claim])


@pytest.mark.parametrize(
    "mutation",
    [pytest.param(m, id=f"{m.claim}: {m.why}", marks=_slow(m.claim)) for m in MUTATIONS],
)
def test_what_breaks_it_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    check_caught(monkeypatch, mutation, EXPECTED[mutation.claim])


def test_every_claim_is_broken_by_something() -> None:
    assert {mutation.claim for mutation in MUTATIONS} == set(EXPECTED)


def test_the_eigenvalues_that_the_review_prints_by_hand() -> None:
    """At N = 2: sigma_r^1 sigma_r'^-1 + sigma_r^0 sigma_r'^-1, wrong at full rank too."""
    found = printed_values(np.array([2.0, 0.5]), 2)
    np.testing.assert_allclose(found, [[3 / 2, 3 / 0.5], [1.5 / 2, 1.5 / 0.5]])
    assert np.isfinite(printed_values(np.array([2.0, 0.5, 0.0]), 3)).mean() == 6 / 9


@pytest.mark.parametrize("value", [1e200, np.inf, np.nan])
def test_runs_that_diverged_agree_with_none(value: float) -> None:
    huge, one = np.full((2, 1, 3), value), np.ones((2, 1, 3))
    assert not relative(huge, one) < np.inf
    assert not relative(one, huge) < np.inf
