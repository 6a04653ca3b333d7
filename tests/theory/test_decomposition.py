"""Where the decrease comes from, and when depth is faster than tuned GD."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow

import lnn
from lnn.theory.decomposition import TERMS


def problem(p: float, k: int) -> lnn.Problem:
    rng = np.random.default_rng(0)
    return lnn.Problem(rng.standard_normal((40, 5)), rng.standard_normal((40, k)), p)


def some_w(k: int) -> np.ndarray:
    return 0.5 * np.random.default_rng(1).standard_normal((2, 3, k, 5))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("depth", "p"),
    mostly_slow(
        itertools.product([1, 1.5, 2, 4, math.inf], [2, 4, 6, 3, 2.5]),
        *[(1, 2), (1.5, 2.5), (2, 4), (4, 3), (math.inf, 6)],
    ),
)
def test_terms_sum_to_the_measured_decrease(k: int, p: float, depth: float) -> None:
    tolerance = 1e-12 if p in (2, 4, 6) else 1e-6
    found = lnn.decompose(problem(p, k), some_w(k), depth, 0.01, 0.02)
    total = sum(getattr(found, name) for name in TERMS)
    assert total.shape == (2, 3)
    np.testing.assert_allclose(total, found.decrease, rtol=tolerance)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("depth", mostly_slow([1, 2, 3], 3))
def test_first_order_terms_are_the_derivative_of_the_loss(x64: None, k: int, depth: int) -> None:
    """Against a central difference along the rule's step, its error removed by extrapolation."""
    given, w = problem(4, k), some_w(k)[0, 0]
    gradient = np.asarray(given.gradient(w))
    matrix = np.asarray(lnn.core.spectral.preconditioner_matrix(w, depth))
    direction = (matrix @ gradient.ravel("F")).reshape(w.shape, order="F")

    def slope(h: float) -> float:
        ahead, behind = (float(given.loss(w + sign * h * direction)) for sign in (-1, 1))
        return (behind - ahead) / (2 * h)

    derivative = (4 * slope(5e-4) - slope(1e-3)) / 3
    found = lnn.decompose(given, w, depth, 0.25, 0.125)
    first = found.gd + found.norm_factor + found.projection
    np.testing.assert_allclose(first, 0.25 * derivative, rtol=1e-8)
    np.testing.assert_allclose(found.gd, 0.125 * (gradient**2).sum(), rtol=1e-12)


@pytest.mark.parametrize("depth", [1.5, 2, 4])
def test_one_output_has_the_terms_of_eq_12(x64: None, depth: float) -> None:
    given, w = problem(4, 1), some_w(1)
    found = lnn.decompose(given, w, depth, 0.1)
    g = np.asarray(given.gradient(w))
    norm, squared = np.linalg.norm(w, axis=(-2, -1)), (g * g).sum((-2, -1))
    scale = norm ** (2 - 2 / depth)
    along = (g * w).sum((-2, -1)) / norm
    np.testing.assert_allclose(found.gd, 0.1 * squared, rtol=1e-12)
    np.testing.assert_allclose(found.norm_factor, 0.1 * (scale - 1) * squared, rtol=1e-11)
    np.testing.assert_allclose(found.projection, 0.1 * scale * (depth - 1) * along**2, rtol=1e-11)
    amplified = 1 + (depth - 1) * along**2 / squared
    np.testing.assert_allclose(found.amplification, amplified, rtol=1e-12)
    np.testing.assert_allclose(found.spectral_norm, norm, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0}, "learning_rate = 0: give a positive number"),
        ({"gd_learning_rate": -1.0}, "gd_learning_rate = -1.0"),
        ({"depth": 0}, "depth = 0"),
        ({"w": np.ones(4)}, r"w has shape \(4,\): give \(..., 1, 5\)"),
    ],
)
def test_wrong_arguments_are_told(options: dict[str, Any], words: str) -> None:
    given = {"problem": problem(4, 1), "w": some_w(1), "depth": 2, "learning_rate": 0.1}
    with pytest.raises(ValueError, match=words):
        lnn.decompose(**{**given, **options})
