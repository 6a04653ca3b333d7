"""What is counted over the cells of a map, in words: significant cells, bounds, misses, edges."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import xarray as xr

from lnn.results.formatting import compact, count
from lnn.results.statistics import BAND, quantile
from lnn.studies.phase.comparison import adjusted, least_p_value

OVER_THE = f"median, and {100 * BAND[0]:g} % and {100 * BAND[1]:g} % quantiles over the"
"""What the three numbers are: over cells, of which there are hundreds."""

FEWEST = 10
"""Of fewer cells only the median is told: their 20 % and 80 % quantiles are nearly the extremes."""


def rated(found: xr.Dataset) -> xr.Dataset:
    """Return the map without the speed-ups of cells where GD needs few steps; they become NaN.

    Statements about ratios are about the others.
    """
    few = found["few_steps"] != 0
    names = ("speedup", "coarse_speedup", "network_ratio")
    return found.assign({name: found[name].where(~few) for name in names if name in found})


def quantiles_text(values: np.ndarray) -> str:
    """Return median and 20 % and 80 % quantiles of the finite values: "0.9 [0.3, 2.1]".

    Of fewer than `FEWEST` values the median and their number, "0.9 (of 5)".
    """
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size:
        return "unknown"
    if known.size < FEWEST:
        return f"{compact(float(quantile(known, 0.5)))} (of {known.size})"
    median, low, high = (compact(float(quantile(known, q))) for q in (0.5, *BAND))
    return f"{median} [{low}, {high}]"


def by_p(found: xr.Dataset) -> Iterable[str]:
    """Yield for each p the share of significant cells, and the speed-ups over cells and depths."""
    rate = 100 * float(found["significant"].attrs["false_discovery_rate"])
    for p in found["p"].values:
        some = found.sel(p=p)
        known = some["speedup"].notnull()
        if not known.any():
            yield f"p = {p:g}: neither GD nor any depth reached a target within the budget."
            continue
        yield (
            f"p = {p:g}: at a false-discovery rate of {rate:g} %, depth helps in "
            f"{_shares(some['significant'].values[known.values])} of {_cells(int(known.sum()))}. "
            f"{_few(some, known)}{_speedups(some, known)}"
        )


def _shares(significant: np.ndarray, between: str = " and hurts in ") -> str:
    helps, hurts = (f"{100 * np.mean(significant == sign):.1f} %" for sign in (1, -1))
    return f"{helps}{between}{hurts}"


def _cells(number: int) -> str:
    return count(number, "cell")


def _few(some: xr.Dataset, known: xr.DataArray) -> str:
    _, few = xr.broadcast(known, some["few_steps"] != 0)
    these = known & few
    if not these.any():
        return ""
    significant = some["significant"].values[these.transpose(*known.dims).values]
    return (
        f"In {int(these.sum())} of them tuned GD needs at most "
        f"{some['few_steps'].attrs['limit']} steps, so that ratios are of small whole numbers "
        f"(depth helps in {_shares(significant)}). "
    )


def _speedups(some: xr.Dataset, known: xr.DataArray) -> str:
    """Describe the speed-ups where GD takes more than a few steps, and the depth of the best."""
    speedup = rated(some)["speedup"]
    if not np.isfinite(speedup).any():
        return "No speed-up is known elsewhere."
    median = speedup.median(("decay", "relative_norm", "target")).values
    best, last = int(np.nanargmax(median)), median.size - 1
    edge = {0: "the least", last: "the largest"}.get(best, "") if last else ""
    at = f"depth {some['depth'].values[best]:g}" + (f", {edge} of the grid" if edge else "")
    number = int(speedup.notnull().sum())
    where = "The" if number == int(known.sum()) else f"In the other {_cells(number)} the"
    return (
        f"{where} speed-up over tuned GD is "
        f"{quantiles_text(speedup.values)} ({OVER_THE} cells), largest at {at}: "
        f"{quantiles_text(speedup.isel(depth=best).values)}."
    )


def significance(found: xr.Dataset) -> str:
    """Say which test decides, what it can show with so many draws, and what dependence changes."""
    rate, draws = float(found["significant"].attrs["false_discovery_rate"]), found.sizes["draw"]
    values = found["p_value"].transpose("p", ...).values
    cells = np.isfinite(values).reshape(len(values), -1).sum(axis=1).max()
    least = least_p_value(draws)
    # The k-th smallest of m p-values is significant up to k q / m.
    needed = math.ceil(round(least * int(cells) / rate, 9))
    enough = (
        "so that a single cell can be significant"
        if needed <= 1
        else f"so that at least {needed} of the {cells} cells of an exponent, or none, can be "
        "significant"
        if needed <= cells
        else "with which no cell can be significant"
    )
    strict = adjusted(values, "by") <= rate
    sign = found["significant"].transpose("p", ...).values
    known = np.isfinite(values)
    left = ", ".join(
        f"{_shares(np.where(strict[i], sign[i], 0)[known[i]], ' and ')} at p = {p:g}"
        for i, p in enumerate(found["p"].values)
        if known[i].any()
    )
    told = (
        "Significance: an exact two-sided sign test of the paired draws in each cell, without ties "
        "and draws that both missed, and the procedure of Benjamini and Hochberg (J. R. Stat. Soc. "
        f"B 57, 1995) at {100 * rate:g} % over the cells of each p. The least p-value of "
        f"{count(draws, 'draw')} is {compact(least)}, {enough}. Cells share draws, so that their "
        "tests are dependent: if positively, the procedure controls the false-discovery rate "
        "(Benjamini and Yekutieli, Annals of Statistics 29, 2001)."
    )
    return (
        f"{told} By the latter's correction for any dependence, depth helps and hurts in {left}."
        if left
        else told
    )


def misses(found: xr.Dataset) -> str:
    """Say how often tuned runs missed their target, and what bounds become of it."""
    known = found["speedup"].notnull()
    missed = found["missed"].where(known), found["gd_missed"].where(known.any("depth"))
    rule, gd = (f"{100 * float(value.mean()):.1f} %" for value in missed)
    bounds = (found["bound"] != 0) & known
    kept = int((bounds & np.isfinite(rated(found)["speedup"])).sum())
    number = int(known.sum())
    if not number:
        return "Misses: no speed-up is known."
    return (
        f"Misses: in the {_cells(number)} with a speed-up, at the tuned rates GD missed the target "
        f"on {gd} of the draws that report, and the rule on {rule}. In {int(bounds.sum())} of the "
        "cells one of the two missed it on at least half of the draws: the speed-up is then the "
        f"bound that the budget of {int(found.attrs['steps'])} steps leaves. Of these bounds "
        f"{kept} enter medians and quantiles over cells as values."
    )


def edges(found: xr.Dataset) -> str:
    """Count the tuned rates at the edge of the grid, and the cells of which nothing is known."""
    names = [name for name in ("edge", "gd_edge", "network_edge") if name in found]
    at_edge = sum(int((found[name] != 0).sum()) for name in names)
    total = sum(found[name].size for name in names)
    missed = found["speedup"].isnull().sum(set(found["speedup"].dims) - {"decay"})
    conditions = found["condition"].median("p").values
    where = ", ".join(
        f"{number} at condition {condition:.2g}"
        for number, condition in zip(missed.values, conditions, strict=True)
        if number
    )
    return (
        f"{at_edge} of {total} tuned rates are the lowest or highest tried; in {int(missed.sum())} "
        f"of {_cells(found['speedup'].size)} neither GD nor depth reached the target"
        f"{f' ({where})' if where else ''}."
    )
