"""What a study's numbers say: steps to each target, medians and bands, speed-ups over tuned GD.

Reads the labelled dataset of a study and nothing else, so every table and figure can be made again
from the saved file. No JAX here.

Medians and bands are order statistics over the seeds, never interpolated: runs that missed a
target stay in as infinity, and infinity must not turn a number into NaN.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lnn.core.status import Status

BAND = (0.2, 0.8)
"""The band over seeds runs between these quantiles."""


def steps_to_target(
    steps: np.ndarray,
    suboptimality: np.ndarray,
    targets: np.ndarray,
    diverged: np.ndarray | bool = False,
) -> np.ndarray:
    """Number of steps after which each run is first at or below each target.

    Between two recorded steps the crossing is interpolated in log(steps) and log(suboptimality),
    which is exact for power laws. Two exceptions: from step 0, which has no logarithm, it is
    linear in the steps; to a value at or below zero it is linear in the suboptimality.

    Args:
        steps: (T,) recorded steps, ascending, from 0 or later.
        suboptimality: (..., T); NaN after a run has ended.
        targets: (K,), positive.
        diverged: (...), runs that blew up before their budget was spent. They count as having
            reached nothing, though they may have passed a target before: their rate is of no use.

    Returns:
        (..., K) steps, not rounded; infinity where a target was never reached.
    """
    steps = np.asarray(steps, np.float64)
    values = np.asarray(suboptimality, np.float64)
    targets = np.asarray(targets, np.float64)
    below = values[..., None] <= targets
    first = np.argmax(below, axis=-2)
    before = np.maximum(first - 1, 0)
    high = np.take_along_axis(values, before, axis=-1)
    low = np.take_along_axis(values, first, axis=-1)
    start, end = steps[before], steps[first]
    with np.errstate(all="ignore"):
        part = np.log(high / targets) / np.log(high / low)
        part = np.where(low > 0, part, (high - targets) / (high - low))
        part = np.where(np.isfinite(high), part, 1.0)
        crossing = np.where(start > 0, start * (end / start) ** part, start + part * (end - start))
    crossing = np.where(first == 0, steps[0], np.clip(crossing, start, end))
    reached = below.any(axis=-2) & ~np.asarray(diverged)[..., None]
    return np.where(reached, crossing, np.inf)


def final_suboptimality(suboptimality: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Last recorded value of each run (..., T); infinity for a run that diverged."""
    final = _last(suboptimality)
    return np.where(diverged | ~np.isfinite(final), np.inf, final)


def quantile(values: np.ndarray, q: float, axis: int = -1, upper_median: bool = True) -> np.ndarray:
    """Quantile as one of the values themselves, so that infinity is never interpolated.

    Of the two values around the quantile the lower one is taken for q < 1/2, the higher one
    otherwise: bands are never too narrow and medians of steps never too good. Where large values
    are the good ones, `upper_median=False` takes the lower one for q = 1/2.

    Raises:
        ValueError: if a value is NaN, or there is none.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or np.isnan(values).any():
        raise ValueError("quantiles need at least one value and no NaN")
    position = round(q * (values.shape[axis] - 1), 9)  # 0.7 * 10 must not count as above 7
    lower = q < 0.5 or (q == 0.5 and not upper_median)
    index = math.floor(position) if lower else math.ceil(position)
    return np.take(np.sort(values, axis=axis), index, axis=axis)


@dataclass(frozen=True)
class Band:
    """Median and 20-80 % band over seeds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class TargetResult:
    """How one method got to one target.

    Attributes:
        target: relative suboptimality.
        steps: steps to the target; infinity where it was missed.
        reached: number of seeds that reached it.
        speedup: (steps of tuned GD) / (steps of this method), paired by seed. Infinity where only
            this method reached the target, 0 where only GD did. A seed where both missed says
            nothing: the median is over the other seeds (NaN if those are less than half), the
            band holds whatever it might have been.
        at_least, at_most: the same quantiles of the least and the largest speed-up that the budget
            allows: a run that missed is taken to reach the target right after its last step, or
            never. These are the bounds to show where a speed-up is 0 or infinite.
    """

    target: float
    steps: Band
    reached: int
    speedup: Band
    at_least: Band
    at_most: Band


