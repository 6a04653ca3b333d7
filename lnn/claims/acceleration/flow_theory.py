"""Theorem 1: the flow of the product, its condition and discrete form, and effects of width."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lnn.claims.acceleration.example import FEATURES, OUTPUTS, WORDS, example, relative
from lnn.claims.claim import OWN, claim
from lnn.claims.measure import log_slope, spread
from lnn.claims.setting import Setting
from lnn.core import network
from lnn.core.problem import Problem
from lnn.core.reference import reference_optimum
from lnn.core.spectral import precondition
from lnn.results.verdict import Findings, at_least, at_most, findings, report, within
from lnn.simulation.simulate import simulate
from lnn.theory import flow
from lnn.transforms.methods import make_method

_HIDDEN = ((3,), (7,), (4, 6), (3, 5, 8))
_DECAYS = (0.0, 0.3)


def _dims(hidden: tuple[int, ...]) -> tuple[int, ...]:
    return (FEATURES, *hidden, OUTPUTS)


def balanced_start(hidden: tuple[int, ...], norm: float = 1.0) -> tuple[np.ndarray, ...]:
    """Return balanced factors of one end-to-end matrix of full rank, the same for all widths."""
    w = network.random_direction(np.random.default_rng(1), OUTPUTS, FEATURES, 3, norm)
    return network.balanced_factors(w, _dims(hidden), np.random.default_rng(2))


def gaussian_start(hidden: tuple[int, ...], std: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return factors with independent Gaussian entries."""
    return network.init_factors(jax.random.key(seed), _dims(hidden), "near-zero", scale=std)


def _product(factors: object) -> np.ndarray:
    return np.asarray(network.end_to_end(factors))  # type: ignore[arg-type]


@claim(
    id="A1",
    documents="AR",
    source="Theorem 1, eq. 8; review, eq. 13",
    title="The product of a balanced network's factors follows a closed equation",
    statement=r"$\dot W_e = -\eta \lambda N W_e - \eta \sum_{j=1}^{N} [W_e "
    r"W_e^\top]^{\frac{j-1}{N}} \frac{dL}{dW}(W_e) [W_e^\top W_e]^{\frac{N-j}{N}}$ when the "
    r"factors follow $\dot W_j = -\eta (\lambda W_j + \frac{\partial L_N}{\partial W_j})$",
    assumptions="A balanced start: $W_{j+1}^\\top W_{j+1} = W_j W_j^\\top$.",
    parameters=f"{WORDS}; hidden widths 3; 7; 4, 6; 3, 5, 8; p = 2 and 4; decay 0 and 0.3; both "
    "flows integrated to time 2 at tolerance 1e-12.",
    rule="Holds if the flows agree to 1e-8 in all 16 cases while $W_e$ moves.",
)
def _theorem_1(setting: Setting) -> Findings:
    times, errors, moved = np.linspace(0.0, 2.0, 9), [], []
    for p in (2.0, 4.0):
        for hidden in _HIDDEN:
            start = balanced_start(hidden)
            for decay in _DECAYS:
                layers = flow.layerwise(example(p), start, times, decay)
                product = flow.end_to_end(
                    example(p), _product(start), len(start), times, decay
                ).params
                errors.append(relative(_product(layers.params), product))
                moved.append(float(np.linalg.norm(product[-1] - product[0])))
    hidden = _HIDDEN[0]
    start = balanced_start(hidden)
    layers = flow.layerwise(example(2.0), start, times, 0.3)
    # The decay of one layer, 0.3, where that of the product of two is twice as large.
    wrong = flow.end_to_end(example(2.0), _product(start), 2, times, 0.15).params
    return findings(
        f"In {len(errors)} cases the product of the factors' flow follows the end-to-end equation "
        f"to {max(errors):.1e} while $W_e$ moves by {min(moved):.1f} to {max(moved):.1f}. (The "
        "review's eq. 13 mixes the indices i and j; its eq. 24 has them right.)",
        at_most("largest difference of the two flows, relative to $W_e$", max(errors), 1e-8),
        at_least("distance that $W_e$ moves, least of the cases", min(moved), 1.0),
        at_least(
            "the difference if the decay lacks its factor N",
            relative(_product(layers.params), wrong), 1e-2,
        ),
    )  # fmt: skip


