"""The end-to-end rule taken apart: norm factor, projection, momentum window."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import oracles
import pytest

import lnn
from lnn.transforms.ablations import scale_by_norm_factor, scale_by_projection
from lnn.transforms.end_to_end import scale_by_end_to_end
from lnn.transforms.methods import make_method
from lnn.transforms.momentum_window import scale_by_momentum_window
from lnn.transforms.single_output import scale_by_single_output

SHAPES = ((1, 6), (3, 5), (5, 3), (4, 4))
DEPTHS = (1, 1.5, 2, 4, math.inf)
close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_depth = pytest.mark.parametrize("depth", DEPTHS)


def pair(shape: tuple[int, int], seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(shape)) for _ in range(2))


def apply(rule: Any, g: Any, w: Any) -> Any:
    return rule.update(g, rule.init(w), w)[0]


@each_shape
@each_depth
def test_one_part_after_the_other_is_the_rule(
    x64: None, shape: tuple[int, int], depth: float
) -> None:
    w, g = pair(shape)
    whole = apply(scale_by_end_to_end(depth), g, w)
    norm, projection = scale_by_norm_factor(depth), scale_by_projection(depth)
    close(apply(norm, apply(projection, g, w), w), whole)
    close(apply(projection, apply(norm, g, w), w), whole)


@each_shape
@each_depth
def test_parts_agree_with_their_definitions(
    x64: None, shape: tuple[int, int], depth: float
) -> None:
    w, g = (np.asarray(a) for a in pair(shape))
    frame = oracles.mp_frame(w)
    largest = max(frame.s)
    close(apply(scale_by_norm_factor(depth), g, w), g * float(largest ** (2 - 2 / mp.mpf(depth))))
    unit = frame._replace(s=[s / largest for s in frame.s])
    close(apply(scale_by_projection(depth), g, w), oracles.end_to_end_rule(unit, g, depth))


@each_depth
def test_at_zero(x64: None, depth: float) -> None:
    _, g = pair((3, 5))
    norm = apply(scale_by_norm_factor(depth), g, jnp.zeros((3, 5)))
    np.testing.assert_array_equal(norm, g if depth == 1 else 0 * g)
    projection = apply(scale_by_projection(depth), g, jnp.zeros((3, 5)))
    np.testing.assert_array_equal(projection, 0 * g if math.isinf(depth) else g)


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


@pytest.mark.parametrize("steps", [1, 3, 50, None])
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
    close(found, apply(scale_by_single_output(3), g, w))


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="steps = 0: give a whole number, at least 1"):
        scale_by_momentum_window(2, 0)
    for rule in (scale_by_norm_factor, scale_by_projection, scale_by_momentum_window):
        with pytest.raises(ValueError, match=r"depth = 0.5"):
            rule(0.5)
    w = jnp.ones((2, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\): the single-output form needs one"):
        apply(scale_by_momentum_window(2), w, w)


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
