"""Gradient flow against closed forms, SciPy and the discrete dynamics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lnn import Problem, make_method, simulate
from lnn.core import network
from lnn.theory import flow


def scalar_problem() -> Problem:
    """L(w) = (w - 1)^2 / 2."""
    return Problem(np.ones((1, 1)), np.ones(1), 2.0)


def small_problem(p: float = 4.0) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 4))
    return Problem(x, x @ rng.standard_normal((4, 2)), p)


def test_depth_1_on_a_parabola_decays_exponentially() -> None:
    out = flow.end_to_end(scalar_problem(), [[0.25]], 1, [0.0, 0.5, 2.0])
    np.testing.assert_allclose(out.params[:, 0, 0], 1 - 0.75 * np.exp(-out.times), rtol=1e-9)


@pytest.mark.parametrize("depth", [2, 3, 2.5])
def test_scalar_end_to_end_flow_against_its_quadrature(depth: float) -> None:
    # dw/dt = N w^(2-2/N) (1 - w): time as an integral over w.
    from scipy.integrate import quad

    end = flow.end_to_end(scalar_problem(), [[0.2]], depth, [0.0, 0.7]).params[-1, 0, 0]
    time = quad(lambda w: 1 / (depth * w ** (2 - 2 / depth) * (1 - w)), 0.2, end, epsabs=1e-13)[0]
    assert time == pytest.approx(0.7, rel=1e-10)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_factors_against_scipy(decay: float) -> None:
    problem = small_problem()
    rng = np.random.default_rng(1)
    factors = (0.5 * rng.standard_normal((3, 4)), 0.5 * rng.standard_normal((2, 3)))

    def field(_: float, state: np.ndarray) -> np.ndarray:
        first, second = state[:12].reshape(3, 4), state[12:].reshape(2, 3)
        w = second @ first
        g = ((problem.x @ w.T - problem.y) ** 3).T @ problem.x / problem.m
        parts = (second.T @ g + decay * first, g @ first.T + decay * second)
        return -np.concatenate([part.ravel() for part in parts])

    exact = solve_ivp(
        field, (0, 1.5), np.concatenate([f.ravel() for f in factors]),
        method="DOP853", rtol=1e-12, atol=1e-13,
    ).y[:, -1]  # fmt: skip
    out = flow.layerwise(problem, factors, [0.0, 1.5], decay)
    found = np.concatenate([leaf[-1].ravel() for leaf in out.params])
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.slow
def test_steps_converge_to_the_flow_in_first_order() -> None:
    # A start of full rank: from a lower one the flow has more than one solution.
    problem, w = small_problem(2.0), np.random.default_rng(3).standard_normal((2, 4))
    exact = flow.end_to_end(problem, w, 3, [0.0, 0.5], 0.1).params[-1]
    errors = []
    for rate in (0.02, 0.01, 0.005):
        out = simulate(
            problem, make_method("end-to-end", 3), w, rate, round(0.5 / rate),
            weight_decay=0.1, dtype="float64", save_weights=True,
        )  # fmt: skip
        assert out.w is not None
        errors.append(np.linalg.norm(out.w[-1] - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


@pytest.mark.slow
def test_a_batch_of_starts_is_each_of_them() -> None:
    problem = small_problem()
    starts = np.random.default_rng(2).standard_normal((3, 2, 4))
    batch = flow.end_to_end(problem, starts, 2, [0.0, 0.3])
    assert batch.params.shape == (3, 2, 2, 4)
    one = flow.end_to_end(problem, starts[1], 2, [0.0, 0.3])
    np.testing.assert_allclose(batch.params[1], one.params, rtol=1e-10)


def test_conserved_matches_its_definition() -> None:
    first, second = np.arange(6.0).reshape(3, 2), np.arange(12.0).reshape(4, 3)
    (d,) = network.conserved((first, second))
    np.testing.assert_allclose(d, second.T @ second - first @ first.T)
    assert network.balancedness_gap((first, second)) == pytest.approx(np.linalg.norm(d))


def test_what_is_refused() -> None:
    problem, w = small_problem(), np.ones((2, 4))
    for times in ([], [1.0, 0.5], [-1.0, 1.0], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="increasing"):
            flow.end_to_end(problem, w, 2, times)
    with pytest.raises(ValueError, match="end-to-end matrix must be"):
        flow.end_to_end(problem, w.T, 2, [0.0, 1.0])
    with pytest.raises(ValueError, match="end-to-end matrix must be"):
        flow.layerwise(problem, (np.ones((3, 4)), np.ones((2, 5))), [0.0, 1.0])
    with pytest.raises(ValueError, match="depth inf"):
        flow.end_to_end(problem, w, np.inf, [0.0, 1.0], 0.1)
    with pytest.raises(ValueError, match="weight_decay"):
        flow.end_to_end(problem, w, 2, [0.0, 1.0], -0.1)
    with pytest.raises(ValueError, match="tolerance"):
        flow.end_to_end(problem, w, 2, [0.0, 1.0], tolerance=1.0)