@claim(
    id="A2",
    documents="AR",
    source="Eq. 9, Appendix A.1; review, eq. 16",
    title="Conserved quantities of gradient flow",
    statement=r"$D_j = W_{j+1}^\top W_{j+1} - W_j W_j^\top$ satisfies $D_j(t) = D_j(0) e^{-2 \eta "
    r"\lambda t}$: it is conserved without decay, so that balance is kept; with decay the "
    r"exponential "
    "follows from the same proof",
    assumptions="None: any start.",
    parameters="Depth 3, widths 4 and 6, Gaussian factors of standard deviation 0.5, p = 4.",
    rule="Holds if the difference is below 1e-9.",
)
def _conservation(setting: Setting) -> Findings:
    times = np.linspace(0.0, 2.0, 9)
    start = gaussian_start((4, 6), 0.5, seed=3)
    size = float(np.sqrt(sum(np.sum(np.square(d)) for d in network.conserved(start))))
    errors = {}
    for decay in _DECAYS:
        out = flow.layerwise(example(4.0), start, times, decay)
        found = [np.asarray(d) for d in network.conserved(out.params)]
        errors[decay] = max(
            float(np.abs(d - d[0] * np.exp(-2 * decay * times)[:, None, None]).max()) for d in found
        )
    return findings(
        f"From an unbalanced start of depth 3 ($|D|$ = {size:.2f}) the $D_j$ stay within "
        f"{errors[0.0]:.1e}, and with decay 0.3 follow the exponential to {errors[0.3]:.1e}.",
        at_most("change of $D_j$ without decay", errors[0.0], 1e-9),
        at_most("difference from $D_j(0) e^{-0.6 t}$ at decay 0.3", errors[0.3], 1e-9),
        at_least("size of the $D_j$ at the start", size, 1.0),
    )  # fmt: skip


@claim(
    id="A3",
    documents="L",
    source="Theorem 1, hypothesis: what happens without it",
    title="The end-to-end equation needs balance",
    statement="From an unbalanced start the product does not follow eq. 8. The paper assumes "
    "balance, or a start near zero, where it holds approximately.",
    assumptions="Gaussian factors of standard deviation 0.5, depth 3.",
    parameters=f"{WORDS}; widths 4 and 6, p = 2, time 2; several seeds.",
    rule="Holds if the flows part by more than a tenth of $W_e$ from every start.",
)
def _needs_balance(setting: Setting) -> Findings:
    times, errors = np.linspace(0.0, 2.0, 9), []
    for seed in range(setting.size(5, 3)):
        start = gaussian_start((4, 6), 0.5, seed)
        layers = flow.layerwise(example(2.0), start, times)
        product = flow.end_to_end(example(2.0), _product(start), 3, times).params
        errors.append(relative(_product(layers.params), product))
    return findings(
        f"From Gaussian factors (standard deviation 0.5, depth 3) the flows part by "
        f"{min(errors):.2f} to {max(errors):.2f} of $W_e$ in time 2.",
        at_least(
            "difference of the two flows from Gaussian factors, least of the starts",
            min(errors), 0.1, band=(min(errors), max(errors)),
        ),
    )  # fmt: skip


def _defect(problem: Problem, factors: tuple[np.ndarray, ...]) -> float:
    """Return the relative deviation of the product's motion from the end-to-end rule at a point."""
    w = jnp.asarray(_product(factors))
    layers = tuple(map(jnp.asarray, factors))
    _, pull = jax.vjp(network.end_to_end, layers)
    gradient = problem.gradient(w)
    _, motion = jax.jvp(network.end_to_end, (layers,), (pull(gradient)[0],))
    return relative(np.asarray(motion), np.asarray(precondition(w, gradient, len(factors))))


