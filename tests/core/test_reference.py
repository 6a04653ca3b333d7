"""The reference optimum: that of SciPy, by blocks, at every exponent."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from cases import mostly_slow
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize
from small_problems import POWERS, data, numpy_gradient, numpy_loss

from lnn.core import linalg
from lnn.core.linalg import condition_number
from lnn.core.problem import Problem, checksum
from lnn.core.reference import GRADIENT_TOLERANCE, _Objective, reference_optimum
from lnn.datasets.regression import gaussian


def relative_gradient(problem: Problem, w: np.ndarray, decay: float = 0.0) -> float:
    zero = numpy_gradient(problem, np.zeros_like(w))
    rows = np.linalg.norm(numpy_gradient(problem, w) + decay * w, axis=1)
    return float(np.max(rows / np.linalg.norm(zero, axis=1)))


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_reference_is_scipys_minimum(p: float, decay: float) -> None:
    problem = Problem(*data(40, 5, 2), p)
    w, loss = reference_optimum(problem, decay)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        v = flat.reshape(2, 5)
        value = numpy_loss(problem, v) + 0.5 * decay * np.sum(v**2)
        return value, (numpy_gradient(problem, v) + decay * v).ravel()

    scipys = optimize.minimize(
        objective, np.zeros(10), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000}
    )
    assert loss <= scipys.fun * (1 + 1e-14)
    assert loss == pytest.approx(scipys.fun, rel=1e-9)
    np.testing.assert_allclose(w.ravel(), scipys.x, atol=1e-3 if p != 2 else 1e-7)
    assert loss == pytest.approx(objective(w.ravel())[0], rel=1e-13)
    assert relative_gradient(problem, w, decay) <= GRADIENT_TOLERANCE


def test_reference_at_p_2_is_least_squares_and_ridge() -> None:
    x, y = data(30, 6, 3)
    w, _ = reference_optimum(Problem(x, y, 2.0))
    np.testing.assert_allclose(w.T, np.linalg.lstsq(x, y)[0], rtol=1e-11)
    w, _ = reference_optimum(Problem(x, y, 2.0), 0.2)
    ridge = np.linalg.solve(x.T @ x / 30 + 0.2 * np.eye(6), x.T @ y / 30)
    np.testing.assert_allclose(w.T, ridge, rtol=1e-11)


@pytest.mark.parametrize("p", POWERS)
def test_reference_of_the_two_point_problem_meets_both_labels(p: float) -> None:
    w, loss = reference_optimum(Problem(np.eye(2), np.array([100.0, 1.0]), p))
    assert loss <= 1e-12 * 100**p
    assert w[0, 0] == pytest.approx(100, abs=1e-2 if p > 2 else 1e-6)


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_reference_scales_with_the_labels(p: float, size: float) -> None:
    x, y = data(30, 4, None)
    w, loss = reference_optimum(Problem(x, y, p))
    scaled, scaled_loss = reference_optimum(Problem(x, size * y, p))
    np.testing.assert_allclose(scaled, size * w, rtol=1e-4)
    assert scaled_loss == pytest.approx(loss * size**p, rel=1e-10)


@pytest.mark.parametrize("p", [1.5, 2, 3, 4, 6])
def test_reference_with_dependent_features(p: float) -> None:
    x, y = data(30, 4, None)
    wide = np.hstack([x, x[:, :2] + x[:, 2:], np.zeros((30, 1))])
    w, loss = reference_optimum(Problem(wide, y, p))
    assert loss == pytest.approx(reference_optimum(Problem(x, y, p))[1], rel=1e-11)
    assert relative_gradient(Problem(wide, y, p), w) <= GRADIENT_TOLERANCE


@pytest.mark.parametrize("p", POWERS)
def test_reference_with_fewer_examples_than_features_interpolates(p: float) -> None:
    problem = Problem(*data(4, 9, 2), p)
    w, loss = reference_optimum(problem)
    assert loss <= 1e-12 * numpy_loss(problem, np.zeros((2, 9)))
    assert np.isfinite(w).all()


@pytest.mark.parametrize("p", [2, 4])
def test_reference_with_a_condition_number_of_a_million(p: float) -> None:
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, 8)))[0] for n in (60, 8))
    x = 60**0.5 * u * np.geomspace(1, 1e-6, 8) @ v.T
    problem = Problem(x, x @ (v @ np.ones(8)) + 0.1 * rng.standard_normal(60), p)
    w, _ = reference_optimum(problem)
    assert relative_gradient(problem, w) <= GRADIENT_TOLERANCE


@given(
    seed=st.integers(0, 10**6), m=st.integers(1, 12), d=st.integers(1, 8),
    p=st.sampled_from([1.5, 1.8, 2, 2.5, 3, 4, 6, 8]), decay=st.sampled_from([0.0, 1e-3, 1.0]),
)  # fmt: skip
@example(seed=0, m=2, d=3, p=1.5, decay=0.0)
@example(seed=1, m=1, d=2, p=1.5, decay=0.0)
def test_nothing_near_the_reference_is_lower(
    seed: int, m: int, d: int, p: float, decay: float
) -> None:
    problem = Problem(*data(m, d, 1, seed), p)
    w, loss = reference_optimum(problem, decay)
    # Where w fits every label, |r|^(p-1) of rounding residuals is all the gradient there is.
    fits = loss <= 1e-19 * numpy_loss(problem, np.zeros_like(w))
    assert fits or relative_gradient(problem, w, decay) <= 1.01 * GRADIENT_TOLERANCE
    rng = np.random.default_rng(seed)
    for size in (1e-6, 1e-3, 1.0):
        other = w + size * rng.standard_normal(w.shape)
        value = numpy_loss(problem, other) + 0.5 * decay * np.sum(other**2)
        assert value >= loss * (1 - 1e-12) - 1e-300


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_reference_by_row_blocks_is_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, p: float, decay: float
) -> None:
    problem = Problem(*data(61, 5, 2), p)
    w, loss = reference_optimum(problem, decay)
    monkeypatch.setattr(linalg, "BLOCK_ENTRIES", 1)  # as few rows as there are columns
    by_blocks, its_loss = reference_optimum(problem, decay)
    np.testing.assert_allclose(by_blocks, w, rtol=1e-9)
    assert its_loss == pytest.approx(loss, rel=1e-13)
    assert relative_gradient(problem, by_blocks, decay) <= GRADIENT_TOLERANCE


@pytest.mark.parametrize("p", [2.0, 4.0])
def test_reference_of_float32_is_that_of_the_same_numbers_in_float64(p: float) -> None:
    single = Problem(*data(40, 5, 2), p).astype("float32")
    double = Problem(np.asarray(single.x, np.float64), np.asarray(single.y, np.float64), p)
    for found, wanted in zip(reference_optimum(single), reference_optimum(double), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_reference_with_a_decay_and_labels_fitted_exactly() -> None:
    # The residual 1e-4^5 of the optimum is below rounding; at zero the curvature has no bound.
    w, _ = reference_optimum(Problem(np.eye(1), np.ones(1), 1.2), 1e-4)
    assert w[0, 0] == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("p", [2.0, 4.0])
def test_large_data_are_never_copied_whole(p: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200_000, 32), np.float32)
    y = x @ rng.standard_normal(32, np.float32) + rng.standard_normal(200_000, np.float32)
    tracemalloc.start()
    try:
        problem = Problem(x, y, p)
        reference_optimum(problem)
        checksum(problem)
        condition_number(problem.x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.3 * x.nbytes + 4 * 2**20


def test_reference_of_zero_labels_is_zero() -> None:
    w, loss = reference_optimum(Problem(np.ones((4, 2)), np.zeros((4, 2)), 4.0))
    assert np.array_equal(w, np.zeros((2, 2)))
    assert loss == 0


def lower_bound(problem: Problem, w: np.ndarray) -> float:
    """A bound on the loss of every predictor, by weak duality.

    For any u with x^T u = 0 and any v, sum |x v - y|^p / p >= -u.y - sum |u|^q / q.
    """
    p, q = problem.p, problem.p / (problem.p - 1)
    residual = problem.x @ w - problem.y
    u = np.sign(residual) * np.abs(residual) ** (p - 1)
    frame = linalg_basis(problem.x)
    for _ in range(2):
        u = u - frame @ (frame.T @ u)
    assert np.abs(problem.x.T @ u).max() < 1e-10 * problem.m
    scales = np.linspace(0.9, 1.1, 2001)
    powers = np.sum((np.abs(u) / np.abs(u).max()) ** q) * np.abs(u).max() ** q
    return float(np.max(-scales * (u @ problem.y) - scales**q * powers / q)) / problem.m


def linalg_basis(x: np.ndarray) -> np.ndarray:
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    return left[:, singular > 1e-12 * singular[0]]


@pytest.mark.parametrize("p", [1.15, 1.1])
@pytest.mark.parametrize("name", mostly_slow(["normal", "heavy", "gaussian"], "normal"))
def test_reference_near_p_1_is_certified_by_its_dual(name: str, p: float) -> None:
    rng = np.random.default_rng(0)
    if name == "gaussian":
        problem = gaussian(p)
    else:
        errors = rng.standard_normal(200) if name == "normal" else rng.standard_t(1.5, 200)
        x = rng.standard_normal((200, 8))
        problem = Problem(x, x @ rng.standard_normal(8) + errors, p)
    w, loss = reference_optimum(problem)
    bound = lower_bound(problem, w[0])
    zero = np.mean(np.abs(problem.y) ** p) / p
    assert bound <= loss * (1 + 1e-12)
    assert loss - bound <= 1e-6 * zero


def test_the_duality_gap_bounds_what_is_left_to_gain() -> None:
    x, y = data(60, 6, None)
    for decay in (0.0, 0.05):
        w, _ = reference_optimum(Problem(x, y, 1.5), decay)
        scale = float(np.max(np.abs(y)))
        objective = _Objective(x, y, scale, 1.5, decay * scale**0.5)
        residual = np.empty(60)
        gaps, values = [], []
        for distance in (0.0, 1e-3, 0.1):
            v = (w[0] + distance) / scale
            objective.evaluate(v, residual)
            gaps.append(objective.duality_gap(v, residual))
            decays = 60 * objective.decay * (v @ v) / 2
            values.append(np.sum(np.abs(residual) ** 1.5) / 1.5 + decays)
        zero = np.sum(np.abs(y / scale) ** 1.5) / 1.5
        assert abs(gaps[0]) < 1e-9
        for gap, value in zip(gaps[1:], values[1:], strict=True):
            assert gap >= (value - values[0]) / (zero - value) - 1e-9


def test_reference_says_when_p_is_too_near_one() -> None:
    with pytest.raises(
        ArithmeticError, match=r"p = 1.02 stopped at a relative gradient of .*further from 1"
    ):
        reference_optimum(Problem(*data(60, 6, None), 1.02))


def test_reference_refuses_a_negative_weight_decay() -> None:
    for decay in (-0.1, np.nan):
        with pytest.raises(ValueError, match=rf"weight_decay = {decay}: give a number >= 0"):
            reference_optimum(Problem(np.ones((4, 2)), np.ones(4), 2.0), decay)
