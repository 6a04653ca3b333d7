"""The layers of balanced networks against the rule that describes them. No JAX.

To first order in the learning rate the two are equal (Arora, Cohen and Hazan 2018, Theorem 1); at
tuned rates, which are as large as they can be, they need not be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from lnn.results.dataset import described
from lnn.results.statistics import quantile
from lnn.studies.phase.config import RATES, MapConfig
from lnn.studies.phase.counts import OVER_THE, quantiles_text, rated
from lnn.studies.phase.tuning import CELL, tuned

LAYERS_CELL = ("p", "network_depth", "relative_norm", "target")


def compared_networks(config: MapConfig, hits: np.ndarray, fine: np.ndarray) -> dict[str, Any]:
    """Compare the layers of networks with the rule at their conditioning, tuned alike.

    Args:
        config: of the map.
        hits: (p, 1, draws, network depths, norms, rates, targets) steps of gradient descent on the
            layers at `config.network_decay`, tuning draws first.
        fine: (p, decays, draws, methods, norms, targets) steps of tuned GD and the tuned rule.

    Returns:
        Variables with dimensions, values and attributes.
    """
    steps, rate, edge = (values[:, 0] for values in tuned(hits, np.arange(len(RATES))))
    decay = config.decays.index(config.network_decay)
    depths = [config.depths.index(depth) for depth in config.network_depths]
    rule = fine[:, decay][:, :, [depth + 1 for depth in depths]]
    medians = quantile(steps, 0.5, axis=1), quantile(rule, 0.5, axis=1)
    reached = np.isfinite(medians[0]) & np.isfinite(medians[1])
    ratio = np.full((len(config.p), len(config.decays), len(config.depths), *reached.shape[2:]),
                    np.nan)  # fmt: skip
    ratio[:, decay, depths] = np.divide(*medians, out=np.full(reached.shape, np.nan), where=reached)
    at = f"at decay {config.network_decay:g}"
    return {
        "network_ratio": described(
            CELL, ratio, "median steps of tuned gradient descent on the layers of a balanced "
            f"network over those of the tuned rule; NaN: not computed, which is so {at} only, or "
            "one of both missed the target", network_decay=config.network_decay,
        ),
        "network_steps": described(
            (*LAYERS_CELL, "draw"), np.moveaxis(steps, 1, -1), "steps of gradient descent on the "
            f"layers of a balanced network of hidden width 1, {at}; inf: missed", "steps",
        ),
        "network_learning_rate": described(LAYERS_CELL, rate, "its tuned rate"),
        "network_edge": described(LAYERS_CELL, edge, "as edge"),
    }  # fmt: skip


def networks(found: xr.Dataset) -> Iterable[str]:
    """Yield the ratio of steps of the layers to those of the rule at each depth, if computed."""
    if "network_ratio" not in found:
        return
    decay = float(found["network_ratio"].attrs["network_decay"])
    some = rated(found).sel(decay=decay)
    ratio = some["network_ratio"].sel(depth=found["network_depth"].values)
    each = [
        f"{quantiles_text(one.values)} at depth {float(one['depth']):g} "
        f"({int(np.isfinite(one).sum())} cells)"
        for one in ratio.transpose("depth", ...)
    ]
    yield (
        "Balanced networks: gradient descent on the layers, from balanced factors of the same W(0) "
        f"and tuned alike, takes {', '.join(each)} times as many steps as the rule ({OVER_THE} "
        f"cells at condition {float(some['condition'].median()):.2g} where GD takes more than "
        f"{found['few_steps'].attrs['limit']} steps and both reach the target)."
    )
