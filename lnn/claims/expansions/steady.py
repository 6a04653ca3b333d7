"""Local task difficulty and steady state of noisy descent, along both expansions."""

from __future__ import annotations

import jax
import numpy as np

from lnn.claims.claim import OWN, claim
from lnn.claims.expansions.cases import (
    KINDS,
    MEAN,
    PARABOLA,
    RADIUS,
    RATIO,
    SLIP,
    case,
    relative_error,
    speed_from_moments,
)
from lnn.claims.setting import Setting
from lnn.results.verdict import Findings, Role, at_most, findings, report, within
from lnn.theory import noisy_quadratic as nq

STEP, NOISE = 0.04, 0.1
NEAR = 0.2
"""Distance w_SS of the point where the difficulty is evaluated."""
DIMENSIONS = (1, 4, 16)


@claim(
    id="B9",
    documents="BL",
    source="Eqs. 14 to 17, 44 to 47 and 68 to 71",
    title="Local task difficulty, and where learning stops",
    statement=r"$G = \gamma \frac{g^T H g}{\lVert g \rVert^2} + \frac{\eta^2}{\gamma} "
    r"\frac{\operatorname{Tr} H}{\lVert g \rVert^2}$ is $2 \gamma + \frac{\eta^2}{\gamma} "
    r"\frac{2}{(2 w)^2}$ on the parabola and, at $\frac{w_{SS}}{\sqrt{N}} (1, \dots, 1)$, $\gamma "
    r"\rho N + \frac{\eta^2}{\gamma} \frac{1}{\rho w_{SS}^2}$ for $N1$ and $\gamma \rho + "
    r"\frac{\eta^2}{\gamma} \frac{N}{\rho w_{SS}^2}$ for $N2$. This project adds that with eq. 6 "
    r"corrected the expected speed is $\gamma \lVert g \rVert^2 (1 - \frac{G}{2})$, so that "
    "learning stops at $G = 2$.",
    assumptions=r"In the stationary state $g^T H g$ and $\lVert g \rVert^2$ are averaged before "
    "they are divided.",
    parameters=r"$\rho$ = 1.5, $w = w_{SS}$ = 0.2, $\gamma$ = 0.04, $\eta$ = 0.1; N = 1, 4, 16, "
    "both kinds; exact stationary second moments.",
    rule="Holds if the formulas of G agree to 1e-10; the addition holds if, besides, the speed and "
    "G = 2 in the stationary state do.",
)
def run_difficulty(setting: Setting) -> Findings:
    """Check the formulas of G, its meaning for the speed, and its value in the steady state."""
    flat = nq.task_difficulty(PARABOLA, np.array([NEAR]), STEP, NOISE)
    algebra = abs(flat / (2 * STEP + 2 * NOISE**2 / (STEP * (2 * NEAR) ** 2)) - 1)
    meaning, steady = 0.0, []
    for kind in KINDS:
        for n in DIMENSIONS:
            eigenvalues, w = case(kind, n, NEAR)
            found = nq.task_difficulty(eigenvalues, w, STEP, NOISE)
            noisy = NOISE**2 / (STEP * MEAN * NEAR**2)
            formula = STEP * MEAN * n + noisy if kind == "N1" else STEP * MEAN + n * noisy
            algebra = max(algebra, abs(found / formula - 1))
            drift = STEP * float(np.sum((eigenvalues * w) ** 2))
            relative = speed_from_moments(eigenvalues, w, STEP, NOISE) / drift
            meaning = max(meaning, abs(relative - (1 - found / 2)))
            curved = eigenvalues[eigenvalues > 0]
            moments = nq.steady_second_moments(curved, STEP, NOISE)
            slope, bend = np.sum(curved**2 * moments), np.sum(curved**3 * moments)
            steady.append((STEP * bend + NOISE**2 / STEP * curved.sum()) / slope)
    least, most = float(min(steady)), float(max(steady))
    furthest = max((least, most), key=lambda value: abs(value - 2))
    return findings(
        f"Eqs. 17, 46 and 70 give G with an error of {algebra:.1e}, relatively. One step's "
        "expected fall of the loss is "
        r"$\gamma \lVert g \rVert^2 (1 - G / 2)$ "
        f"to {meaning:.1e}, and in the stationary state G, its parts averaged, is {least:.10f} to "
        f"{most:.10f} in all {len(steady)} cases.",
        at_most("relative error of eqs. 17, 46 and 70 for G, worst case", algebra, 1e-10),
        within("G of the averages in the stationary state, the case furthest from 2",
               furthest, 2.0, 1e-10, document=OWN),
        at_most(
            r"error of $1 - G / 2$ for the speed over $\gamma \lVert g \rVert^2$, worst case",
            meaning,
            1e-10,
            document=OWN,
        ),
    )  # fmt: skip


