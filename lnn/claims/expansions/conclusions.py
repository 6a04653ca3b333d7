"""Conclusions of the document: when more parameters help, at the same and at a retuned step."""

from __future__ import annotations

import jax
import numpy as np

from lnn.claims.claim import OWN, claim
from lnn.claims.expansions.cases import (
    MEAN,
    RADIUS,
    RATIO,
    SLIP,
    case,
    fastest,
    speed_from_moments,
)
from lnn.claims.setting import Setting
from lnn.results.verdict import Check, Findings, Role, at_least, at_most, findings, report, within
from lnn.theory import noisy_quadratic as nq

DIMENSIONS = np.arange(1, 65)
SIMULATED = (1, 4, 16, 64)
STEP = 0.02
STRICTLY = 1e-6
"""Relative change of a quantity required from one N to the next."""
FAR = 20.0
SLOWLY = 2.0
"""A fall by less than this factor over all dimensions is slow."""


def _along(kind: str, speed: float) -> dict[str, np.ndarray]:
    """Return best speed, steady loss there, and step and steady loss at this speed, for every N."""
    rows = []
    for n in DIMENSIONS:
        eigenvalues, w = case(kind, int(n))
        best = nq.optimal_step(eigenvalues, w, RATIO)
        slower = nq.slowest_step_at_speed(eigenvalues, w, RATIO, speed)
        rows.append(
            (
                speed_from_moments(eigenvalues, w, best, best / RATIO),
                nq.steady_loss(eigenvalues, best, best / RATIO),
                slower,
                nq.steady_loss(eigenvalues, slower, slower / RATIO),
            )
        )
    names = ("speed", "steady", "equal_step", "equal_steady")
    return {"dimensions": DIMENSIONS, **dict(zip(names, np.array(rows).T, strict=True))}


def _simulated(kind: str, seed: int, setting: Setting) -> tuple[dict[str, np.ndarray], Check]:
    """Simulate steady losses at the best step, and compare them with the exact ones."""
    sampled, scores = [], []
    for i, n in enumerate(SIMULATED):
        eigenvalues, w = case(kind, n)
        step = nq.optimal_step(eigenvalues, w, RATIO)
        found = nq.simulate(
            jax.random.key(seed + i), eigenvalues, w, step, step / RATIO,
            steps=setting.size(800, 400), chains=setting.size(1000, 500),
        ).steady  # fmt: skip
        exact = nq.steady_loss(eigenvalues, step, step / RATIO)
        sampled.append(found)
        scores.append(abs(found.mean - exact) / found.error)
    return {
        "simulated": np.array(SIMULATED), "sampled": np.array([e.mean for e in sampled]),
        "error": np.array([e.error for e in sampled]),
    }, at_most(
        f"simulated steady loss at the best step, N = {', '.join(map(str, SIMULATED))}, against "
        "the exact one, in standard errors",
        max(scores),
        4.0,
    )  # fmt: skip


def _ratios(values: np.ndarray) -> np.ndarray:
    return values[1:] / values[:-1]


@claim(
    id="B12",
    source="Text after eqs. 41, 43 and 54",
    title="A single non-zero eigenvalue: more parameters help",
    statement="With a single non-zero eigenvalue and the step retuned for every N, more parameters "
    "give both a higher learning speed and a lower steady-state loss. An equal learning speed is "
    "reached with a smaller step, and then the steady-state loss is lower, too.",
    assumptions=r"The signal-to-noise ratio $\sigma$ is fixed, and the step stays the best one at "
    "$w_0$. The document concludes on the steady-state loss from G; here it is computed.",
    parameters=r"$\rho$ = 1.5, $w_0$ = 2, $\sigma$ = 0.7; N = 1 to 64; equal speed 2; chains "
    "simulated at N = 1, 4, 16, 64.",
    rule="Holds if speed, step and steady losses change in the direction claimed from every N to "
    "the next, and simulated steady losses agree within 4 standard errors.",
)
def run_single(setting: Setting) -> Findings:
    """Check that everything improves with N."""
    curve = _along("N1", 2.0)
    chains, agreement = _simulated("N1", 700, setting)
    speed, steady, step, equal = (
        curve[name] for name in ("speed", "steady", "equal_step", "equal_steady")
    )
    return findings(
        f"From N = 1 to 64 the speed at the retuned step goes from {speed[0]:.3f} to "
        f"{speed[-1]:.3f} and the steady loss there from {steady[0]:.3f} to {steady[-1]:.4f}. At "
        f"the same initial speed 2 the step goes from {step[0]:.3f} to {step[-1]:.4f} and the "
        f"steady loss from {equal[0]:.3f} to {equal[-1]:.4f}.",
        at_least("least growth of the best speed from one N to the next, as a factor",
                 _ratios(speed).min(), 1 + STRICTLY),
        at_most("largest growth of the steady loss at the best step, as a factor",
                _ratios(steady).max(), 1 - STRICTLY),
        at_most("largest growth of the step that reaches an initial speed of 2",
                _ratios(step).max(), 1 - STRICTLY),
        at_most("largest growth of the steady loss at that equal speed",
                _ratios(equal).max(), 1 - STRICTLY),
        agreement,
        **curve, **chains,
    )  # fmt: skip


