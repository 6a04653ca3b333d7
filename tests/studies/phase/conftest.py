"""Maps from made-up steps, for tests of what is concluded from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from lnn.studies.phase.config import RATES, TUNING, MapConfig
from lnn.studies.phase.summary import map_of


def tuned_hits(shape: tuple[int, ...], steps: np.ndarray, rate: int) -> np.ndarray:
    """Steps (p, decays, draws, methods, norms, targets) at one rate, and that one is tuned.

    On the tuning draws every step count is the least of those that report.
    """
    p, decays, draws, methods, norms, targets = shape
    hits = np.full((p, decays, TUNING + draws, methods, norms, len(RATES), targets), np.inf)
    hits[:, :, TUNING:, ..., rate, :] = steps
    hits[:, :, :TUNING, ..., rate, :] = np.min(np.broadcast_to(steps, shape), 2, keepdims=True)
    return hits


MapFrom = Callable[..., xr.Dataset]


@pytest.fixture(scope="session")
def map_from() -> MapFrom:
    """The map of a configuration, from steps (p, decays, draws, methods, norms, targets) of GD, of
    the rule and of the layers of networks, or what can be broadcast to that.
    """

    def made(
        config: MapConfig, gd: np.ndarray, deep: np.ndarray, layers: np.ndarray | None = None
    ) -> xr.Dataset:
        def shape(methods: int) -> tuple[int, ...]:
            axes = (len(config.p), len(config.decays), config.seeds, methods)
            return (*axes, len(config.relative_norms), len(config.targets))

        hits = [tuned_hits(shape(1), gd, 40), tuned_hits(shape(len(config.depths)), deep, 47)]
        each = (len(config.p), len(config.decays), TUNING + config.seeds)
        condition = np.array([10.0 ** (9 * decay) for decay in config.decays])[:, None]
        draws = {
            "hits": np.concatenate(hits, axis=3),
            "condition": np.broadcast_to(condition, each),
            "solution_norm": np.ones(each),
        }
        if layers is not None:
            one = (len(config.p), 1, config.seeds, len(config.network_depths), *shape(1)[4:])
            draws["network_hits"] = tuned_hits(one, layers, 44)
        return map_of(config, draws)

    return made


@pytest.fixture(scope="session")
def made_up(map_from: MapFrom) -> xr.Dataset:
    """GD takes 8000 steps, depth 8000 / (2^(norm position) p / 2), +-5 % over the draws, but depth
    2 never arrives at p = 2 and decay 1; networks of depth 2 take twice as many, of depth 3 as
    many.
    """
    config = MapConfig(
        p=(2, 4), depths=(2, 3), relative_norms=(0.1, 1), decays=(0, 1), targets=(0.1,), seeds=9,
        steps=800_000,
    )  # fmt: skip
    spread = np.linspace(0.95, 1.05, config.seeds)[:, None, None, None]
    p = np.array(config.p)[:, None, None, None, None, None]
    deep = 8000 / (np.array([1, 2])[:, None] * p / 2) * spread * np.ones((2, 1, 2, 1, 1))
    layers = deep[:, :1] * np.array([2, 1])[:, None, None]
    deep[0, 1, :, 0] = np.inf
    return map_from(config, np.array(8000.0), deep, layers)
