"""Attribution: when depth is faster than tuned gradient descent, and which factor causes it.

At equal loss, the speed of the end-to-end rule relative to tuned GD, as decrease of the loss per
step, is the product of four factors (`lnn.theory.decomposition`):

    step size    eta |W|^(2-2/N) / eta_gd      the norm factor
    projection   <g, P_(W/|W|) g> / |g|^2      for one output 1 + (N-1) cos^2
    gradient     |g|^2 / |g_gd|^2              the two are at different W at the same loss
    curvature    losses by finite steps, relative to each other

Computed from the dataset of a study alone. Imports no JAX.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from lnn.core.problem import Problem
from lnn.core.status import Status
from lnn.results.dataset import described
from lnn.results.statistics import quantile
from lnn.studies.compare.rows import relative_suboptimality
from lnn.theory.decomposition import TERMS, Decomposition, decompose
from lnn.transforms.catalogue import DEPTH_ALONE, LAYERWISE

FACTORS = ("step size", "projection", "gradient", "curvature")
_FIRST_ORDER = ("decrease_gd", "decrease_norm_factor", "decrease_projection")
_LEVELS = 200
_LEAST_RANGE = 10**0.1
"""Methods that share less than this factor of the loss are not compared."""


@dataclass(frozen=True)
class Advantage:
    """Speed of one method relative to tuned GD at equal loss.

    Attributes:
        label, rule, depth: of the method.
        level: (J,) decreasing relative suboptimalities that every run of both reaches.
        factors: (4, S, J) the factors in the order of `FACTORS`, per seed.
        steps, gd_steps: (S, J) steps at which each run reaches each level.
        left_out: number of seeds excluded since one of the two runs diverged.
    """

    label: str
    rule: str
    depth: float
    level: np.ndarray
    factors: np.ndarray
    steps: np.ndarray
    gd_steps: np.ndarray
    left_out: int = 0

    @property
    def ratio(self) -> np.ndarray:
        """(S, J) speed relative to GD."""
        product: np.ndarray = np.prod(self.factors, axis=0)
        return product

    def faster(self) -> slice | None:
        """Return the levels with the largest gain where the median seed is faster than GD."""
        log = np.log(quantile(self.ratio, 0.5, axis=0))
        best, begin, found = 0.0, None, None
        for j in range(len(log) + 1):
            if j < len(log) and log[j] > 0:
                begin = j if begin is None else begin
            elif begin is not None:
                gain = float(log[begin:j].sum())
                if gain > best:
                    best, found = gain, slice(begin, j)
                begin = None
        return found


def advantages(dataset: xr.Dataset) -> list[Advantage]:
    """Compare every end-to-end method of a study with its tuned GD; needs a decomposition.

    Methods are left out if they share less than a tenth of a decade of the loss on the seeds where
    neither diverged.
    """
    if "decrease" not in dataset:
        return []
    labels = [str(label) for label in dataset["algorithm"].values]
    suboptimality = relative_suboptimality(dataset)
    parts = {
        name: dataset[name].transpose("algorithm", "seed", "step").values
        for name in ("decrease", "squared_gradient", *_FIRST_ORDER)
    }
    first = np.sum([parts[name] for name in _FIRST_ORDER], axis=0)
    kept = parts["decrease"] / np.where(first > 0, first, np.nan)
    steps = dataset["step"].values.astype(float)
    diverged = dataset["status"].transpose("algorithm", "seed").values == Status.DIVERGED
    gd = labels.index("gd")
    found = []
    for i, label in enumerate(labels):
        use = ~(diverged[gd] | diverged[i])
        if i == gd or not np.isfinite(parts["decrease"][i]).any() or not use.any():
            continue
        levels = _shared(suboptimality[[gd, i]][:, use])
        if levels is None:
            continue
        effective = first[i] / np.where(parts["squared_gradient"][i] > 0,
                                        parts["squared_gradient"][i], np.nan)  # fmt: skip
        amplification = dataset["amplification"].transpose("algorithm", "seed", "step").values[i]
        rate = float(dataset["learning_rate"].sel(algorithm="gd"))

        def at(
            values: np.ndarray, method: int, levels: np.ndarray = levels, use: np.ndarray = use
        ) -> np.ndarray:
            pairs = zip(suboptimality[method][use], values[use], strict=True)
            return np.stack([_at_levels(levels, *pair) for pair in pairs])

        factors = np.stack(
            [
                at(effective / amplification, i) / rate,
                at(amplification, i),
                at(parts["squared_gradient"][i], i) / at(parts["squared_gradient"][gd], gd),
                at(kept[i], i) / at(kept[gd], gd),
            ]
        )
        all_steps = np.broadcast_to(steps, suboptimality[i].shape)
        found.append(
            Advantage(
                label, str(dataset["rule"].values[i]), float(dataset["depth"].values[i]), levels,
                factors, at(all_steps, i), at(all_steps, gd), int(np.sum(~use)),
            )
        )  # fmt: skip
    return found


def _shared(suboptimality: np.ndarray) -> np.ndarray | None:
    """Return decreasing levels that all runs (..., T) reach; None if the range is too small."""
    values = np.where(np.isfinite(suboptimality), suboptimality, np.inf)
    high, low = float(values[..., 0].min()), float(values.min(axis=-1).max())
    if not (0 < low < high / _LEAST_RANGE):
        return None
    levels: np.ndarray = np.geomspace(high, low, _LEVELS)
    return levels


def _at_levels(levels: np.ndarray, suboptimality: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate values (T,) to where the suboptimality (T,) first reaches each level."""
    lowest = np.minimum.accumulate(np.where(np.isfinite(suboptimality), suboptimality, np.inf))
    after = np.minimum(np.argmax(lowest <= levels[:, None] * (1 + 1e-12), axis=1), lowest.size - 1)
    before = np.maximum(after - 1, 0)
    high, low = np.log(lowest[before]), np.log(lowest[after])
    part = np.where(high > low, (high - np.log(levels)) / np.where(high > low, high - low, 1), 1.0)
    part = np.clip(part, 0, 1)
    first, then = values[before], values[after]
    positive = (first > 0) & (then > 0)  # power law between two records if both are positive
    ratio = np.where(positive, then, 1) / np.where(positive, first, 1)
    result: np.ndarray = np.where(positive, first * ratio**part, first + part * (then - first))
    return result


