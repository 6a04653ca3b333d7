"""Section 6, Theorem 2: the update is the gradient of no function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.claim import claim
from lnn.claims.setting import Setting
from lnn.core.problem import Problem
from lnn.results.verdict import Findings, Role, at_least, at_most, findings
from lnn.theory.line_integrals import (
    curl,
    gamma,
    line_integral,
    loop_integral_of_constant,
    potential_at_depth_2,
    transformed_field,
)

_COEFFICIENTS = {1: 0.0, 2: 0.0, 3: 4 / 7, 4: 6 / 5, 8: 42 / 11}
"""2(N-1)(N-2)/(3N-2)."""
_RADII = (0.5, 1.0)


def _frame(d: int) -> tuple[jax.Array, jax.Array]:
    """Return two orthonormal vectors in d dimensions, not along the axes."""
    q, _ = np.linalg.qr(np.random.default_rng(d).standard_normal((d, 2)))
    return jnp.asarray(q[:, 0]), jnp.asarray(q[:, 1])


@claim(
    id="A16",
    source="Theorem 2, Lemma 3",
    title="The loop integral of the transformed constant field",
    statement=r"$\oint_{\Gamma_{r,R}} F_e = \left(\frac{2N}{3 - 2/N} - 2\right) (R^{3-2/N} - "
    r"r^{3-2/N})$, with coefficient $\frac{2(N-1)(N-2)}{3N-2}$: zero for $N = 1, 2$, positive "
    "above",
    assumptions="The field is constant, a unit vector $e$; one output.",
    parameters="d = 2 and 5; N = 1, 2, 3, 4, 8; r = 0.5, R = 1; 64 Gauss nodes a piece.",
    rule="Holds if quadrature agrees with the closed form to 1e-10.",
)
def _closed_form(setting: Setting) -> Findings:
    errors, loops = {}, {}
    for d in (2, 5):
        e, normal = _frame(d)
        curve = gamma(*_RADII, e, normal)
        for depth, coefficient in _COEFFICIENTS.items():
            field = transformed_field(lambda w, e=e: e, float(depth))  # type: ignore[misc]
            loop = float(line_integral(field, curve))
            closed = loop_integral_of_constant(depth, *_RADII)
            power = 3 - 2 / depth
            by_hand = coefficient * (_RADII[1] ** power - _RADII[0] ** power)
            errors[depth, d] = max(abs(loop - closed), abs(closed - by_hand))
            loops[depth] = loop
    deep = max(errors[depth, d] for depth in (3, 4, 8) for d in (2, 5))
    flat = max(abs(loops[depth]) for depth in (1, 2))
    e, normal = jnp.eye(2)
    grid = np.linspace(-1.25, 1.25, 13)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    field = transformed_field(lambda w: e, 4.0)
    curve = gamma(0.4, 1.0, e, normal)
    t = jnp.linspace(0.0, 1.0, 60)
    return findings(
        "The integral around the curve is "
        + ", ".join(f"{loops[depth]:.6f} (N = {depth})" for depth in (3, 4, 8))
        + f" for radii 0.5 and 1, the closed form to {deep:.1e}; at N = 1 and 2 it is zero "
        f"({flat:.1e}).",
        at_most(
            "quadrature against the closed form, N = 3, 4, 8 in 2 and 5 dimensions", deep, 1e-10
        ),
        at_most("the loop at N = 1 and 2", flat, 1e-10),
        at_least("the loop at N = 3", loops[3], 0.1),
        curve=np.concatenate([np.asarray(jax.vmap(piece.point)(t)) for piece in curve]),
        points=points,
        field=np.asarray(jax.vmap(field)(jnp.asarray(points))),
        depths=np.array(sorted(loops)),
        loops=np.array([loops[depth] for depth in sorted(loops)]),
        radii=np.array([0.4, 1.0]),
    )  # fmt: skip


def _regression(p: float) -> tuple[Problem, jax.Array]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((200, 3))
    problem = Problem(x, x @ np.array([1.0, -1.0, 1.0]) + 0.3 * rng.standard_normal(200), p)
    return problem, problem.gradient(jnp.zeros((1, 3)))[0]


@claim(
    id="A17",
    documents="AR",
    source="Theorem 2, proof; review, Section 6",
    title="The loop integral of real losses, near the origin",
    statement=r"$\oint_{\Gamma_{r,R}} F / \left(\lVert \nabla L(0) \rVert \oint F_e\right) \to 1$ "
    r"as $R \to 0$ with $r^a = R^a / 2$, $a = 3 - 2/N$",
    assumptions=r"$N > 2$, gradient continuous near 0, $\nabla L(0) \neq 0$.",
    parameters="l2 and l4 regression, d = 3, 200 examples; N = 3, 4, 8; R = 0.3 to 0.001.",
    rule="Holds if the ratio is 1 to 1e-3 at R = 0.01 and closer at 0.001. The review does not "
    "state $N > 2$: for it under that condition if the loop vanishes at N = 2.",
)
def _real_losses(setting: Setting) -> Findings:
    sizes = np.array([0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
    worst, last, curves = 0.0, {}, {}
    for p in (2.0, 4.0):
        problem, start = _regression(p)
        slope = float(jnp.linalg.norm(start))
        e = start / slope
        normal = jnp.cross(e, jnp.array([0.3, -0.5, 0.8]))
        normal = normal / jnp.linalg.norm(normal)
        for depth in (3, 4, 8):
            power = 3 - 2 / depth

            def gradient(w: jax.Array, problem: Problem = problem) -> jax.Array:
                return problem.gradient(w[None])[0]

            field = transformed_field(gradient, float(depth))

            inner = sizes * 0.5 ** (1 / power)
            found = np.array(
                [
                    float(line_integral(field, gamma(r, R, e, normal)))
                    / (slope * loop_integral_of_constant(depth, r, R))
                    for r, R in zip(inner, sizes, strict=True)
                ]
            )
            curves[f"p{p:g}_depth{depth}"] = found
            last[p, depth] = abs(found[3] - 1)
            worst = max(worst, last[p, depth])
    # A linear field adds nothing around this curve, so l2 is exact and only rounding is left of it.
    shrink = max(abs(curves[f"p4_depth{n}"][-1] - 1) / last[4.0, n] for n in (3, 4, 8))
    return findings(
        f"On l2 and l4 regression with 3 features, N = 3, 4, 8, the loop is the closed form of the "
        f"constant field at the origin within {worst:.1e} at R = 0.01, and nearer for smaller R.",
        at_most("ratio to the closed form, from 1, at R = 0.01, largest of 6", worst, 1e-3),
        at_most("its distance from 1 at R = 0.001 over that at 0.01, l4", shrink, 0.5),
        at_least(
            "the loop of the constant field at N = 2, r = 0.5, R = 1",
            loop_integral_of_constant(2, *_RADII), 0.1, Role.BEYOND, document="R",
        ),
        sizes=sizes, **curves,
    )  # fmt: skip


@claim(
    id="A18",
    documents="L",
    source="Theorem 2, the depth that its condition on N leaves out",
    title="Potential of the update at depth 2",
    statement=r"At $N = 2$ the field of $g = a w - u$ is the gradient of $\frac{2a}{3} \lVert w "
    r"\rVert^3 - \lVert w \rVert \langle w, u \rangle$; with unequal curvatures or l4, or at $N = "
    "3$, it is no gradient",
    assumptions="One output, $w \\neq 0$.",
    parameters="20 random points, d = 3; Jacobians by forward differentiation.",
    rule="Holds if the asymmetry is below 1e-8 in the first case and above 1e-2 in the others.",
)
def _boundary(setting: Setting) -> Findings:
    rng = np.random.default_rng(9)
    points = [jnp.asarray(rng.standard_normal(3)) for _ in range(20)]
    u, constant = (jnp.asarray(rng.standard_normal(3)) for _ in range(2))
    stretched = jnp.asarray(np.diag([1.0, 2.0, 4.0]))
    problem, _ = _regression(4.0)

    def asymmetry(field, depth: float = 2.0) -> float:  # type: ignore[no-untyped-def]
        turned = transformed_field(field, depth)
        return max(
            float(jnp.max(jnp.abs(curl(turned, w))) / jnp.max(jnp.abs(jax.jacfwd(turned)(w))))
            for w in points
        )

    still = asymmetry(lambda w: constant)
    whitened = asymmetry(lambda w: 1.5 * w - u)
    bent = asymmetry(lambda w: stretched @ w - u)
    quartic = asymmetry(lambda w: problem.gradient(w[None])[0])
    deeper = asymmetry(lambda w: 1.5 * w - u, 3.0)
    potential = jax.grad(potential_at_depth_2(1.5, u))
    field = transformed_field(lambda w: 1.5 * w - u, 2.0)
    fits = max(float(jnp.max(jnp.abs(potential(w) - field(w)))) for w in points)
    return findings(
        f"At N = 2 a constant field and whitened l2 regression do have a potential (asymmetry "
        f"{max(still, whitened):.1e}); unequal curvatures ({bent:.2f}) and l4 ({quartic:.2f}) have "
        f"none, nor has depth 3 ({deeper:.2f}).",
        at_most("asymmetry of the Jacobian, N = 2, constant field", still, 1e-8),
        at_most("the same, whitened l2", whitened, 1e-8),
        at_most("gradient of the potential against the field, whitened l2", fits, 1e-8),
        at_least("asymmetry at N = 2, curvatures 1, 2, 4", bent, 1e-2),
        at_least("the same, l4", quartic, 1e-2),
        at_least("asymmetry at N = 3, whitened l2", deeper, 1e-2),
    )  # fmt: skip
