"""The rule's form for one output."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lnn.transforms.end_to_end import scale_by_end_to_end
from lnn.transforms.single_output import scale_by_single_output

DEPTHS = (1, 1.5, 2, 3, 4, 8, 16, math.inf)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm", [1e-3, 0.7, 50.0])
def test_single_output_form_is_the_general_rule_at_one_output(
    x64: None, depth: float, norm: float
) -> None:
    rng = np.random.default_rng(9)
    for d in (1, 2, 7, 128):
        w, g = rng.standard_normal((2, 1, d))
        w *= norm / np.linalg.norm(w)
        single, general = (
            np.asarray(rule(depth).update(g, optax.EmptyState(), w)[0])
            for rule in (scale_by_single_output, scale_by_end_to_end)
        )
        assert np.linalg.norm(single - general) <= 1e-13 * np.linalg.norm(general)


def test_single_output_form_refuses_more_outputs() -> None:
    w = jnp.ones((2, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\): the single-output form needs one"):
        scale_by_single_output(3).update(w, optax.EmptyState(), w)
