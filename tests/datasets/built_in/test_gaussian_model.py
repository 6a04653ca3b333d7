"""The Gaussian model of gas drift's spectrum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.core.problem import checksum
from lnn.datasets.built_in import gaussian_model
from lnn.datasets.regression import gaussian


def eigenvalues(problem):
    return np.linalg.eigvalsh(problem.x.T @ problem.x / problem.m)[::-1]


def least_squares_residual(problem):
    w = np.linalg.lstsq(problem.x, problem.y, rcond=None)[0]
    return problem.y - problem.x @ w


@pytest.fixture(scope="module")
def default():
    return gaussian()


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
    problem = gaussian(**{"m": 300, "d": 30, **options} if "rank" not in options else options)
    for values in (problem.x, problem.y):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-13)


def test_seeds(default):
    again = gaussian()
    assert default.x.tobytes() == again.x.tobytes()
    assert default.y.tobytes() == again.y.tobytes()
    assert default.name == "gaussian, seed 0"
    other = gaussian(seed=1)
    assert checksum(other) != checksum(default)
    np.testing.assert_allclose(eigenvalues(other)[:126], eigenvalues(default)[:126], rtol=1e-6)


def test_rank():
    values = eigenvalues(gaussian(m=200, d=40, rank=7))
    assert values[6] > 1e-3
    assert abs(values[7]) < 1e-12
    assert values.sum() == pytest.approx(40)


def test_more_features_than_rows_can_be_fitted():
    problem = gaussian(m=30, d=50)
    assert eigenvalues(problem)[28] > 1e-7
    assert np.abs(least_squares_residual(problem)).max() < 1e-3


def test_decay():
    flat = eigenvalues(gaussian(m=200, d=40, decay=0))
    np.testing.assert_allclose(flat, 1, rtol=1e-10)
    half = eigenvalues(gaussian(m=200, d=40, decay=0.5))
    whole = eigenvalues(gaussian(m=200, d=40, decay=1.0))
    ratio = np.log(half[0] / half[20]) / np.log(whole[0] / whole[20])
    assert ratio == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_noise_is_the_share_nothing_explains(noise):
    problem = gaussian(m=400, d=20, noise=noise)
    assert np.mean(least_squares_residual(problem) ** 2) == pytest.approx(noise, abs=1e-9)


def test_heavy_tails():
    light, heavy = gaussian(decay=0), gaussian(decay=0, heavy_tails=2.5)

    def kurtosis(problem):
        return np.median((problem.x**4).mean(axis=0))

    assert kurtosis(heavy) > 2 * kurtosis(light)
    assert checksum(gaussian(m=50, heavy_tails=None)) == checksum(gaussian(m=50))


def test_outputs_have_planted_vectors_of_their_own():
    problem = gaussian(m=500, d=20, outputs=4)
    assert problem.y.shape == (500, 4)
    assert np.abs(np.corrcoef(problem.y.T) - np.eye(4)).max() < 0.98
    # Also where there are more of them than eigendirections.
    assert gaussian(m=50, d=4, rank=2, outputs=5).y.shape == (50, 5)


@given(
    m=st.integers(2, 40),
    d=st.integers(1, 40),
    outputs=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_any_size_is_standardized_and_has_its_rank(m, d, outputs, seed, data):
    rank = data.draw(st.integers(1, min(d, m - 1)))
    problem = gaussian(2.0, seed=seed, m=m, d=d, outputs=min(outputs, m), rank=rank, decay=0.5)
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
        gaussian(**options)
    assert "\n" not in str(caught.value)
