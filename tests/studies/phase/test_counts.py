"""What is counted over the cells of a map: significant cells, few steps, misses, bounds, edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from lnn.studies.phase.conclusion import statements
from lnn.studies.phase.config import FEW, MapConfig
from lnn.studies.phase.counts import by_p, edges, misses, quantiles_text, rated, significance
from lnn.studies.phase.summary import cell_table

pytestmark = pytest.mark.once

MapFrom = Callable[..., xr.Dataset]
NORMS = tuple(0.01 * i for i in range(1, 21))


def one_axis(map_from: MapFrom, gd: np.ndarray, deep: np.ndarray, seeds: int = 9) -> xr.Dataset:
    """A map of 20 start norms and one of all else, from steps (draws, norms)."""
    config = MapConfig(
        p=3, depths=2, relative_norms=NORMS, decays=0, targets=0.1, seeds=seeds, steps=1000
    )  # fmt: skip
    gd, deep = (np.broadcast_to(steps, (seeds, 20))[:, None, :, None] for steps in (gd, deep))
    return map_from(config, gd, deep)


@pytest.mark.parametrize(
    ("faster", "seeds", "significant", "told"),
    [
        # Of 20 cells, the least p-value of 9 draws, 1/256, must come twice: 20/256 > 0.05.
        (1, 9, 0, "depth helps in 0.0 % and hurts in 0.0 % of 20 cells"),
        (2, 9, 2, "depth helps in 10.0 % and hurts in 0.0 % of 20 cells"),
        (1, 15, 1, "depth helps in 5.0 % and hurts in 0.0 % of 20 cells"),
        (20, 5, 0, "depth helps in 0.0 % and hurts in 0.0 % of 20 cells"),
    ],
)
def test_one_cell_of_many_is_significant_only_if_it_would_not_be_by_chance(
    map_from: MapFrom, faster: int, seeds: int, significant: int, told: str
) -> None:
    """Each faster cell has a band above 1 of at least 95 %, with 9 draws: cell by cell it was
    significant.
    """
    deep = np.where(np.arange(20) < faster, 50.0, 100.0)
    found = one_axis(map_from, np.array(100.0), deep, seeds)
    assert int((found["low"] > 1).sum()) == faster
    assert int((found["significant"] == 1).sum()) == significant
    assert f"p = 3: at a false-discovery rate of 5 %, {told}" in next(iter(by_p(found)))


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        (15, "6.10e-05, so that a single cell can be significant"),
        (9, "0.00391, so that at least 2 of the 20 cells of an exponent, or none, can"),
        (7, "0.0156, so that at least 7 of the 20 cells of an exponent, or none, can"),
        (5, "0.0625, with which no cell can be significant"),
    ],
)
def test_it_is_told_what_the_draws_can_show(map_from: MapFrom, seeds: int, told: str) -> None:
    text = significance(one_axis(map_from, np.array(100.0), np.array(50.0), seeds))
    assert f"The least p-value of {seeds} draws is {told}" in text
    # 20 equal p-values are 1 + 1/2 + ... + 1/20 = 3.6 times as large by the stricter correction.
    strict = 100.0 if 3.6 * 2.0 ** (1 - seeds) < 0.05 else 0.0
    assert f"any dependence, depth helps and hurts in {strict:.1f} % and 0.0 % at p = 3." in text


def test_cells_with_few_steps_are_told_apart_from_ratios(map_from: MapFrom) -> None:
    """In 8 of 20 cells GD takes up to 5 steps, and the rule three times as many; else half."""
    gd = np.where(np.arange(20) < 8, FEW, FEW + 1.0)
    deep = np.where(np.arange(20) < 8, 3 * gd, gd / 2)
    found = one_axis(map_from, gd, deep)
    np.testing.assert_array_equal(found["few_steps"].values.ravel(), np.arange(20) < 8)
    assert cell_table(found)["few_steps"].sum() == 8
    text = next(iter(by_p(found)))
    assert "depth helps in 60.0 % and hurts in 40.0 % of 20 cells. In 8 of them tuned GD" in text
    assert "needs at most 5 steps, so that ratios are of small whole numbers (depth helps" in text
    assert "(depth helps in 0.0 % and hurts in 100.0 %). In the other 12 cells" in text
    assert "In the other 12 cells the speed-up over tuned GD is 2.00 [2.00, 2.00]" in text
    assert np.isnan(rated(found)["speedup"]).sum() == 8
    along = next(part for part in statements(found) if part.startswith("Start"))
    assert "unknown at norm 0.01 |W*|" in along
    assert "2.00 (of 1) at norm 0.2 |W*|; cell by cell" in along
    assert "unknown times" not in along


@pytest.mark.parametrize(
    ("speedup", "told"),
    [
        ((3, 2, 1), "largest at depth 1.1, the least of the grid: 3.00"),
        ((2, 3, 1), "largest at depth 2: 3.00"),
        ((1, 2, 3), "largest at depth 4, the largest of the grid: 3.00"),
    ],
)
def test_a_best_depth_at_the_edge_of_its_grid_is_flagged(
    map_from: MapFrom, speedup: tuple[int, ...], told: str
) -> None:
    config = MapConfig(p=3, depths=(1.1, 2, 4), relative_norms=1, decays=0, targets=0.1, seeds=9)
    deep = (600 / np.array(speedup, float))[:, None, None]
    assert told in next(iter(by_p(map_from(config, np.array(600.0), deep))))


def test_misses_and_bounds_are_told(map_from: MapFrom) -> None:
    """GD misses on 3 of 9 draws of each of 20 cells, the rule on 6 of 9 in half of them."""
    inf = np.inf
    gd = np.where(np.arange(9) < 3, inf, 100.0)[:, None] * np.ones(20)
    deep = np.where((np.arange(9)[:, None] < 6) & (np.arange(20) < 10), inf, 50.0)
    found = one_axis(map_from, gd, deep)
    np.testing.assert_allclose(found["gd_missed"], 1 / 3)
    np.testing.assert_allclose(np.unique(found["missed"]), [0, 2 / 3])
    text = misses(found)
    assert "in the 20 cells with a speed-up, at the tuned rates GD missed" in text
    assert "on 33.3 % of the draws that report, and the rule on 33.3 %" in text
    assert "In 10 of the cells one of the two missed it on at least half" in text
    assert "budget of 1000 steps leaves. Of these bounds 10 enter medians" in text
    nothing = one_axis(map_from, np.array(inf), np.array(inf))
    assert misses(nothing) == "Misses: no speed-up is known."
    assert next(iter(by_p(nothing))).endswith("reached a target within the budget.")


def test_cells_that_neither_reached_are_no_misses(map_from: MapFrom) -> None:
    """Half of the cells are missed on 8 of 9 draws by both, and have no speed-up."""
    lost = (np.arange(9)[:, None] < 8) & (np.arange(20) < 10)
    found = one_axis(map_from, np.where(lost, np.inf, 100.0), np.where(lost, np.inf, 50.0))
    assert "in the 10 cells" in misses(found)
    assert "GD missed the target on 0.0 % of the draws" in misses(found)
    assert "in 10 of 20 cells neither GD nor depth reached the target (10 at condition 1)." in (
        edges(found)
    )


def test_quantiles_over_cells_are_values_of_cells() -> None:
    values = np.array([np.nan, np.inf, *range(11, 0, -1)])
    assert quantiles_text(values) == "6.00 [3.00, 9.00]"
    assert quantiles_text(np.arange(10.0)) == "5.00 [1.00, 8.00]"
    assert quantiles_text(np.arange(9.0)) == "4.00 (of 9)"  # no quantiles of so few
    assert quantiles_text(np.array([np.nan])) == "unknown"


def test_no_band_over_cells_or_draws_is_called_by_percentages_of_draws(made_up: xr.Dataset) -> None:
    text = "\n".join(statements(made_up))
    assert "20-80" not in text
    assert text.count("median, and 20 % and 80 % quantiles over the") == 6
    low = made_up["low"].attrs["description"]
    assert low.endswith(": 2nd and 8th of 9 draws, 96.1 % confidence for the median")
