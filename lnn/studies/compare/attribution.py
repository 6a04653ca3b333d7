"""When depth is faster than tuned gradient descent, and by which of its parts.

At equal loss the speed of the end-to-end rule over that of tuned GD, both as decrease of the loss
per step, is the product of four factors (`lnn.theory.decomposition`):

    step size    eta |W|^(2-2/N) / eta_gd      the norm factor
    projection   <g, P_(W/|W|) g> / |g|^2      for one output 1 + (N-1) cos^2
    gradient     |g|^2 / |g_gd|^2              the rule is elsewhere when it has the same loss
    curvature    what finite steps lose, compared

Reads the dataset of a study and nothing else. No JAX here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from lnn.core.status import Status
from lnn.results.formatting import banded, compact, inline_name
from lnn.studies.compare.summary import band_over, quantile, relative_suboptimality

FACTORS = ("step size", "projection", "gradient", "curvature")
_FIRST_ORDER = ("decrease_gd", "decrease_norm_factor", "decrease_projection")
_LEVELS = 200
_LEAST_RANGE = 10**0.1
"""Methods that share less than this factor of the loss are not compared."""


@dataclass(frozen=True)
class Advantage:
    """How one method's speed compares with tuned GD's at equal loss.

    Attributes:
        label, rule, depth: which method.
        level: (J,) relative suboptimalities, falling, that every run of both passes.
        factors: (4, S, J) the factors in the order of `FACTORS`, per seed.
        steps, gd_steps: (S, J) steps after which each run passes each level.
        left_out: how many seeds have no part in it, for one of the two runs diverged.
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
        """(S, J) speed over GD's."""
        product: np.ndarray = np.prod(self.factors, axis=0)
        return product

    def faster(self) -> slice | None:
        """Levels at which the median seed is faster than GD: the stretch that gains most."""
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
    """Every end-to-end method of a study with a decomposition, against its tuned GD.

    Empty where the dataset has no decomposition or too little to compare: methods that share less
    than a tenth of a decade of the loss on the seeds where none of both diverged.
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


def sentences(advantage: Advantage) -> str:
    """When the advantage arises, when it ends, and what makes it, in words; every number measured.

    Numbers are medians over the seeds, with 20-80 % bands in brackets.
    """
    name = inline_name(advantage.rule, advantage.depth)
    stretch, ratio = advantage.faster(), quantile(advantage.ratio, 0.5, axis=0)
    if stretch is None:
        best = int(np.argmax(ratio))
        return (
            f"At equal loss, {name} is nowhere faster than tuned GD: at best "
            f"{banded(band_over(advantage.ratio[:, best]))} times as fast, at "
            f"{_point(advantage, best)}."
        )
    begin, end = stretch.start, stretch.stop - 1
    peak = begin + int(np.argmax(ratio[stretch]))
    start = (
        "from the start"
        if begin == 0
        else f"from {_point(advantage, begin)} on, {_cause(advantage, 0, begin)}"
        f"{_beside(advantage, 0, begin)}"
    )
    last = end == ratio.size - 1
    until = (
        f"and to the end of what both reach, {_point(advantage, end)}"
        if last
        else f"until {_point(advantage, end)}"
    )
    decline = "" if peak == end else f"; from there on {_cause(advantage, peak, end)}"
    factors = [
        f"{factor} {banded(band_over(values[:, peak]))}"
        for factor, values in zip(FACTORS, advantage.factors, strict=True)
    ]
    return (
        f"At equal loss, {name} is faster than tuned GD {start}, {until}. The advantage is largest "
        f"at {_point(advantage, peak)}, {banded(band_over(advantage.ratio[:, peak]))} times the "
        f"speed of GD, as the product of {', '.join(factors[:-1])} and {factors[-1]}{decline}."
    )


def _most(advantage: Advantage, before: int, after: int) -> int:
    """Which factor changed most the way that the speed did between two levels."""
    log = np.log(quantile(advantage.factors, 0.5, axis=1))
    total = np.log(quantile(advantage.ratio, 0.5, axis=0))
    sign = np.sign(total[after] - total[before])
    return int(np.argmax(sign * (log[:, after] - log[:, before])))


def _beside(advantage: Advantage, before: int, after: int) -> str:
    """The largest factor at the second level, where it is another than the one that changed."""
    there = quantile(advantage.factors[:, :, after], 0.5, axis=1)
    largest = int(np.argmax(there))
    if largest == _most(advantage, before, after):
        return ""
    return f" beside a {FACTORS[largest]} factor of {compact(float(there[largest]))}"


def _cause(advantage: Advantage, before: int, after: int) -> str:
    """What made the speed change between two levels, in words."""
    most = _most(advantage, before, after)
    first, then = quantile(advantage.factors[most][:, [before, after]], 0.5, axis=0)
    verb = "rises" if then > first else "falls"
    return f"as the {FACTORS[most]} factor {verb} from {compact(first)} to {compact(then)}"


def _point(advantage: Advantage, j: int) -> str:
    steps = float(quantile(advantage.steps[:, j], 0.5))
    steps_text = str(round(steps)) if steps < 1000 else compact(steps)
    return f"a suboptimality of {compact(float(advantage.level[j]))} (step {steps_text})"


def _shared(suboptimality: np.ndarray) -> np.ndarray | None:
    """Levels, falling, that all runs (..., T) pass; None where they share next to nothing."""
    values = np.where(np.isfinite(suboptimality), suboptimality, np.inf)
    high, low = float(values[..., 0].min()), float(values.min(axis=-1).max())
    if not (0 < low < high / _LEAST_RANGE):
        return None
    levels: np.ndarray = np.geomspace(high, low, _LEVELS)
    return levels


def _at_levels(levels: np.ndarray, suboptimality: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (T,) when the suboptimality (T,) first passes each level, interpolated."""
    lowest = np.minimum.accumulate(np.where(np.isfinite(suboptimality), suboptimality, np.inf))
    after = np.minimum(np.argmax(lowest <= levels[:, None] * (1 + 1e-12), axis=1), lowest.size - 1)
    before = np.maximum(after - 1, 0)
    high, low = np.log(lowest[before]), np.log(lowest[after])
    part = np.where(high > low, (high - np.log(levels)) / np.where(high > low, high - low, 1), 1.0)
    part = np.clip(part, 0, 1)
    first, then = values[before], values[after]
    positive = (first > 0) & (then > 0)  # a power law between two records, where it can be one
    ratio = np.where(positive, then, 1) / np.where(positive, first, 1)
    result: np.ndarray = np.where(positive, first * ratio**part, first + part * (then - first))
    return result