@dataclass(frozen=True)
class MethodSummary:
    """One row of the table: a method at its tuned rate, over the reporting seeds.

    Attributes:
        label, rule, depth: which method.
        learning_rate: tuned on other seeds; `edge` is -1 or 1 if it was the lowest or highest
            tried; `rate_spacing` is the factor to the nearest other rate tried.
        targets: one `TargetResult` per target, easiest first.
        final: last recorded relative suboptimality; infinity for a run that diverged. A run stops
            once it has reached every target.
        reached_all, diverged, budget_spent: how many runs ended so.
    """

    label: str
    rule: str
    depth: float
    learning_rate: float
    edge: int
    rate_spacing: float
    targets: tuple[TargetResult, ...]
    final: Band
    reached_all: int
    diverged: int
    budget_spent: int

    def result(self, target: float) -> TargetResult:
        """The result at this target."""
        return next(result for result in self.targets if result.target == target)


@dataclass(frozen=True)
class Summary:
    """What a study found. Displays itself in a notebook.

    Attributes:
        facts: what was run: the attributes of the dataset.
        targets: relative suboptimalities, easiest first.
        seeds: number of reporting seeds.
        steps: budget of every run.
        rows: one `MethodSummary` per method, in the order of the dataset.
    """

    facts: dict[str, Any]
    targets: tuple[float, ...]
    seeds: int
    steps: int
    rows: tuple[MethodSummary, ...]

    @property
    def conclusion(self) -> str:
        """One plain sentence, drawn from the numbers only."""
        from lnn.studies.compare.report.conclusion import conclusion

        return conclusion(self)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Comma-separated values, one line per method and target; also written to `path`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for line in _csv_lines(self):
            writer.writerow(line)
        if path is not None:
            Path(path).write_text(text.getvalue(), encoding="utf-8", newline="\n")
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for strict JSON: infinity is "inf" or "-inf", NaN is None."""
        return strict(asdict(self) | {"conclusion": self.conclusion})

    def to_json(self) -> str:
        """The summary as strict JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def _repr_html_(self) -> str:
        from lnn.studies.compare.report.html import html

        return html(self)


def summarize(dataset: xr.Dataset) -> Summary:
    """Draw medians, bands and speed-ups from the dataset of a study."""
    targets = dataset["target"].values.astype(np.float64)
    labels = [str(label) for label in dataset["algorithm"].values]
    suboptimality = relative_suboptimality(dataset)
    status = dataset["status"].transpose("algorithm", "seed").values
    diverged = status == Status.DIVERGED
    hits = steps_to_target(dataset["step"].values, suboptimality, targets, diverged)  # (M, S, K)
    budget = int(dataset.attrs.get("steps", dataset["step"].values[-1]))
    gd = hits[labels.index("gd")] if "gd" in labels else None
    final = final_suboptimality(suboptimality, diverged)
    rows = []
    for i, label in enumerate(labels):
        method = dataset.isel(algorithm=i)
        results = []
        for k, target in enumerate(targets):
            value, least, most = _speedup(None if gd is None else gd[:, k], hits[i, :, k], budget)
            results.append(
                TargetResult(
                    target=float(target),
                    steps=band_over(hits[i, :, k]),
                    reached=int(np.isfinite(hits[i, :, k]).sum()),
                    speedup=value,
                    at_least=least,
                    at_most=most,
                )
            )
        rows.append(
            MethodSummary(
                label=label,
                rule=str(method["rule"].values),
                depth=float(method["depth"]),
                learning_rate=float(method["learning_rate"]),
                edge=int(method["edge"]),
                rate_spacing=float(method["rate_spacing"]),
                targets=tuple(results),
                final=band_over(final[i]),
                reached_all=int((status[i] == Status.REACHED).sum()),
                diverged=int((status[i] == Status.DIVERGED).sum()),
                budget_spent=int((status[i] == Status.BUDGET_SPENT).sum()),
            )
        )
    facts = {str(name): _plain(value) for name, value in dataset.attrs.items()}
    return Summary(facts, tuple(targets.tolist()), status.shape[1], budget, tuple(rows))


