"""The map from steps to each target: tuned rates, speed-ups, bands, significance. No JAX.

Every method has its own rate in each cell and for each target: the one that reaches the target
first on the worst tuning draw (ties, as where it is missed, by the next worst). Speed-ups are
measured on evaluation draws. Runs that miss the target or diverge count as infinity.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from lnn.results.dataset import described
from lnn.results.statistics import CONFIDENCE, coverage, order_statistic, quantile, speed_ratio
from lnn.studies.phase.config import COARSE, RATES, TUNING, MapConfig

CELL = ("p", "decay", "depth", "norm", "target")


def map_of(config: MapConfig, draws: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return the map of a finished grid, a dataset over `CELL` with every variable described.

    `draws` are `hits` (p, decays, draws, methods, norms, rates, targets), tuning draws and plain GD
    first, and `condition` and `solution_norm` (p, decays, draws).
    """
    hits = draws["hits"]
    fine, rate, edge = tuned(hits, np.arange(len(RATES)))
    coarse, coarse_rate, _ = tuned(hits, np.array(COARSE))
    order = order_statistic(config.seeds)
    found = speedups(fine, config.steps, order)
    on_coarse = speedups(coarse, config.steps, order)
    cell, gd_cell = CELL, ("p", "decay", "norm", "target")
    report = (*CELL, "draw")

    # (p, decay, draw, method, norm, target) to the order of the dimensions above
    deep = np.moveaxis(fine[:, :, :, 1:], 2, -1)
    plain = np.moveaxis(fine[:, :, :, 0], 2, -1)
    confidence = f"{100 * coverage(config.seeds, order):.3g} % confidence"
    variables = {
        "speedup": described(
            cell, found["speedup"], "median steps of tuned GD over median steps of the tuned "
            "end-to-end rule; where one of both missed the target, the bound that the budget "
            "leaves; NaN where both missed it",
        ),
        "bound": described(
            cell, found["bound"], "1: the speed-up is at least this, for GD missed the target on "
            "half of the draws; -1: at most this, for the rule did; 0: measured",
        ),
        "low": described(
            cell, found["low"], f"lower end of the band: {confidence} for the median of the paired "
            f"speed-ups, an order statistic of {config.seeds} draws",
        ),
        "high": described(cell, found["high"], "upper end of the band"),
        "significant": described(
            cell, found["significant"], "1 or -1: the band, of at least 95 % confidence, is above "
            "or below 1",
        ),
        "coarse_speedup": described(
            cell, on_coarse["speedup"], "the same with rates from the grid 1, 5 times powers of 10"
        ),
        "coarse_bound": described(cell, on_coarse["bound"], "as bound, for the coarse grid"),
        "steps": described(report, deep, "steps of the rule to the target; inf: missed", "steps"),
        "gd_steps": described((*gd_cell, "draw"), plain, "the same of tuned GD", "steps"),
        "learning_rate": described(
            cell, rate[:, :, 1:], "tuned rate of the rule; NaN: no rate does"
        ),
        "gd_learning_rate": described(gd_cell, rate[:, :, 0], "tuned rate of GD"),
        "coarse_learning_rate": described(cell, coarse_rate[:, :, 1:], "that on the coarse grid"),
        "edge": described(cell, edge[:, :, 1:], "-1 or 1: the tuned rate is the lowest or highest"),
        "gd_edge": described(gd_cell, edge[:, :, 0], "the same for GD"),
        "condition": described(
            ("p", "decay"), np.median(draws["condition"], axis=-1),
            "ratio of the largest to the smallest nonzero eigenvalue of x^T x / m, median draw",
        ),
        "solution_norm": described(
            ("p", "decay"), np.median(draws["solution_norm"], axis=-1),
            "Frobenius norm of the optimum W*, median draw",
        ),
    }  # fmt: skip
    coordinates = {
        "p": described("p", list(config.p), "exponent of the loss", None),
        "decay": described(
            "decay", list(config.decays),
            "exponent on the spectrum of the features: 0 equal, 1 as gas drift", None,
        ),
        "depth": described("depth", list(config.depths), "depth N of the rule", None),
        "norm": described("norm", list(config.norms), "Frobenius norm of the start W(0)", None),
        "target": described("target", list(config.targets), "relative suboptimality", None),
        "draw": described("draw", np.arange(config.seeds), "problem draws that report", None),
    }  # fmt: skip
    attributes = {
        "title": "Speed-up of depth over tuned gradient descent",
        "steps": config.steps,
        "tuning_draws": TUNING,
        "rates": f"{len(RATES)} from {RATES[0]:g} to {RATES[-1]:g}, log-spaced",
        "studies": config.studies,
    }
    return xr.Dataset(variables, coordinates, attributes)


