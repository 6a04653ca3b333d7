"""Lengths, angles and halting times of trajectories, against what is known exactly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn.theory import geometry

pytestmark = pytest.mark.usefixtures("x64")


def tracked(points: list[Any]) -> geometry.Track:
    track = geometry.init(points[0])
    for point in points[1:]:
        track = geometry.update(track, point)
    return track


def test_lengths_of_a_polygon() -> None:
    # A 3-4-5 triangle, its legs in different leaves of the tree.
    points = [{"a": jnp.array([x]), "b": (jnp.array([[y]]),)} for x, y in ((0, 0), (3, 0), (3, 4))]
    track = tracked([jax.tree.map(lambda leaf: leaf.astype(float), point) for point in points])
    assert (track.distance, track.path, track.step, track.steps) == (5, 7, 4, 2)
    assert track.mean_step == 3.5


def test_a_track_that_has_not_moved() -> None:
    track = geometry.init(jnp.ones(3))
    assert (track.distance, track.path, track.steps) == (0, 0, 0)
    assert np.isnan(track.mean_step)


@given(st.integers(0, 2**32 - 1))
def test_direct_distance_is_never_longer_than_the_path(seed: int) -> None:
    points = np.random.default_rng(seed).standard_normal((6, 4))
    track = tracked([jnp.asarray(point) for point in points])
    legs = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(track.path, legs.sum(), rtol=1e-14)
    np.testing.assert_allclose(track.distance, np.linalg.norm(points[-1] - points[0]), rtol=1e-14)
    assert track.distance <= track.path


@pytest.mark.usefixtures("standard_promotion")
def test_in_a_jitted_scan_around_any_optimizer() -> None:
    optimizer = optax.adam(0.1)
    params = {"w": jnp.arange(3.0), "b": jnp.float32(1.0)}

    @jax.jit
    def run(params: Any) -> tuple[Any, Any]:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            params, inner, track = state
            grads = jax.tree.map(lambda leaf: 2 * leaf, params)
            updates, inner = optimizer.update(grads, inner)
            params = optax.apply_updates(params, updates)
            return (params, inner, geometry.update(track, params)), params

        start = (params, optimizer.init(params), geometry.init(params))
        (_, _, track), points = jax.lax.scan(step, start, None, length=50)
        return track, points

    track, points = run(params)
    rows = np.vstack(
        [
            np.hstack([params["w"], params["b"]]),
            np.column_stack([points["w"], points["b"]]),
        ]
    )
    np.testing.assert_allclose(
        track.path, np.linalg.norm(np.diff(rows, axis=0), axis=1).sum(), rtol=1e-6
    )
    np.testing.assert_allclose(track.distance, np.linalg.norm(rows[-1] - rows[0]), rtol=1e-6)


def test_low_precision_parameters_are_measured_in_float32() -> None:
    # In bfloat16 a path of 1000 steps of 1 would stop at 256.
    track = geometry.init(jnp.zeros(1, jnp.bfloat16))
    for i in range(1000):
        track = geometry.update(track, jnp.asarray([(i + 1) % 2], jnp.bfloat16))
    assert track.path.dtype == jnp.float32
    assert track.path == 1000


@pytest.mark.parametrize("exact", [1e-12, 1e-7, 0.3, np.pi / 2, 3.0, np.pi - 1e-7, np.pi - 1e-12])
def test_angle_is_exact_near_its_ends(exact: float) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    a = 3e-4 * rotation[0]
    b = 70.0 * (np.cos(exact) * rotation[0] + np.sin(exact) * rotation[1])
    assert abs(float(geometry.angle(jnp.asarray(a), jnp.asarray(b))) - exact) < 1e-15


def test_angle_of_trees_is_the_angle_of_all_entries() -> None:
    rng = np.random.default_rng(1)
    a, b = ({"x": rng.standard_normal((2, 2)), "y": rng.standard_normal(3)} for _ in range(2))
    flat_a, flat_b = (np.concatenate([t["x"].ravel(), t["y"]]) for t in (a, b))
    cosine = flat_a @ flat_b / (np.linalg.norm(flat_a) * np.linalg.norm(flat_b))
    np.testing.assert_allclose(geometry.angle(a, b), np.arccos(cosine), rtol=1e-13)


def test_angle_to_nowhere_is_undefined() -> None:
    assert np.isnan(geometry.angle(jnp.zeros(2), jnp.ones(2)))


def test_angles_of_a_right_angled_detour() -> None:
    # East, then north: the end lies 45 degrees off the first step, the start 90 degrees off the
    # second.
    trajectory = {"w": jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])}
    updates = {"w": jnp.array([[0.5, 0.0], [0.0, 2.0]])}
    to_start, to_end = geometry.path_angles(trajectory, updates)
    np.testing.assert_allclose(np.degrees(to_start), [np.nan, 90], atol=1e-12)
    np.testing.assert_allclose(np.degrees(to_end), [45, 0], atol=1e-12)


def test_angles_need_one_update_per_step() -> None:
    with pytest.raises(ValueError, match=r"\[3\] points and needs \[4\]"):
        geometry.path_angles(jnp.zeros((3, 2)), jnp.zeros((3, 2)))


def test_halting_time_is_the_first_within_the_margin() -> None:
    losses = [[4.0, 1.02, 1.0095, 1.3, 1.0], [1.0, 2.0, 3.0, np.inf, np.nan], [3, 2, 1.011, 1, 5]]
    assert geometry.halting_time(np.array(losses)).tolist() == [2, 0, 3]
    assert geometry.halting_time(np.array(losses[0]), margin=0.02) == 1
    assert geometry.halting_time(np.array(losses[0]), margin=0) == 4


@pytest.mark.parametrize(
    ("losses", "margin", "message"),
    [
        ([np.nan, np.inf], 0.01, "no finite loss"),
        (1.0, 0.01, "no finite loss"),
        ([1.0, -0.5], 0.01, "-0.5"),
        ([1.0], -0.1, "margin = -0.1"),
    ],
)
def test_losses_without_a_halting_time(losses: Any, margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        geometry.halting_time(np.array(losses), margin)


def test_telescoped_squares_of_stochastic_gradients_too() -> None:
    rng = np.random.default_rng(2)
    gradients, goal, rate = rng.standard_normal((40, 3)), rng.standard_normal(3), 0.3
    points = rng.standard_normal(3) - rate * np.vstack([np.zeros(3), np.cumsum(gradients, axis=0)])
    found = geometry.telescoped_squares(points[0], goal, gradients, rate)
    np.testing.assert_allclose(found, np.sum((points - goal) ** 2, axis=1), rtol=1e-12)


@pytest.mark.parametrize("radius", [0.1, 0.4, 1.0, 2.0, 9.0])
@pytest.mark.parametrize("dimension", [1, 2, 3, 10, 200])
def test_mean_distance_from_a_ball(dimension: int, radius: float) -> None:
    with mpmath.workdps(30):
        h, r = 1 / mpmath.sqrt(dimension), mpmath.mpf(radius)
        power = mpmath.mpf(dimension - 1) / 2
        knots = sorted({-r, min(h, r), r})

        def density(z: Any) -> Any:
            return (1 - (z / r) ** 2) ** power

        exact = mpmath.quad(lambda z: abs(h - z) * density(z), knots)
        exact /= mpmath.quad(density, knots)
    found = geometry.mean_distance_from_ball(1.0, dimension, radius)
    assert abs(found - float(exact)) < 1e-12


@pytest.mark.parametrize("radius", [0.2, 0.7, 1.0, 2.0, 5.0])
def test_the_forms_for_one_and_two_dimensions(radius: float) -> None:
    c, r = 1.0, radius
    one = c if r <= c else (c**2 + r**2) / (2 * r)
    h = c / np.sqrt(2)
    two = h
    if r > h:
        segment = r**2 * np.arccos(h / r) - h * np.sqrt(r**2 - h**2)
        two += 4 / (np.pi * r**2) * ((r**2 - h**2) ** 1.5 / 3 - h / 2 * segment)
    assert geometry.mean_distance_from_ball(c, 1, r) == pytest.approx(one, abs=1e-14)
    assert geometry.mean_distance_from_ball(c, 2, r) == pytest.approx(two, abs=1e-14)


@pytest.mark.parametrize(("offset", "dimension", "std"), [(1, 1, 0.5), (1, 16, 0.5), (0, 3, 2)])
def test_mean_distance_from_a_gaussian(offset: float, dimension: int, std: float) -> None:
    h = offset / np.sqrt(dimension)
    exact = mpmath.quad(
        lambda z: abs(h - std * z) * mpmath.npdf(z), [-mpmath.inf, h / std, mpmath.inf]
    )
    found = geometry.mean_distance_from_gaussian(offset, dimension, std)
    assert found == pytest.approx(float(exact), abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 1), "offset"),
        ((1, 0, 1), "dimension"),
        ((1, 1.5, 1), "dimension"),
        ((1, 1, 0), "radius|std"),
    ],
)
def test_distances_that_mean_nothing(arguments: Any, message: str) -> None:
    for function in (geometry.mean_distance_from_ball, geometry.mean_distance_from_gaussian):
        with pytest.raises(ValueError, match=message):
            function(*arguments)
