"""The momentum reading of the rule, cut short: by its definition, and between its limits."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow
from rules import one_update, pair

import lnn
from lnn.transforms.methods import make_method
from lnn.transforms.momentum_window import scale_by_momentum_window
from lnn.transforms.single_output import scale_by_single_output

DEPTHS = (1, 1.5, 2, 4, math.inf)
close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
each_depth = pytest.mark.parametrize("depth", DEPTHS)


def read(ws: list[np.ndarray], gs: list[np.ndarray], depth: float, steps: int | None) -> Any:
    """Eq. 12 with the sum of the last steps in the place of the last W, by its definition."""
    out = []
    for t, (w, g) in enumerate(zip(ws, gs, strict=True)):
        past = range(0 if steps is None else max(0, t - steps), t)
        moved = sum((ws[i + 1] - ws[i] for i in past), np.zeros_like(w))
        norm = np.linalg.norm(w)
        momentum = (g * w).sum() / norm**2 * moved
        scale = norm ** (2 - 2 / depth)
        inf = math.isinf(depth)
        out.append(scale * (momentum if inf else g + (depth - 1) * momentum))
    return out


@pytest.mark.parametrize("steps", mostly_slow([1, 3, 50, None], 3, None))
@each_depth
def test_the_momentum_window_reaches_back_so_far(
    x64: None, steps: int | None, depth: float
) -> None:
    rng = np.random.default_rng(1)
    ws = [rng.standard_normal((1, 4)) for _ in range(11)]
    gs = [rng.standard_normal((1, 4)) for _ in range(11)]
    rule = scale_by_momentum_window(depth, steps)
    state = rule.init(jnp.asarray(ws[0]))
    update = jax.jit(rule.update)
    for w, g, true in zip(ws, gs, read(ws, gs, depth, steps), strict=True):
        found, state = update(jnp.asarray(g), state, jnp.asarray(w))
        close(found, g if depth == 1 else true)


def test_from_a_negligible_start_all_steps_are_the_rule(x64: None) -> None:
    w, g = pair((1, 5))
    rule = scale_by_momentum_window(3)
    _, state = rule.update(g, rule.init(1e-14 * w), 1e-14 * w)
    found, _ = rule.update(g, state, w)
    close(found, one_update(scale_by_single_output(3), g, w))


@pytest.mark.slow
def test_in_the_engine_a_short_memory_is_the_norm_factor_and_a_long_one_the_rule() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 6))
    problem = lnn.Problem(x, x @ rng.standard_normal(6), 4.0)
    start = 1e-3 * rng.standard_normal((1, 6))

    def loss(name: str) -> np.ndarray:
        method = make_method(name, 2)
        return lnn.simulate(problem, method, start, 0.02, 100, dtype="float64").loss

    rule, reading, without = map(loss, ("end-to-end", "momentum-100", "norm-factor"))
    np.testing.assert_allclose(reading, loss("momentum-all"), rtol=1e-12)
    # What leaving out the start changes, against what leaving out all of the past does.
    assert np.abs(np.log(reading / rule)).max() < 0.2 * np.abs(np.log(without / rule)).max()
    early = slice(2, reading.size // 2)
    ten = loss("momentum-10")
    assert (reading[early] <= ten[early]).all()
    assert (ten[early] < without[early]).all()
