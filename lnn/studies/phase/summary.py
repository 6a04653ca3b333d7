"""The map from steps to each target: speed-ups, bands and tests of tuned methods. No JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lnn.results.dataset import described
from lnn.results.statistics import order_statistic, quantile, ranks
from lnn.studies.phase.comparison import adjusted, speedups
from lnn.studies.phase.config import COARSE, FDR, FEW, RATES, TUNING, MapConfig
from lnn.studies.phase.networks import compared_networks
from lnn.studies.phase.tuning import CELL, GD_CELL, tuned


def map_of(config: MapConfig, draws: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return the map of a finished grid, a dataset over `CELL` with every variable described.

    `draws` are `hits` (p, decays, draws, methods, norms, rates, targets), tuning draws and plain GD
    first, `condition` and `solution_norm` (p, decays, draws), and `network_hits`, like `hits`, of
    the layers of networks of `config.network_depths` at one conditioning; without it they are left
    out.
    """
    fine, rate, edge = tuned(draws["hits"], np.arange(len(RATES)))
    coarse, coarse_rate, _ = tuned(draws["hits"], np.array(COARSE))
    variables = {
        **_compared(config, fine, coarse),
        **_reached(fine, rate),
        "learning_rate": described(
            CELL, rate[:, :, 1:], "tuned rate of the rule; NaN: no rate does"
        ),
        "gd_learning_rate": described(GD_CELL, rate[:, :, 0], "tuned rate of GD"),
        "coarse_learning_rate": described(CELL, coarse_rate[:, :, 1:], "that on the coarse grid"),
        "edge": described(CELL, edge[:, :, 1:], "-1 or 1: the tuned rate is the lowest or highest"),
        "gd_edge": described(GD_CELL, edge[:, :, 0], "the same for GD"),
        "condition": described(
            ("p", "decay"), np.median(draws["condition"], axis=-1),
            "ratio of the largest to the smallest nonzero eigenvalue of x^T x / m, median draw",
        ),
        "solution_norm": described(
            ("p", "decay"), np.median(draws["solution_norm"], axis=-1),
            "Frobenius norm of the optimum W*, median draw",
        ),
    }  # fmt: skip
    coordinates = _coordinates(config)
    if "network_hits" in draws:
        variables |= compared_networks(config, draws["network_hits"], fine)
        coordinates["network_depth"] = described(
            "network_depth", list(config.network_depths), "depth N of the networks", None
        )
    attributes = {
        "title": "Speed-up of depth over tuned gradient descent",
        "steps": config.steps,
        "tuning_draws": TUNING,
        "rates": f"{len(RATES)} from {RATES[0]:g} to {RATES[-1]:g}, log-spaced",
        "studies": config.studies,
    }
    return xr.Dataset(variables, coordinates, attributes)


def cell_table(found: xr.Dataset) -> pd.DataFrame:
    """Return a row for each cell, with all variables that have one value in it."""
    names = [name for name in found.data_vars if set(found[name].dims) <= set(CELL)]
    table: pd.DataFrame = found[names].to_dataframe(dim_order=list(CELL)).reset_index()
    return table


def band_text(draws: int) -> str:
    """Return what the band of the paired speed-ups is: "4th and 12th of 15 draws, 96.5 % ..."."""
    return f"{ranks(order_statistic(draws), draws, 'draws')} confidence for the median"


def _compared(config: MapConfig, fine: np.ndarray, coarse: np.ndarray) -> dict[str, Any]:
    """Compare the rule with GD, from their steps with rates of the fine and the coarse grid."""
    order = order_statistic(config.seeds)
    found = speedups(fine, config.steps, order)
    on_coarse = speedups(coarse, config.steps, order)
    values = adjusted(found["p_value"])
    significant = np.where(values <= FDR, found["sign"], 0).astype(np.int8)
    return {
        "speedup": described(
            CELL, found["speedup"], "median steps of tuned GD over median steps of the tuned "
            "end-to-end rule; where one of both missed the target, the bound that the budget "
            "leaves; NaN where both missed it",
        ),
        "bound": described(
            CELL, found["bound"], "1: the speed-up is at least this, for GD missed the target on "
            "at least half of the draws; -1: at most this, for the rule did; 0: measured",
        ),
        "low": described(
            CELL, found["low"], "lower end of the band of the paired speed-ups: "
            f"{band_text(config.seeds)}",
        ),
        "high": described(CELL, found["high"], "upper end of the band"),
        "p_value": described(
            CELL, found["p_value"], "exact two-sided sign test of the paired draws, without ties "
            "and draws that both missed; NaN where the speed-up is",
        ),
        "adjusted_p_value": described(
            CELL, values, "the same adjusted for the number of cells of the exponent p (Benjamini "
            "and Hochberg 1995)",
        ),
        "significant": described(
            CELL, significant, f"1 or -1: the rule is faster or slower, at a false-discovery rate "
            f"of {100 * FDR:g} % over the cells of the exponent p", false_discovery_rate=FDR,
        ),
        "coarse_speedup": described(
            CELL, on_coarse["speedup"], "the same with rates from the grid 1, 5 times powers of 10"
        ),
        "coarse_bound": described(CELL, on_coarse["bound"], "as bound, for the coarse grid"),
    }  # fmt: skip


def _reached(fine: np.ndarray, rate: np.ndarray) -> dict[str, Any]:
    """Return the steps of each draw, which cells have few of them, and how often runs missed."""
    # (p, decay, draw, method, norm, target) to the order of the dimensions of cells
    deep = np.moveaxis(fine[:, :, :, 1:], 2, -1)
    plain = np.moveaxis(fine[:, :, :, 0], 2, -1)
    few = quantile(plain, 0.5) <= FEW
    missed = np.where(np.isnan(rate), np.nan, np.isinf(fine).mean(axis=2))
    return {
        "steps": described(
            (*CELL, "draw"), deep, "steps of the rule to the target; inf: missed", "steps"
        ),
        "gd_steps": described((*GD_CELL, "draw"), plain, "the same of tuned GD", "steps"),
        "few_steps": described(
            GD_CELL, few.astype(np.int8), f"1: tuned GD needs at most {FEW} steps (median draw), "
            "so that ratios are of small whole numbers", limit=FEW,
        ),
        "missed": described(
            CELL, missed[:, :, 1:], "fraction of the draws on which the rule missed the target at "
            "its tuned rate; NaN: there is none",
        ),
        "gd_missed": described(GD_CELL, missed[:, :, 0], "the same for GD"),
    }  # fmt: skip


def _coordinates(config: MapConfig) -> dict[str, Any]:
    return {
        "p": described("p", list(config.p), "exponent of the loss", None),
        "decay": described(
            "decay", list(config.decays),
            "exponent on the spectrum of the features: 0 equal, 1 as gas drift", None,
        ),
        "depth": described("depth", list(config.depths), "depth N of the rule", None),
        "relative_norm": described(
            "relative_norm", list(config.relative_norms),
            "Frobenius norm of the start W(0) over that of the optimum W* of the draw",
        ),
        "target": described("target", list(config.targets), "relative suboptimality", None),
        "draw": described("draw", np.arange(config.seeds), "problem draws that report", None),
    }  # fmt: skip
