"""The experiments of Arora, Cohen and Hazan, and Section 7: verdicts, and what breaks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import optax
import pytest
from matplotlib.text import Text
from mutation import QUICK, Mutation, check_caught, check_sound, mutated

from lnn.claims import all_claims, all_figures
from lnn.claims.acceleration import depth, figure_2, tuned, two_points
from lnn.claims.record import Record
from lnn.results.plotting import WIDTH, settings
from lnn.results.verdict import Role, Verdict, at_least, report
from lnn.transforms.baselines import gd
from lnn.transforms.methods import EndToEnd, Method, make_method

FIGURES = [figure for name, figure in all_figures().items() if name.startswith("arora")]

pytestmark = pytest.mark.usefixtures("x64")

_A = "lnn.claims.acceleration"
_STUDY = "lnn.studies.compare.study"
EXPECTED = {
    "A6": Verdict.CONDITIONAL,
    "A12": Verdict.CONDITIONAL,
    "A19": "holds (A), false as printed (R)",
    "A20": "holds (A), false as printed (R)",
    "A21": Verdict.HOLDS,
    "A22": Verdict.HOLDS,
    "A23": Verdict.HOLDS,
    "A24": Verdict.HOLDS,
    "A25": Verdict.HOLDS,
    "A26": Verdict.HOLDS,
    "A27": Verdict.HOLDS,
    "A28": Verdict.REPORTED,
    "A29": "holds under a condition (A), holds (R)",
    "A30": Verdict.HOLDS,
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
        "A29", "lnn.core.network.init_factors",
        lambda original: lambda key, dims, scheme: original(key, dims, "near-zero"),
        "a start near zero",
    ),
    Mutation(
        "A30", "lnn.core.network.balancedness_gap",
        lambda original: lambda factors: original(factors[:-1]), "the last layer left out",
    ),
]  # fmt: skip


def _marks(claim: str) -> list[pytest.MarkDecorator]:
    return [] if claim in FAST else [pytest.mark.slow]


# Those of the slow claims are held against the record by the command itself, in CI.
@pytest.mark.parametrize("claim", sorted(FAST))
def test_verdict(claim: str) -> None:
    check_sound(all_claims()[claim], EXPECTED[claim])


@pytest.mark.parametrize(
    "mutation",
    [pytest.param(m, id=f"{m.claim}: {m.why}", marks=_marks(m.claim)) for m in MUTATIONS],
)
def test_what_breaks_it_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    check_caught(monkeypatch, mutation, EXPECTED[mutation.claim])


@pytest.mark.slow
def test_a_reported_number_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large weights make progress sooner, by a power of ten."""
    larger = Mutation(
        "A28", "lnn.core.network.init_factors",
        lambda original: lambda key, dims, scheme: original(key, dims, scheme, scale=0.1),
        "weights ten times as large",
    )  # fmt: skip
    sound = all_claims()["A28"].run(QUICK).checks[0].measured
    assert mutated(monkeypatch, larger).checks[0].measured < sound / 10


def test_every_claim_is_broken_by_something() -> None:
    assert {mutation.claim for mutation in MUTATIONS} | {"A28"} == set(EXPECTED)


def test_escape_times_by_hand() -> None:
    assert depth.escape_time(0.25, 0.5, 2) == pytest.approx(np.log(2))
    assert depth.escape_time(0.25, 0.5, 3) == pytest.approx(2)  # 1/0.25 - 1/0.5
    assert depth.escape_time(0.25, 0.5, 4) == pytest.approx(6)  # (16 - 4) / 2


def test_escape_times_join_at_depth_2() -> None:
    """(a^(2-N) - b^(2-N)) / (N - 2) tends to ln(b / a): the formula at a depth close to 2."""
    near = depth.escape_time(0.1, 0.5, 2 + 1e-7)  # type: ignore[arg-type]
    assert near == pytest.approx(depth.escape_time(0.1, 0.5, 2), rel=1e-6)


