"""Noisy descent on quadratics against autodiff, quadrature, Lyapunov's equation and SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, optimize, stats

from lnn.theory import noisy_quadratic as nq

SPECTRUM = np.array([0.0, 0.3, 1.0, 2.5, 2.5])
POINT = np.array([0.7, -1.2, 0.4, 2.0, -0.1])
STEP, NOISE = 0.3, 0.4


@pytest.fixture(scope="module")
def dense():
    """The same quadratic in other coordinates: a full Hessian, and the point there."""
    rotation = stats.ortho_group.rvs(5, random_state=np.random.default_rng(0))
    return rotation @ np.diag(SPECTRUM) @ rotation.T, rotation @ POINT


def test_one_step_is_the_integral_over_the_noise(dense):
    """Gauss-Hermite quadrature, exact for polynomials, in the rotated coordinates."""
    hessian, w = dense
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    grid = np.stack(np.meshgrid(*[nodes] * 5, indexing="ij"), -1).reshape(-1, 5)
    mass = np.prod(np.stack(np.meshgrid(*[weights] * 5, indexing="ij"), -1), -1).ravel()
    after = w - STEP * hessian @ w + NOISE * grid
    mean = mass @ np.einsum("ij,jk,ik->i", after, hessian, after) / 2 / mass.sum()
    speed = w @ hessian @ w / 2 - mean
    assert nq.expected_speed(SPECTRUM, POINT, STEP, NOISE) == pytest.approx(speed, rel=1e-12)
    moments = nq.second_moments(SPECTRUM, POINT, STEP, NOISE, 1)
    assert nq.loss(SPECTRUM, POINT) - SPECTRUM @ moments / 2 == pytest.approx(speed, rel=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
def test_speed_and_difficulty_are_taylors_second_order(dense):
    """Derivatives by autodiff of the dense quadratic."""
    hessian, w = dense
    f = lambda v: v @ hessian @ v / 2  # noqa: E731
    g, h = jax.grad(f)(jnp.asarray(w)), jax.hessian(f)(jnp.asarray(w))
    first, second = STEP * g @ g, STEP**2 * g @ h @ g + NOISE**2 * jnp.trace(h)
    found = nq.expected_speed(SPECTRUM, POINT, STEP, NOISE)
    assert found == pytest.approx(float(first - second / 2), rel=1e-12)
    difficulty = nq.task_difficulty(SPECTRUM, POINT, STEP, NOISE)
    assert difficulty == pytest.approx(float(second / first), rel=1e-12)
    assert found == pytest.approx(float(first * (1 - difficulty / 2)), rel=1e-12)


@given(
    spectrum=st.lists(st.floats(0, 5), min_size=1, max_size=6).filter(lambda s: max(s) > 0.1),
    ratio=st.floats(0.1, 10),
    radius=st.floats(0.3, 4),
)
def test_the_optimal_step_is_where_a_search_finds_it(spectrum, ratio, radius):
    eigenvalues = np.array(spectrum)
    w = nq.on_the_diagonal(radius, eigenvalues.size)
    best = nq.optimal_step(eigenvalues, w, ratio)
    found = optimize.minimize_scalar(
        lambda step: -nq.expected_speed(eigenvalues, w, step, step / ratio),
        bracket=(best / 3, 2 * best),
    )
    assert best == pytest.approx(found.x, rel=1e-6)
    top = nq.optimal_speed(eigenvalues, w, ratio)
    assert top == pytest.approx(-found.fun, rel=1e-10)
    for part in (0.0, 0.3, 0.999):
        step = nq.slowest_step_at_speed(eigenvalues, w, ratio, part * top)
        assert 0 <= step <= best
        speed = nq.expected_speed(eigenvalues, w, step, step / ratio)
        assert speed == pytest.approx(part * top, abs=1e-10 * top)


def test_moments_follow_the_covariance_recursion(dense):
    hessian, w = dense
    matrix = np.eye(5) - STEP * hessian
    second = np.outer(w, w)
    for steps in range(1, 40):
        second = matrix @ second @ matrix.T + NOISE**2 * np.eye(5)
        if steps in (1, 2, 7, 39):
            moments = nq.second_moments(SPECTRUM, POINT, STEP, NOISE, steps)
            assert SPECTRUM @ moments == pytest.approx(np.trace(hessian @ second), rel=1e-12)
            assert moments.sum() == pytest.approx(np.trace(second), rel=1e-12)
    assert np.allclose(nq.second_moments(SPECTRUM, POINT, STEP, NOISE, 0), POINT**2)


def test_unstable_directions_grow_without_bound_and_others_are_not_touched():
    eigenvalues, w = np.array([9.0, 9.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 1.0])
    found = nq.second_moments(eigenvalues, w, 0.5, 0.0, 5000)
    assert found == pytest.approx([np.inf, 0, 0, 1])
    assert (nq.second_moments(eigenvalues, w, 0.5, 0.1, 5000)[:2] == np.inf).all()


def test_the_steady_state_solves_lyapunovs_equation():
    curved = SPECTRUM[1:]
    rotation = stats.ortho_group.rvs(4, random_state=np.random.default_rng(1))
    hessian = rotation @ np.diag(curved) @ rotation.T
    matrix = np.eye(4) - STEP * hessian
    covariance = linalg.solve_discrete_lyapunov(matrix, NOISE**2 * np.eye(4))
    found = nq.steady_second_moments(curved, STEP, NOISE)
    assert np.allclose(np.diag(rotation.T @ covariance @ rotation), found, rtol=1e-10)
    steady = np.trace(hessian @ covariance) / 2
    assert nq.steady_loss(SPECTRUM, STEP, NOISE) == pytest.approx(steady, rel=1e-10)
    long = nq.second_moments(curved, np.ones(4), STEP, NOISE, 10_000)
    assert np.allclose(long, found, rtol=1e-12)


def test_there_is_no_steady_state_beyond_the_stable_steps():
    assert nq.steady_loss(np.array([1.0]), 1.999, 0.1) < np.inf
    for step in (2.0, 2.1, 0.0, -0.1):
        assert nq.steady_loss(np.array([1.0]), step, 0.1) == np.inf
    assert np.isinf(nq.steady_second_moments(SPECTRUM, STEP, NOISE)[0])


@given(mean=st.floats(0.1, 5), radius=st.floats(0.1, 5), n=st.integers(1, 40))
def test_both_expansions_keep_mean_curvature_and_loss(mean, radius, n):
    w = nq.on_the_diagonal(radius, n)
    for expansion in (nq.single_eigenvalue, nq.equal_eigenvalues):
        eigenvalues = expansion(mean, n)
        assert eigenvalues.shape == w.shape == (n,)
        assert eigenvalues.mean() == pytest.approx(mean)
        assert nq.loss(eigenvalues, w) == pytest.approx(mean * radius**2 / 2)
    assert np.linalg.norm(w) == pytest.approx(radius)


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
def test_sampled_speed_agrees_with_plain_sampling_and_has_less_noise():
    key = jax.random.key(0)
    found = nq.sampled_speed(key, SPECTRUM, POINT, STEP, NOISE, 40_000)
    rng = np.random.default_rng(0)
    after = (1 - STEP * SPECTRUM) * POINT + NOISE * rng.standard_normal((40_000, 5))
    plain = nq.loss(SPECTRUM, POINT) - nq.loss(SPECTRUM, after)
    plain_error = plain.std(ddof=1) / 200
    assert abs(found.mean - plain.mean()) < 4 * np.hypot(found.error, plain_error)
    assert found.error < 0.7 * plain_error
    # What is left has the variance noise^4 Tr H^2 / 2.
    assert found.error == pytest.approx(
        NOISE**2 * np.sqrt(np.sum(SPECTRUM**2) / 2 / 40_000), rel=0.05
    )
    assert abs(found.mean - nq.expected_speed(SPECTRUM, POINT, STEP, NOISE)) < 4 * found.error
    assert nq.sampled_speed(key, SPECTRUM, POINT, STEP, NOISE, 40_000) == found


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_chains_follow_the_moments_and_settle():
    key = jax.random.key(1)
    found = nq.simulate(key, SPECTRUM, POINT, STEP, NOISE, steps=400, chains=1000)
    assert found.loss.shape == (401,)
    expected = [
        SPECTRUM @ nq.second_moments(SPECTRUM, POINT, STEP, NOISE, t) / 2 for t in range(401)
    ]
    # Steady losses are sums of squares: their deviation is about as large as they are.
    assert np.max(np.abs(found.loss / expected - 1)) < 5 * np.sqrt(2 / 1000)
    steady = nq.steady_loss(SPECTRUM, STEP, NOISE)
    assert abs(found.steady.mean - steady) < 4 * found.steady.error
    assert found.steady.error < 0.01 * steady


@pytest.mark.usefixtures("x64")
def test_without_noise_it_is_gradient_descent():
    found = nq.simulate(jax.random.key(0), SPECTRUM, POINT, STEP, 0.0, steps=9, chains=1)
    w = POINT * (1 - STEP * SPECTRUM) ** 9
    assert found.loss[-1] == pytest.approx(nq.loss(SPECTRUM, w), rel=1e-5)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="both are"):
        nq.expected_speed(SPECTRUM, np.ones(4), STEP, NOISE)
    with pytest.raises(ValueError, match="gradient is zero"):
        nq.task_difficulty(SPECTRUM, np.zeros(5), STEP, NOISE)
    with pytest.raises(ValueError, match="at least one"):
        nq.single_eigenvalue(1.0, 0)
    with pytest.raises(ValueError, match="cannot be reached"):
        nq.slowest_step_at_speed(SPECTRUM, POINT, 1.0, 1e9)
