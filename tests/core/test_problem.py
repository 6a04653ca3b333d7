from __future__ import annotations

import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize

from lnn.core import linalg
from lnn.core.linalg import BLOCK_ENTRIES, condition_number
from lnn.core.problem import Problem, checksum
from lnn.core.reference import GRADIENT_TOLERANCE, reference_optimum

POWERS = (1.5, 2, 2.5, 3, 4, 6)


def data(m: int, d: int, k: int | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, m, d])
    x = rng.standard_normal((m, d))
    y = x @ rng.standard_normal((d, k or 1)) + 0.5 * rng.standard_normal((m, k or 1))
    return x, y[:, 0] if k is None else y


def numpy_loss(problem: Problem, w: np.ndarray) -> float:
    residual = np.abs(problem.x @ w.T - problem.y.reshape(problem.m, -1))
    return float((residual**problem.p).sum(axis=1).mean() / problem.p)


def numpy_gradient(problem: Problem, w: np.ndarray) -> np.ndarray:
    residual = problem.x @ w.T - problem.y.reshape(problem.m, -1)
    pulled = np.sign(residual) * np.abs(residual) ** (problem.p - 1)
    return (pulled.T @ problem.x) / problem.m


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("k", [None, 1, 3])
def test_loss_and_gradient_are_numpys_for_every_batch_axis(
    x64: None, p: float, k: int | None
) -> None:
    problem = Problem(*data(11, 4, k), p)
    w = np.random.default_rng(1).standard_normal((2, 3, k or 1, 4))
    loss, gradient = problem.loss(w), problem.gradient(w)
    assert loss.shape == (2, 3)
    assert gradient.shape == w.shape
    for index in np.ndindex(2, 3):
        assert loss[index] == pytest.approx(numpy_loss(problem, w[index]), rel=1e-13)
        np.testing.assert_allclose(
            gradient[index], numpy_gradient(problem, w[index]), rtol=1e-12, atol=1e-14
        )
    both = problem.loss_and_gradient(w)
    np.testing.assert_allclose(both[0], loss, rtol=1e-15)
    np.testing.assert_allclose(both[1], gradient, rtol=1e-15)
    single = problem.loss(w[0, 0])
    assert single.shape == ()
    assert float(single) == pytest.approx(float(loss[0, 0]), rel=1e-13)


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("k", [1, 3])
def test_gradient_is_the_derivative_of_the_loss(x64: None, p: float, k: int) -> None:
    problem = Problem(*data(9, 4, k), p)
    w = np.random.default_rng(1).standard_normal((k, 4))
    np.testing.assert_allclose(problem.gradient(w), jax.grad(problem.loss)(w), rtol=1e-11)


@pytest.mark.parametrize("p", POWERS)
def test_negative_residuals_pull_back_whatever_p(x64: None, p: float) -> None:
    problem = Problem(np.eye(2), np.array([1.0, -2.0]), p)
    assert np.array_equal(np.sign(problem.gradient(np.zeros((1, 2)))), [[-1, 1]])
    assert np.isfinite(problem.loss(np.zeros((1, 2))))
    # Pitfall F5: without the sign, descent at p = 3 runs away from -1.
    one, w = Problem(np.ones((1, 1)), np.array([1.0]), p), np.zeros((1, 1))
    for _ in range(200):
        w = w - 0.1 * np.asarray(one.gradient(w))
    assert abs(w[0, 0] - 1) < 0.5


@pytest.mark.parametrize("p", POWERS)
def test_zero_residual_has_zero_loss_and_gradient(x64: None, p: float) -> None:
    problem = Problem(np.eye(3), np.arange(3.0), p)
    w = np.arange(3.0)[None]
    assert float(problem.loss(w)) == 0
    assert np.array_equal(problem.gradient(w), np.zeros((1, 3)))


def test_dtype_and_jit_change_no_value(x64: None) -> None:
    problem = Problem(*data(20, 4, 2), 4.0, name="small")
    w = np.random.default_rng(1).standard_normal((5, 2, 4))
    single = problem.astype("float32")
    assert single.x.dtype == single.y.dtype == single.gradient(w.astype("float32")).dtype
    assert single.x.dtype == np.float32
    assert single.name == "small"
    fast = jax.jit(lambda problem, w: problem.gradient(w))(problem, w)
    np.testing.assert_allclose(fast, problem.gradient(w), rtol=1e-12)
    assert (problem.m, problem.d, problem.k) == (20, 4, 2)
    assert Problem(*data(20, 4, None), 2.0).k == 1


