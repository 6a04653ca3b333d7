"""What a map says, in words: every number drawn from it, with a band."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from lnn.analysis import BAND, quantile
from lnn.report.words import compact


def statements(found: xr.Dataset) -> list[str]:
    """Where depth helps and hurts, and what start, rates and conditioning have to do with it."""
    told = [*_by_p(found), *_by_norm(found), *_by_grid(found), *_by_conditioning(found)]
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


def _by_norm(found: xr.Dataset) -> Iterable[str]:
    if found.sizes["norm"] < 2:
        return
    speedup, norms = found["speedup"], found["norm"].values
    each = [f"{_banded(speedup.sel(norm=n).values)} at norm {n:g}" for n in norms]
    median = speedup.median(("p", "decay", "depth", "target")).values
    best = int(np.nanargmax(median))
    ratios = [
        f"{_banded((speedup.isel(norm=best) / speedup.isel(norm=i)).values)} times that from "
        f"{norms[i]:g}"
        for i in dict.fromkeys((0, len(norms) - 1))
        if i != best
    ]
    yield (
        f"Start: the speed-up is {', '.join(each)}; cell by cell, that from norm {norms[best]:g} "
        f"is {' and '.join(ratios)} (median and 20-80 % band over the cells)."
    )


def _by_grid(found: xr.Dataset) -> Iterable[str]:
    measured = (found["bound"] == 0) & (found["coarse_bound"] == 0)
    ratio = (found["coarse_speedup"] / found["speedup"]).where(measured)
    values = ratio.values[np.isfinite(ratio.values)]
    if not values.size:
        return
    off = 100 * np.mean((values > 1.5) | (values < 1 / 1.5))
    none = (found["significant"] != 1).values & measured.values
    faked = found["coarse_speedup"].values[none]
    share = f"; of {none.sum()} cells without a significant gain it shows one of more than 1.5 in "
    share += f"{100 * np.mean(faked > 1.5):.0f} %" if none.any() else ""
    yield (
        "Learning rates: with the paper's grid, 1 and 5 times powers of ten, the speed-up is "
        f"{_banded(values)} times that of the fine grid (median and 20-80 % band over "
        f"{values.size} cells), and off by more than a factor 1.5 in {off:.0f} % of them"
        + (share if none.any() else "")
        + "."
    )


def _by_conditioning(found: xr.Dataset) -> Iterable[str]:
    if found.sizes["decay"] < 2:
        return
    speedup = found["speedup"]
    decays = found["decay"].values
    condition = found["condition"].median("p").values
    per_p = [
        f"{_banded((speedup.isel(decay=-1) / speedup.isel(decay=0)).sel(p=p).values)} at p = {p:g}"
        for p in found["p"].values
    ]
    yield (
        f"Conditioning: from condition number {condition[0]:.2g} (decay {decays[0]:g}) to "
        f"{condition[-1]:.2g} (decay {decays[-1]:g}), all else equal, the speed-up of depth is "
        f"multiplied by {', '.join(per_p)} (median and 20-80 % band over the cells)."
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
