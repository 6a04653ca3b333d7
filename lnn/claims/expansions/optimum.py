"""The optimal learning step of both expansions, and the speed there."""

from __future__ import annotations

import numpy as np

from lnn.claims.claim import claim
from lnn.claims.expansions.cases import (
    KINDS,
    MEAN,
    RADIUS,
    RATIO,
    SLIP,
    case,
    fastest,
    relative_error,
)
from lnn.claims.setting import Setting
from lnn.results.verdict import Findings, Role, at_least, at_most, findings, within
from lnn.theory import noisy_quadratic as nq

DIMENSIONS = np.array([1, 2, 8, 32, 128])
LARGE = 1_000_000
TOLERANCE = 1e-5


def _searched() -> np.ndarray:
    """Search best step and speed: (kinds, dimensions, 2)."""
    return np.array([[fastest(*case(kind, int(n))) for n in DIMENSIONS] for kind in KINDS])


def _best_steps() -> np.ndarray:
    """Evaluate eqs. 41 and 66, corrected: (kinds, dimensions)."""
    energy, power = (MEAN * RADIUS) ** 2, MEAN * RADIUS**2
    return np.array(
        [power / (energy * DIMENSIONS + RATIO**-2), power / (energy + DIMENSIONS / RATIO**2)]
    )


def _best_speeds() -> np.ndarray:
    """Evaluate eqs. 42 and 67, corrected: (kinds, dimensions)."""
    n = DIMENSIONS.astype(np.float64)
    single = (MEAN**2 * RADIUS**2 * n) ** 2 / (RADIUS**2 * MEAN**3 * n**2 + MEAN * n / RATIO**2)
    equal = MEAN**3 * RADIUS**4 / (RADIUS**2 * MEAN**2 + n / RATIO**2)
    return 0.5 * np.array([single, equal])


@claim(
    id="B6",
    source="Eqs. 41 and 66",
    title="Optimal learning step of both expansions",
    statement=r"At a fixed ratio $\sigma = \gamma / \eta$ the expected speed at "
    r"$\frac{w_0}{\sqrt{N}} (1, \dots, 1)$ is highest at $\gamma_{N1}^* = \frac{\rho w_0^2}{\rho^2 "
    r"w_0^2 N + 1 / \sigma^2}$ and $\gamma_{N2}^* = \frac{\rho w_0^2}{\rho^2 w_0^2 + N / "
    r"\sigma^2}$. Both fall with N, and with more noise.",
    assumptions="As in eqs. 35 to 40.",
    parameters=r"$\rho$ = 1.5, $w_0$ = 2, $\sigma$ = 0.7; N = 1, 2, 8, 32, 128; Brent's search on "
    "the speed that follows from the exact second moments after one step.",
    rule="Holds if every step found agrees to 1e-5 and is smaller at half the signal-to-noise "
    "ratio; the printed formulas and the text are held to the same.",
    printed=r"$\gamma_{N1}^* = \frac{\rho w_0^2}{2 (\rho^2 w_0^2 N + 1 / \sigma^2)}$ and "
    r"$\gamma_{N2}^* = \frac{\rho w_0^2}{2 (\rho^2 w_0^2 + N / \sigma^2)}$, half of them. The text "
    r"after eq. 41 says that a larger step can be tolerated if $\sigma$ decreases; by eq. 41 it is "
    "a smaller one.",
    slip=SLIP,
)
def run_step(setting: Setting) -> Findings:
    """Compare searched best steps with both formulas, and their change with the noise."""
    found, right = _searched()[..., 0], _best_steps()
    error = relative_error(found, right)
    printed = relative_error(found, right / 2)
    noisier = fastest(*case("N1", 8), RATIO / 2)[0] / fastest(*case("N1", 8), RATIO)[0]
    return findings(
        f"Over N = 1 to {DIMENSIONS[-1]} the best step found by a search agrees with the corrected "
        f"formulas to {error:.1e}, and falls from {found[0, 0]:.3f} to {found[0, -1]:.4f} with a "
        f"single non-zero eigenvalue and to {found[1, -1]:.4f} with equal ones. The printed steps "
        "are half of these, as the speeds of eqs. 40 and 65 as printed make them. At half the "
        f"signal-to-noise ratio (N = 8) the best step is {noisier:.3f} times as large.",
        at_most("relative error of the best step, worst of both kinds and all N", error,
                TOLERANCE),
        at_most(
            "the same against eqs. 41 and 66 as printed", printed, TOLERANCE, Role.PRINTED
        ),
        at_most("best step at half the signal-to-noise ratio, over that at the whole, $N1$",
                noisier, 1.0),
        at_least(
            r"the same against the text after eq. 41: a smaller $\sigma$ tolerates a larger step",
            noisier,
            1.0,
            Role.PRINTED,
        ),
    )  # fmt: skip