def tuned(hits: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose rates, and return their steps on evaluation draws, the rates, and which are at an
    edge.

    Args:
        hits: (p, decays, draws, methods, norms, rates, targets), tuning draws first.
        allowed: indices of the rates that may be chosen, ascending.

    Returns:
        Whole steps (p, decays, evaluation draws, methods, norms, targets), infinity where no rate
        reached the target on any tuning draw; rates (p, decays, methods, norms, targets), NaN
        there; -1, 0 or 1 of the same shape. If no rate reached it on all tuning draws, one that did
        on most of them is chosen.
    """
    some = np.take(hits, allowed, axis=5)
    # Sorted with the worst draw first, so that ties are broken by the next worst.
    ordered = np.sort(some[:, :, :TUNING], axis=2)[:, :, ::-1]
    best = np.zeros(ordered[:, :, 0].shape[:-2] + ordered.shape[-1:], int)
    for position in np.ndindex(best.shape):
        *cell, target = position
        p, decay, method, norm = cell
        column = ordered[p, decay, :, method, norm, :, target]
        best[position] = np.lexsort(column[::-1])[0]
    at = best[:, :, None, :, :, None, :]
    easiest = np.take_along_axis(ordered[:, :, -1:], at, axis=5)[:, :, 0, :, :, 0]
    steps = np.take_along_axis(some[:, :, TUNING:], at, axis=5)[:, :, :, :, :, 0]
    reached = np.isfinite(easiest)
    # Steps are integers, so round up: 0.2 steps of GD would make all other methods look slow.
    steps = np.where(reached[:, :, None], np.ceil(steps), np.inf)
    rates = np.where(reached, np.array(RATES)[allowed][best], np.nan)
    edge = (best == allowed.size - 1).astype(np.int8) - (best == 0).astype(np.int8)
    return steps, rates, np.where(reached, edge, 0).astype(np.int8)


def speedups(steps: np.ndarray, budget: int, order: int) -> dict[str, np.ndarray]:
    """Return the speed-up of every method over the first, with bound, band and significance.

    Args:
        steps: (p, decays, draws, methods, norms, targets); infinity if missed within the budget.
        budget: steps of every run.
        order: the band is the `order`-th smallest and largest of the paired speed-ups.

    Returns:
        Arrays (p, decays, methods - 1, norms, targets): speedup, bound, low, high, significant.
    """
    plain, deep = steps[:, :, :, :1], steps[:, :, :, 1:]
    middle = quantile(plain, 0.5, axis=2), quantile(deep, 0.5, axis=2)
    gd_missed, missed = (np.isinf(value) for value in middle)
    ratio = speed_ratio(np.minimum(middle[0], budget), np.minimum(middle[1], budget))
    pairs = speed_ratio(*np.broadcast_arrays(plain, deep))
    unknown = np.isnan(pairs)  # both missed
    low = np.sort(np.where(unknown, 0.0, pairs), axis=2)[:, :, order - 1]
    high = np.sort(np.where(unknown, np.inf, pairs), axis=2)[:, :, -order]
    # With too few draws for such a band nothing is significant.
    enough = coverage(pairs.shape[2], order) >= CONFIDENCE
    above, below = (low > 1) & enough, (high < 1) & enough
    return {
        "speedup": np.where(gd_missed & missed, np.nan, ratio),
        "bound": np.where(gd_missed == missed, 0, np.where(gd_missed, 1, -1)).astype(np.int8),
        "low": low,
        "high": high,
        "significant": (above.astype(np.int8) - below.astype(np.int8)),
    }
