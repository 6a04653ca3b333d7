"""When depth is faster than tuned GD, and by which factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import lnn
from lnn.studies.compare.attribution import advantages, with_decomposition
from lnn.studies.compare.report import attribution_report
from lnn.theory.decomposition import TERMS


def problem(p: float, k: int) -> lnn.Problem:
    rng = np.random.default_rng(0)
    return lnn.Problem(rng.standard_normal((40, 5)), rng.standard_normal((40, k)), p)


@pytest.fixture(scope="module")
def study() -> Any:
    return lnn.compare(
        lnn.datasets.gaussian(4, m=200, d=8), depth=2, steps=300, rates=8, seeds=3,
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
    given = lnn.datasets.gaussian(4, m=100, d=5)
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
    assert "least and most of 2 seeds (1 diverged and are excluded)" in attribution_report.caption(
        [found]
    )
