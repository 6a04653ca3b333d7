"""The experiments of Arora, Cohen and Hazan, and Section 7: verdicts, and what breaks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optax
import pytest
from matplotlib.text import Text
from mutation import QUICK, Mutation, check_caught, mutated

from lnn.claims import all_claims, all_figures
from lnn.claims.acceleration import depth, figure_2, tuned
from lnn.claims.claim import Verdict, report, verdict
from lnn.claims.measure import ratio
from lnn.claims.record import Record
from lnn.results.plotting import WIDTH, settings
from lnn.transforms.baselines import gd
from lnn.transforms.methods import EndToEnd, Method, make_method

FIGURES = [figure for name, figure in all_figures().items() if name.startswith("arora")]

pytestmark = pytest.mark.usefixtures("x64")

_A = "lnn.claims.acceleration"
_STUDY = "lnn.studies.compare.study"
EXPECTED = {
    "A6": Verdict.CONDITIONAL,
    "A12": Verdict.CONDITIONAL,
    "A19": Verdict.MISPRINTED,
    "A20": Verdict.MISPRINTED,
    "A21": Verdict.MISPRINTED,
    "A22": Verdict.HOLDS,
    "A23": Verdict.FALSE,
    "A24": Verdict.HOLDS,
    "A25": Verdict.CONDITIONAL,
    "A26": Verdict.HOLDS,
    "A27": Verdict.HOLDS,
    "A28": Verdict.REPORTED,
    "A29": Verdict.REPORTED,
    "A30": Verdict.CONDITIONAL,
}
FAST = {"A20"}


def deeper_rule(original: Callable[..., Method]) -> Callable[..., Method]:
    """Eq. 12 of a network that is one layer deeper."""
    return lambda name, depth=1, hidden=(): original(
        name, depth + (name == "single-output"), hidden
    )


def untuned(original: Callable[..., Method]) -> Callable[..., Method]:
    """Deep networks whose learning rates are a thousand times too small."""

    def make(name: str, depth: float = 1, hidden: tuple[int, ...] = ()) -> Method:
        method = original(name, depth, hidden)
        slow = optax.chain(method.transformation, optax.scale(1e-3))
        return method if depth == 1 else replace(method, transformation=slow)

    return make


def depth_in_name_only(original: Callable[..., Method]) -> Callable[..., Method]:
    """Plain gradient descent on the product in place of the layers'."""
    return lambda name, depth=1, hidden=(): (
        Method(name, EndToEnd(), gd(), depth=depth)
        if name == "layerwise-gd"
        else original(name, depth, hidden)
    )


def every_start(scheme: str) -> Callable[[Any], Any]:
    return lambda original: (
        lambda depth, width, problem, _, seeds: original(depth, width, problem, scheme, seeds)
    )


MUTATIONS = [
    Mutation("A6", f"{_A}.figure_2.make_method", deeper_rule, "a wrong exponent"),
    Mutation("A6", f"{_A}.figure_2.starts", every_start("near-zero"), "an unbalanced start"),
    Mutation("A12", f"{_A}.figure_2.starts", every_start("balanced"), "a balanced start"),
    Mutation(
        "A19", f"{_A}.two_points.make_method",
        lambda original: lambda name: original("momentum"), "momentum",
    ),
    Mutation(
        "A20", f"{_A}.two_points.scale_by_single_output",
        lambda original: lambda depth: original(depth + 1), "a wrong exponent",
    ),
    Mutation("A21", f"{_A}.appendix_b.rate",
             lambda original: lambda y1, eps1: 1.02 * original(y1, eps1), "another rate"),
    Mutation("A22", f"{_A}.appendix_b.rate",
             lambda original: lambda y1, eps1: 1.02 * original(y1, eps1), "another rate"),
    Mutation(
        "A23", f"{_A}.appendix_b.real_network",
        lambda original: lambda: make_method("single-output", 2), "eq. 12 in its place",
    ),
    Mutation("A24", f"{_A}.two_points.make_method", untuned, "rates far too small"),
    Mutation("A25", f"{_STUDY}.make_method", depth_in_name_only, "depth in name only"),
    Mutation("A26", f"{_STUDY}.make_method", depth_in_name_only, "depth in name only"),
    Mutation(
        "A27", f"{_A}.depth.escape_time",
        lambda original: lambda start, end, depth: original(start, end, depth + 1),
        "a wrong exponent",
    ),
    Mutation(
        "A30", "lnn.core.network.balancedness_gap",
        lambda original: lambda factors: original(factors[:-1]), "the last layer left out",
    ),
]  # fmt: skip


def _marks(claim: str) -> list[pytest.MarkDecorator]:
    return [] if claim in FAST else [pytest.mark.slow]


@pytest.mark.parametrize("claim", [pytest.param(i, marks=_marks(i)) for i in EXPECTED])
def test_verdict(claim: str) -> None:
    assert verdict(all_claims()[claim].run(QUICK).checks) is EXPECTED[claim]


@pytest.mark.parametrize(
    "mutation",
    [pytest.param(m, id=f"{m.claim}: {m.why}", marks=_marks(m.claim)) for m in MUTATIONS],
)
def test_what_breaks_it_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    check_caught(monkeypatch, mutation, EXPECTED[mutation.claim])