def _noiseless_end(n: int, steps: int) -> float:
    """Return the loss after this many steps without noise, relative to the start."""
    eigenvalues, w = case("N1", n)
    moments = nq.second_moments(eigenvalues, w, STEP, 0.0, steps)
    return float(np.sum(eigenvalues * moments) / np.sum(eigenvalues * w**2))


@claim(
    id="B13",
    documents="BL",
    source="Eq. 40 and the text after it",
    title="A single non-zero eigenvalue at a fixed step",
    statement=r"At fixed $\gamma$ and $\sigma$ the expected speed on $f_{N1}$ is quadratic in N, "
    r"with its maximum at $N = \frac{1}{\gamma \rho} - \frac{1}{2 \sigma^2 \rho^2 w_0^2}$. This "
    r"project adds that descent is unstable for $\gamma \rho N \ge 2$.",
    assumptions="As in eqs. 35 to 40; N is treated as real.",
    parameters=r"$\gamma$ = 0.02, $\sigma$ = 0.7, $\rho$ = 1.5, $w_0$ = 2; N = 1 to 80; the speed "
    "from exact second moments after one step, stability from 2000 steps without noise.",
    rule="Holds if the maximum is within 1 of the formula, and second differences agree to 1e-9; "
    "the maximum of eq. 40 as printed is held to the same. The addition holds if, besides, the "
    "limit of stability is within 1 of its formula.",
    printed=r"$\gamma \rho^2 N w_0^2 - \gamma^2 \rho^3 N^2 w_0^2 - (\frac{\gamma}{\sigma})^2 \rho "
    r"N$, which has its maximum at $N = \frac{1}{2 \gamma \rho} - \frac{1}{2 \sigma^2 \rho^2 "
    "w_0^2}$.",
    slip=SLIP,
)
def run_fixed_step(setting: Setting) -> Findings:
    """Measure speed against N at one step, and where descent becomes unstable."""
    dimensions = np.arange(1, 81)
    noise = STEP / RATIO
    speed = np.array([speed_from_moments(*case("N1", int(n)), STEP, noise) for n in dimensions])
    peak = int(dimensions[np.argmax(speed)])
    second = np.diff(speed, 2)
    bend = -(STEP**2) * MEAN**3 * RADIUS**2
    energy = (MEAN * RADIUS) ** 2
    right = 1 / (STEP * MEAN) - 1 / (2 * RATIO**2 * energy)
    wrong = 1 / (2 * STEP * MEAN) - 1 / (2 * RATIO**2 * energy)
    diverges = [not _noiseless_end(int(n), 2000) < 1 for n in dimensions]
    unstable = int(np.argmax([*diverges, True])) + 1
    limit = 2 / (STEP * MEAN)
    losses = [nq.steady_loss(case("N1", n)[0], STEP, noise) for n in (1, peak, unstable - 1)]
    return findings(
        f"At the fixed step {STEP} the expected speed rises from {speed[0]:.4f} at N = 1 to "
        f"{speed[peak - 1]:.3f} at N = {peak} and then falls, to {speed[-1]:.2f} at N = "
        f"{dimensions[-1]}; eq. 40 as printed would have it highest at N = {wrong:.1f}. N = "
        f"{unstable} is the first at which descent without noise does not converge. The steady "
        f"loss only grows: {losses[0]:.5f} at N = 1, {losses[1]:.5f} at the peak, {losses[2]:.4f} "
        f"at N = {unstable - 1}.",
        within("N at which the expected speed is highest", peak, right, 1.0),
        within("the same against the maximum of eq. 40 as printed", peak, wrong, 1.0,
               Role.PRINTED, document="B"),
        at_most(
            r"relative error of the second differences in N from $-\gamma^2 \rho^3 w_0^2$, worst N",
            np.max(np.abs(second / bend - 1)),
            1e-9,
        ),
        within(
            r"first N at which descent does not converge, against $\frac{2}{\gamma \rho}$",
            unstable,
            limit,
            1.0,
            document=OWN,
        ),
        dimensions=dimensions,
        speed=speed,
    )  # fmt: skip


def _fall(radius: float) -> tuple[float, float]:
    """Return by which factor best step and speed fall with N2 over all N, and its formula's error.

    The larger factor of the two, and the larger error.
    """
    first, last = (
        np.array(fastest(*case("N2", int(n), radius))) for n in (DIMENSIONS[0], DIMENSIONS[-1])
    )
    energy, last_noise = (MEAN * radius) ** 2, DIMENSIONS[-1] / RATIO**2
    factors = first / last
    error = np.abs(factors * (energy + RATIO**-2) / (energy + last_noise) - 1)
    return float(factors.max()), float(error.max())