def relative_suboptimality(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T): (L - L*) / (L_0 - L*) of every recorded loss."""
    loss = dataset["loss"].transpose("algorithm", "seed", "step").values.astype(np.float64)
    best, zero = float(dataset.attrs["reference_loss"]), float(dataset.attrs["zero_loss"])
    return (loss - best) / (zero - best)


def carried_forward(dataset: xr.Dataset) -> np.ndarray:
    """(M, S, T) relative suboptimality in which ended runs stay in.

    A run that ended keeps its last value, a run that diverged is at infinity from its last record
    on, which is the one that showed it.
    """
    values = relative_suboptimality(dataset)
    diverged = dataset["status"].transpose("algorithm", "seed").values[..., None] == Status.DIVERGED
    ended = np.cumsum(~np.isnan(values)[..., ::-1], axis=-1)[..., ::-1] <= np.where(diverged, 1, 0)
    after = np.where(diverged, np.inf, _last(values)[..., None])
    return np.where(ended | ~np.isfinite(values), after, values)


def strict(value: Any) -> Any:
    """Plain data that strict JSON takes: infinity is "inf" or "-inf", NaN is None."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    value = _plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _plain(value: Any) -> Any:
    """A number or text without NumPy's types; NetCDF gives numbers back as arrays of one."""
    return np.asarray(value).item() if isinstance(value, np.ndarray | np.generic) else value


def _last(values: np.ndarray) -> np.ndarray:
    """Last value of each run (..., T) that is not NaN; NaN if there is none."""
    last = values.shape[-1] - 1 - np.argmax(~np.isnan(values)[..., ::-1], axis=-1)
    return np.take_along_axis(values, last[..., None], axis=-1)[..., 0]


def band_over(values: np.ndarray, upper_median: bool = True) -> Band:
    """Median and band of the seeds' values (S,); `upper_median` as in `quantile`."""
    quantiles = (quantile(values, q, upper_median=upper_median) for q in (0.5, *BAND))
    return Band(*map(float, quantiles))


def _speedup(gd: np.ndarray | None, method: np.ndarray, budget: float) -> tuple[Band, Band, Band]:
    """Speed-up over GD with its bounds, from the steps of both (S,), paired by seed."""
    if gd is None:
        unknown = Band(math.nan, math.nan, math.nan)
        return unknown, unknown, unknown
    known = np.isfinite(gd) | np.isfinite(method)
    least = np.where(np.isfinite(method), speed_ratio(np.minimum(gd, budget), method), 0.0)
    most = np.where(np.isfinite(gd), speed_ratio(gd, np.minimum(method, budget)), np.inf)
    with np.errstate(invalid="ignore"):
        ratio = speed_ratio(gd, method)
    low, high = BAND
    enough = 2 * known.sum() >= known.size
    value = Band(
        float(quantile(ratio[known], 0.5, upper_median=False)) if enough else math.nan,
        float(quantile(np.where(known, ratio, 0.0), low)) if known.any() else math.nan,
        float(quantile(np.where(known, ratio, np.inf), high)) if known.any() else math.nan,
    )
    return value, band_over(least, upper_median=False), band_over(most, upper_median=False)


def speed_ratio(gd: np.ndarray, method: np.ndarray) -> np.ndarray:
    """gd / method; 1 where both start at the target."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((gd == 0) & (method == 0), 1.0, gd / method)


def _csv_lines(summary: Summary) -> Iterator[list[object]]:
    def band(name: str) -> list[str]:
        return [f"{name}_{part}" for part in ("median", "p20", "p80")]

    def numbers(band: Band) -> list[str]:
        return [f"{value:.6g}" for value in (band.median, band.low, band.high)]

    yield [
        *("method", "rule", "depth", "learning_rate", "rate_edge", "rate_spacing_factor"),
        *("target_relative_suboptimality", "seeds", "seeds_reached"),
        *band("steps_to_target"),
        *band("speedup_over_gd"),
        *band("speedup_over_gd_at_least"),
        *band("speedup_over_gd_at_most"),
        *band("final_relative_suboptimality"),
        *("runs_reached_all_targets", "runs_diverged", "runs_budget_spent"),
    ]
    for row in summary.rows:
        for result in row.targets:
            yield [
                *(row.label, row.rule, f"{row.depth:g}", f"{row.learning_rate:.6g}", row.edge),
                *(f"{row.rate_spacing:.6g}", f"{result.target:g}", summary.seeds, result.reached),
                *numbers(result.steps),
                *numbers(result.speedup),
                *numbers(result.at_least),
                *numbers(result.at_most),
                *numbers(row.final),
                *(row.reached_all, row.diverged, row.budget_spent),
            ]