@claim(
    id="A4",
    documents="ARL",
    source="Section 5, after eq. 10; review, after eq. 24",
    title="Along the path from a start near zero eq. 8 holds nearly",
    statement="Near zero balance holds approximately, and so does eq. 8, say the documents. This "
    "project adds: once $W_e$ has grown the defect of the vector field falls as the square of the "
    "start's scale; at the start itself it does not vanish, however small the scale.",
    assumptions="Judged by the motion at a point of the trajectory, not at equal times.",
    parameters=f"{WORDS}; depth 2, width 4, p = 2; standard deviations 0.1, 0.03, 0.01; defect "
    "taken where $W_e$ has half its final norm.",
    rule="Holds for the documents if the defect from the smallest start is at most 1 %, and for "
    "what is added if its order is at least 1.8 for every seed and it is at least 10 % at the "
    "start itself. The trajectories are reported.",
)
def _near_zero(setting: Setting) -> Findings:
    problem = example(2.0)
    half = float(np.linalg.norm(reference_optimum(problem)[0])) / 2
    scales, seeds = np.array([0.1, 0.03, 0.01]), range(setting.size(5, 3))
    hidden = (4,)
    defects = np.empty((len(seeds), scales.size))
    partings, first = np.empty_like(defects), np.empty_like(defects)
    times = np.linspace(0.0, 12.0, 601)
    for column, scale in enumerate(scales):
        starts = [gaussian_start(hidden, scale, seed) for seed in seeds]
        batch = tuple(np.stack(parts) for parts in zip(*starts, strict=True))
        layers = flow.layerwise(problem, batch, times)
        products = _product(layers.params)
        ruled = flow.end_to_end(problem, _product(batch), 2, times).params
        for row in range(len(seeds)):
            norms = np.linalg.norm(products[row], axis=(1, 2))
            at = int(np.argmax(norms >= half))
            defects[row, column] = _defect(
                problem, tuple(np.asarray(part[row, at]) for part in layers.params)
            )
            partings[row, column] = relative(products[row], ruled[row])
            first[row, column] = _defect(problem, starts[row])
    slopes = [log_slope(scales, row) for row in defects]
    return findings(
        f"Along the flow of the factors, at half the final norm, the rule gives the motion of "
        f"$W_e$ to {np.median(defects[:, 0]):.1e}, {np.median(defects[:, 1]):.1e} and "
        f"{np.median(defects[:, 2]):.1e} from starts of standard deviation 0.1, 0.03 and 0.01 "
        f"(order {min(slopes):.2f} to {max(slopes):.2f}). At the start itself the motion is off by "
        f"{np.median(first[:, 0]):.2f}, {np.median(first[:, 1]):.2f} and "
        f"{np.median(first[:, 2]):.2f} of itself. Compared at the same time the two "
        f"trajectories differ by {np.median(partings[:, -1]):.2f} of $W_e$ (median) even from the "
        "smallest start: an unbalanced start sets another delay.",
        at_most(
            "defect of the vector field where $W_e$ has grown, from the smallest start, largest of "
            "the seeds", defects[:, -1].max(), 1e-2,
        ),
        at_least(
            "order of that defect in the start's scale, least of the seeds",
            min(slopes), 1.8, band=(min(slopes), max(slopes)), document=OWN,
        ),
        at_least(
            "the same defect at the smallest start itself, least of the seeds",
            first[:, -1].min(), 0.1, band=spread(first[:, -1]),
            document=OWN,
        ),
        report(
            "trajectories at the same time: difference relative to $W_e$ from the smallest "
            "start, median", np.median(partings[:, -1]),
            spread(partings[:, -1]),
        ),
    )  # fmt: skip


@claim(
    id="A5",
    documents="AR",
    source="Eq. 10; review, eq. 24",
    title="The discrete rule approximates gradient descent on the factors",
    statement="One step of eq. 10 and of gradient descent on balanced factors differ by "
    r"$O(\eta^2)$, trajectories at a fixed time by $O(\eta)$",
    assumptions="A balanced start.",
    parameters=f"{WORDS}; depth 3, widths 4 and 6, p = 2; rates 0.02 / $2^i$, to time 1.",
    rule="Holds if the fitted orders are 2 and 1, within 0.05.",
)
def _discrete(setting: Setting) -> Findings:
    problem, start = example(2.0), balanced_start((4, 6))
    rates = 0.02 / 2.0 ** np.arange(setting.size(7, 6))
    w0 = _product(start)
    one, fixed = [], []
    for rate in rates:
        steps = round(1.0 / rate)
        layers = simulate(
            problem, make_method("layerwise-gd", 3, (4, 6)), start, rate, steps,
            dtype="float64", save_weights=True, per_decade=1,
        )  # fmt: skip
        rule = simulate(
            problem, make_method("end-to-end", 3), w0, rate, steps,
            dtype="float64", save_weights=True, per_decade=1,
        )  # fmt: skip
        assert layers.w is not None
        assert rule.w is not None
        one.append(float(np.linalg.norm(layers.w[1] - rule.w[1])))
        fixed.append(float(np.linalg.norm(layers.w[-1] - rule.w[-1])))
    orders = log_slope(rates[2:], np.array(one[2:])), log_slope(rates[2:], np.array(fixed[2:]))
    return findings(
        f"Gradient descent on balanced factors and eq. 10 differ after one step by "
        f"$\\eta^{{{orders[0]:.3f}}}$, at a fixed time by $\\eta^{{{orders[1]:.3f}}}$ (from "
        f"{fixed[0]:.1e} to {fixed[-1]:.1e}).",
        within("order in $\\eta$ of the difference at time 1", orders[1], 1.0, 0.05),
        within("order in $\\eta$ of the difference after one step", orders[0], 2.0, 0.05),
        rates=rates,
        one_step=np.array(one),
        fixed_time=np.array(fixed),
    )


