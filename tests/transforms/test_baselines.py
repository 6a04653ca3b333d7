"""The baselines follow the recurrences that their authors published."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lnn.transforms.catalogue import DEEP, LAYERWISE
from lnn.transforms.methods import METHODS, make_method


def test_constants_are_the_authors() -> None:
    constants = {name: dict(make_method(name, 3.0, (2, 3)).constants) for name in METHODS}
    adam = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
    assert constants == {
        "gd": {},
        "momentum": {"decay": 0.9},
        "adagrad": {"initial_accumulator_value": 0.0, "eps": 0.0},
        "adadelta": {"rho": 0.95, "eps": 1e-6},
        "adam": adam,
        **{rule: {} for rule in DEEP if rule not in LAYERWISE},
        "layerwise-gd": {},
        "layerwise-adam": adam,
    }


def gd(gradients: np.ndarray) -> list[np.ndarray]:
    return list(gradients)


def heavy_ball(gradients: np.ndarray) -> list[np.ndarray]:
    out, m = [], 0.0
    for g in gradients:
        m = 0.9 * m + g
        out.append(m)
    return out


def adagrad(gradients: np.ndarray) -> list[np.ndarray]:
    out, total = [], 0.0
    for g in gradients:
        total = total + g * g
        out.append(g / np.sqrt(total))
    return out


def adadelta(gradients: np.ndarray) -> list[np.ndarray]:
    out, eg, ex = [], 0.0, 0.0
    for g in gradients:
        eg = 0.95 * eg + 0.05 * g * g
        step = np.sqrt(ex + 1e-6) / np.sqrt(eg + 1e-6) * g
        ex = 0.95 * ex + 0.05 * step * step
        out.append(step)
    return out


def adam(gradients: np.ndarray) -> list[np.ndarray]:
    out, m, v = [], 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        out.append(m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return out


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("gd", gd),
        ("momentum", heavy_ball),
        ("adagrad", adagrad),
        ("adadelta", adadelta),
        ("adam", adam),
        ("layerwise-gd", gd),
        ("layerwise-adam", adam),
    ],
)
@pytest.mark.parametrize("size", [1e-4, 1.0, 30.0])
def test_baselines_follow_the_published_recurrences(
    x64: None, name: str, published: Any, size: float
) -> None:
    gradients = size * np.random.default_rng(4).standard_normal((12, 2, 3))
    rule = make_method(name, 3.0, (2, 3)).transformation
    params = np.zeros((2, 3))
    state = rule.init(params)
    for g, true in zip(gradients, published(gradients), strict=True):
        update, state = rule.update(jnp.asarray(g), state, params)
        np.testing.assert_allclose(update, true, rtol=1e-11, atol=1e-15)
