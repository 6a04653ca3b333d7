"""Claims 1 and 2: the preconditioner as a matrix, its spectrum, its single-output form."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from lnn.claims.acceleration.example import relative
from lnn.claims.claim import claim
from lnn.claims.setting import Setting
from lnn.core import network, spectral
from lnn.results.verdict import Findings, Role, at_least, at_most, findings, report, within
from lnn.transforms.single_output import scale_by_single_output

_SHAPES = ((3, 5, 3), (3, 5, 2), (5, 3, 3), (1, 6, 1))
_CASES = "Depths 1 to 4; $W$ of shape and rank (3 x 5, 3), (3 x 5, 2), (5 x 3, 3), (1 x 6, 1)."


def _cases() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    for depth in (1, 2, 3, 4):
        for k, d, rank in _SHAPES:
            w = network.random_direction(rng, k, d, rank, 2.0)
            yield depth, w, rng.standard_normal((k, d))


def _columns(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix).ravel(order="F")


@claim(
    id="A7",
    documents="AR",
    source="Claim 1, eq. 11; misprinted in the review, eq. 25",
    title="The end-to-end update is linear in the gradient, with a semidefinite matrix",
    statement=r"$\mathrm{vec}(\mathrm{update}) = P\,\mathrm{vec}(g)$ with $P = \sum_{j=1}^{N} "
    r"[W^\top W]^{\frac{N-j}{N}} \otimes [W W^\top]^{\frac{j-1}{N}}$, positive semidefinite; vec "
    "stacks columns",
    assumptions="Powers of positive semidefinite matrices, with $0^0 = 1$.",
    parameters=_CASES,
    rule="Holds if both sides agree to 1e-12 and no eigenvalue is negative beyond rounding; the "
    "review's formula must be defined for every shape.",
    printed=r"The review's eq. 25: $\sum_j [W_e W_e]^{\frac{N-j}{N}} \circ [W_e^\top "
    r"W_e]^{\frac{j-1}{N}}$. A transpose is missing, without which the first factor exists for "
    r"square matrices only.",
)
def _rule_as_matrix(setting: Setting) -> Findings:
    errors: list[float] = []
    rows: list[float] = []
    lowest: list[float] = []
    rows_first: list[float] = []
    defined: list[bool] = []
    for depth, w, g in _cases():
        matrix = np.asarray(spectral.preconditioner_matrix(jnp.asarray(w), depth))
        update = np.asarray(spectral.precondition(jnp.asarray(w), jnp.asarray(g), float(depth)))
        size = np.linalg.norm(update)
        errors.append(float(np.linalg.norm(matrix @ _columns(g) - _columns(update)) / size))
        rows.append(float(np.linalg.norm(matrix @ g.ravel() - update.ravel()) / size))
        lowest.append(float(np.linalg.eigvalsh(matrix)[0] / np.linalg.norm(matrix)))
        # The review's eq. 25 with the missing transpose is this matrix for W^T.
        read = np.asarray(spectral.preconditioner_matrix(jnp.asarray(w.T), depth))
        rows_first.append(float(np.linalg.norm(read @ g.ravel() - update.ravel()) / size))
        defined.append(w.shape[0] == w.shape[1])
    return findings(
        f"In {len(errors)} cases the update is P times the stacked gradient to {max(errors):.1e}; "
        f"for a vec that stacks rows the same matrix errs by up to {max(rows):.2g}. The review's "
        f"formula as it stands is defined in {sum(defined)} of the cases, since $W$ is not square. "
        r"With $W_e W_e^\top$ for its first factor it is right if vec stacks rows "
        f"({max(rows_first):.1e}), which the review leaves open.",
        at_most(r"the update against $P\,\mathrm{vec}(g)$", max(errors), 1e-12),
        at_least("least eigenvalue of $P$, relative to its norm", min(lowest), -1e-12),
        at_least(
            "share of the cases in which the review's $W_e W_e$ is defined",
            float(np.mean(defined)), 1.0, Role.PRINTED, document="R",
        ),
        report("the same matrix on a vec that stacks rows: largest error", max(rows)),
        report(
            r"the review's formula with $W_e W_e^\top$, on a vec that stacks rows: largest error",
            max(rows_first),
        ),
    )  # fmt: skip


@claim(
    id="A8",
    documents="AR",
    source="Claim 1; misprinted in the review, after eq. 26",
    title="Eigenvectors and eigenvalues of the preconditioner",
    statement=r"$\mathrm{vec}(u_r v_{r'}^\top)$ is an eigenvector of $P$ with eigenvalue "
    r"$\sum_{j=1}^{N} \sigma_r^{2\frac{N-j}{N}} \sigma_{r'}^{2\frac{j-1}{N}}$; exchanging the two "
    "exponents does not change the sum",
    assumptions="Singular vectors complete to bases; zero singular values beyond the rank.",
    parameters=f"{_CASES} The review's values on a matrix of full rank, singular values 2 and 0.5, "
    "and on one of rank 2 of 3, at depth 3.",
    rule="Holds if the eigenvalue equation is satisfied to 1e-10, in both pairings; the review's "
    "values must agree with the eigenvalues to the same.",
    printed=r"The review, after eq. 26: $\sum_{j=1}^{N} \sigma_r^{2\frac{N-j}{N}} "
    r"\sigma_{r'}^{2\frac{1-N}{N}}$, with $1 - N$ in the place of $j - 1$",
)
def _spectrum(setting: Setting) -> Findings:
    residuals, swapped, orthonormal = [], [], []
    for depth, w, _ in _cases():
        matrix = np.asarray(spectral.preconditioner_matrix(jnp.asarray(w), depth))
        values, vectors = map(np.asarray, spectral.preconditioner_eigenpairs(jnp.asarray(w), depth))
        size = np.linalg.norm(matrix, 2)
        residuals.append(np.abs(matrix @ vectors - vectors * values).max() / size)
        orthonormal.append(np.abs(vectors.T @ vectors - np.eye(values.size)).max())
        # Exponents exchanged between u_r and v_r': the sum runs over the same terms backwards.
        exchanged = _exchanged_values(w, depth)
        swapped.append(np.abs(exchanged - values).max() / size)
    full, depth = np.array([2.0, 0.5]), 3
    right = np.asarray(spectral.preconditioner_eigenpairs(jnp.asarray(np.diag(full)), depth)[0])
    # Column first: u_r changes faster than v_r'.
    off = float(np.max(np.abs(printed_values(full, depth).T.ravel() / right - 1)))
    finite = float(np.isfinite(printed_values(np.array([2.0, 0.5, 0.0]), depth)).mean())
    return findings(
        f"All pairs satisfy the eigenvalue equation to {max(residuals):.1e}. Which of the two "
        f"exponents goes with which vector does not matter for the sum ({max(swapped):.1e}). The "
        f"review's values are off by up to {off:.2g} times the eigenvalue on a matrix of full "
        r"rank, and infinite or undefined where $\sigma_{r'} = 0$: "
        f"{100 * finite:.0f} % of them are finite on a matrix of rank 2 of 3.",
        at_most(
            r"$P q - \lambda q$ over all pairs, relative to $\lVert P \rVert$",
            max(residuals), 1e-10,
        ),
        at_most("eigenvectors from orthonormal", max(orthonormal), 1e-10),
        at_most("eigenvalues with the exponents exchanged", max(swapped), 1e-10),
        at_most(
            "the review's values on a matrix of full rank, depth 3: largest distance from the "
            "eigenvalue, relative to it", off, 1e-10, Role.PRINTED, document="R",
        ),
        report("share of the review's values that are finite on a matrix of rank 2 of 3", finite),
    )  # fmt: skip


def printed_values(s: np.ndarray, depth: int) -> np.ndarray:
    """Evaluate the review's sum of sigma_r^(2(N-j)/N) sigma_r'^(2(1-N)/N) for all pairs (r, r')."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [
            s[:, None] ** (2 * (depth - j) / depth) * s ** (2 * (1 - depth) / depth)
            for j in range(1, depth + 1)
        ]
        return np.asarray(sum(terms))


