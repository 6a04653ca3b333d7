"""How fast one noisy step lowers the loss: in one dimension, and along both expansions."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from lnn.claims.claim import OWN, claim
from lnn.claims.expansions.cases import MEAN, PARABOLA, RADIUS, RATIO, SLIP, case, fastest
from lnn.claims.setting import Setting
from lnn.results.verdict import Check, Findings, Role, at_most, findings, report, within
from lnn.theory import noisy_quadratic as nq

ERRORS = 4.0
"""Standard errors by which a sampled mean may deviate."""
PARABOLA_CASES = ((1.0, 0.1, 0.1), (1.0, 0.3, 0.5), (3.0, 0.25, 1.0))
STEP, NOISE = 0.02, 0.05
DIMENSIONS = (1, 2, 5, 20)
PARTS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""Steps at which the speed is sampled for the figure, in units of the best one."""


@claim(
    id="B1",
    source="Eqs. 5 to 11",
    title="Expected learning speed on the parabola",
    statement="Noisy gradient descent on $f(w) = w^2$ lowers the loss in one step by "
    r"$\mathbb{E}[\nu] = 4 \gamma w^2 - 4 \gamma^2 w^2 - \eta^2$ in the mean.",
    assumptions=r"$w^{(t+1)} = w^{(t)} - \gamma f'(w^{(t)}) + \eta \epsilon$ with $\epsilon \sim "
    "N(0, 1)$.",
    parameters=r"$(w, \gamma, \eta)$ = (1, 0.1, 0.1), (1, 0.3, 0.5) and (3, 0.25, 1); 400000 draws "
    "(100000 in a quick run), the first order of the noise removed as a control variate.",
    rule="Holds if the sampled mean is within 4 standard errors of the corrected formula in every "
    r"case, and twice the $\eta$ slows four times as much, to 0.05; the printed formula and the "
    "text after it are held to the same.",
    printed=r"$\mathbb{E}[\nu] = 4 \gamma w^2 - 8 \gamma^2 w^2 - 2 \eta^2$. The text after it has "
    r"noise decrease the speed in proportion to $\eta$; in eq. 11 itself it is $\eta^2$.",
    slip=SLIP,
)
def run_parabola(setting: Setting) -> Findings:
    """Compare sampled speed on w^2 with both formulas, and its dependence on noise."""
    draws = setting.size(400_000, 100_000)
    found, printed = [], []
    for i, (w, step, noise) in enumerate(PARABOLA_CASES):
        sample = nq.sampled_speed(
            jax.random.key(100 + i), PARABOLA, np.array([w]), step, noise, draws
        )
        right = 4 * step * w**2 - 4 * step**2 * w**2 - noise**2
        wrong = 4 * step * w**2 - 8 * step**2 * w**2 - 2 * noise**2
        found.append(abs(sample.mean - right) / sample.error)
        printed.append(abs(sample.mean - wrong) / sample.error)
    w, step, noise = PARABOLA_CASES[0]
    slowed = [
        4 * step * w**2 * (1 - step)
        - nq.sampled_speed(
            jax.random.key(200), PARABOLA, np.array([w]), step, factor * noise, draws
        ).mean
        for factor in (1, 2)
    ]
    growth = slowed[1] / slowed[0]
    return findings(
        f"Over {draws} draws of the noise the mean fall of the loss is within {max(found):.2f} "
        f"standard errors of the corrected formula in all three cases. Eq. 11 follows from eq. 6 "
        f"as printed, with twice the second order, and is at least {min(printed):.0f} standard "
        f"errors away. Doubling the noise takes {growth:.2f} times as much speed.",
        at_most(
            "sampled mean against the corrected formula, in standard errors, worst of three cases",
            max(found),
            ERRORS,
        ),
        at_most(
            "the same against eq. 11 as printed, best of three cases",
            min(printed),
            ERRORS,
            Role.PRINTED,
        ),
        within(
            r"reduction of the speed by noise, at twice the $\eta$: the corrected formula has 4",
            growth,
            4.0,
            0.05,
        ),
        within(
            r"the same against the text after eq. 11: in proportion to $\eta$",
            growth,
            2.0,
            0.05,
            Role.PRINTED,
        ),
    )


@claim(
    id="B2",
    source="Eq. 13",
    title="Optimal learning step on the parabola",
    statement=r"At a fixed signal-to-noise ratio $\sigma = \gamma / \eta$ the expected speed on "
    r"$f(w) = w^2$ is highest at $\gamma^* = \frac{2 w^2}{4 w^2 + 1 / \sigma^2}$.",
    assumptions="As in eqs. 5 to 12.",
    parameters=r"w = 2, $\sigma$ = 0.7; Brent's search over $\gamma$ on the speed that follows "
    "from the exact second moments after one step.",
    rule="Holds if the step found agrees to 1e-5; the printed formula is held to the same.",
    printed=r"$\gamma^* = \frac{w^2}{4 w^2 + 1 / \sigma^2}$, half of it.",
    slip=SLIP,
)
def run_parabola_optimum(setting: Setting) -> Findings:
    """Search the step with the highest expected speed on w^2."""
    w = 2.0
    step, _ = fastest(PARABOLA, np.array([w]))
    right = 2 * w**2 / (4 * w**2 + RATIO**-2)
    return findings(
        f"The expected speed is highest at the step {step:.6f}; the corrected formula has "
        f"{right:.6f}. The printed one, {right / 2:.6f}, is where the speed of eq. 12 as printed "
        "is highest.",
        within(r"best step $\gamma^*$, by a search", step, right, 1e-5 * right),
        within("the same against eq. 13 as printed", step, right / 2, 1e-5 * right, Role.PRINTED),
    )


