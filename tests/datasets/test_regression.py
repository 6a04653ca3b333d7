"""The synthetic problem, the two points and the checksum."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.core.problem import Problem, checksum
from lnn.datasets import gaussian_model
from lnn.datasets.regression import synthetic, two_point


def eigenvalues(problem):
    return np.linalg.eigvalsh(problem.x.T @ problem.x / problem.m)[::-1]


def least_squares_residual(problem):
    w = np.linalg.lstsq(problem.x, problem.y, rcond=None)[0]
    return problem.y - problem.x @ w


@pytest.fixture(scope="module")
def default():
    return synthetic()


def test_default_is_shaped_like_gas_drift(default):
    assert (default.x.shape, default.y.shape, default.p) == ((2565, 128), (2565,), 4.0)
    assert default.x.dtype == default.y.dtype == np.float64
    values = eigenvalues(default)
    assert values[0] == pytest.approx(73, abs=1)
    assert 1e-9 < values[-1] < 1e-6
    np.testing.assert_allclose(
        values[:126], gaussian_model.spectrum(128, 128, 1.0)[:126], rtol=1e-6
    )


def test_default_label_is_as_hard_as_gas_drifts(default):
    # Gas drift: 0.05 at p = 2; loss at zero 1.39 at p = 4, 77 % of it from 0.6 % of the rows.
    assert np.mean(least_squares_residual(default) ** 2) / 2 == pytest.approx(0.05, rel=1e-6)
    fourth = np.sort(default.y**4)[::-1]
    assert 1.1 < fourth.mean() / 4 < 1.7
    assert 0.6 < fourth[:16].sum() / fourth.sum() < 0.85


def test_weight_on_small_eigendirections(default):
    values, vectors = np.linalg.eigh(default.x.T @ default.x / default.m)
    correlation = vectors.T @ (default.x.T @ default.y / default.m) / np.sqrt(values)
    explained = correlation[::-1] ** 2
    assert explained[0] == pytest.approx(0.531, abs=0.01)
    assert explained[20:].sum() == pytest.approx(0.078, abs=0.01)
    weights = np.abs(correlation / np.sqrt(values))[::-1]
    assert np.median(weights[100:]) > 10 * np.median(weights[:20])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"outputs": 3},
        {"heavy_tails": 3},
        {"rank": 40},
        {"m": 60, "d": 100},
        {"decay": 0.0},
        {"noise": 0.0},
    ],
)
def test_standardized(options):
    problem = synthetic(**{"m": 300, "d": 30, **options} if "rank" not in options else options)
    for values in (problem.x, problem.y):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-13)


def test_seeds(default):
    again = synthetic()
    assert default.x.tobytes() == again.x.tobytes()
    assert default.y.tobytes() == again.y.tobytes()
    assert default.name == "synthetic, seed 0"
    other = synthetic(seed=1)
    assert checksum(other) != checksum(default)
    np.testing.assert_allclose(eigenvalues(other)[:126], eigenvalues(default)[:126], rtol=1e-6)


def test_rank():
    values = eigenvalues(synthetic(m=200, d=40, rank=7))
    assert values[6] > 1e-3
    assert abs(values[7]) < 1e-12
    assert values.sum() == pytest.approx(40)


def test_more_features_than_rows_can_be_fitted():
    problem = synthetic(m=30, d=50)
    assert eigenvalues(problem)[28] > 1e-7
    assert np.abs(least_squares_residual(problem)).max() < 1e-3


def test_decay():
    flat = eigenvalues(synthetic(m=200, d=40, decay=0))
    np.testing.assert_allclose(flat, 1, rtol=1e-10)
    half = eigenvalues(synthetic(m=200, d=40, decay=0.5))
    whole = eigenvalues(synthetic(m=200, d=40, decay=1.0))
    ratio = np.log(half[0] / half[20]) / np.log(whole[0] / whole[20])
    assert ratio == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_noise_is_the_share_nothing_explains(noise):
    problem = synthetic(m=400, d=20, noise=noise)
    assert np.mean(least_squares_residual(problem) ** 2) == pytest.approx(noise, abs=1e-9)


def test_heavy_tails():
    light, heavy = synthetic(decay=0), synthetic(decay=0, heavy_tails=2.5)

    def kurtosis(problem):
        return np.median((problem.x**4).mean(axis=0))

    assert kurtosis(heavy) > 2 * kurtosis(light)
    assert checksum(synthetic(m=50, heavy_tails=None)) == checksum(synthetic(m=50))


def test_outputs_have_planted_vectors_of_their_own():
    problem = synthetic(m=500, d=20, outputs=4)
    assert problem.y.shape == (500, 4)
    assert np.abs(np.corrcoef(problem.y.T) - np.eye(4)).max() < 0.98
    # Also where there are more of them than eigendirections.
    assert synthetic(m=50, d=4, rank=2, outputs=5).y.shape == (50, 5)


@given(
    m=st.integers(2, 40),
    d=st.integers(1, 40),
    outputs=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_any_size_is_standardized_and_has_its_rank(m, d, outputs, seed, data):
    rank = data.draw(st.integers(1, min(d, m - 1)))
    problem = synthetic(2.0, seed=seed, m=m, d=d, outputs=min(outputs, m), rank=rank, decay=0.5)
    assert problem.x.shape == (m, d)
    np.testing.assert_allclose(problem.x.std(axis=0), 1, rtol=1e-12)
    values = eigenvalues(problem)
    assert values[:rank].min() > 1e-7
    assert np.all(np.abs(values[rank:]) < 1e-10)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"p": 1.0}, r"p = 1\.0"),
        ({"p": float("nan")}, "p = nan"),
        ({"seed": -1}, r"seed = -1: give a whole number, at least 0$"),
        ({"seed": 1.5}, "seed = 1.5: give a whole number"),
        ({"m": 1}, "m = 1: give a whole number, at least 2"),
        ({"m": True}, "m = True: give a whole number"),
        ({"d": 0}, "d = 0: give a whole number, at least 1"),
        ({"outputs": 0}, "outputs = 0: give a whole number, 1 to 2565"),
        ({"m": 10, "outputs": 11}, "outputs = 11: give a whole number, 1 to 10"),
        ({"rank": 129}, "rank = 129: give a whole number, 1 to 128"),
        ({"m": 10, "rank": 10}, "rank = 10: give a whole number, 1 to 9"),
        ({"decay": -1}, "decay = -1: give a finite number >= 0"),
        ({"decay": float("inf")}, "decay = inf: give a finite"),
        ({"noise": 1.0}, "noise = 1.0: give a share of the variance, 0 <= noise < 1"),
        ({"noise": "low"}, "noise = 'low': give a share"),
        ({"heavy_tails": 2}, r"heavy_tails = 2: give degrees of freedom > 2 .* or False"),
        ({"heavy_tails": True}, "heavy_tails = True: give degrees of freedom > 2"),
    ],
)
def test_options_are_checked(options, match):
    with pytest.raises(ValueError, match=match) as caught:
        synthetic(**options)
    assert "\n" not in str(caught.value)


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