def spied(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[Any, ...]]:
    """The arguments with which a function of a module is called, from now on."""
    original, calls = getattr(module, name), []

    def spy(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(module, name, spy)
    return calls


def rates_chosen_elsewhere(calls: list[tuple[int, list[int]]]) -> bool:
    """Whether no start at which many rates were tried is among those reported at one rate."""
    tried = {seed for rates, seeds in calls if rates > 2 for seed in seeds}
    reported = {seed for rates, seeds in calls if rates <= 2 for seed in seeds}
    return bool(tried and reported and not tried & reported)


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [False, True])
def test_a24_has_one_rate_chosen_on_other_starts(
    overlap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning, reporting = two_points.starts(QUICK)
    calls = spied(monkeypatch, two_points, "steps_needed")
    chosen = reporting[:2] if overlap else tuning[:2]
    monkeypatch.setattr(two_points, "METHODS", (two_points.METHODS[0], two_points.NETWORK))
    two_points.tuned_steps(4.0, chosen, reporting[:3], 2_000)
    # The last two calls give every start its own best rate, which is reported as what it is.
    used = [(rates.size, list(seeds)) for _, _, rates, seeds, _ in calls[:-2]]
    assert len(used) == 4
    assert rates_chosen_elsewhere(used) is not overlap


@pytest.mark.slow
def test_a24_against_numbers_from_other_code() -> None:
    """Of an independent computation with nine starts to choose and nine to report on."""
    for y1, expected in ((4.0, (1.07, 1.61)), (16.0, (1.19, 1.78))):
        hits, own, _ = two_points.tuned_steps(y1, range(100, 109), range(9), 60_000)
        for deep, value in zip(hits[1:3], expected, strict=True):
            assert float(np.median(hits[0] / deep)) == pytest.approx(value, rel=0.25)
        # A rate for every start flatters depth: 1.93 and 2.87 times in its place.
        assert float(np.median(own[0] / own[1])) > 1.5 * float(np.median(hits[0] / hits[1]))


@pytest.mark.slow
def test_depths_are_tuned_on_other_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = spied(monkeypatch, depth, "measure")
    depth.tuned_race(QUICK, "identity", (depth.GRID, depth.FINE), 100)
    used = [(rates.shape[1], list(seeds)) for _, _, rates, seeds, _ in calls]
    assert rates_chosen_elsewhere(used)


def test_a_rate_is_judged_by_the_worst_start() -> None:
    hits = np.array([[[[9.0], [5.0]], [[9.0], [np.inf]]]])  # one depth, two starts, two rates
    race = depth.DepthRace(np.arange(2), np.ones((1, 2, 2, 2)), hits)
    assert race.best(slice(None)) == [0]
    lost = depth.DepthRace(
        np.arange(2), np.array([[[[1, 0.9], [1, np.nan]]]]), np.full((1, 1, 2, 1), np.inf)
    )
    assert lost.best(slice(None)) == [0], "a run that diverged ends highest"


def test_a_rate_that_serves_most_starts_is_better_than_one_that_serves_none() -> None:
    hits = np.array([[[9.0, np.inf], [8.0, np.inf], [np.inf, np.inf]]])[..., None]
    ends = np.array([[[0.04, 0.9], [0.04, 0.9], [np.nan, 0.9]]])[..., None]
    assert depth.DepthRace(np.arange(1), ends, hits).best(slice(None)) == [0]


def test_identities_are_balanced_iff_equally_narrow() -> None:
    cases = {(5, 1, 1): True, (5, 3, 3, 3): True, (5, 3, 2): False, (1, 4, 3): False}
    for dims, balanced in cases.items():
        factors = [np.eye(rows, columns) for columns, rows in pairwise(dims)]
        found = all(
            np.array_equal(upper.T @ upper, lower @ lower.T) for lower, upper in pairwise(factors)
        )
        assert found == balanced == (len({min(pair) for pair in pairwise(dims)}) == 1)


@pytest.mark.parametrize("worst", ["nan", "inf"])
def test_distances_and_bands_are_infinite_where_a_run_diverged(worst: str) -> None:
    end = np.array([[[1.0]], [[float(worst)]]])
    run = SimpleNamespace(w=np.stack([np.ones((2, 1, 1)), end], axis=1))
    with np.errstate(invalid="ignore"):
        far = figure_2._distance(run, SimpleNamespace(w=np.ones((2, 2, 1, 1))))  # type: ignore[arg-type]
    np.testing.assert_array_equal(far, [0, np.inf])
    assert depth._band(np.array([1.0, np.nan, np.inf])) == (np.inf, (1.0, np.inf))


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
        curves[1, 1, -5:] = np.inf
        curves[2] = 1.0
        arrays[claim] = {
            "steps": steps, "curves": curves, "rates": np.full(3, 0.01),
            "depths": np.array(depth.COMPARED),
        }  # fmt: skip
    finely = [at_least("speed-up", gain, 1.0, Role.BEYOND) for gain in (1.1, 0.9)]
    checks = (*(report(f"number {i}", 1.5) for i in range(4)), *finely)
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
    if figure.name == "arora-figure-5-left":
        assert "disappears at depth 8 where" in caption