def descend(rates: np.ndarray, start: float, steps: int) -> np.ndarray:
    """Return where noiseless gradient descent on w^2 ends, one run per learning step."""
    w = np.full(rates.shape, start)
    for _ in range(steps):
        w = w - rates * (2 * w)
    return w


@claim(
    id="B3",
    documents="BL",
    source="Section 1D quadratic function, after eq. 3",
    title="Learning steps at which descent on the parabola converges",
    statement=r"Gradient descent without noise on $f(w) = w^2$ converges for learning steps "
    r"$\gamma < 1$, which are positive. This project adds that it converges for no other step.",
    assumptions="Any start but the minimum itself.",
    parameters="Start w = 10; steps -0.01, 0.01, 0.5, 0.99, 0.999, 1, 1.001, 1.01; 20000 "
    "iterations (10000 in a quick run); converged where $|w|$ is below 1e-5 at the end.",
    rule="Holds if the positive steps below 1 converge; the addition holds if convergence ends "
    "exactly between 0.999 and 1, and -0.01 does not converge.",
)
def run_stability(setting: Setting) -> Findings:
    """Find the steps for which noiseless descent on w^2 ends nearer to the minimum."""
    steps = setting.size(20_000, 10_000)
    rates = np.array([-0.01, 0.01, 0.5, 0.99, 0.999, 1.0, 1.001, 1.01])
    converges = np.abs(descend(rates, 10.0, steps)) < 1e-5
    last = float(rates[converges].max(initial=-np.inf))
    first = float(rates[(rates > 0) & ~converges].min(initial=np.inf))
    least = float(rates[converges].min(initial=np.inf))
    inside = (rates > 0) & (rates < 1)
    return findings(
        f"Of the steps tried, those from {least:g} to {last:g} converge from w = 10 within "
        f"{steps} steps, and {first:g} is the first above that does not.",
        within("share of the steps tried between 0 and 1 that converge",
               converges[inside].mean(), 1.0, 0.0),
        within("largest learning step that converges", last, 1.0, 1.5e-3, document=OWN),
        within("smallest positive learning step that does not", first, 1.0, 1e-12, document=OWN),
        within("smallest learning step that converges", least, 0.01, 1e-12, document=OWN),
    )  # fmt: skip


def _sampled(
    kind: str, seed: int, draws: int, right: Callable[[int], float], wrong: Callable[[int], float]
) -> tuple[Check, Check, float, float]:
    """Compare sampled speed in each dimension with both formulas."""
    found, printed = [], []
    for i, n in enumerate(DIMENSIONS):
        eigenvalues, w = case(kind, n)
        sample = nq.sampled_speed(jax.random.key(seed + i), eigenvalues, w, STEP, NOISE, draws)
        found.append(abs(sample.mean - right(n)) / sample.error)
        printed.append(abs(sample.mean - wrong(n)) / sample.error)
    return (
        at_most(
            "sampled mean against the corrected formula, in standard errors, worst N",
            max(found),
            ERRORS,
        ),
        at_most(
            "the same against the formula as printed, best N", min(printed), ERRORS, Role.PRINTED
        ),
        max(found),
        min(printed),
    )


def _curves(kind: str, seed: int, draws: int) -> dict[str, np.ndarray]:
    """Sample speeds at a fixed signal-to-noise ratio over steps, for the figure."""
    steps, means, errors = np.empty((3, len(DIMENSIONS), len(PARTS)))
    for i, n in enumerate(DIMENSIONS):
        eigenvalues, w = case(kind, n)
        steps[i] = np.array(PARTS) * nq.optimal_step(eigenvalues, w, RATIO)
        for j, step in enumerate(map(float, steps[i])):
            means[i, j], errors[i, j] = nq.sampled_speed(
                jax.random.key(seed + 100 * i + j), eigenvalues, w, step, step / RATIO, draws
            )
    return {
        "dimensions": np.array(DIMENSIONS), "steps": steps, "speed": means, "error": errors,
    }  # fmt: skip


