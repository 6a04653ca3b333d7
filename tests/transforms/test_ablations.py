"""The end-to-end rule taken apart: norm factor, projection, momentum window."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import oracles
import pytest
from rules import one_update, pair

from lnn.transforms.ablations import scale_by_norm_factor, scale_by_projection
from lnn.transforms.end_to_end import scale_by_end_to_end
from lnn.transforms.momentum_window import scale_by_momentum_window

SHAPES = ((1, 6), (3, 5), (5, 3), (4, 4))
DEPTHS = (1, 1.5, 2, 4, math.inf)
close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_depth = pytest.mark.parametrize("depth", DEPTHS)


@each_shape
@each_depth
def test_one_part_after_the_other_is_the_rule(
    x64: None, shape: tuple[int, int], depth: float
) -> None:
    w, g = pair(shape)
    whole = one_update(scale_by_end_to_end(depth), g, w)
    norm, projection = scale_by_norm_factor(depth), scale_by_projection(depth)
    close(one_update(norm, one_update(projection, g, w), w), whole)
    close(one_update(projection, one_update(norm, g, w), w), whole)


@each_shape
@each_depth
def test_parts_agree_with_their_definitions(
    x64: None, shape: tuple[int, int], depth: float
) -> None:
    w, g = (np.asarray(a) for a in pair(shape))
    frame = oracles.mp_frame(w)
    largest = max(frame.s)
    close(
        one_update(scale_by_norm_factor(depth), g, w), g * float(largest ** (2 - 2 / mp.mpf(depth)))
    )
    unit = frame._replace(s=[s / largest for s in frame.s])
    close(one_update(scale_by_projection(depth), g, w), oracles.end_to_end_rule(unit, g, depth))


@each_depth
def test_at_zero(x64: None, depth: float) -> None:
    _, g = pair((3, 5))
    norm = one_update(scale_by_norm_factor(depth), g, jnp.zeros((3, 5)))
    np.testing.assert_array_equal(norm, g if depth == 1 else 0 * g)
    projection = one_update(scale_by_projection(depth), g, jnp.zeros((3, 5)))
    np.testing.assert_array_equal(projection, 0 * g if math.isinf(depth) else g)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="steps = 0: give a whole number, at least 1"):
        scale_by_momentum_window(2, 0)
    for rule in (scale_by_norm_factor, scale_by_projection, scale_by_momentum_window):
        with pytest.raises(ValueError, match=r"depth = 0.5"):
            rule(0.5)
    w = jnp.ones((2, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\): the single-output form needs one"):
        one_update(scale_by_momentum_window(2), w, w)
