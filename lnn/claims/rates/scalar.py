"""Depth by a scalar factor: equal exponents, another constant, and a saddle at the start."""

from __future__ import annotations

import numpy as np

from lnn.claims.claim import OWN, claim
from lnn.claims.rates.single import LABELS, POWERS, last_decade, slope_errors
from lnn.claims.setting import Setting
from lnn.results.verdict import Findings, at_least, at_most, findings, report
from lnn.theory import lp_rates
from lnn.theory.power_law import fit_power_law

START = 0.1
FAR = 1e14
FURTHER = 1e100
"""Times of the flow, which is integrated in log t for the error itself."""
NEAR_ZERO = 0.01


def balanced(s: float) -> np.ndarray:
    """Return a vector m with |m| = s and equal coordinates."""
    return np.full(2, s / np.sqrt(2))


@claim(
    id="C4",
    source="Section 2, Appendix A, Figure 1",
    title="A scalar factor leaves the exponents",
    statement="For w = s m with a trained scalar s the errors fall as $t^{-1/(p-2)}$, too: s "
    "settles, and then acts as an increased learning rate of m.",
    assumptions="Gradient descent on s and m together with the same learning rate; it escapes from "
    "the saddle at zero.",
    parameters=r"y = (2, 1), p = 4, 6, 8, $\eta = 0.125 / y_1^{p-2}$, balanced start $s = \lVert m "
    r"\rVert = 0.1$; 1000000 steps; gradient flow in log t to t = 1e14.",
    rule="Holds if the slopes of both errors are right to 0.03 in the last decade of descent and "
    "to 0.005 in the last decade of the flow.",
)
def run_exponents(setting: Setting) -> Findings:
    """Fit slopes of the errors in the last decade, of descent and of the flow."""
    steps = 1_000_000
    rates = 0.125 / LABELS[0] ** (POWERS - 2)
    record = lp_rates.log_spaced(steps)
    deep = lp_rates.descend_scaled(LABELS, POWERS, rates, record, START, balanced(START))
    plain = lp_rates.descend(LABELS, POWERS, rates, record)
    worst = float(np.max(np.abs(slope_errors(deep, POWERS))))
    time = np.geomspace(1, FAR, 281)
    flows = [lp_rates.flow_scaled(LABELS, p, time, START, balanced(START)) for p in POWERS]
    last = [
        abs(fit_power_law(time, np.abs(flow.delta[:, 0, i]), last_decade(int(FAR))).exponent
            + 1 / (p - 2))
        for p, flow in zip(POWERS, flows, strict=True)
        for i in (0, 1)
    ]  # fmt: skip
    norms = [np.linalg.norm(found.delta, axis=-1) for found in (deep, plain)]
    slopes = [
        fit_power_law(deep.time, norms[0][:, r], last_decade(steps)).exponent
        for r in range(POWERS.size)
    ]
    tenth = int(np.argmin(np.abs(deep.time - steps // 10)))
    settled = float(np.max(np.abs(deep.scale[-1] / deep.scale[tenth] - 1)))
    return findings(
        f"With the scalar the error falls with slopes {slopes[0]:.4f}, {slopes[1]:.4f} and "
        f"{slopes[2]:.4f} in the last decade of {steps} steps, each coordinate within {worst:.4f} "
        f"of $-1 / (p-2)$, and by the flow up to t = 1e14 within {max(last):.5f}. In that last "
        f"decade of steps s changes by at most {100 * settled:.1f} %.",
        at_most(
            "distance of the slopes from $-1 / (p-2)$ in the last decade of the flow to "
            "t = 1e14, worst p and coordinate",
            max(last),
            0.005,
        ),
        at_most(
            f"the same for gradient descent over {steps} steps, worst p and coordinate",
            worst,
            0.03,
        ),
        report("relative change of s in the last decade of steps, worst p", settled),
        steps=deep.time, p=POWERS, deep=norms[0], plain=norms[1],
        scale=deep.scale, rates=rates,
    )  # fmt: skip


@claim(
    id="C5",
    documents="CL",
    source="Abstract; Appendix A, last paragraph",
    title="The constant with a scalar factor",
    statement="With a scalar the constant in the rate changes, to a smaller one at the same "
    r"learning rate. This project adds that $\Delta = -c \, t^{-1/(p-2)} (1 + o(1))$ where "
    r"$\frac{c}{p-2} = \eta M c^{p-1}$ with $M = s^2 I + m m^T$; from a balanced start near zero "
    r"$s^2 \to \lVert y \rVert$ and $m \to y / s$.",
    assumptions=r"Gradient flow with $\eta = 1$; powers of vectors by entries. Labels with which "
    r"no error changes its sign, and with $\lVert y \rVert > 1$, as the two here.",
    parameters=r"y = (2, 1), p = 4, 6, 8, $s = \lVert m \rVert = 0.01$; the flow for the error "
    "itself in log t, to t = 1e14 and on to t = 1e100; c by a Newton search.",
    rule="Holds if the error without a scalar is at least 1.05 times that with one at t = 1e100, "
    "for every p. The addition holds if the errors agree with the asymptote at t = 1e14 to 1e-3 "
    "for p = 6 and 8 and to 0.05 for p = 4, where the approach is slow, and all to 1e-3 at t = "
    "1e100.",
)
def run_constant(setting: Setting) -> Findings:
    """Compare late errors of the flow with the closed equation for the constant."""
    time = np.geomspace(1, FURTHER, 1001)
    far = int(np.argmin(np.abs(np.log(time / FAR))))
    size = float(np.linalg.norm(LABELS))
    off, further, settled, slower, gains = [], [], [], [], []
    for p in POWERS:
        course = lp_rates.asymptote_scaled(LABELS, p)
        flow = lp_rates.flow_scaled(LABELS, p, time, NEAR_ZERO, balanced(NEAR_ZERO))
        ratio = -flow.delta[:, 0] * time[:, None] ** (1 / (p - 2)) / course.constant - 1
        off.append(float(np.max(np.abs(ratio[far]))))
        further.append(float(np.max(np.abs(ratio[-1]))))
        settled.append(abs(float(flow.scale[-1, 0]) ** 2 / size - 1))
        slower.append(float(course.return_rates[-1]))
        # Without a scalar the flow of u = |Delta|^-(p-2) is u' = p - 2.
        alone = (LABELS ** -(p - 2) + (p - 2) * FURTHER) ** (-1 / (p - 2))
        gains.append(float(np.linalg.norm(alone) / np.linalg.norm(flow.delta[-1, 0])))
    return findings(
        f"At t = 1e14 the errors are within {off[0]:.1e}, {off[1]:.1e} and {off[2]:.1e} of "
        f"$c \\, t^{{-1/(p-2)}}$ for p = 4, 6 and 8, and at t = 1e100 within {max(further):.1e}. "
        f"At p = 4 the approach is slow, in the end as $t^{{{slower[0]:.3f}}}$. At the same "
        f"learning rate the error without a scalar is {gains[0]:.2f}, {gains[1]:.2f} and "
        f"{gains[2]:.2f} times that with one in the end.",
        at_least("error without a scalar over that with one at t = 1e100, at the same learning "
                 "rate, least favourable p", min(gains), 1.05, document="C"),
        at_most("relative distance from the asymptote at t = 1e14, p = 6 and 8",
                max(off[1:]), 1e-3, document=OWN),
        at_most("the same, p = 4", off[0], 5e-2, document=OWN),
        at_most("the same at t = 1e100, worst p", max(further), 1e-3, document=OWN),
        at_most(r"relative distance of $s^2$ from $\lVert y \rVert$ at the end, worst p",
                max(settled), 1e-6, document=OWN),
    )  # fmt: skip


@claim(
    id="C7",
    documents="CL",
    source="Appendix A, caption of the plot",
    title="The saddle at zero, and the slowdown there",
    statement="At s = 0, m = 0 the loss with a scalar has a saddle, which slows descent from its "
    r"neighbourhood. This project adds: the Hessian has the eigenvalues $\pm \lVert \nabla "
    r"L(0) \rVert$ and 0, where "
    r"$\nabla L$ is the gradient in w, and a start ten times nearer takes $\ln(10) / \ln(1 + \eta "
    r"\lVert \nabla L(0) \rVert)$ more steps.",
    assumptions=r"$\nabla L(0) \ne 0$.",
    parameters="y = (2, 1), p = 4, 6, 8; second derivatives by automatic differentiation. Descent "
    r"at $\eta = 0.125 / y_1^{p-2}$ from balanced $s = 10^{-2}$ to $10^{-6}$ until s reaches 0.5.",
    rule="Holds if the Hessian has a negative and a positive eigenvalue and a nearer start "
    "takes more steps; the addition holds if every eigenvalue agrees to 1e-9 of the norm, and "
    "every factor 10 costs that many steps, give or take one.",
)
def run_saddle(setting: Setting) -> Findings:
    """Compare the Hessian at zero, and delays of descent from there, with the gradient in w."""
    worst, shown = 0.0, np.zeros(3)
    starts = 10.0 ** -np.arange(2, 7)
    vectors = np.array([balanced(float(s)) for s in starts])
    delays, off = np.empty((POWERS.size, starts.size - 1)), np.empty(POWERS.size)
    for i, p in enumerate(POWERS):
        values = np.sort(np.linalg.eigvalsh(lp_rates.hessian_at_zero(LABELS, p)))
        size = float(np.linalg.norm(lp_rates.gradient_at_zero(LABELS, p)))
        worst = max(worst, float(np.max(np.abs(values - [-size, 0, size]))) / size)
        if p == POWERS[0]:
            shown = values
        rate = 0.125 / LABELS[0] ** (p - 2)
        labels = np.tile(LABELS, (starts.size, 1))
        run = lp_rates.descend_scaled(labels, p, rate, np.arange(1, 201), starts, vectors)
        delays[i] = np.diff(np.argmax(run.scale >= 0.5, axis=0))
        off[i] = np.max(np.abs(delays[i] - np.log(10) / np.log1p(rate * size)))
    return findings(
        f"For p = 4 the eigenvalues are {shown[0]:.6f}, {abs(shown[1]):.6f} and {shown[2]:.6f}; "
        f"over p = 4, 6 and 8 they agree with the claim to {worst:.1e} of the gradient's norm: "
        f"zero is a strict saddle. From a start ten times nearer to it descent takes "
        f"{delays[0].mean():.1f}, {delays[1].mean():.1f} and {delays[2].mean():.1f} steps more.",
        at_most(
            "product of the outer eigenvalues at p = 4: of either sign", shown[0] * shown[2], 0.0
        ),
        at_least("further steps per factor 10, least of all p and starts", delays.min(), 1.0),
        at_most(
            r"distance of the eigenvalues from $\pm \lVert \nabla L(0) \rVert$ and 0, over "
            "that norm, worst p",
            worst,
            1e-9,
            document=OWN,
        ),
        at_most(
            r"distance of the further steps per factor 10 from $\ln(10) / \ln(1 + \eta \lVert "
            r"\nabla L(0) \rVert)$, worst p and start",
            off.max(),
            1.0,
            document=OWN,
        ),
    )