@claim(
    id="B10",
    documents="L",
    source="Beside eqs. 44 to 47 and 68 to 71",
    title="Steady-state loss of both expansions",
    statement=r"Noisy descent settles at a mean loss of $\frac{\eta^2}{2 \gamma (2 - \gamma \rho "
    r"N)}$ for $N1$ and $\frac{N \eta^2}{2 \gamma (2 - \gamma \rho)}$ for $N2$.",
    assumptions=r"$\gamma \rho N < 2$ or $\gamma \rho < 2$. The document argues by G, and gives no "
    "steady-state loss.",
    parameters=r"$\rho$ = 1.5, $\gamma$ = 0.04, $\eta$ = 0.1, N = 1, 4, 16; 8000, 2000 and 1000 "
    "chains from $w_0$ = 2, 2000 steps (1000 in a quick run), averaged over the later half.",
    rule="Holds if every simulated mean is within 1 % of the closed form.",
)
def run_steady_loss(setting: Setting) -> Findings:
    """Compare simulated chains with the exact steady loss."""
    steps = setting.size(2000, 1000)
    errors, scores, means, sampled = [], [], [], []
    for i, kind in enumerate(KINDS):
        for j, n in enumerate(DIMENSIONS):
            eigenvalues, w = case(kind, n)
            # Fewer coordinates and flatter ones tell less: more chains for them.
            found = nq.simulate(
                jax.random.key(500 + 10 * i + j), eigenvalues, w, STEP, NOISE, steps,
                chains={1: 8000, 4: 2000, 16: 1000}[n],
            ).steady  # fmt: skip
            formula = (
                NOISE**2 / (2 * STEP * (2 - STEP * MEAN * n))
                if kind == "N1"
                else n * NOISE**2 / (2 * STEP * (2 - STEP * MEAN))
            )
            errors.append(abs(found.mean / formula - 1))
            scores.append(abs(found.mean - formula) / found.error)
            means.append(formula)
            sampled.append(found)
    return findings(
        f"The mean loss of the chains over the later half of {steps} steps agrees with the closed "
        f"forms to {100 * max(errors):.2f} %, at most {max(scores):.1f} of its standard errors. At "
        f"this fixed step it grows from {means[0]:.4f} at N = 1 to {means[2]:.4f} at N = "
        f"{DIMENSIONS[-1]} with a single non-zero eigenvalue, and to {means[5]:.4f} with equal "
        "ones.",
        at_most("relative error of the simulated steady loss, worst case", max(errors), 0.01),
        report("the same in standard errors", max(scores)),
        dimensions=np.array(DIMENSIONS),
        exact=np.reshape(means, (2, -1)),
        sampled=np.reshape([e.mean for e in sampled], (2, -1)),
        error=np.reshape([e.error for e in sampled], (2, -1)),
    )


