"""Conclusions of a map in words, every number with its quantiles over the cells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from lnn.studies.phase.counts import (
    OVER_THE,
    by_p,
    edges,
    misses,
    quantiles_text,
    rated,
    significance,
)
from lnn.studies.phase.networks import networks


def statements(found: xr.Dataset) -> list[str]:
    """Describe where depth helps or hurts, by p and along each axis, and what that rests on."""
    condition = found["condition"].median("p").values
    norms, targets = found["relative_norm"].values, found["target"].values
    told = [
        *by_p(found),
        significance(found),
        *_along(found, "relative_norm", "Start", [f"norm {n:g} |W*|" for n in norms]),
        *_along(found, "decay", "Conditioning", [f"condition {c:.2g}" for c in condition]),
        *_along(found, "target", "Target", [f"{t:g}" for t in targets]),
        *_by_grid(found),
        *networks(found),
        misses(found),
    ]
    return [*told, edges(found)]


def _along(found: xr.Dataset, axis: str, head: str, names: list[str]) -> Iterable[str]:
    """Give the speed-up along an axis, and the ratio, cell by cell, of its best to its ends."""
    if found.sizes[axis] < 2:
        return
    speedup = rated(found)["speedup"]
    each = [
        f"{quantiles_text(speedup.isel({axis: i}).values)} at {name}"
        for i, name in enumerate(names)
    ]
    # Bounds are not measurements: their ratios would be meaningless.
    measured = speedup.where(found["bound"] == 0)
    others = [other for other in speedup.dims if other != axis]
    median = measured.median(others).values
    if not np.isfinite(median).any():
        return
    best, last = int(np.nanargmax(median)), len(names) - 1
    ends = {i: measured.isel({axis: best}) / measured.isel({axis: i}) for i in (0, last)}
    ratios = [
        f"{quantiles_text(ratio.values)} times that at {names[i]}"
        for i, ratio in ends.items()
        if i != best and ratio.notnull().any()
    ]
    edge = ", an end of the grid," if best in (0, last) else ""
    compared = f"; cell by cell, that at {names[best]}{edge} is {' and '.join(ratios)}"
    yield (
        f"{head}: the speed-up is {', '.join(each)}{compared if ratios else ''} ({OVER_THE} cells "
        f"where GD takes more than {found['few_steps'].attrs['limit']} steps)."
    )


def _by_grid(found: xr.Dataset) -> Iterable[str]:
    some = rated(found)
    measured = (some["bound"] == 0) & (some["coarse_bound"] == 0)
    ratio = (some["coarse_speedup"] / some["speedup"]).where(measured)
    values = ratio.values[np.isfinite(ratio.values)]
    if not values.size:
        return
    off = 100 * np.mean((values > 1.5) | (values < 1 / 1.5))
    slower = measured.values & (some["speedup"].values <= 1)
    faked = some["coarse_speedup"].values[slower]
    told = (
        f"; where the fine grid shows no gain ({slower.sum()} cells), it shows a gain above 1.5 in "
        f"{100 * np.mean(faked > 1.5):.1f} %"
        if slower.any()
        else ""
    )
    limit = found["few_steps"].attrs["limit"]
    yield (
        "Learning rates: with the paper's grid, 1 and 5 times powers of ten, the speed-up is "
        f"{quantiles_text(values)} times that of the fine grid ({OVER_THE} {values.size} cells "
        f"where GD takes more than {limit} steps), and off by more than a factor of 1.5 in "
        f"{off:.0f} % of them{told}."
    )
