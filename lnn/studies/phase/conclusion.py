"""Conclusions of a map in words, every number with a band."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from lnn.results.formatting import compact
from lnn.results.statistics import BAND, quantile


def statements(found: xr.Dataset) -> list[str]:
    """Describe where depth helps or hurts, by p and along each axis; bands are over cells."""
    condition = found["condition"].median("p").values
    told = [
        *_by_p(found),
        *_along(found, "norm", "Start", [f"norm {n:g}" for n in found["norm"].values]),
        *_along(found, "decay", "Conditioning", [f"condition {c:.2g}" for c in condition]),
        *_along(found, "target", "Target", [f"{t:g}" for t in found["target"].values]),
        *_by_grid(found),
    ]
    return [*told, _edges(found)]


def _by_p(found: xr.Dataset) -> Iterable[str]:
    for p in found["p"].values:
        some = found.sel(p=p)
        known = np.isfinite(some["speedup"].values)
        if not known.any():
            yield f"p = {p:g}: neither GD nor any depth reached a target within the budget."
            continue
        significant = some["significant"].values[known]
        helps, hurts = (100 * np.mean(significant == sign) for sign in (1, -1))
        median = some["speedup"].median(("decay", "norm", "target"))
        best = float(some["depth"].values[int(np.nanargmax(median.values))])
        yield (
            f"p = {p:g}: depth helps significantly in {helps:.0f} % of {known.sum()} cells and "
            f"hurts in {hurts:.0f} %; the speed-up over tuned GD is "
            f"{_banded(some['speedup'].values)} (median and 20-80 % band over the cells), largest "
            f"at depth {best:g}: {_banded(some['speedup'].sel(depth=best).values)}."
        )


def _along(found: xr.Dataset, axis: str, head: str, names: list[str]) -> Iterable[str]:
    """Give the speed-up along an axis, and the ratio, cell by cell, of its best to its ends."""
    if found.sizes[axis] < 2:
        return
    speedup = found["speedup"]
    each = [f"{_banded(speedup.isel({axis: i}).values)} at {name}" for i, name in enumerate(names)]
    # Bounds are not measurements: their ratios would be meaningless.
    measured = speedup.where(found["bound"] == 0)
    others = [other for other in speedup.dims if other != axis]
    median = measured.median(others).values
    if not np.isfinite(median).any():
        return
    best = int(np.nanargmax(median))
    ratios = [
        f"{_banded((measured.isel({axis: best}) / measured.isel({axis: i})).values)} times that at "
        f"{names[i]}"
        for i in dict.fromkeys((0, len(names) - 1))
        if i != best
    ]
    yield (
        f"{head}: the speed-up is {', '.join(each)}; cell by cell, that at {names[best]} is "
        f"{' and '.join(ratios)} (median and 20-80 % band over the cells)."
    )


def _by_grid(found: xr.Dataset) -> Iterable[str]:
    measured = (found["bound"] == 0) & (found["coarse_bound"] == 0)
    ratio = (found["coarse_speedup"] / found["speedup"]).where(measured)
    values = ratio.values[np.isfinite(ratio.values)]
    if not values.size:
        return
    off = 100 * np.mean((values > 1.5) | (values < 1 / 1.5))
    slower = measured.values & (found["speedup"].values <= 1)
    faked = found["coarse_speedup"].values[slower]
    told = (
        f"; where the fine grid shows no gain ({slower.sum()} cells), it shows a gain above 1.5 in "
        f"{100 * np.mean(faked > 1.5):.1f} %"
        if slower.any()
        else ""
    )
    yield (
        "Learning rates: with the paper's grid, 1 and 5 times powers of ten, the speed-up is "
        f"{_banded(values)} times that of the fine grid (median and 20-80 % band over "
        f"{values.size} cells), and off by more than a factor of 1.5 in {off:.0f} % of them{told}."
    )


def _edges(found: xr.Dataset) -> str:
    edges = int((found["edge"] != 0).sum() + (found["gd_edge"] != 0).sum())
    total = found["edge"].size + found["gd_edge"].size
    missed = int(np.isnan(found["speedup"]).sum())
    return (
        f"{edges} of {total} tuned rates are the lowest or highest tried; in {missed} of "
        f"{found['speedup'].size} cells neither GD nor depth reached the target."
    )


def _banded(values: np.ndarray) -> str:
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size:
        return "unknown"
    median, low, high = (compact(float(quantile(known, q))) for q in (0.5, *BAND))
    return f"{median} [{low}, {high}]"
