"""Where the decrease comes from, and when depth is faster than tuned GD."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import lnn
from lnn.studies.compare.attribution import FACTORS, Advantage, advantages, with_decomposition
from lnn.studies.compare.report import attribution_report
from lnn.studies.compare.report.attribution_report import sentences
from lnn.theory.decomposition import TERMS


def problem(p: float, k: int) -> lnn.Problem:
    rng = np.random.default_rng(0)
    return lnn.Problem(rng.standard_normal((40, 5)), rng.standard_normal((40, k)), p)


def some_w(k: int) -> np.ndarray:
    return 0.5 * np.random.default_rng(1).standard_normal((2, 3, k, 5))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("p", "tolerance"), [(2, 1e-12), (4, 1e-12), (6, 1e-12), (3, 1e-6), (2.5, 1e-6)]
)
@pytest.mark.parametrize("depth", [1, 1.5, 2, 4, math.inf])
def test_terms_sum_to_the_measured_decrease(
    k: int, p: float, tolerance: float, depth: float
) -> None:
    found = lnn.decompose(problem(p, k), some_w(k), depth, 0.01, 0.02)
    total = sum(getattr(found, name) for name in TERMS)
    assert total.shape == (2, 3)
    np.testing.assert_allclose(total, found.decrease, rtol=tolerance)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_first_order_terms_are_the_derivative_of_the_loss(x64: None, k: int, depth: int) -> None:
    """Against a central difference along the rule's step, its error removed by extrapolation."""
    given, w = problem(4, k), some_w(k)[0, 0]
    gradient = np.asarray(given.gradient(w))
    matrix = np.asarray(lnn.core.spectral.preconditioner_matrix(w, depth))
    direction = (matrix @ gradient.ravel("F")).reshape(w.shape, order="F")

    def slope(h: float) -> float:
        ahead, behind = (float(given.loss(w + sign * h * direction)) for sign in (-1, 1))
        return (behind - ahead) / (2 * h)

    derivative = (4 * slope(5e-4) - slope(1e-3)) / 3
    found = lnn.decompose(given, w, depth, 0.25, 0.125)
    first = found.gd + found.norm_factor + found.projection
    np.testing.assert_allclose(first, 0.25 * derivative, rtol=1e-8)
    np.testing.assert_allclose(found.gd, 0.125 * (gradient**2).sum(), rtol=1e-12)


@pytest.mark.parametrize("depth", [1.5, 2, 4])
def test_one_output_has_the_terms_of_eq_12(x64: None, depth: float) -> None:
    given, w = problem(4, 1), some_w(1)
    found = lnn.decompose(given, w, depth, 0.1)
    g = np.asarray(given.gradient(w))
    norm, squared = np.linalg.norm(w, axis=(-2, -1)), (g * g).sum((-2, -1))
    scale = norm ** (2 - 2 / depth)
    along = (g * w).sum((-2, -1)) / norm
    np.testing.assert_allclose(found.gd, 0.1 * squared, rtol=1e-12)
    np.testing.assert_allclose(found.norm_factor, 0.1 * (scale - 1) * squared, rtol=1e-11)
    np.testing.assert_allclose(found.projection, 0.1 * scale * (depth - 1) * along**2, rtol=1e-11)
    amplified = 1 + (depth - 1) * along**2 / squared
    np.testing.assert_allclose(found.amplification, amplified, rtol=1e-12)
    np.testing.assert_allclose(found.spectral_norm, norm, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0}, "learning_rate = 0: give a positive number"),
        ({"gd_learning_rate": -1.0}, "gd_learning_rate = -1.0"),
        ({"depth": 0}, "depth = 0"),
        ({"w": np.ones(5)}, r"w has shape \(5,\): give \(..., 1, 5\)"),
    ],
)
def test_wrong_arguments_are_told(options: dict[str, Any], words: str) -> None:
    given = {"problem": problem(4, 1), "w": some_w(1), "depth": 2, "learning_rate": 0.1}
    with pytest.raises(ValueError, match=words):
        lnn.decompose(**{**given, **options})


@pytest.fixture(scope="module")
def study() -> Any:
    return lnn.compare(
        lnn.datasets.synthetic(4, m=200, d=8), depth=2, steps=300, rates=8, seeds=3,
        tuning_seeds=3, methods=("gd", "end-to-end", "adam"), save_weights=True,
    )  # fmt: skip


def test_a_study_with_weights_has_the_terms(study: Any) -> None:
    dataset = study.dataset
    for label in ("gd", "end-to-end-2"):
        some = dataset.sel(algorithm=label)
        alive = np.isfinite(some["loss"].values)
        total = sum(some[f"decrease_{name}"].values for name in TERMS)
        np.testing.assert_allclose(total[alive], some["decrease"].values[alive], rtol=1e-6)
        assert np.isnan(total[~alive]).all()
    assert np.isnan(dataset["decrease"].sel(algorithm="adam")).all()
    assert not dataset["decrease_projection"].sel(algorithm="gd").any()
    assert not dataset["decrease_norm_factor"].sel(algorithm="gd").any()
    # The measured decrease is that of the run: its first step is recorded.
    loss = dataset["loss"].sel(algorithm="gd").values
    np.testing.assert_allclose(
        dataset["decrease"].sel(algorithm="gd").values[:, 0], loss[:, 0] - loss[:, 1], rtol=1e-4
    )
    with pytest.raises(ValueError, match="needs the weights"):
        with_decomposition(dataset.drop_vars("w"), problem(4, 1))


