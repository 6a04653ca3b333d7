"""The fairness rules, on problems small enough to see through."""

from __future__ import annotations

import numpy as np
import pytest

from lnn import Problem, Status, StudyConfig, Trajectories, compare
from lnn.core.network import end_to_end
from lnn.datasets.regression import synthetic
from lnn.simulation import place
from lnn.studies.compare.dataset import to_dataset
from lnn.studies.compare.study import (
    Progress,
    StudyRuns,
    Tuning,
    coarse_grid,
    fine_grid,
    rate_protocol,
    run_study,
    study_methods,
)
from lnn.studies.search import TUNING_SEED_OFFSET
from lnn.transforms.methods import make_method


@pytest.fixture(scope="module")
def quadratic() -> Problem:
    """Loss 1/2 (w - 1)^T diag(1, 0.1) (w - 1) + noise: GD converges for rates below 2."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((64, 3)))[0] * np.sqrt(64)
    x = basis[:, :2] * np.sqrt([1.0, 0.1])
    return Problem(x, x @ np.ones(2) + 0.1 * basis[:, 2], 2.0, "quadratic")


@pytest.fixture(scope="module")
def study(quadratic: Problem) -> StudyRuns:
    config = StudyConfig(
        depths=(2.0, 1.5), methods=("gd", "end-to-end", "layerwise-gd"), steps=60,
        rate_range=(1e-3, 10.0), seeds=4, tuning_seeds=2, targets=(0.3, 0.01, 1e-3),
        save_weights=True,
    )  # fmt: skip
    return run_study(quadratic, config)


def test_tuned_gd_is_near_the_best_rate_of_a_quadratic(study: StudyRuns) -> None:
    # The fastest rate to a given accuracy lies between 1 / largest and 2 / largest curvature = 2.
    rate = to_dataset(study).learning_rate.sel(algorithm="gd").item()
    assert 1.0 < rate < 2.0


def test_every_method_tries_the_same_number_of_rates_and_seeds(study: StudyRuns) -> None:
    for tuning, outcome in zip(study.tunings, study.reported, strict=True):
        assert tuning.rates.size == 24
        assert (np.diff(tuning.rates) > 0).all()
        assert tuning.hits.shape == (24, 2, 3)
        assert outcome.status.size == 4
    assert study.runs == 4 * (24 * 2 + 4)


def test_the_finest_spacing_is_what_the_protocol_says(study: StudyRuns) -> None:
    said = float(rate_protocol(study.config).split("factor ")[-1].split(" apart")[0])
    for tuning in study.tunings:
        factors = tuning.rates[1:] / tuning.rates[:-1]
        best = tuning.best()
        around = factors[best - 1 : best + 1]
        assert around.min() == pytest.approx(said, rel=0.02) or around.min() < said


def test_all_methods_of_a_seed_start_from_the_same_matrix(study: StudyRuns) -> None:
    starts = [outcome.w[:, 0] for outcome in study.reported if outcome.w is not None]
    assert len(starts) == 4
    for start in starts:
        np.testing.assert_allclose(start, starts[0], atol=1e-7)
        np.testing.assert_allclose(np.linalg.norm(start, axis=(1, 2)), 0.1, rtol=1e-6)
    assert not np.allclose(starts[0][0], starts[0][1])


def test_seeds_that_choose_do_not_report(study: StudyRuns) -> None:
    method = make_method("gd")
    tuning = study.start(method, TUNING_SEED_OFFSET)
    assert all(
        not np.allclose(tuning, study.start(method, seed)) for seed in range(study.config.seeds)
    )


def test_real_networks_run_only_at_whole_depths(study: StudyRuns) -> None:
    assert [method.label for method in study.methods] == [
        "gd", "end-to-end-2", "end-to-end-1.5", "layerwise-gd-2",
    ]  # fmt: skip


def test_every_variable_carries_a_description(study: StudyRuns) -> None:
    dataset = to_dataset(study)
    for name, variable in dataset.data_vars.items():
        assert variable.attrs["description"], name
    assert dataset.attrs["zero_loss"] > dataset.attrs["reference_loss"] > 0
    assert dataset.attrs["condition_number"] == pytest.approx(10, rel=1e-9)
    assert dataset.w.dims == ("algorithm", "seed", "step", "output", "feature")
    assert (dataset.edge == 0).all()


def test_the_labels_that_a_target_leaves_room_for() -> None:
    x, y = np.eye(4), np.array([1.0, 2.0, 3.0, 4.0])
    config = StudyConfig(methods=("gd",), steps=2, rates=(0.1,), targets=(0.5, 0.2, 0.01))
    dataset = to_dataset(run_study(Problem(x, y, 2), config))
    # Squares 1, 4, 9, 16 of 30: the first three hold 14/30, the first 1/30.
    np.testing.assert_array_equal(dataset["untouched_labels"], [0.75, 0.5, 0.0])


def test_a_winner_at_the_end_extends_the_range_once(quadratic: Problem) -> None:
    config = StudyConfig(
        methods=("gd",), steps=30, rate_range=(1e-6, 1e-4), seeds=1, tuning_seeds=1, targets=(0.5,)
    )
    done: list[tuple[int, int]] = []
    study = run_study(quadratic, config, lambda now, total, text: done.append((now, total)))
    (tuning,) = study.tunings
    assert tuning.rates.size == 24 + 6
    dataset = to_dataset(study)
    assert dataset.edge.item() == 1
    assert tuning.rates[-1] > 1e-4
    assert done[-1] == ((30 + 1) * 30, (30 + 1) * 30)


def test_everything_diverging_is_reported_not_raised(quadratic: Problem) -> None:
    config = StudyConfig(methods=("gd",), steps=500, rates=(1e3, 1e4), seeds=2, tuning_seeds=1)
    study = run_study(quadratic, config)
    assert (study.reported[0].status == Status.DIVERGED).all()
    assert study.diverged == study.runs == 4
    assert np.isinf(study.tunings[0].hits).all()


def test_best_rate_is_decided_by_the_hardest_target_then_the_final_loss() -> None:
    def tuning(hits: list[list[float]], final: list[float]) -> int:
        count = len(hits)
        return Tuning(
            np.arange(1.0, count + 1), np.full((count, 1), Status.BUDGET_SPENT),
            np.array(hits)[:, None, :], np.array(final)[:, None],
        ).best()  # fmt: skip

    inf = np.inf
    assert tuning([[1, 90], [50, 80], [2, inf]], [0.1, 0.1, 0.0]) == 1
    assert tuning([[9, inf], [7, inf], [inf, inf]], [0.1, 0.2, 0.0]) == 2
    assert tuning([[inf, inf], [inf, inf]], [0.9, 0.8]) == 1


def test_a_run_that_diverges_after_a_target_has_not_reached_it(
    quadratic: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = StudyConfig(methods=("gd",), tuning_seeds=2, targets=(0.5,))
    study = StudyRuns(
        quadratic, config, [make_method("gd")], Progress(None, 0), 0.0, 1.0,
        place(quadratic, "float32", 2), 2,
    )  # fmt: skip
    loss = np.array([[1.0, 0.4, 5e3], [1.0, 0.4, 0.3]])
    outcome = Trajectories(
        np.array([0, 1, 2]), loss, loss, loss, loss,
        np.array([Status.DIVERGED, Status.BUDGET_SPENT]), np.array([2, 2]), None,
    )  # fmt: skip
    monkeypatch.setattr(study, "run", lambda *_: [outcome])
    study.try_rates({0: np.array([1.0])}, "")
    hits = study.tunings[0].hits
    assert np.isinf(hits[0, 0, 0])
    assert hits[0, 1, 0] == 1


def test_fine_grid_lies_inside_its_neighbours_and_never_repeats_the_best() -> None:
    for count in range(1, 14):
        grid = fine_grid(1.0, 3.0, count)
        assert grid.size == count
        assert grid[0] > 1 / 3
        assert grid[-1] < 3
        assert not np.isclose(grid, 1.0).any()


def test_coarse_grid_spans_the_range() -> None:
    grid = coarse_grid(StudyConfig(rates=9, rate_range=(1e-2, 1e2)))
    np.testing.assert_allclose(grid, [1e-2, 1e-1, 1, 10, 100])


def test_single_output_rule_needs_one_output() -> None:
    with pytest.raises(ValueError, match="needs one output, the problem has 3: use 'end-to-end'"):
        study_methods(StudyConfig(methods=("single-output",)), 3, 5)


def test_labels_without_relation_to_the_features_are_an_error() -> None:
    x = np.array([[1.0], [1.0], [1.0], [1.0]])
    problem = Problem(x, np.array([1.0, -1.0, 1.0, -1.0]), 2.0)
    with pytest.raises(ValueError, match="nothing to optimize"):
        run_study(problem, StudyConfig(methods=("gd",)))


@pytest.mark.parametrize("init", ["near-zero", "identity"])
def test_paper_starts_multiply_the_same_layers_for_rule_and_network(
    quadratic: Problem, init: str
) -> None:
    config = StudyConfig(
        depths=3, methods=("gd", "end-to-end", "layerwise-gd"), init=init, steps=5,
        rates=(0.01, 0.02), seeds=2, tuning_seeds=1, save_weights=True,
    )  # fmt: skip
    study = run_study(quadratic, config)
    gd, rule, layers = (outcome.w[:, 0] for outcome in study.reported if outcome.w is not None)
    np.testing.assert_allclose(rule, layers, rtol=1e-6)
    assert not np.allclose(gd, rule)


def test_a_bottleneck_limits_the_start_of_every_method_alike() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((40, 5))
    problem = Problem(x, x @ rng.standard_normal((5, 3)), 2.0)
    config = StudyConfig(depths=(1, 2), methods=("gd", "layerwise-gd"), hidden=2)
    study = StudyRuns(
        problem, config, [], Progress(None, 0), 0.0, 1.0, place(problem, "float32", 1), 1
    )
    starts = [study.start(make_method("gd"), 0)]
    for method in study_methods(config, 3, 5)[1:]:
        starts.append(np.asarray(end_to_end(study.start(method, 0))))
    assert np.linalg.matrix_rank(starts[0]) == 2
    for start in starts:
        np.testing.assert_allclose(start, starts[0], atol=1e-7)


@pytest.mark.slow
def test_no_tuned_rate_of_the_default_depends_on_when_a_run_counts_as_diverged() -> None:
    problem = synthetic()
    found = [compare(problem, 4, quick=True, divergence=factor) for factor in (1e3, np.inf)]
    rates = [study.dataset["learning_rate"].values for study in found]
    np.testing.assert_array_equal(*rates)
    assert found[0].summary.conclusion == found[1].summary.conclusion
