"""Deep linear networks trained through second moments, against training on the examples."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lnn.theory import geometry, teacher_student

pytestmark = pytest.mark.usefixtures("x64")


def one_run(factors: Any, task: Any) -> tuple[Any, Any, Any]:
    """A batch of one."""
    return (
        teacher_student.stack([factors]),
        teacher_student.stack([task[0]]),
        teacher_student.stack([task[1]]),
    )


def trained_on_examples(
    factors: Any, x: np.ndarray, y: np.ndarray, rate: float, steps: int
) -> list[list[np.ndarray]]:
    """Weights at every step, by automatic differentiation of the loss over the examples."""

    def loss(factors: Any) -> jax.Array:
        out = jnp.asarray(x.T)
        for factor in factors:
            out = factor @ out
        return jnp.sum((out.T - y) ** 2) / (2 * len(x))

    gradient = jax.jit(jax.grad(loss))
    points = [list(map(jnp.asarray, factors))]
    for _ in range(steps):
        moves = gradient(points[-1])
        points.append([w - rate * g for w, g in zip(points[-1], moves, strict=True)])
    return [[np.asarray(w) for w in point] for point in points]


@pytest.mark.parametrize("hidden", [(), (5,), (4, 6)])
def test_training_on_moments_is_training_on_examples(hidden: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 3))
    x_new, y_new = rng.standard_normal((10, 4)), rng.standard_normal((10, 3))
    factors = teacher_student.gaussian_factors(1, (4, *hidden, 3), gain=0.8)
    points = trained_on_examples(factors, x, y, 0.1, 30)
    flat = np.array([np.concatenate([w.ravel() for w in point]) for point in points])
    task = teacher_student.moments(x, y), teacher_student.moments(x_new, y_new)
    curves = teacher_student.descend(*one_run(factors, task), np.array([0.1]), 30)

    def loss_on_new(point: list[np.ndarray]) -> float:
        out = x_new.T
        for w in point:
            out = w @ out
        return float(np.sum((out.T - y_new) ** 2) / 20)

    moves = np.linalg.norm(np.diff(flat, axis=0), axis=1)
    for found, expected in (
        (curves.validation[0], [loss_on_new(point) for point in points]),
        (curves.distance[0], np.linalg.norm(flat - flat[0], axis=1)),
        (curves.path[0], np.concatenate([[0], np.cumsum(moves)])),
        (curves.gradient[0, :-1], moves / 0.1),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_angles_agree_with_the_recorded_trajectory() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 3))
    halts, rate = (25, 12), 0.1
    starts = [teacher_student.gaussian_factors(seed, (4, 5, 3), gain=0.8) for seed in (1, 2)]
    train = teacher_student.moments(x, y)
    found = teacher_student.mean_angles(
        teacher_student.stack(starts),
        teacher_student.stack([train, train]),
        np.full(2, rate),
        np.array(halts),
    )
    for i, halt in enumerate(halts):
        points = trained_on_examples(starts[i], x, y, rate, halt)
        flat = np.array([np.concatenate([w.ravel() for w in point]) for point in points])
        angles = geometry.path_angles(jnp.asarray(flat), jnp.asarray(np.diff(flat, axis=0)))
        for mean, each in zip(found, angles, strict=True):
            np.testing.assert_allclose(mean[i], np.degrees(np.mean(each[1:])), rtol=1e-10)


@pytest.mark.parametrize("hidden", [2, 7, 40])
def test_a_narrowed_network_runs_as_the_whole_one(hidden: int) -> None:
    """Whatever its width: 2 and 40 units in place of d + k = 7."""
    rng = np.random.default_rng(3)
    task = tuple(
        teacher_student.moments(rng.standard_normal((30, 4)), rng.standard_normal((30, 3)))
        for _ in range(2)
    )
    factors = teacher_student.gaussian_factors(5, (4, hidden, 3), std=0.3)
    small = teacher_student.narrowed(factors)
    assert [w.shape for w in small] == [(7, 4), (3, 7)]
    rate, halts = np.array([0.05]), np.array([60])
    whole_run, small_run = one_run(factors, task), one_run(small, task)
    for found, expected in zip(
        teacher_student.descend(*small_run, rate, 100),
        teacher_student.descend(*whole_run, rate, 100),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        teacher_student.mean_angles(*small_run[:2], rate, halts),
        teacher_student.mean_angles(*whole_run[:2], rate, halts),
        rtol=1e-9,
    )


@pytest.mark.parametrize("hidden", [1, 3, 50])
def test_narrowed_scalar_starts_have_the_distribution_of_narrowed_draws(hidden: int) -> None:
    drawn = teacher_student.narrowed_scalar_start(0, hidden, 0.5, 4000)
    rng = np.random.default_rng(1)
    a, b = 0.5 * rng.standard_normal((2, 4000, hidden))
    first, second = drawn[0][..., 0], drawn[1][:, 0]
    for found, expected in (
        (np.sum(first**2, axis=1), np.sum(a**2, axis=1)),
        (np.sum(second**2, axis=1), np.sum(b**2, axis=1)),
        (np.sum(first * second, axis=1), np.sum(a * b, axis=1)),
        (np.sum((first + second) ** 2, axis=1), np.sum((a + b) ** 2, axis=1)),
    ):
        assert stats.ks_2samp(found, expected).pvalue > 1e-3


def test_the_task_is_what_it_says() -> None:
    """A large sample recovers the teacher, its rank, its singular values and the noise."""
    train, validation = teacher_student.teacher_task(3, samples=200_000, noise=0.3)
    w = np.linalg.solve(train.xx, train.yx.T).T
    values = np.linalg.svd(w, compute_uv=False)
    np.testing.assert_allclose(values[:16], 2 * 0.85 ** np.arange(16), atol=0.01)
    assert values[16:].max() < 0.01
    assert float(train.loss(jnp.asarray(w))) == pytest.approx(32 * 0.09 / 2, rel=0.01)
    assert float(validation.loss(jnp.asarray(w))) == pytest.approx(32 * 0.09 / 2, rel=0.05)


def test_a_seed_keeps_its_teacher_and_validation_set() -> None:
    (few, validation), (many, same) = (
        teacher_student.teacher_task(4, samples=n) for n in (50, 100)
    )
    np.testing.assert_array_equal(validation.xx, same.xx)
    np.testing.assert_array_equal(validation.yx, same.yx)
    assert not np.array_equal(few.xx, many.xx)
    assert not np.array_equal(teacher_student.teacher_task(5)[1].yx, validation.yx)


def test_moments_give_loss_and_gradient() -> None:
    rng = np.random.default_rng(6)
    x, y, w = (rng.standard_normal(shape) for shape in ((9, 4), (9, 3), (3, 4)))
    found = teacher_student.moments(x, y)

    def loss(w: Any) -> jax.Array:
        return jnp.sum((x @ w.T - y) ** 2) / 18

    np.testing.assert_allclose(found.loss(jnp.asarray(w)), loss(w), rtol=1e-13)
    np.testing.assert_allclose(
        found.gradient(jnp.asarray(w)), jax.grad(loss)(jnp.asarray(w)), rtol=1e-12
    )


def test_starts_have_their_scale() -> None:
    by_std = teacher_student.gaussian_factors(0, (300, 500, 200), std=0.05)
    by_gain = teacher_student.gaussian_factors(0, (300, 500, 200), gain=0.5)
    for factor in by_std:
        assert np.std(factor) == pytest.approx(0.05, rel=0.02)
    for factor in by_gain:
        assert np.std(factor) * np.sqrt(factor.shape[1]) == pytest.approx(0.5, rel=0.02)


def test_a_start_needs_one_scale() -> None:
    for scales in ({}, {"std": 0.1, "gain": 1.0}):
        with pytest.raises(ValueError, match="give one of the two"):
            teacher_student.gaussian_factors(0, (2, 2), **scales)


def test_angles_need_a_path() -> None:
    start = teacher_student.stack([teacher_student.gaussian_factors(0, (2, 2, 2), std=0.1)])
    train = teacher_student.stack([teacher_student.moments(np.eye(2), np.eye(2))])
    with pytest.raises(ValueError, match="step 1"):
        teacher_student.mean_angles(start, train, np.array([0.1]), np.array([1]))