def test_steps_with_weight_decay_are_not_decomposed() -> None:
    given = lnn.datasets.synthetic(4, m=100, d=5)
    decayed = lnn.compare(
        given, depth=2, steps=20, rates=(0.01,), seeds=1, tuning_seeds=1, weight_decay=0.05,
        methods=("gd", "end-to-end"), save_weights=True,
    )  # fmt: skip
    assert "decrease" not in decayed.dataset
    assert advantages(decayed.dataset) == []
    with pytest.raises(ValueError, match=r"weight_decay = 0.05: only steps without"):
        with_decomposition(decayed.dataset, given)


def test_factors_multiply_to_the_ratio_of_speeds(study: Any) -> None:
    (found,) = advantages(study.dataset)
    assert found.label == "end-to-end-2"
    suboptimality = (study.dataset["loss"] - study.dataset.attrs["reference_loss"]) / (
        study.dataset.attrs["zero_loss"] - study.dataset.attrs["reference_loss"]
    )
    for s in range(3):
        for j in range(0, found.level.size, 7):
            speeds = []
            for label in ("gd", "end-to-end-2"):
                run = suboptimality.sel(algorithm=label, seed=s).values
                decrease = study.dataset["decrease"].sel(algorithm=label, seed=s).values
                after = next(i for i, value in enumerate(run) if value <= found.level[j] * 1.000001)
                if after == 0:
                    speeds.append(decrease[0])
                    continue
                high, low = np.log(run[after - 1 : after + 1])
                logs = np.log(decrease[after - 1 : after + 1])
                speeds.append(
                    np.exp(np.interp(np.log(found.level[j]), [low, high], [logs[1], logs[0]]))
                )
            np.testing.assert_allclose(found.ratio[s, j], speeds[1] / speeds[0], rtol=1e-4)


def made_up(ratio: np.ndarray, moving: int = 0) -> Advantage:
    """A median seed with this ratio of speeds, all by one factor; the others 10 % off."""
    level = np.geomspace(1, 0.01, ratio.size)
    factors = np.ones((4, 3, ratio.size))
    factors[moving] = ratio * np.array([0.9, 1.0, 1.1])[:, None]
    steps = np.tile(np.arange(1.0, ratio.size + 1), (3, 1))
    return Advantage("end-to-end-2", "end-to-end", 2.0, level, factors, steps, 2 * steps)


def test_sentences_tell_when_it_arises_and_when_it_ends() -> None:
    up_and_down = np.concatenate([np.geomspace(0.25, 4, 21), np.geomspace(4, 0.5, 20)])
    text = sentences(made_up(up_and_down, FACTORS.index("projection")))
    # log2 of the ratio is -2 at first, 0 at the 11th level, 2 at the 21st, and below 0 at the 36th.
    level = np.geomspace(1, 0.01, 41)
    assert f"from a suboptimality of {level[11]:.3g} (step 12) on, as the projection" in text
    assert f"until a suboptimality of {level[33]:.3g} (step 34)" in text
    assert f"largest at a suboptimality of {level[20]:.2g}00 (step 21), 4.00 [3.60, 4.40]" in text
    assert "from there on as the projection factor falls from 4.00 to 1.08" in text


def test_sentences_name_what_else_makes_it() -> None:
    found = made_up(np.geomspace(0.1, 4, 30))
    found.factors[0] /= 2
    found.factors[1] *= 2
    assert "as the step size factor rises from 0.0500 to 0.5" in sentences(found)
    assert " beside a projection factor of 2.00, and to the end" in sentences(found)


def test_sentences_for_an_advantage_that_lasts_and_for_none() -> None:
    rising = np.geomspace(1.5, 3, 30)
    text = sentences(made_up(rising))
    assert "faster than tuned GD from the start, and to the end of what both reach" in text
    assert "step size 3.00 [2.70, 3.30], projection 1.00, gradient 1.00 and curvature 1.00." in text
    text = sentences(made_up(np.geomspace(0.2, 0.8, 30)))
    assert "is nowhere faster than tuned GD: at best 0.800 [0.720, 0.880] times as fast" in text


def test_files_say_the_same(tmp_path: Path) -> None:
    found = made_up(np.geomspace(0.5, 2, 10))
    attribution_report.write([found], tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"decomposition.{kind}" for kind in ("csv", "pdf", "png", "txt")}
    assert sentences(found) in (tmp_path / "decomposition.txt").read_text()
    with (tmp_path / "decomposition.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["speed_over_gd_median"]) for row in rows] == pytest.approx(
        np.geomspace(0.5, 2, 10), rel=1e-5
    )
    assert float(rows[3]["step_size_factor_p80"]) == pytest.approx(
        1.1 * 0.5 * 4 ** (3 / 9), rel=1e-5
    )


def test_nothing_is_compared_without_a_decomposition_or_a_common_range(study: Any) -> None:
    assert advantages(study.dataset.drop_vars("decrease")) == []
    apart = study.dataset.copy()
    apart["loss"] = xr.where(apart["algorithm"] == "gd", apart.attrs["zero_loss"], apart["loss"])
    assert advantages(apart) == []


def test_seeds_that_diverged_are_left_out(study: Any) -> None:
    dataset = study.dataset.copy(deep=True)
    dataset["status"].loc[{"algorithm": "gd", "seed": 1}] = lnn.Status.DIVERGED
    (whole,), (found,) = advantages(study.dataset), advantages(dataset)
    assert (whole.left_out, found.left_out) == (0, 1)
    assert found.factors.shape[1] == 2
    assert "over 2 seeds (1 diverged and are left out)" in attribution_report.caption([found])