def with_decomposition(dataset: xr.Dataset, problem: Problem) -> xr.Dataset:
    """Add the terms of the recorded steps to the dataset of a study that saved its weights.

    For plain GD and the end-to-end rules, each at its tuned rate and relative to tuned GD; NaN for
    other methods, and after a run has ended.

    Raises:
        ValueError: no weights, no plain GD to compare with, or weight decay.
    """
    if "w" not in dataset or "gd" not in dataset["algorithm"]:
        raise ValueError("a decomposition needs the weights (save_weights) and the method 'gd'")
    if decay := float(dataset.attrs["weight_decay"]):
        raise ValueError(
            f"weight_decay = {decay:g}: only steps without weight decay are decomposed; run the "
            "study with weight_decay 0"
        )
    w = dataset["w"].transpose("algorithm", "seed", "step", "output", "feature").values
    alive = np.isfinite(dataset["loss"].transpose("algorithm", "seed", "step").values)
    gd_rate = float(dataset["learning_rate"].sel(algorithm="gd"))
    columns = {name: np.full(alive.shape, np.nan) for name in Decomposition._fields}
    for i, rule in enumerate(dataset["rule"].values):
        # Their steps are exactly those of the end-to-end rule at their depth.
        if str(rule) in DEPTH_ALONE and str(rule) not in LAYERWISE and alive[i].any():
            depth, rate = (float(dataset[name][i]) for name in ("depth", "learning_rate"))
            parts = decompose(problem, w[i][alive[i]], depth, rate, gd_rate)
            for name, values in parts._asdict().items():
                columns[name][i, alive[i]] = values
    terms = {
        f"decrease_{name}" if name in TERMS else name: described(
            ("algorithm", "seed", "step"), columns[name], _ABOUT[name]
        )
        for name in columns
    }
    return dataset.assign(terms)


_ABOUT = {
    "gd": "decrease of the loss in one step from here: part of plain GD at its tuned rate",
    "norm_factor": "the same: part of the norm factor, and of the rate not being GD's",
    "projection": "the same: part of the projection",
    "finite_step": "the same: part of the curvature along the step",
    "decrease": "decrease of the loss in one step from here, measured in float64",
    "spectral_norm": "largest singular value of W_e",
    "squared_gradient": "squared Frobenius norm of dL/dW at W_e",
    "amplification": "<g, P_(W/|W|) g> / |g|^2",
}