def test_problem_is_a_pytree_of_its_two_arrays() -> None:
    problem = Problem(*data(6, 3, 2), 2.5, name="tree")
    leaves, structure = jax.tree.flatten(problem)
    assert len(leaves) == 2
    back = jax.tree.unflatten(structure, leaves)
    assert back.x is problem.x
    assert (back.p, back.name, back.m) == (2.5, "tree", 6)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, problem)
    assert np.array_equal(doubled.y, 2 * problem.y)
    assert jax.tree.structure(problem) != jax.tree.structure(Problem(problem.x, problem.y, 3.0))
    traced = jax.jit(lambda p: Problem(p.x, p.y, p.p).loss(jnp.zeros((2, 3))))(problem)
    assert float(traced) == pytest.approx(numpy_loss(problem, np.zeros((2, 3))), rel=1e-5)
    with pytest.raises(AttributeError):
        problem.p = 3.0  # type: ignore[misc]


def spoiled(index: tuple[int, ...], value: float, shape: tuple[int, ...]) -> np.ndarray:
    out = np.ones(shape)
    out[index] = value
    return out


@pytest.mark.parametrize(
    ("x", "y", "p", "message"),
    [
        (np.ones((3, 2)), np.ones(3), 1.0, r"p = 1.0: the l_p loss needs a real number p > 1"),
        (np.ones((3, 2)), np.ones(3), -2, r"p = -2: the l_p loss"),
        (np.ones((3, 2)), np.ones(3), np.nan, r"p = nan: the l_p loss"),
        (np.ones((3, 2)), np.ones(3), np.inf, r"p = inf: the l_p loss"),
        (np.ones((3, 2)), np.ones(3), "4", r"p = '4': the l_p loss"),
        (np.ones((3, 2)), np.ones(4), 2, r"x has shape \(3, 2\), y has shape \(4,\).*same m"),
        (np.ones(3), np.ones(3), 2, r"x has shape \(3,\).*x must be \(m, d\)"),
        (np.ones((3, 2)), np.ones((3, 1, 1)), 2, r"y has shape \(3, 1, 1\)"),
        (np.ones((0, 2)), np.ones(0), 2, r"at least one example, feature"),
        (np.ones((3, 0)), np.ones(3), 2, r"at least one example, feature"),
        (np.ones((3, 2)), np.ones((3, 0)), 2, r"feature and output"),
        (np.ones((2, 2)), np.ones((2, 3)), 2, r"y has 3 outputs but only 2 examples.*transposed"),
        (spoiled((1, 0), np.nan, (3, 2)), np.ones(3), 2, r"x\[1, 0\] is nan: .*finite"),
        (np.ones((3, 2)), spoiled((2,), np.inf, (3,)), 2, r"y\[2\] is inf"),
        (np.ones((3, 2)), spoiled((2, 1), -np.inf, (3, 2)), 2, r"y\[2, 1\] is -inf"),
        (np.ones((3, 2), int), np.ones(3), 2, r"x has dtype int64: give floating-point"),
        (np.ones((3, 2)), np.array(["a", "b", "c"]), 2, r"y has dtype <U1"),
    ],
)
def test_a_wrong_problem_says_what_and_where(x: Any, y: Any, p: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Problem(x, y, p)


def test_a_value_is_named_by_its_row_in_the_whole() -> None:
    rows = 3 * BLOCK_ENTRIES // 2
    with pytest.raises(ValueError, match=rf"x\[{rows - 2}, 1\] is nan: every value must be finite"):
        Problem(spoiled((rows - 2, 1), np.nan, (rows, 2)), np.ones(rows), 2.0)
    with pytest.raises(ValueError, match=rf"y\[{rows - 2}\] is inf: every value must be finite"):
        Problem(np.ones((rows, 1)), spoiled((rows - 2,), np.inf, (rows,)), 2.0)


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


def test_reference_says_when_p_is_too_near_one() -> None:
    with pytest.raises(
        ArithmeticError, match=r"p = 1.02 stopped at a relative gradient of .*further from 1"
    ):
        reference_optimum(Problem(*data(60, 6, None), 1.02))


def test_reference_refuses_a_negative_weight_decay() -> None:
    for decay in (-0.1, np.nan):
        with pytest.raises(ValueError, match=rf"weight_decay = {decay}: give a number >= 0"):
            reference_optimum(Problem(np.ones((4, 2)), np.ones(4), 2.0), decay)


def test_lists_are_taken_as_arrays() -> None:
    problem = Problem([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0], 2.0)
    assert (problem.m, problem.d, problem.k) == (2, 2, 1)