@claim(
    id="B4",
    source="Eqs. 35 to 40",
    title="Learning speed with a single non-zero eigenvalue",
    statement=r"On $f_{N1}(w) = \frac{\rho N}{2} w_1^2$ at $w = \frac{w_0}{\sqrt{N}} (1, \dots, "
    r"1)$ the expected speed is $\gamma \rho^2 N w_0^2 - \frac{1}{2} \gamma^2 \rho^3 N^2 w_0^2 - "
    r"\frac{1}{2} \eta^2 \rho N$.",
    assumptions="Independent normal noise of variance 1 in every coordinate; the Hessian is "
    "diagonal, which loses nothing, since the noise is the same in every orthonormal basis.",
    parameters=r"$\rho$ = 1.5, $w_0$ = 2, $\gamma$ = 0.02, $\eta$ = 0.05, N = 1, 2, 5, 20; 100000 "
    "draws (20000 in a quick run) with the control variate.",
    rule="Holds if the sampled mean is within 4 standard errors of the corrected formula for every "
    r"N, and the slope there grows as $\sqrt{N}$ to 1e-9; the printed formula is held to the same.",
    printed=r"$\gamma \rho^2 N w_0^2 - \gamma^2 \rho^3 N^2 w_0^2 - \eta^2 \rho N$. The text after "
    r"eq. 33 has the slope increase linearly with N, as it does at a fixed $w_1$; at the points "
    r"compared it is $\rho \sqrt{N} w_0$.",
    slip=SLIP,
)
def run_single(setting: Setting) -> Findings:
    """Check the first expansion, and its slope where the speed is taken."""
    draws = setting.size(100_000, 20_000)

    def right(n: int) -> float:
        drift = STEP * MEAN**2 * n * RADIUS**2
        return drift - 0.5 * STEP**2 * MEAN**3 * n**2 * RADIUS**2 - 0.5 * NOISE**2 * MEAN * n

    def wrong(n: int) -> float:
        drift = STEP * MEAN**2 * n * RADIUS**2
        return drift - STEP**2 * MEAN**3 * n**2 * RADIUS**2 - NOISE**2 * MEAN * n

    good, bad, worst, best = _sampled("N1", 300, draws, right, wrong)
    largest = DIMENSIONS[-1]
    slopes = [float(np.linalg.norm(np.multiply(*case("N1", n)))) for n in (1, largest)]
    growth = slopes[1] / slopes[0]
    steepest = [float(case("N1", n)[0].max()) for n in (1, largest)]
    fixed = steepest[1] / steepest[0]
    return findings(
        f"For N up to {largest} the mean fall of the loss over {draws} draws is within "
        f"{worst:.2f} standard errors of the corrected formula and at least {best:.0f} away from "
        f"the printed one, which has the second order of eq. 6 as printed. From N = 1 to {largest} "
        f"the slope at the point compared grows {growth:.2f}-fold, as $\\sqrt{{N}}$, and at a "
        f"fixed $w_1$ {fixed:.0f}-fold.",
        good,
        bad,
        within(
            rf"growth of the slope at the point compared, N = 1 to {largest}: $\sqrt{{N}}$",
            growth,
            np.sqrt(largest),
            1e-9,
        ),
        report(f"growth of the slope at a fixed $w_1$, N = 1 to {largest}", fixed),
        **_curves("N1", 1000, draws),
    )


@claim(
    id="B5",
    source="Eqs. 61 to 65",
    title="Learning speed with equal eigenvalues",
    statement=r"On $f_{N2}(w) = \frac{\rho}{2} \lVert w \rVert^2$ at $w = \frac{w_0}{\sqrt{N}} (1, "
    r"\dots, 1)$ the expected speed is $\gamma \rho^2 w_0^2 - \frac{1}{2} \gamma^2 \rho^3 w_0^2 - "
    r"\frac{1}{2} \eta^2 \rho N$.",
    assumptions="As in eqs. 35 to 40.",
    parameters=run_single.parameters,
    rule="Holds if the sampled mean is within 4 standard errors of the corrected formula for every "
    "N; the printed formula is held to the same.",
    printed=r"$\gamma \rho^2 w_0^2 - \gamma^2 \rho^3 w_0^2 - \eta^2 \rho N$. Eq. 62 has $H_{N1}$ "
    "for $H_{N2}$, which has the same trace.",
    slip=SLIP,
)
def run_equal(setting: Setting) -> Findings:
    """Check the second expansion."""
    draws = setting.size(100_000, 20_000)
    drift = STEP * MEAN**2 * RADIUS**2
    bend = STEP**2 * MEAN**3 * RADIUS**2
    good, bad, worst, best = _sampled(
        "N2", 400, draws,
        lambda n: drift - 0.5 * bend - 0.5 * NOISE**2 * MEAN * n,
        lambda n: drift - bend - NOISE**2 * MEAN * n,
    )  # fmt: skip
    return findings(
        f"For N up to {DIMENSIONS[-1]} the mean fall of the loss over {draws} draws is within "
        f"{worst:.2f} standard errors of the corrected formula and at least {best:.0f} away from "
        "the printed one, which has the second order of eq. 6 as printed.",
        good,
        bad,
        **_curves("N2", 2000, draws),
    )