def _exchanged_values(w: np.ndarray, depth: int) -> np.ndarray:
    k, d = w.shape
    s = np.linalg.svd(w, compute_uv=False)
    s = np.where(s > 1e-12 * s[0], s, 0.0)
    left, right = np.zeros(k), np.zeros(d)
    left[: s.size] = right[: s.size] = s
    total = np.zeros((d, k))
    for j in range(1, depth + 1):
        total += left ** (2 * (depth - j) / depth) * (right ** (2 * (j - 1) / depth))[:, None]
    return total.ravel()


@claim(
    id="A9",
    documents="AR",
    source="Section 5, after Claim 1; review, after eq. 26",
    title="Eigenvalues grow with the singular values",
    statement=r"For $N \geq 2$ the eigenvalues increase in $\sigma_r$ and $\sigma_{r'}$; for $N = "
    "1$ all are equal",
    assumptions="None.",
    parameters="Depths 1, 2, 3, 4, 8; singular values 0 and 1e-3 to 1e3, 10 a decade.",
    rule=r"Holds if every eigenvalue grows between neighbours for $N \ge 2$, and none changes at "
    "$N = 1$.",
)
def _increasing(setting: Setting) -> Findings:
    s = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 61)])
    least, constant, stuck = np.inf, 0.0, 0
    for depth in (1, 2, 3, 4, 8):
        w = jnp.asarray(np.diag(s))
        values = np.asarray(spectral.preconditioner_eigenpairs(w, depth)[0]).reshape(s.size, s.size)
        # The decomposition sorts singular values in descending order.
        steps = -np.diff(values, axis=0) / np.maximum(values[:-1], values[1:]).clip(1e-300)
        if depth == 1:
            constant = float(np.ptp(values))
        else:
            least = min(least, float(steps.min()))
            stuck += int(np.sum(~(steps > 0)))
    return findings(
        f"Over singular values 0 and 1e-3 to 1e3, 10 a decade, every eigenvalue grows with its "
        f"singular values at N = 2, 3, 4, 8 (by {100 * least:.2g} % at least); at N = 1 all are "
        "equal.",
        at_most(
            "eigenvalues that do not grow from one singular value to the next, N >= 2", stuck, 0
        ),
        report("least relative increase from one singular value to the next, N >= 2", least),
        within("spread of the eigenvalues at N = 1", constant, 0.0, 0.0),
    )  # fmt: skip