@claim(
    id="B11",
    source="Eqs. 48 to 54 and 72 to 74",
    title="Local task difficulty at the optimal step",
    statement=r"At $\gamma^*$ the difficulty is $\frac{w_0^2}{w_{SS}^2} \frac{\sigma^2 \rho^2 "
    r"w_{SS}^2 N + 1}{\sigma^2 \rho^2 w_0^2 N + 1}$ for $N1$ and $\frac{w_0^2}{w_{SS}^2} "
    r"\frac{\sigma^2 \rho^2 w_{SS}^2 + N}{\sigma^2 \rho^2 w_0^2 + N}$ for $N2$. For $w_{SS} < w_0$ "
    "it falls with N for $N1$ and rises for $N2$.",
    assumptions=r"$\gamma^*$ is the best step at $w_0$, kept until $w_{SS}$; $w_{SS} < w_0$.",
    parameters=r"$\rho$ = 1.5, $w_0$ = 2, $w_{SS}$ = 0.2, $\sigma$ = 0.7; N = 1 to 64.",
    rule="Holds if G and its changes with N agree with the corrected formulas to 1e-9 and have the "
    "signs claimed; the printed formulas of G are held to the same.",
    printed=r"$\frac{1}{2} \frac{w_0^2}{w_{SS}^2} \frac{\sigma^2 \rho^2 w_{SS}^2 N + 1}{\sigma^2 "
    r"\rho^2 w_0^2 N + 1}$ and $\frac{1}{2} \frac{w_0^2}{w_{SS}^2} \frac{\sigma^2 \rho^2 w_{SS}^2 "
    r"+ N}{\sigma^2 \rho^2 w_0^2 + N}$, from the printed $\gamma^*$. Signs and conclusions do not "
    "depend on the prefactor.",
    slip=SLIP,
)
def run_difficulty_at_best_step(setting: Setting) -> Findings:
    """Evaluate G at the retuned step, along N."""
    dimensions = np.arange(1, 65)
    n = dimensions.astype(np.float64)
    found: dict[str, np.ndarray] = {}
    outside: dict[str, np.ndarray] = {}
    for kind in KINDS:
        for store, near in ((found, NEAR), (outside, 2 * RADIUS)):
            values = []
            for size in dimensions:
                step = nq.optimal_step(*case(kind, int(size)), RATIO)
                values.append(nq.task_difficulty(*case(kind, int(size), near), step, step / RATIO))
            store[kind] = np.array(values)
    ratio, sizes = (RADIUS / NEAR) ** 2, (RATIO * MEAN) ** 2
    formula = {
        "N1": ratio * (sizes * NEAR**2 * n + 1) / (sizes * RADIUS**2 * n + 1),
        "N2": ratio * (sizes * NEAR**2 + n) / (sizes * RADIUS**2 + n),
    }
    slope = ratio * sizes * (RADIUS**2 - NEAR**2)
    slopes = {
        "N1": -slope / (sizes * RADIUS**2 * n + 1) ** 2,
        "N2": slope / (sizes * RADIUS**2 + n) ** 2,
    }
    error = max(relative_error(found[kind], formula[kind]) for kind in KINDS)
    printed = min(relative_error(found[kind], formula[kind] / 2) for kind in KINDS)

    def chord(kind: str) -> np.ndarray:
        # Between N and N + 1 the difference of a / (b + c N) is the geometric mean of its slopes.
        return np.sign(slopes[kind][1:]) * np.sqrt(slopes[kind][1:] * slopes[kind][:-1])

    derivative = max(relative_error(np.diff(found[kind]), chord(kind)) for kind in KINDS)
    steepest = {kind: np.diff(found[kind]) for kind in KINDS}
    return findings(
        f"At the optimal step G falls from {found['N1'][0]:.3f} to {found['N1'][-1]:.3f} with a "
        f"single non-zero eigenvalue and rises to {found['N2'][-1]:.3f} with equal ones, from "
        f"N = 1 to 64, at every N. It agrees with eqs. 50 and 73 without their 1/2, which is that "
        f"of $\\gamma^*$, to {error:.1e}. With $w_{{SS}}$ = {2 * RADIUS:g}, beyond $w_0$, it goes "
        f"from {outside['N1'][0]:.4f} to {outside['N1'][-1]:.4f} and to {outside['N2'][-1]:.4f}.",
        at_most("relative error of G at the optimal step, worst of both kinds and all N",
                error, 1e-9),
        at_most(
            "the same against eqs. 50 and 73 as printed, the better kind",
            printed,
            1e-9,
            Role.PRINTED,
        ),
        at_most("largest change of G from one N to the next, $N1$: it falls",
                steepest["N1"].max(), 0.0),
        at_most("largest fall of G from one N to the next, $N2$: it rises",
                -steepest["N2"].min(), 0.0),
        at_most("relative error of these changes from eqs. 54 and 74 without their 1/2",
                derivative, 1e-9),
    )  # fmt: skip
