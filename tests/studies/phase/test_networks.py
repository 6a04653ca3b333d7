"""The layers of balanced networks against the rule that describes them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import lnn
from lnn.studies.phase import study
from lnn.studies.phase.conclusion import statements
from lnn.studies.phase.config import FEATURES, RATES, MapConfig
from lnn.studies.phase.summary import cell_table


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_networks_start_balanced_at_the_start_of_the_rule(depth: int) -> None:
    starts = np.random.default_rng(0).standard_normal((2, 1, FEATURES))
    config = MapConfig(depths=(1.5, 2, 3, 4, 8))
    method = study.methods(config, layers=True)[depth - 2]
    assert (method.name, method.depth) == ("layerwise-gd", depth)
    factors = study.parameters(method, starts, seed=5)
    assert [factor.shape[1:] for factor in factors] == [(1, FEATURES), *[(1, 1)] * (depth - 1)]
    product = np.asarray(lnn.network.end_to_end([np.float64(factor) for factor in factors]))
    np.testing.assert_allclose(product, np.repeat(starts, len(RATES), axis=0), rtol=1e-5)
    sizes = np.array([np.linalg.norm(factor, axis=(1, 2)) for factor in factors])
    expected = np.linalg.norm(starts, axis=(1, 2)) ** (1 / depth)
    np.testing.assert_allclose(sizes, np.tile(np.repeat(expected, len(RATES)), (depth, 1)))


def test_networks_are_trained_where_the_map_has_their_depth() -> None:
    config = MapConfig()
    assert config.network_depths == (2, 3, 4)
    assert {job.decay for job in study.network_jobs(config)} == {config.network_decay} == {0.5}
    assert len(study.network_jobs(config)) == len(study.jobs(config)) / len(config.decays)
    names = {job.name for job in [*study.jobs(config), *study.network_jobs(config)]}
    assert len(names) == len(study.jobs(config)) * (1 + 1 / len(config.decays))
    assert study.network_jobs(MapConfig(depths=(1.5, np.inf))) == []


def test_networks_are_compared_with_the_rule_of_their_depth(made_up: xr.Dataset) -> None:
    """At decay 0, which is as near to 0.5 as 1."""
    ratio = made_up["network_ratio"].sel(target=0.1)
    np.testing.assert_allclose(ratio.sel(decay=0, depth=2), 2, rtol=1e-3)
    np.testing.assert_allclose(ratio.sel(decay=0, depth=3), 1, rtol=1e-3)
    assert np.isnan(ratio.sel(decay=1)).all()
    assert dict(made_up["network_steps"].sizes) == {
        "p": 2, "network_depth": 2, "relative_norm": 2, "target": 1, "draw": 9
    }  # fmt: skip
    text = next(part for part in statements(made_up) if part.startswith("Balanced networks"))
    assert "2.00 (of 4) at depth 2 (4 cells), 1.00 (of 4) at depth 3 (4 cells)" in text
    assert "at condition 1 where GD takes more than 5 steps" in text
    table = cell_table(made_up)
    assert len(table) == made_up.attrs["studies"] == 16
    assert np.isfinite(table["network_ratio"]).sum() == 8