@claim(
    id="A10",
    documents="AR",
    source="Claim 2, eq. 12; misprinted in the review, eq. 28",
    title="One output: a norm factor and an amplified projection",
    statement=r"$\sum_j [W W^\top]^{\frac{j-1}{N}} g [W^\top W]^{\frac{N-j}{N}} = \lVert W "
    r"\rVert^{2 - \frac{2}{N}} (g + (N - 1) \mathrm{Pr}_W g)$, $\mathrm{Pr}_W g = \frac{\langle g, "
    r"W \rangle}{\lVert W \rVert^2} W$",
    assumptions="$W$ is a row vector, not zero.",
    parameters="d = 7; N = 1, 2, 3, 4, 8; entries of $W$ of size 0.01, 1 and 30.",
    rule="Holds if eq. 12 equals the definition, summed term by term, to 1e-12.",
    printed=r"The review's eq. 28: $\mathrm{Pr} = W W^\top / \lVert W \rVert^2$",
)
def _single_output(setting: Setting) -> Findings:
    rng = np.random.default_rng(3)
    errors, printed = [], dict[int, float]()
    for depth in (1, 2, 3, 4, 8):
        for scale in (0.01, 1.0, 30.0):
            w = scale * rng.standard_normal((1, 7))
            g = rng.standard_normal((1, 7))
            definition = np.asarray(
                spectral.preconditioner_matrix(jnp.asarray(w), depth)
            ) @ _columns(g)
            rule = scale_by_single_output(float(depth))
            update = np.asarray(rule.update(jnp.asarray(g), rule.init(w), jnp.asarray(w))[0])
            errors.append(relative(update, definition[None]))
            norm = np.linalg.norm(w)
            literal = norm ** (2 - 2 / depth) * (g + (depth - 1) * g)
            printed[depth] = max(printed.get(depth, 0.0), relative(literal, definition[None]))
    return findings(
        f"The two forms agree to {max(errors):.1e} for d = 7, N = 1, 2, 3, 4, 8 and three norms of "
        f"W. The review's projector is the identity on a row vector: its update is off by "
        f"{printed[2]:.2f} (N = 2) and {printed[3]:.2f} (N = 3).",
        at_most("eq. 12 against eq. 10", max(errors), 1e-12),
        at_most(
            "the review's projector $W W^\\top / \\lVert W \\rVert^2$ (which is 1 for a row), "
            "N = 2", printed[2], 1e-12, Role.PRINTED, document="R",
        ),
        at_most("the same, N = 3", printed[3], 1e-12, Role.PRINTED, document="R"),
    )  # fmt: skip