@claim(
    id="A11",
    documents="AR",
    source="Section 5, after Claim 1; review, before eq. 27",
    title="Width does not matter",
    statement="From balanced starts with the same $W_e(0)$ the end-to-end trajectory is the same "
    "for all hidden widths of at least the rank of $W_e(0)$",
    assumptions="Balanced start; full rank or a short time, since rounding grows a lost rank.",
    parameters="One output: depth 3, p = 2, rate 0.01, 600 steps, widths 1 to 200. Three outputs: "
    "flow of depth 2 to time 2, widths 3, 7, 20.",
    rule="Holds if all trajectories agree to 1e-9.",
    uses_data=True,
)
def _width(setting: Setting) -> Findings:
    problem = setting.regression(2.0)
    widths = setting.size((1, 2, 16, 64, 128, 200), (1, 16, 64))
    rng = np.random.default_rng(4)
    w = network.random_direction(rng, 1, problem.d, 1, 0.1)
    ends = []
    for width in widths:
        hidden = (width, width)
        start = network.balanced_factors(w, (problem.d, *hidden, 1), np.random.default_rng(width))
        out = simulate(
            problem, make_method("layerwise-gd", 3, hidden), start, 0.01, 600,
            dtype="float64", save_weights=True, per_decade=10,
        )  # fmt: skip
        assert out.w is not None
        ends.append(out.w)
    single = max(relative(end, ends[0]) for end in ends[1:])
    times = np.linspace(0.0, 2.0, 5)
    flows = [
        _product(flow.layerwise(example(2.0), balanced_start((width,)), times).params)
        for width in (3, 7, 20)
    ]
    several = max(relative(end, flows[0]) for end in flows[1:])
    moved = float(np.linalg.norm(ends[0][-1] - ends[0][0]))
    return findings(
        f"From the same balanced start, hidden widths {', '.join(map(str, widths))} give the same "
        f"end-to-end trajectory to {single:.1e} over 600 steps on {setting.data} ($W_e$ moves by "
        f"{moved:.2f}), and three outputs to {several:.1e}.",
        at_most("difference of the trajectories, one output, gradient descent", single, 1e-9),
        at_most("the same, three outputs, flow, widths 3, 7 and 20", several, 1e-9),
    )


@claim(
    id="A13",
    documents="L",
    source="Section 4: the widths that it leaves open",
    title="Required width of a hidden layer",
    statement="A hidden width of at least the rank of the target map loses nothing, even below the "
    "number of inputs",
    assumptions="The width is at least the rank of the best linear map.",
    parameters=f"{WORDS}; depth 2, widths 1 to 3; flow to time 400 from std 0.1.",
    rule="Holds if width 3 reaches the optimum and widths 1 and 2 the best matrix of their "
    "rank, to 1e-6, and width 2 loses at least 1 %.",
)
def _bottleneck(setting: Setting) -> Findings:
    problem = example(2.0)
    optimum, best = reference_optimum(problem)
    x = np.asarray(problem.x)
    # The best matrix of rank r: the least squares fit, cut in the metric of the features.
    root = np.linalg.cholesky(x.T @ x / problem.m)
    s = np.linalg.svd(optimum @ root, compute_uv=False)
    gaps, excess = [], []
    for width in (1, 2, 3):
        start = gaussian_start((width,), 0.1, seed=5)
        end = flow.layerwise(problem, start, [0.0, 400.0], tolerance=1e-10).params
        loss = float(problem.loss(jnp.asarray(_product(end)[-1])))
        least = best + 0.5 * float(np.sum(s[width:] ** 2))
        gaps.append(abs(loss - least) / best)
        excess.append((loss - best) / best)
    return findings(
        f"A hidden width equal to the rank of the target map (3, with 5 inputs) reaches the "
        f"optimum to {excess[2]:.1e}. Narrower ones end at the best matrix of their rank (to "
        f"{max(gaps):.1e}), {excess[1]:.2g} and {excess[0]:.2g} times the least loss above it.",
        at_most(
            "loss above the best of that rank, widths 1, 2, 3, relative (largest)",
            max(gaps), 1e-6,
        ),
        at_most("loss of width 3 (the target's rank, below the 5 inputs) above the optimum",
                excess[2], 1e-6),
        at_least("the same for width 2: it loses", excess[1], 1e-2),
    )  # fmt: skip
