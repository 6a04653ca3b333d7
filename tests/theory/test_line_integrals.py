"""The transformed field, its loop integrals and potentials, by other means."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from lnn.theory.line_integrals import (
    curl,
    gamma,
    line_integral,
    loop_integral_of_constant,
    potential_at_depth_2,
    transformed_field,
)
from lnn.transforms.single_output import scale_by_single_output

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("depth", [1, 2, 3, 4.5, 8])
def test_the_field_is_the_rule(depth: float) -> None:
    rng = np.random.default_rng(0)
    w, g = jnp.asarray(rng.standard_normal(6)), jnp.asarray(rng.standard_normal(6))
    rule = scale_by_single_output(depth)
    expected, _ = rule.update(g[None], rule.init(w[None]), w[None])
    np.testing.assert_allclose(transformed_field(lambda _: g, depth)(w), expected[0], rtol=1e-13)


def test_the_field_at_the_origin() -> None:
    g = jnp.ones(3)
    assert not np.any(transformed_field(lambda _: g, 3.0)(jnp.zeros(3)))
    np.testing.assert_array_equal(transformed_field(lambda _: g, 1.0)(jnp.zeros(3)), g)


def test_the_curve_is_closed_and_its_tangents_are_its_derivatives() -> None:
    e, normal = jnp.array([0.6, 0.8, 0.0]), jnp.array([0.0, 0.0, 1.0])
    curve = gamma(0.5, 1.0, e, normal)
    for before, after in pairwise([*curve, curve[0]]):
        np.testing.assert_allclose(before.point(1.0), after.point(0.0), atol=1e-15)  # type: ignore[arg-type]
    for piece in curve:
        np.testing.assert_allclose(jax.jacfwd(piece.point)(0.3), piece.tangent(0.3), atol=1e-14)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8])
def test_closed_form_against_adaptive_quadrature(depth: int) -> None:
    # In the plane, from the definition, at 30 digits.
    with mp.workdps(30):
        n, r, big = mp.mpf(depth), mp.mpf("0.5"), mp.mpf(1)

        def field(x: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
            norm = mp.sqrt(x * x + y * y)
            factor = norm ** (2 - 2 / n)
            along = (n - 1) * x / norm**2
            return factor * (1 + along * x), factor * along * y

        def arc(radius: mp.mpf, sign: int) -> mp.mpf:
            def integrand(t: mp.mpf) -> mp.mpf:
                x, y = radius * mp.cos(t), radius * mp.sin(t)
                fx, fy = field(x, y)
                return sign * (-fx * y + fy * x)

            return mp.quad(integrand, [0, mp.pi / 2, mp.pi])

        lines = 2 * mp.quad(lambda x: field(x, mp.mpf(0))[0], [r, big])
        total = lines + arc(r, -1) + arc(big, 1)
    assert loop_integral_of_constant(depth, 0.5, 1.0) == pytest.approx(float(total), abs=1e-13)


@pytest.mark.slow
def test_a_gradient_has_no_curl_and_no_loop() -> None:
    def potential(w: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(w)) + w[0] * w[1]

    field = jax.grad(potential)
    assert np.max(np.abs(curl(field, jnp.array([0.3, -0.2])))) < 1e-15
    curve = gamma(0.5, 1.0, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    assert abs(line_integral(field, curve)) < 1e-13


def test_a_rotation_has_both() -> None:
    def field(w: jax.Array) -> jax.Array:
        return jnp.array([-w[1], w[0]])

    np.testing.assert_allclose(curl(field, jnp.ones(2)), [[0, -2], [2, 0]])
    curve = gamma(0.5, 1.0, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    # Green: twice the area between the half circles, run counterclockwise.
    assert line_integral(field, curve) == pytest.approx(np.pi * (1 - 0.25))


@pytest.mark.parametrize("curvature", [0.0, 1.5])
def test_the_potential_at_depth_2(curvature: float) -> None:
    u, w = jnp.array([0.5, -1.0, 2.0]), jnp.array([1.0, 0.3, -0.4])
    field = transformed_field(lambda w: curvature * w - u, 2.0)
    np.testing.assert_allclose(
        jax.grad(potential_at_depth_2(curvature, u))(w), field(w), rtol=1e-13
    )


def test_what_is_refused() -> None:
    e, normal = jnp.eye(2)
    with pytest.raises(ValueError, match="0 < r < R"):
        gamma(1.0, 0.5, e, normal)
    with pytest.raises(ValueError, match="orthogonal"):
        gamma(0.5, 1.0, e, e)
