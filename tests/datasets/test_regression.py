"""The two points, and the checksum of a problem."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from lnn.core.problem import Problem, checksum
from lnn.datasets.regression import two_point


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 4.0, 6.0])
def test_two_point_is_the_papers_loss(p, x64):
    problem = two_point(10.0, -0.5, p)
    w = np.array([[2.0, 3.0]])
    paper = (8.0**p + 3.5**p) / p
    assert float(problem.loss(w)) == pytest.approx(paper, rel=1e-14)
    expected = [[-(8.0 ** (p - 1)), 3.5 ** (p - 1)]]
    np.testing.assert_allclose(problem.gradient(w), expected, rtol=1e-13)
    assert problem.name == "two points (10, -0.5)"


@pytest.mark.parametrize(("f", "converges"), [(0.99, True), (1.01, False)])
def test_two_point_gd_converges_below_the_papers_bound(f, converges, x64):
    problem = two_point(3.0, 3.0, 4.0)
    w = jnp.array([[6.0, 6.0]])
    start = float(problem.loss(w))
    for _ in range(200):
        w = w - f * 2 / 3.0**2 * problem.gradient(w)
        if not bool(jnp.isfinite(w).all()):
            break
    assert (float(problem.loss(w)) < start) == converges


@pytest.mark.parametrize(("y1", "match"), [(float("nan"), "y1 = nan"), ("one", "y1 = 'one'")])
def test_two_point_labels_are_checked(y1, match):
    with pytest.raises(ValueError, match=f"{match}: give a finite number"):
        two_point(y1, 1.0)
    with pytest.raises(ValueError, match="p = 0"):
        two_point(1.0, 1.0, 0)


def test_checksum_is_of_the_data_alone():
    x, y = np.arange(6.0).reshape(3, 2), np.arange(3.0)
    problem = Problem(x, y, 2.0)
    digest = hashlib.sha256(b"(3, 2)" + x.tobytes() + b"(3,)" + y.tobytes()).hexdigest()
    assert checksum(problem) == digest
    assert checksum(Problem(np.asfortranarray(x), y, 4.0, name="other")) == digest
    assert checksum(Problem(x.reshape(3, 2), y[:, None], 2.0)) != digest
    assert checksum(problem.astype(np.float32)) == digest
    x, y = np.arange(3e5).reshape(100_000, 3), np.arange(1e5)
    digest = hashlib.sha256(b"(100000, 3)" + x.tobytes() + b"(100000,)" + y.tobytes()).hexdigest()
    assert checksum(Problem(x.astype(np.float32), y, 2.0)) == digest
