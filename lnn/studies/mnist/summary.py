"""Labelled dataset of a study's runs, and a row for every arm.

Diverged runs count as infinity. Networks are compared seed by seed with the normal network of the
same setting; medians and bands over seeds are order statistics, never interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lnn.results.dataset import described
from lnn.results.statistics import Band, band_over, quantile, steps_to_target
from lnn.studies.mnist.config import ARMS, HARD_CODED_RATE, MnistConfig
from lnn.studies.mnist.runs import Curve, TrainingRun, rate_of
from lnn.studies.mnist.study import Training
from lnn.studies.search import tuning_seeds

SETTINGS = ("tuned", "hard-coded")
"""Learning rates: the best of each arm, and the tutorial's for all."""

_VARIABLES = {
    "cross_entropy": "on a fixed set of training images, without dropout",
    "regularizer_product": "5e-4/2 times the sum of squares of dense weights and biases, of the "
    "products where matrices are factored",
    "regularizer_factors": "the same, of the factors where matrices are factored",
}


def dataset(config: MnistConfig, study: Training, facts: Mapping[str, Any]) -> xr.Dataset:
    """Return all evaluation curves and the search as a labelled dataset, with these attributes."""
    arms, seeds = list(ARMS), range(config.seeds)

    def curves(setting: str) -> list[list[Curve]]:
        return [
            [
                study.curves[TrainingRun(arm, study.chosen[arm] if setting == "tuned" else 0, seed)]
                for seed in seeds
            ]
            for arm in arms
        ]

    runs = [curves(setting) for setting in SETTINGS]
    axes = ("setting", "arm", "seed", "step")
    found: dict[str, Any] = {
        name: described(axes, _each(runs, name), what, "nats") for name, what in _VARIABLES.items()
    }
    found["test_error"] = described(
        axes[:-1], _each(runs, "test_error"),
        "fraction of the test images that the network gets wrong",
    )  # fmt: skip
    rates = [[rate_of(study.chosen[arm]) for arm in arms], [HARD_CODED_RATE] * len(arms)]
    found["learning_rate"] = described(axes[:2], rates, "at the first epoch")
    found["edge"] = described(
        "arm", [study.edge(arm) for arm in arms],
        "-1 or 1: the tuned rate is the lowest or highest tried",
    )  # fmt: skip
    most = max(map(len, study.tried.values()))
    tried = np.full((len(arms), most), np.nan)
    finals = np.full((len(arms), most, config.tuning_seeds), np.nan)
    for i, arm in enumerate(arms):
        for j, power in enumerate(study.tried[arm]):
            tried[i, j] = rate_of(power)
            finals[i, j] = [
                study.curves[TrainingRun(arm, power, s)].final for s in tuning_seeds(config)
            ]
    found["tried_rate"] = described(
        ("arm", "trial"), tried, "learning rates of the search; NaN beyond an arm's last"
    )
    found["tuning_objective"] = described(
        ("arm", "trial", "tuning_seed"), finals, "final cross-entropy + regularizer on the "
        "product; infinity for a run that diverged", "nats",
    )  # fmt: skip
    coordinates = {
        "setting": described("setting", list(SETTINGS), "learning rates"),
        "arm": described("arm", arms, "network and training"),
        "seed": described("seed", list(seeds), "start, batches, dropout"),
        "step": described("step", config.record_steps(), "steps done", "steps"),
        "tuning_seed": described(
            "tuning_seed", list(tuning_seeds(config)), "start, batches, dropout of the search"
        ),
    }
    return xr.Dataset(found, coordinates, dict(facts))


def milliseconds_per_step(study: Training, config: MnistConfig) -> dict[str, float]:
    """Return the median time of a run per step for each arm, measurements included."""
    times: dict[str, list[float]] = {}
    for run, curve in study.curves.items():
        times.setdefault(run.arm, []).append(1000 * curve.seconds / config.steps)
    return {arm: round(float(np.median(values)), 2) for arm, values in times.items()}


def _each(runs: list[list[list[Curve]]], name: str) -> np.ndarray:
    """Return a value of every run; infinity from where it diverged."""
    values = np.array([[[getattr(run, name) for run in arm] for arm in some] for some in runs])
    if values.ndim < 4:
        return np.array(values, np.float64)
    bad = ~np.isfinite(
        np.array([[[run.objective for run in arm] for arm in some] for some in runs])
    )
    return np.where(np.maximum.accumulate(bad, axis=-1), np.inf, values)


@dataclass(frozen=True)
class Difference:
    """Arm minus normal network of the same seed, after the same number of steps."""

    steps: int
    cross_entropy: Band
    regularizer: Band
    objective: Band


