"""The machinery of Section 4.2, and its quantities on exactly known paths."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.claim import claim
from lnn.claims.measure import spread
from lnn.claims.setting import Setting
from lnn.results.verdict import Findings, Role, at_most, findings, report, within
from lnn.theory.geometry import angle, path_angles, telescoped_squares


def _quadratic_descent(
    hessian: np.ndarray, start: np.ndarray, rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (steps + 1, n) and gradients (steps, n) of descent on w^T H w / 2."""
    points = [start]
    for _ in range(steps):
        points.append(points[-1] - rate * hessian @ points[-1])
    path = np.array(points)
    return path, path[:-1] @ hessian


@claim(
    id="D5",
    source="Section 4.2, eqs. 2-4",
    title="Distance to the optimum, telescoped",
    statement=r"$\lVert W_T - W \rVert^2 = \lVert W_0 - W \rVert^2 + \alpha^2 \sum_t \lVert \nabla "
    r"F(W_t) \rVert^2 - 2 \alpha \sum_t (W_t - W)^T \nabla F(W_t)$, and the sums are $T$ times "
    "averages over the steps, as line 3 of eq. 4 has them.",
    assumptions="Full-batch gradient descent; any $W$, a minimum or not.",
    parameters=r"A quadratic in 6 dimensions, eigenvalues 0.05 to 2; $\alpha = 0.3$, 300 steps.",
    rule="Holds if both sides of eq. 3, and those of line 3 of eq. 4, agree to 1e-10 of the first "
    "squared distance.",
)
def _telescoped(setting: Setting) -> Findings:
    rng = np.random.default_rng(5)
    frame = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    hessian = (frame * np.geomspace(0.05, 2.0, 6)) @ frame.T
    hessian, goal, rate, steps = (hessian + hessian.T) / 2, np.zeros(6), 0.3, 300
    points, gradients = _quadratic_descent(hessian, rng.standard_normal(6), rate, steps)
    squares = np.sum((points - goal) ** 2, axis=1)
    pieced = telescoped_squares(points[0], goal, gradients, rate)
    error = np.abs(pieced - squares).max() / squares[0]
    norms = np.sum(gradients**2, axis=1)
    products = np.sum((points[:-1] - goal) * gradients, axis=1)

    def line_3(norm: float, product: float) -> float:
        """Return the third line's value of the last squared distance, less that distance."""
        value = squares[0] + rate**2 * steps * norm - 2 * rate * steps * product
        return float(abs(value - squares[-1]) / squares[0])

    averaged = line_3(norms.mean(), products.mean())
    return findings(
        f"The telescoped sum reproduces every squared distance to {error:.1e} of the first. The "
        f"third line of eq. 4 agrees to {averaged:.1e} with averages over the steps.",
        at_most("largest error of the telescoped sum, eq. 3, over 300 steps", error, 1e-10),
        at_most("error of eq. 4, line 3, with averages over the steps", averaged, 1e-10),
        *(
            report(
                f"the same with the values of the {name} step alone", line_3(norms[t], products[t])
            )
            for name, t in (("first", 0), ("last", -1))
        ),
    )