@claim(
    id="B14",
    documents="BL",
    source="Text after eqs. 65, 66, 67 and 74",
    title="Equal eigenvalues: more parameters hurt, slowly far from the minimum",
    statement="With equal eigenvalues and the step retuned for every N, more parameters give a "
    "lower learning speed and a higher steady-state loss. At a fixed step the speed falls linearly "
    r"with N. The best step and the speed there decrease slowly far from the minimum, where "
    r"$\frac{N}{\sigma^2} \ll \rho^2 w_0^2$. This project adds that both fall by the factor "
    r"$\frac{\rho^2 w_0^2 + N / \sigma^2}{\rho^2 w_0^2 + 1 / \sigma^2}$ from one dimension to N, "
    "and that at equal speed the steady-state loss rises with N, too.",
    assumptions=run_single.assumptions,
    parameters=r"$\rho$ = 1.5, $\sigma$ = 0.7; N = 1 to 64; $w_0$ = 2, and 20 for the slow "
    "decrease; fixed step 0.02, equal speed 0.15; best steps by Brent's search; chains simulated "
    "at N = 1, 4, 16, 64.",
    rule="Holds if speed and steady losses change in the direction claimed from every N to the "
    "next, the fall at a fixed step is linear to 1e-9, simulated steady losses agree within 4 "
    r"standard errors, and at $w_0$ = 20 best step and speed fall by less than a factor 2 from N = "
    r"1 to 64, which is how slowly is read here. The fall at $w_0$ = 2, where "
    r"$\frac{N}{\sigma^2}$ is "
    "not small, is reported. The addition holds if, besides, the factor "
    "agrees to 1e-5 at both distances and the steady-state loss rises at equal speed.",
)
def run_equal(setting: Setting) -> Findings:
    """Check that everything worsens with N, and how slowly near the minimum and far from it."""
    reached = 0.15
    curve = _along("N2", reached)
    chains, agreement = _simulated("N2", 800, setting)
    speed, steady, equal = (curve[name] for name in ("speed", "steady", "equal_steady"))
    noise = STEP / RATIO
    fixed = np.array([speed_from_moments(*case("N2", int(n)), STEP, noise) for n in DIMENSIONS])
    slope = -0.5 * noise**2 * MEAN
    (near, near_error), (far, far_error) = (_fall(radius) for radius in (RADIUS, FAR))
    return findings(
        f"From N = 1 to 64 the speed at the retuned step falls from {speed[0]:.3f} to "
        f"{speed[-1]:.3f}, by a factor {near:.1f}, and the steady loss there rises from "
        f"{steady[0]:.3f} to {steady[-1]:.3f}. Far from the minimum, at $w_0$ = {FAR:g}, the speed "
        rf"falls by a factor of {far:.2f} only: $N / \sigma^2$, at most "
        f"{DIMENSIONS[-1] / RATIO**2:.0f}, is small there against $\\rho^2 w_0^2$ = "
        f"{(MEAN * FAR) ** 2:.0f}, which is the document's condition; at $w_0$ = {RADIUS:g} the "
        f"latter is {(MEAN * RADIUS) ** 2:.0f}. At equal initial speed {reached} the steady loss "
        f"rises from {equal[0]:.4f} to {equal[-1]:.3f}.",
        at_most("largest growth of the best speed from one N to the next, as a factor",
                _ratios(speed).max(), 1 - STRICTLY),
        at_least("least growth of the steady loss at the best step, as a factor",
                 _ratios(steady).min(), 1 + STRICTLY),
        at_most(
            r"relative error of the differences of the speed at a fixed step from "
            r"$-\frac{1}{2} \eta^2 \rho$: it falls linearly with N",
            np.max(np.abs(np.diff(fixed) / slope - 1)), 1e-9,
        ),
        agreement,
        at_most(
            f"factor by which best step and speed fall from N = 1 to 64, the larger of them, $w_0$ "
            f"= {FAR:g}: slowly", far, SLOWLY, document="B",
        ),
        report(f"the same at $w_0$ = {RADIUS:g}, near the minimum", near),
        at_most(
            r"relative error of $\frac{\rho^2 w_0^2 + N / \sigma^2}{\rho^2 w_0^2 + 1 / \sigma^2}$ "
            "for these factors, N = 64, worst case", max(near_error, far_error), 1e-5, document=OWN,
        ),
        at_least(f"least growth of the steady loss at the equal speed {reached}",
                 _ratios(equal).min(), 1 + STRICTLY, document=OWN),
        **curve, **chains,
    )  # fmt: skip