@dataclass(frozen=True)
class Row:
    """One arm at one setting of the rates, over evaluation seeds.

    Attributes:
        setting, arm: identify the row.
        learning_rate: at the first epoch.
        edge: -1 or 1 if it is the lowest or highest tried, else 0.
        objective: final cross-entropy + regularizer on the product.
        cross_entropy, regularizer_product, regularizer_factors: final values.
        start: initial regularizer on the product.
        test_error: fraction.
        seeds, diverged: number of runs, and of diverged ones.
        reached: number of seeds that reached the normal network's final objective.
        speedup: steps of the normal network to its own final objective over steps of this arm to
            the same; 0 if not reached.
        speedup_cross_entropy: the same for the cross-entropy.
        speedup_trained: the same for the trained objective of this arm.
        early, end: differences after a quarter of the steps and at the end.
    """

    setting: str
    arm: str
    learning_rate: float
    edge: int
    objective: Band
    cross_entropy: Band
    regularizer_product: Band
    regularizer_factors: Band
    start: float
    test_error: Band
    seeds: int
    diverged: int
    reached: int
    speedup: Band
    speedup_cross_entropy: Band
    speedup_trained: Band
    early: Difference
    end: Difference


def summarize(found: xr.Dataset) -> list[Row]:
    """Return a row for every setting and arm, from the dataset alone."""
    return [
        _row(found, setting, arm)
        for setting in found["setting"].values
        for arm in found["arm"].values
    ]


def objective(found: xr.Dataset) -> xr.DataArray:
    """Return cross-entropy + regularizer on the product."""
    return found["cross_entropy"] + found["regularizer_product"]


def _row(found: xr.Dataset, setting: str, arm: str) -> Row:
    own, normal = (found.sel(setting=setting, arm=name) for name in (arm, "normal"))
    steps = found["step"].values.astype(np.float64)
    total = objective(own).values
    hits = _hits(steps, objective(own), objective(normal))
    trained = own["cross_entropy"] + own[f"regularizer_{ARMS[arm].regularizer}"]
    quarter = int(np.searchsorted(steps, steps[-1] / 4))
    last = {
        name: band_over(own[name].values[:, -1])
        for name in ("cross_entropy", "regularizer_product", "regularizer_factors")
    }
    return Row(
        setting=str(setting), arm=str(arm), learning_rate=float(own["learning_rate"]),
        edge=int(own["edge"]) if setting == "tuned" else 0,
        objective=band_over(total[:, -1]), **last,
        start=float(quantile(own["regularizer_product"].values[:, 0], 0.5)),
        test_error=band_over(own["test_error"].values),
        seeds=total.shape[0], diverged=int((~np.isfinite(total[:, -1])).sum()),
        reached=int(np.isfinite(hits[0]).sum()),
        speedup=_speedup(*hits),
        speedup_cross_entropy=_speedup(
            *_hits(steps, own["cross_entropy"], normal["cross_entropy"])
        ),
        speedup_trained=_speedup(*_hits(steps, trained, objective(normal))),
        early=_difference(own, normal, quarter), end=_difference(own, normal, steps.size - 1),
    )  # fmt: skip


def _hits(
    steps: np.ndarray, own: xr.DataArray, normal: xr.DataArray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of both to the last value of the normal network, (S,).

    Infinity for diverged runs, whatever they passed before; NaN if the normal one diverged.
    """

    def hits(values: np.ndarray, goal: float) -> float:
        if not np.isfinite(goal):
            return math.nan
        diverged = not np.isfinite(values[-1])
        return float(steps_to_target(steps, values, np.array([goal]), diverged)[0])

    goals = normal.values[:, -1]
    first, second = (
        np.array([hits(values, goal) for values, goal in zip(each.values, goals, strict=True)])
        for each in (own, normal)
    )
    return first, second


def _speedup(own: np.ndarray, normal: np.ndarray) -> Band:
    """Return the band over seeds whose normal network did not diverge; NaN if fewer than half."""
    known = ~np.isnan(own)
    if 2 * known.sum() < known.size:
        return Band(math.nan, math.nan, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(own == normal, 1.0, normal / own)[known]
    return band_over(ratio, upper_median=False)


def _difference(own: xr.Dataset, normal: xr.Dataset, at: int) -> Difference:
    def band(name: str | None) -> Band:
        values, others = (
            (objective(some) if name is None else some[name]).values[:, at]
            for some in (own, normal)
        )
        known = np.isfinite(values) | np.isfinite(others)
        if 2 * known.sum() < known.size:
            return Band(math.nan, math.nan, math.nan)
        return band_over(values[known] - others[known])

    return Difference(
        int(own["step"].values[at]), band("cross_entropy"), band("regularizer_product"), band(None)
    )
