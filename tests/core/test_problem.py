from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problems import POWERS, data, numpy_gradient, numpy_loss

from lnn.core.linalg import BLOCK_ENTRIES
from lnn.core.problem import Problem


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
        (spoiled((1, 0), np.nan, (3, 2)), np.ones(3), 2, r"x\[1, 0\] is nan: .*finite"),
        (np.ones((3, 2)), spoiled((2,), np.inf, (3,)), 2, r"y\[2\] is inf"),
        (np.ones((3, 2)), spoiled((2, 1), -np.inf, (3, 2)), 2, r"y\[2, 1\] is -inf"),
        (np.ones((3, 2), complex), np.ones(3), 2, r"x has dtype complex128: give floating-point"),
        ([[1.0, "a"], [2.0, 3]], np.ones(2), 2, r"x has dtype <U"),
        ([[1.0, None], [2.0, 3]], np.ones(2), 2, r"x\[0, 1\] is nan"),
        (np.array([[1, "a"]], object), np.ones(1), 2, r"x\[0, 1\] is 'a': .*lnn.datasets.table"),
        ([[1.0], [2.0, 3]], np.ones(2), 2, "x has rows of different length"),
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


def test_lists_are_taken_as_arrays() -> None:
    problem = Problem([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0], 2.0)
    assert (problem.m, problem.d, problem.k) == (2, 2, 1)
