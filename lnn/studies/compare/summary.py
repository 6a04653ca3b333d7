"""Summary of a study: steps to each target, medians and bands, speed-ups over tuned GD.

Computed from the dataset alone, without JAX. Medians and bands are order statistics over seeds,
never interpolated: runs that missed a target count as infinity, which must not produce NaN.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lnn.core.files import plain_number, strict
from lnn.core.status import Status
from lnn.results.csv_text import csv_text, flat
from lnn.results.statistics import (
    BAND,
    Band,
    band_over,
    final_suboptimality,
    quantile,
    speed_bounds,
    speed_ratio,
    steps_to_target,
)
from lnn.studies.compare.conclusion import conclusion
from lnn.studies.compare.report.table import html
from lnn.studies.compare.rows import Comparison, MethodSummary, TargetResult, relative_suboptimality


class Summary(Comparison):
    """Results of a study; displays itself in a notebook.

    Example:
        >>> problem = lnn.datasets.two_point(3.0, 1.0)
        >>> summary = lnn.compare(problem, quick=True, steps=20, methods="gd").summary
        >>> print(summary.to_csv().partition(",")[0], [row.rule for row in summary.rows])
        method ['gd']
    """

    @property
    def conclusion(self) -> str:
        """One sentence, derived from the numbers only."""
        return conclusion(self)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Return comma-separated values, a line per method and target, and write them to `path`."""
        text = csv_text([_cells(self, row, result) for row in self.rows for result in row.targets])
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="\n")
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for strict JSON: infinity is "inf" or "-inf", NaN is None."""
        return strict(asdict(self) | {"conclusion": self.conclusion})

    def to_json(self) -> str:
        """Return the summary as strict JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def _repr_html_(self) -> str:
        return html(self)


def summarize(dataset: xr.Dataset) -> Summary:
    """Draw medians, bands and speed-ups from the dataset of a study.

    Example:
        >>> problem = lnn.datasets.two_point(3.0, 1.0)
        >>> study = lnn.compare(problem, quick=True, steps=20, methods="gd")
        >>> lnn.summarize(study.dataset).seeds
        5
    """
    targets = dataset["target"].values.astype(np.float64)
    labels = [str(label) for label in dataset["algorithm"].values]
    suboptimality = relative_suboptimality(dataset)
    status = dataset["status"].transpose("algorithm", "seed").values
    diverged = status == Status.DIVERGED
    hits = steps_to_target(dataset["step"].values, suboptimality, targets, diverged)  # (M, S, K)
    budget = int(dataset.attrs.get("steps", dataset["step"].values[-1]))
    gd = hits[labels.index("gd")] if "gd" in labels else None
    own = _at_own_rates(dataset, labels)
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
                    own_rates=None if np.isnan(own[i, k]) else float(own[i, k]),
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
    facts = {str(name): plain_number(value) for name, value in dataset.attrs.items()}
    if "untouched_labels" in dataset:
        facts["untouched_labels"] = tuple(map(float, dataset["untouched_labels"].values))
    return Summary(facts, tuple(targets.tolist()), status.shape[1], budget, tuple(rows))


def _at_own_rates(dataset: xr.Dataset, labels: list[str]) -> np.ndarray:
    """(M, K) median speed-ups over GD, each tuning seed at the rate that is best for it."""
    unknown = np.full((len(labels), dataset.sizes["target"]), np.nan)
    if "gd" not in labels or "tuning_steps_to_target" not in dataset:
        return unknown
    order = ("algorithm", "rate", "tuning_seed", "target")
    tried = dataset["tuning_steps_to_target"].transpose(*order).values
    if not tried.size:
        return unknown
    fewest = np.maximum(tried.min(axis=1), 1.0)  # (M, S, K)
    ratio = speed_ratio(fewest[labels.index("gd")], fewest)
    ratio = np.where(np.isnan(ratio), 0.0, ratio)  # both missed
    missed = np.isinf(fewest[labels.index("gd")]) & np.isinf(fewest)
    median = quantile(ratio, 0.5, axis=1, upper_median=False)
    return np.where(missed.any(axis=1), np.nan, median)


def _speedup(gd: np.ndarray | None, method: np.ndarray, budget: float) -> tuple[Band, Band, Band]:
    """Return the speed-up over GD and its bounds, from steps (S,) paired by seed."""
    if gd is None:
        unknown = Band(math.nan, math.nan, math.nan)
        return unknown, unknown, unknown
    known = np.isfinite(gd) | np.isfinite(method)
    with np.errstate(invalid="ignore"):
        ratio = speed_ratio(gd, method)
    low, high = BAND
    enough = 2 * known.sum() >= known.size
    value = Band(
        float(quantile(ratio[known], 0.5, upper_median=False)) if enough else math.nan,
        float(quantile(np.where(known, ratio, 0.0), low)) if known.any() else math.nan,
        float(quantile(np.where(known, ratio, np.inf), high)) if known.any() else math.nan,
    )
    least, most = speed_bounds(gd, method, budget)
    return value, band_over(least, upper_median=False), band_over(most, upper_median=False)


def _cells(summary: Summary, row: MethodSummary, result: TargetResult) -> dict[str, object]:
    cells = {
        "method": row.label,
        "rule": row.rule,
        "depth": f"{row.depth:g}",
        "learning_rate": row.learning_rate,
        "rate_edge": row.edge,
        "rate_spacing_factor": row.rate_spacing,
        "target_relative_suboptimality": f"{result.target:g}",
        "seeds": summary.seeds,
        "seeds_reached": result.reached,
        "steps_to_target": result.steps,
        "speedup_over_gd": result.speedup,
        "speedup_over_gd_at_least": result.at_least,
        "speedup_over_gd_at_most": result.at_most,
        "speedup_over_gd_at_own_rates": math.nan if result.own_rates is None else result.own_rates,
        "final_relative_suboptimality": row.final,
        "runs_reached_all_targets": row.reached_all,
        "runs_diverged": row.diverged,
        "runs_budget_spent": row.budget_spent,
    }
    return flat(cells)