@claim(
    id="B7",
    source="Eqs. 42 and 67",
    title="Learning speed at the optimal step",
    statement=r"The highest expected speeds are $\frac{1}{2} \frac{(\rho^2 w_0^2 N)^2}{\rho^3 "
    r"w_0^2 N^2 + \rho N / \sigma^2}$ for $N1$ and $\frac{1}{2} \frac{\rho^3 w_0^4}{\rho^2 w_0^2 + "
    r"N / \sigma^2}$ for $N2$.",
    assumptions="As in eqs. 41 and 66.",
    parameters=run_step.parameters,
    rule="Holds if every speed found agrees to 1e-5; the printed formulas are held to the same.",
    printed=r"$\frac{1}{4} \frac{(\rho^2 w_0^2 N)^2}{\rho^3 w_0^2 N^2 + \rho N / \sigma^2}$ for "
    r"$N1$ and $\frac{1}{4} \frac{\rho^3 w_0^4}{\rho^2 w_0^2 + N / \sigma^2}$ for $N2$.",
    slip=SLIP,
)
def run_speed(setting: Setting) -> Findings:
    """Compare speeds at the searched best steps with both formulas."""
    found, right = _searched()[..., 1], _best_speeds()
    error = relative_error(found, right)
    printed = relative_error(found, right / 2)
    return findings(
        f"The highest expected speed agrees with the corrected formulas to {error:.1e}, and is "
        f"{1 + printed:.2f} times the printed ones: with eq. 6 as printed the best step and the "
        "speed there are half as large.",
        at_most("relative error of the highest speed, worst of both kinds and all N", error,
                TOLERANCE),
        at_most(
            "the same against eqs. 42 and 67 as printed", printed, TOLERANCE, Role.PRINTED
        ),
    )  # fmt: skip


@claim(
    id="B8",
    source="Eq. 43",
    title="Saturation of the optimal speed",
    statement=r"$\lim_{N \to \infty} \mathbb{E}[\nu]_{N1}^* = \frac{\rho w_0^2}{2}$: with a single "
    "non-zero eigenvalue in many dimensions one step at the optimal rate takes the whole loss.",
    assumptions="As in eqs. 41 and 66.",
    parameters=r"N = 1000000, $\rho$ = 1.5, $w_0$ = 2, $\sigma$ = 0.7; Brent's search.",
    rule="Holds if the speed found is the limit to 1e-5; the printed limit, and that of eq. 42 as "
    "printed, are held to the same.",
    printed=r"$\frac{\rho w_0}{4}$, in which a square is missing; the limit of eq. 42 as printed "
    r"is $\frac{\rho w_0^2}{4}$.",
    slip=SLIP,
)
def run_limit(setting: Setting) -> Findings:
    """Measure the highest speed in very many dimensions."""
    eigenvalues, w = case("N1", LARGE)
    step, speed = fastest(eigenvalues, w)
    whole = float(nq.loss(eigenvalues, w))
    limit = MEAN * RADIUS**2 / 2
    return findings(
        f"At N = {LARGE} the highest expected speed is {speed:.6f}, of a loss of {whole:g}: the "
        f"whole loss in one step, of size {step:.2e}. Eq. 43 as printed has {MEAN * RADIUS / 4:g}, "
        f"and eq. 42 as printed tends to {MEAN * RADIUS**2 / 4:g}.",
        within(f"highest expected speed at N = {LARGE}", speed, limit, TOLERANCE * limit),
        within("the loss at the start, all of which goes", whole, limit, TOLERANCE * limit),
        within(
            r"the speed against eq. 43 as printed, $\frac{\rho w_0}{4}$",
            speed,
            MEAN * RADIUS / 4,
            TOLERANCE * limit,
            Role.PRINTED,
        ),
        within(
            r"the speed against the limit of eq. 42 as printed, $\frac{\rho w_0^2}{4}$",
            speed,
            MEAN * RADIUS**2 / 4,
            TOLERANCE * limit,
            Role.PRINTED,
        ),
    )