@claim(
    id="D6",
    source="Section 4.3, Misalignment",
    title="The angles that measure misalignment",
    statement=r"With the update $u = -\nabla F$, $A_s = \angle(u, W_0 - W_t)$ and "
    r"$A_e = \angle(u, W_T - W_t)$: on a straight path $A_s = \pi - A_e = \pi$.",
    printed=r"$A_s = \arccos \frac{\langle W_t, W_0 \rangle}{\lVert W_t \rVert \lVert W_0 "
    r"\rVert}$, $A_e = \arccos \frac{\langle W_t, W^* \rangle}{\lVert W_t \rVert \lVert W^* "
    r"\rVert}$: angles between weights. The words before them describe angles with gradient "
    "vectors, which are those of the statement.",
    assumptions="Neither angle exists at the end it refers to.",
    parameters="Descent on an isotropic quadratic, straight from (1, 0) towards (0, 1); 40 steps "
    "of 0.1.",
    rule="Holds if both angles are right to 1e-4 degrees at every step; the printed ones must add "
    "up to 180 degrees, too.",
)
def _angles(setting: Setting) -> Findings:
    start, end = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    points, gradients = _quadratic_descent(np.eye(2), start - end, 0.1, 40)
    points = points + end
    found = path_angles(jnp.asarray(points), jnp.asarray(-gradients))
    to_start, to_end = np.degrees(np.asarray(found[0][1:])), np.degrees(np.asarray(found[1]))
    weights = jnp.asarray(points[1:-1])
    printed_start, printed_end = (
        np.degrees(np.asarray(jax.vmap(angle, in_axes=(0, None))(weights, jnp.asarray(place))))
        for place in (start, end)
    )
    worst_start = float(to_start[np.argmax(np.abs(to_start - 180))])
    worst_end = float(to_end.max())
    total = printed_start + printed_end
    return findings(
        "On the straight path from (1, 0) to (0, 1) the angles of the updates are "
        f"{worst_start:.5f} and {worst_end:.5f} degrees. The printed angles, between weights, "
        f"average {printed_start.mean():.1f} and {printed_end.mean():.1f} degrees there: they "
        "depend on where the origin is, not on the direction of travel.",
        within("$A_s$ on a straight path, farthest value, degrees", worst_start, 180.0, 1e-4),
        within("$A_e$ on a straight path, farthest value, degrees", worst_end, 0.0, 1e-4),
        within(
            "$A_s + A_e$ on a straight path, with the printed angles between $W_t$ and the "
            "ends, degrees",
            total.mean(), 180.0, 1e-4, Role.PRINTED,
        ),
        report("mean of the printed $A_s$ on that path, degrees", printed_start.mean()),
        to_start=to_start, to_end=to_end[1:], printed_start=printed_start,
        printed_end=printed_end,
    )  # fmt: skip


@claim(
    id="D7",
    source="Section 4.3, Direct distance, item 3",
    title="Steps grow with the logarithm of the distance",
    statement=r"For a strongly convex loss, gradient descent takes $\ln(100) / (-\ln(1 - \eta "
    r"\mu))$ more steps when it starts 100 times as far from the minimum.",
    assumptions=r"Strong convexity $\mu > 0$, one of the conditions that the document quotes for "
    r"it, and a stable rate $\eta$.",
    parameters=r"Hessian $\operatorname{diag}(1, 3, 10)$, $\eta = 0.1$, to a distance of 0.001, "
    "from distances of 1, 100, 10 000 and 1 000 000.",
    rule="Holds if every factor 100 costs that many steps, give or take one.",
)
def _steps_against_distance(setting: Setting) -> Findings:
    curvatures, rate, epsilon = np.array([1.0, 3.0, 10.0]), 0.1, 1e-3
    scales = np.array([1.0, 1e2, 1e4, 1e6])

    def steps(scale: float) -> int:
        points, _ = _quadratic_descent(
            np.diag(curvatures), scale * np.ones(3) / np.sqrt(3), rate, 1000
        )
        return int(np.argmax(np.linalg.norm(points, axis=1) <= epsilon))

    counts = np.array([steps(scale) for scale in scales])
    gains = np.diff(counts)
    law = float(np.log(100) / -np.log(1 - rate * curvatures.min()))
    return findings(
        f"From a distance of 1, 100, 10 000 and 1 000 000 it takes {', '.join(map(str, counts))} "
        f"steps to come within 0.001 of the minimum: {gains.mean():.1f} more per factor 100, where "
        f"the law has {law:.1f}. It relates steps to distance, and leaves open how the distance "
        "depends on width.",
        within(
            "further steps per factor 100 of the distance, mean of three", gains.mean(), law,
            1.0, band=spread(gains),
        ),
        at_most("largest deviation of one of them", np.abs(gains - law).max(), 1.0),
        scales=scales, steps=counts,
    )  # fmt: skip
