"""Errata of the documents, with corrections that follow from the mathematics.

Ids of claims that measure the printed and the corrected form are given. The paper and the review of
it, which share claims, are separate here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Erratum:
    """A place that needs correction. Texts have formulas between dollar signs, in LaTeX.

    Attributes:
        document, where: a key of `SOURCES`, and the equation, section or figure.
        printed, corrected: the text, and its correction or refutation.
        claims: ids of related claims.
    """

    document: str
    where: str
    printed: str
    corrected: str
    claims: tuple[str, ...] = ()


SOURCES = {
    "Arora 2018": "S. Arora, N. Cohen and E. Hazan, On the Optimization of Deep Networks: "
    "Implicit Acceleration by Overparameterization (ICML 2018)",
    "Ava 2024": "K. Ava, Literature Review of Optimization in Deep Networks: Implicit "
    "Acceleration by Overparameterization (2024)",
    "Expansions": "Anonymous, Network expansions modify loss landscape: the case of quadratic "
    "functions (undated chapter)",
    "Hou": "C. Hou, H. Khandeparkar and G. Li, Exploring the effect of depth on optimization "
    "(course report, undated)",
    "Width": "Anonymous, Empirically Characterizing Overparameterization Impact on Convergence "
    "(manuscript under review, undated)",
}
"""Documents with errata, as cited."""

_arora, _ava, _expansions, _hou, _width = (partial(Erratum, document) for document in SOURCES)

ERRATA = (
    _arora(
        "Section 6, before Theorem 2",
        "The assumptions are minimal and also necessary.",
        "They are sufficient. The field fails to be a gradient for $N = 2$ too, unless the loss "
        "is special (a constant gradient, or a quadratic loss on whitened data).",
        ("A18",),
    ),
    _arora(
        "Section 8",
        "Identity initialization satisfies eq. 7.",
        r"Only if $\min(n_j, n_{j-1})$ is the same for every layer $j$; otherwise the rectangular "
        "identities are not balanced.",
        ("A30",),
    ),
    _arora(
        "Appendix A.1, after eq. 19",
        "Singular values stand on the diagonal in non-decreasing order.",
        "Non-increasing: the factors are to differ in trailing zeros only, and "
        r"$\rho_1 > \rho_2 > \dots$ follows.",
    ),
    _arora(
        "Appendix B, last paragraph",
        r"The acceleration is more than $y_1 / (4 \epsilon_1)$.",
        r"About $y_1 / (4 \epsilon_1)$: the rate $1 / (2 \epsilon_1 y_1)$ holds in leading order, "
        "and $w_1$ stays slightly below $y_1$. It speaks of the update of eq. 12, not of gradient "
        "descent on the layers.",
        ("A21", "A23"),
    ),
    _ava(
        "Section 2 and references",
        "AdaGrad is reference 5, and BFGS is detailed by reference 12.",
        "AdaGrad (Duchi, Hazan and Singer) is reference 12; there is no reference for BFGS.",
    ),
    _ava(
        "Eqs. 1 and 2",
        r"$L(w) = \mathbb{E}[(x^\top w - y)^p]$",
        r"$L(w) = \frac{1}{p} \mathbb{E}[(x^\top w - y)^p]$, of which eqs. 3 to 5 are the "
        "gradients; the same in eq. 2.",
    ),
    _ava(
        "Eq. 6",
        r"$w^{(t+1)} = w^{(t)} - \eta (w^{(t)})^2 \nabla w^{(t)} "
        r"- \eta (w^{(t)})^{-1} \nabla w_2^{(t)} w^{(t)}$",
        r"$w^{(t+1)} = w^{(t)} - \eta (w_2^{(t)})^2 \nabla w^{(t)} - \eta (w_2^{(t)})^{-1} \nabla "
        "w_2^{(t)} w^{(t)}$: the scalar layer, not the vector, is squared and inverted.",
        ("A14",),
    ),
    _ava("Eq. 7", r"$\rho(t) = \eta (w^{(t)})^2$", r"$\rho(t) = \eta (w_2^{(t)})^2$", ("A15",)),
    _ava(
        "Eq. 9",
        r"The training loss maps to $\mathbb{R}_{>0}$.",
        r"To $\mathbb{R}_{\ge 0}$: the loss of a perfect fit is zero.",
    ),
    _ava(
        "Before eq. 13",
        r"$W_{i+1}^\top W_{j+1} = W_j W_i^\top$",
        r"$W_{j+1}^\top W_{j+1} = W_j W_j^\top$, which is balance.",
        ("A1", "A3"),
    ),
    _ava(
        "Eq. 13",
        r"$\sum_{i=1}^N [W_e W_e^\top]^{\frac{i-1}{N}} \frac{\partial L_1}{\partial W_e} "
        r"[W_e^\top W_e]^{\frac{N-j}{N}}$",
        r"$\sum_{j=1}^N [W_e W_e^\top]^{\frac{j-1}{N}} \frac{\partial L_1}{\partial W_e} "
        r"[W_e^\top W_e]^{\frac{N-j}{N}}$: one index.",
        ("A1",),
    ),
    _ava(
        "Before eq. 15", "The differential equation of gradient descent is eq. 11.", "It is eq. 12."
    ),
    _ava(
        "Before eq. 16",
        "The equation of layer $j+1$ is multiplied by $W_{j+1}$ from the left.",
        r"By $W_{j+1}^\top$: otherwise shapes do not match.",
        ("A2",),
    ),
    _ava(
        "Before eq. 17",
        "The eigenvalue decomposition of $W_j$",
        "The singular value decomposition: $W_j$ need not be square.",
    ),
    _ava(
        "Eqs. 18 to 21",
        r"$\prod_{j=N}^{1} W_i \prod_{i=N}^{j} W_i^\top$ and "
        r"$\prod_{i=1}^{j} W_i^\top \prod_{i=j}^{1} W_i$, with $W_e = \prod_{j=N}^{1} W_j$",
        r"$\prod_{i=j}^{N} W_i \prod_{i=j}^{N} W_i^\top$ and "
        r"$\prod_{i=1}^{j} W_i^\top \prod_{i=1}^{j} W_i$, with $W_e = \prod_{j=1}^{N} W_j$, in "
        "the notation of eq. 14. The right sides stand.",
    ),
    _ava(
        "After eq. 23",
        "Eqs. 22 and 23 are put into eq. 16.",
        "Into eq. 15, after multiplying it by the other layers and summing over $j$.",
        ("A1",),
    ),
    _ava(
        "Eq. 25",
        r"$\sum_{j=1}^N [W_e W_e]^{\frac{N-j}{N}} \circ [W_e^\top W_e]^{\frac{j-1}{N}}$",
        r"$\sum_{j=1}^N [W_e^\top W_e]^{\frac{N-j}{N}} \otimes [W_e W_e^\top]^{\frac{j-1}{N}}$, by "
        r"$\mathrm{vec}(A X B) = (B^\top \otimes A) \mathrm{vec}(X)$, column first.",
        ("A7",),
    ),
    _ava(
        "After eq. 26",
        r"Eigenvalues $\sum_{j=1}^N \sigma_r^{2 \frac{N-j}{N}} "
        r"\sigma_{r'}^{2 \frac{1-N}{N}}$ of eigenvectors $\mathrm{vec}(u_r v_r^\top)$",
        r"$\sum_{j=1}^N \sigma_r^{2 \frac{N-j}{N}} \sigma_{r'}^{2 \frac{j-1}{N}}$ of "
        r"$\mathrm{vec}(u_r v_{r'}^\top)$. The printed ones are infinite where "
        r"$\sigma_{r'} = 0$. The transformation meant is that of eq. 26, not 27.",
        ("A8",),
    ),
    _ava(
        "Eq. 28",
        r"$\Pr_W\{V\} = \frac{W W^\top}{\lVert W \rVert^2} V$",
        r"$\Pr_W\{V\} = \frac{V W^\top}{\lVert W \rVert^2} W$: for a row vector the printed "
        "factor is the number 1, which projects nothing.",
        ("A10",),
    ),
    _ava(
        "Section 6",
        r"$F_\phi$ is called the regularization term; no condition is given.",
        "It is the transformed gradient field. That it is no gradient is shown for $N > 2$ and a "
        r"field $\phi$ that is continuous near 0 with $\phi(0) \ne 0$.",
        ("A16", "A17", "A18"),
    ),
    _ava(
        "Section 7, gradient descent",
        r"$w^{(t+1)} = w^{(t)} - \eta (w^{(t)} - y_i)^{p-1}$",
        r"$w_i^{(t+1)} = w_i^{(t)} - \eta (w_i^{(t)} - y_i)^{p-1}$",
    ),
    _ava(
        "Section 7, change of variables",
        r"$\Delta^{(t+1)} = \Delta^{(t)} - \eta (\Delta^{(t)})^{p-2}$",
        r"$\Delta_i^{(t+1)} = \Delta_i^{(t)} - \eta (\Delta_i^{(t)})^{p-1}$; the printed map "
        "diverges from $-y_i$, for every rate.",
        ("A19",),
    ),
    _ava(
        "Section 7, coupling",
        r"The learning rate is scaled by $\frac{2}{y_1^{2 - \frac{2}{N}}}$, under the update of "
        "eq. 26.",
        r"By $y_1^{2 - \frac{2}{N}}$, under that of eq. 27.",
        ("A20",),
    ),
    _ava(
        "Section 7, last paragraph",
        "Gradient descent has a rate of almost $2 / y_1^2$.",
        "At most $2 / y_1^2$: it is the limit of stability.",
        ("A19", "A21"),
    ),
    _ava(
        "Section 8",
        "Two matrices in succession are replaced instead of the matrix.",
        "The matrix of each dense layer is replaced by two in succession.",
    ),
    _expansions(
        "Eqs. 6 to 12",
        r"$\mathbb{E}[\nu] = 4 \gamma w^2 - 8 \gamma^2 w^2 - 2 \eta^2$",
        r"$\mathbb{E}[\nu] = 4 \gamma w^2 - 4 \gamma^2 w^2 - \eta^2$: the second-order term of "
        r"Taylor's formula has the factor $\frac{1}{2}$.",
        ("B1",),
    ),
    _expansions(
        "After eq. 11",
        r"Noise decreases the learning speed in proportion to $\eta$.",
        r"In proportion to $\eta^2$, as in eq. 11.",
        ("B1",),
    ),
    _expansions(
        "Eq. 13",
        r"$\gamma^* = \frac{w^2}{4 w^2 + 1 / \sigma^2}$",
        r"$\gamma^* = \frac{2 w^2}{4 w^2 + 1 / \sigma^2}$",
        ("B2",),
    ),
    _expansions("After eq. 23", r"$\lVert \nabla f_{21} \rVert = 4 w$", "$4 |w|$"),
    _expansions(
        "Eqs. 19 to 28",
        r"The expansion is $\phi_a(w) = (w, a)$ in two dimensions; in $N$ it begins at "
        r"$\frac{w_0}{\sqrt{N}} (1, \dots, 1)$.",
        "In two dimensions it doubles the first loss at its start, and adds $a^2$ to the second; "
        r"in $N$ dimensions the points $\frac{w_0}{\sqrt{N}} (1, \dots, 1)$ keep the loss. These "
        "are two different comparisons.",
    ),
    _expansions(
        "Eqs. 23, 28, 33 and 60",
        r"$\operatorname{Tr} H^3 / \operatorname{Tr} H^2$ is the spread of the eigenvalues.",
        "It is a weighted mean of them: with equal eigenvalues it is their value, not 0.",
    ),
    _expansions(
        "After eq. 33",
        "Slope and spread increase linearly with $N$, and the average eigenvalue increases.",
        r"The average eigenvalue is $\rho$ for every $N$. At the points compared the slope is "
        r"$\rho \sqrt{N} w_0$; it is linear in $N$ only at a fixed $w_1$.",
        ("B4",),
    ),
    _expansions("Eq. 34", r"$\nabla f_{21}$", r"$\nabla f$, of the function in question."),
    _expansions(
        "Eqs. 35 to 40",
        r"$\gamma \rho^2 N w_0^2 - \gamma^2 \rho^3 N^2 w_0^2 - \eta^2 \rho N$",
        r"$\gamma \rho^2 N w_0^2 - \frac{1}{2} \gamma^2 \rho^3 N^2 w_0^2 "
        r"- \frac{1}{2} \eta^2 \rho N$",
        ("B4",),
    ),
    _expansions(
        "Eq. 41",
        r"$\gamma_{N1}^* = \frac{\rho w_0^2}{2 (w_0^2 \rho^2 N + 1 / \sigma^2)}$",
        r"$\gamma_{N1}^* = \frac{\rho w_0^2}{w_0^2 \rho^2 N + 1 / \sigma^2}$",
        ("B6",),
    ),
    _expansions(
        "After eq. 41",
        r"If $\sigma$ decreases, a larger learning step can be tolerated.",
        r"The best learning step increases with $\sigma$: more noise asks for a smaller one.",
        ("B6",),
    ),
    _expansions(
        "Eqs. 42 and 67",
        r"Prefactor $\frac{1}{4}$ of the optimal learning speed",
        r"$\frac{1}{2}$",
        ("B7",),
    ),
    _expansions(
        "Eq. 43",
        r"$\lim_{N \to \infty} \mathbb{E}[\nu]_{N1}^* = \frac{\rho w_0}{4}$",
        r"$\frac{\rho w_0^2}{2}$, the whole loss in one step. Even eq. 42 as printed gives "
        r"$\frac{\rho w_0^2}{4}$.",
        ("B8",),
    ),
    _expansions(
        "Eqs. 44 to 47 and 68 to 71",
        r"With eq. 6 as printed, $\mathbb{E}[\nu] = \gamma \lVert g \rVert^2 (1 - G)$: "
        "learning stops where $G = 1$.",
        r"$\mathbb{E}[\nu] = \gamma \lVert g \rVert^2 (1 - \frac{G}{2})$: it stops where "
        "$G = 2$. The formulas of $G$ itself stand.",
        ("B9",),
    ),
    _expansions(
        "Eqs. 48 to 50, 52 to 54 and 72 to 74",
        r"Prefactor $\frac{1}{2}$",
        r"1, since $\gamma^*$ is twice the printed one. Signs and conclusions stand. Eqs. 51 and "
        "55 are empty.",
        ("B11",),
    ),
    _expansions(
        "Eqs. 61 to 65",
        r"$\gamma \rho^2 w_0^2 - \gamma^2 \rho^3 w_0^2 - \eta^2 \rho N$",
        r"$\gamma \rho^2 w_0^2 - \frac{1}{2} \gamma^2 \rho^3 w_0^2 - \frac{1}{2} \eta^2 \rho N$; "
        "in eq. 62 $H_{N1}$ should be $H_{N2}$, which has the same trace.",
        ("B5",),
    ),
    _expansions(
        "Eq. 66",
        r"$\gamma_{N2}^* = \frac{\rho w_0^2}{2 (w_0^2 \rho^2 + N / \sigma^2)}$, about "
        r"$\frac{1}{2 \rho}$ far from the minimum",
        r"$\gamma_{N2}^* = \frac{\rho w_0^2}{w_0^2 \rho^2 + N / \sigma^2}$, about $\frac{1}{\rho}$",
        ("B6",),
    ),
    _hou(
        "Section 1",
        r"$\mathbb{E}[(M x - M^* y)^p]$",
        r"$\mathbb{E} \sum_i (M x - M^* x)_i^p$ with even $p$: the labels of a realizable problem "
        "are $M^* x$, and a power of a vector has no meaning.",
    ),
    _hou(
        "Section 2",
        r"The data points are $(0, 1) \mapsto y_1$ and $(1, 0) \mapsto y_2$.",
        r"$(1, 0) \mapsto y_1$ and $(0, 1) \mapsto y_2$, for the loss that follows.",
    ),
    _hou(
        "Lemma 2.1 and its proof",
        r"$\epsilon = \Theta((\eta t)^{-1/p-2})$",
        r"$|\Delta| = ((p-2) \eta t)^{-1/(p-2)} (1 + o(1))$ for the error of the parameter; the "
        "loss falls as $t^{-p/(p-2)}$.",
        ("C1",),
    ),
    _hou("Figure 1", r"The slope is about $\frac{1}{2}$.", r"About $-\frac{1}{2}$.", ("C1",)),
    _hou("Section 3", "The results on MNIST are in figure 1.", "In figure 2."),
    _hou(
        "Appendix A, update of $m_i$",
        r"$m_i^{(t+1)} = m_i^{(t+1)} - \eta (m_i^{(t+1)} - y_i)^{p-1}$",
        r"$m_i^{(t+1)} = m_i^{(t)} - \eta (m_i^{(t)} - y_i)^{p-1}$, for the loss with the factor "
        r"$\frac{1}{p}$.",
    ),
    _hou(
        "Appendix A, induction",
        r"$\Theta(t^{-1/(p-2)}) (1 - \Theta(\frac{1}{t})) = \Theta((t+1)^{-1/(p-2)})$",
        "The orders are the same whatever the constants are, so this proves no rate. "
        r"$u = \Delta^{-(p-2)}$ does: $u^{(t+1)} = u^{(t)} + (p-2) \eta + O(\eta^2 / u^{(t)})$.",
        ("C2",),
    ),
    _hou(
        "Appendix A, factor",
        r"$(1 - \frac{1}{t+1})^{1/(p-2)} = 1 - \frac{1}{2 (p-2)(t+1)} + O(\frac{1}{t^2})$",
        r"$1 - \frac{1}{(p-2)(t+1)} + O(\frac{1}{t^2})$",
        ("C3",),
    ),
    _width(
        "Abstract and Section 4.3",
        "The abstract has the distance shrink like a power law and gradients more aligned; the "
        "section finds a logarithm, and little effect on alignment.",
        "The two contradict each other; the claims measure both.",
        ("D10", "D12"),
    ),
    _width(
        "Section 1",
        "That width does not matter presupposes hidden layers wider than the input.",
        "It needs them as wide as the rank of the target map, which is at most the smaller of the "
        "numbers of inputs and outputs.",
        ("A13", "D9"),
    ),
    _width(
        "Section 3.1",
        "The time to convergence is the number of iterations to reach 1 % of the minimum "
        "validation loss.",
        "To come within 1 % of it: to 1.01 times the minimum.",
        ("D8",),
    ),
    _width(
        "Section 3.2",
        "Figures 10a and 10b show depth and size of the dataset.",
        "Figures 3a and 3b do.",
    ),
    _width(
        "Section 3.2, last sentence",
        "With steps as $D / M^k$, data scaled by $S$ allow a model scaled by $S^k$ in the same "
        "number of steps.",
        "By $S^{1/k}$.",
    ),
    _width(
        "Eq. 4, third line",
        r"$\alpha^2 T\, \mathbb{E} \lVert \nabla F(W^{(t)}) \rVert^2$, with $t$ unbound",
        r"$\alpha^2 T$ times the average over $t = 0, \dots, T-1$; the same in the last term.",
        ("D5",),
    ),
    _width(
        "Section 4.3", "There are models of up to 13 billion parameters.", "Figure 5 has millions."
    ),
    _width(
        "Section 4.3, misalignment",
        r"$A_s = \arccos \frac{\langle W^{(t)}, W^{(0)} \rangle}"
        r"{\lVert W^{(t)} \rVert \lVert W^{(0)} \rVert}$, and $A_e$ alike with $W^*$",
        r"These are not angles with the gradient, as the text describes them. With $u = -\nabla "
        "F(W^{(t)})$: $A_s$ is the angle between $u$ and $W^{(0)} - W^{(t)}$, $A_e$ that between "
        r"$u$ and $W^* - W^{(t)}$. On a straight path then $A_s = \pi - A_e = \pi$.",
        ("D6",),
    ),
    _width(
        "Appendix B, $K = 1$",
        r"$\frac{1}{2R} \int_{-R}^{R} x \, dx = C$",
        r"$\frac{1}{2R} \int_{-R}^{R} |C - x| \, dx$, which is $C$ for $R \le C$ and "
        r"$\frac{C^2 + R^2}{2R}$ for $R > C$. The printed integral is 0.",
        ("D1",),
    ),
    _width(
        "Appendix B, $K = 2$",
        r"The average distance to the line $w_1 + w_2 = C$ is $\frac{C}{2}$.",
        r"The line is at $h = \frac{C}{\sqrt{2}}$ from the origin, and the average distance from "
        r"a disk of radius $R \le h$ is $h$; from a larger disk it is more.",
        ("D2",),
    ),
    _width(
        "Appendix B, conclusion",
        "The average distance becomes smaller with every dimension.",
        r"It is $\frac{C}{\sqrt{K}}$ for starts in a ball of radius "
        r"$R \le \frac{C}{\sqrt{K}}$. With independent weights of standard deviation $s$ it "
        r"tends to the floor $s \sqrt{\frac{2}{\pi}}$.",
        ("D3", "D4"),
    ),
)
"""All errata, by document and in the order of the text."""