REPORTED = {
    "A28": Mutation(
        "A28", "lnn.core.network.init_factors",
        lambda original: lambda key, dims, scheme: original(key, dims, scheme, scale=0.1),
        "weights ten times as large",
    ),
    "A29": Mutation(
        "A29", "lnn.core.network.init_factors",
        lambda original: lambda key, dims, scheme: original(key, dims, "near-zero"),
        "a start near zero",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("claim", REPORTED)
def test_a_reported_number_moves(claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = all_claims()[claim].run(QUICK).checks[0].measured
    broken = mutated(monkeypatch, REPORTED[claim]).checks[0].measured
    # By powers of ten: progress sooner from large weights, later from near zero.
    assert broken < sound / 10 if claim == "A28" else broken > 100 * sound


def test_every_claim_is_broken_by_something() -> None:
    assert {mutation.claim for mutation in MUTATIONS} | set(REPORTED) == set(EXPECTED)


def test_escape_times_by_hand() -> None:
    assert depth.escape_time(0.25, 0.5, 2) == pytest.approx(np.log(2))
    assert depth.escape_time(0.25, 0.5, 3) == pytest.approx(2)  # 1/0.25 - 1/0.5
    assert depth.escape_time(0.25, 0.5, 4) == pytest.approx(6)  # (16 - 4) / 2


def test_escape_times_join_at_depth_2() -> None:
    """(a^(2-N) - b^(2-N)) / (N - 2) tends to ln(b / a): the formula at a depth close to 2."""
    near = depth.escape_time(0.1, 0.5, 2 + 1e-7)  # type: ignore[arg-type]
    assert near == pytest.approx(depth.escape_time(0.1, 0.5, 2), rel=1e-6)


class TestRatio:
    def test_is_paired_by_start(self) -> None:
        found = ratio(np.array([10.0, 40.0, 90.0]), np.array([10.0, 20.0, 30.0]), 100)
        assert found.least.median == found.most.median == 2
        assert found.band == (1, 3)
        assert str(found) == "2.00"

    def test_bounds_what_the_other_missed(self) -> None:
        found = ratio(np.full(3, np.inf), np.full(3, 20.0), 100)
        assert (found.least.median, found.most.median) == (5, np.inf)
        assert str(found) == "at least 5.00"

    def test_bounds_what_the_method_missed(self) -> None:
        found = ratio(np.full(3, 20.0), np.full(3, np.inf), 100)
        assert (found.least.median, found.most.median) == (0, 0.2)
        assert str(found) == "at most 0.20"

    def test_knows_nothing_where_both_missed(self) -> None:
        assert str(ratio(np.full(3, np.inf), np.full(3, np.inf), 100)).startswith("unknown")


def _race(rng: np.random.Generator, prefix: str, methods: int) -> dict[str, np.ndarray]:
    """Arrays of a race, with one method that missed and one start that diverged."""
    curves = np.geomspace(1, 0.1, 20) * np.exp(0.01 * rng.standard_normal((methods, 5, 20)))
    curves[-1] = 1.0
    curves[0, 0, -3:] = np.inf
    hits = np.full((methods, 5), 100.0)
    hits[-1] = np.inf
    steps = np.unique(np.round(np.geomspace(1, 1000, 19)).astype(int))
    steps = np.concatenate([[0], steps])
    found: dict[str, np.ndarray] = {}
    for search in tuned.SEARCHES:
        name = f"{prefix}_{search}"
        found[f"{name}_steps"], found[f"{name}_curves"] = steps, curves[..., : steps.size]
        found[f"{name}_rates"], found[f"{name}_hits"] = np.full(methods, 0.01), hits
    return found


def _records() -> dict[str, Record]:
    """Records of invented numbers in the shapes that the claims save."""
    rng = np.random.default_rng(0)
    steps = np.arange(0, 20)
    arrays: dict[str, dict[str, np.ndarray]] = {
        "A6": {"widths": np.array(figure_2.WIDTHS)},
        "A12": {},
        "A25": _race(rng, "l2", 3) | _race(rng, "l4", 3),
        "A26": _race(rng, "l4", 5),
    }
    for p in (2, 4):
        arrays["A6"][f"steps_{p}"] = steps
        arrays["A6"][f"curves_{p}"] = rng.uniform(0.1, 1, (2, 3, 2, 2, 20))
    for claim in ("A28", "A29"):
        curves = rng.uniform(0.1, 1, (3, 5, 20))
        curves[1, 0, -5:] = np.nan  # a run that diverged
        curves[2] = 1.0
        arrays[claim] = {
            "steps": steps, "curves": curves, "rates": np.full(3, 0.01),
            "depths": np.array(depth.COMPARED),
        }  # fmt: skip
    checks = tuple(report(f"number {i}", 1.5) for i in range(6))
    return {
        claim: Record(claim, checks, "Words.", 1.0, True, "the built-in problem", "", found)
        for claim, found in arrays.items()
    }


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_are_drawn_and_captioned_from_records(figure: Any) -> None:
    records = _records()
    if not set(figure.claims) <= set(records):
        pytest.skip("drawn from claims on theory")
    with settings():
        drawn = figure.draw(records)
        drawn.canvas.draw()
    assert drawn.get_figwidth() == WIDTH
    texts = [text for text in drawn.findobj(Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 7
    caption = figure.caption(records)
    assert "the built-in problem" in caption or "Words." in caption
    assert "nan" not in caption
    assert caption.count("$") % 2 == 0
