"""Errata of the documents, with corrections that follow from the mathematics.

Ids of claims that measure the printed and the corrected form are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Erratum:
    """A place that needs correction. Texts have formulas between dollar signs, in LaTeX.

    Attributes:
        document, where: the document's letter, and the equation, section or figure.
        printed, corrected: the text, and its correction or refutation.
        claims: ids of related claims.
    """

    document: str
    where: str
    printed: str
    corrected: str
    claims: tuple[str, ...] = ()


_arora, _review, _expansions, _hou, _width = (partial(Erratum, letter) for letter in "ARBCD")

ERRATA = (
    _arora(
        "Appendix A.1, after eq. 19",
        "Singular values stand on the diagonal in non-decreasing order.",
        "Non-increasing: the factors are to differ in trailing zeros only, and "
        r"$\rho_1 > \rho_2 > \dots$ follows.",
    ),
    _review(
        "Sections 1 and 2, and references",
        "AdaGrad is reference 5, and BFGS is detailed by reference 12.",
        "AdaGrad (Duchi, Hazan and Singer) is reference 12; there is no reference for BFGS.",
    ),
    _review(
        "Eqs. 1 and 2",
        r"$L(w) = \mathbb{E}[(x^\top w - y)^p]$",
        r"$L(w) = \frac{1}{p} \mathbb{E}[(x^\top w - y)^p]$, of which eqs. 3 to 5 are the "
        "gradients; the same in eq. 2.",
    ),
    _review(
        "Eq. 6",
        r"$w^{(t+1)} = w^{(t)} - \eta (w^{(t)})^2 \nabla w^{(t)} "
        r"- \eta (w^{(t)})^{-1} \nabla w_2^{(t)} w^{(t)}$",
        r"$w^{(t+1)} = w^{(t)} - \eta (w_2^{(t)})^2 \nabla w^{(t)} - \eta (w_2^{(t)})^{-1} \nabla "
        "w_2^{(t)} w^{(t)}$: the scalar layer, not the vector, is squared and inverted.",
        ("A14",),
    ),
    _review("Eq. 7", r"$\rho(t) = \eta (w^{(t)})^2$", r"$\rho(t) = \eta (w_2^{(t)})^2$", ("A15",)),
    _review(
        "Eq. 9",
        r"The training loss maps to $\mathbb{R}_{>0}$.",
        r"To $\mathbb{R}_{\ge 0}$: the loss of a perfect fit is zero.",
    ),
    _review(
        "Before eq. 13",
        r"$W_{i+1}^\top W_{j+1} = W_j W_i^\top$",
        r"$W_{j+1}^\top W_{j+1} = W_j W_j^\top$, which is balance.",
        ("A1", "A3"),
    ),
    _review(
        "Eq. 13",
        r"$\sum_{i=1}^N [W_e W_e^\top]^{\frac{i-1}{N}} \frac{\partial L_1}{\partial W_e} "
        r"[W_e^\top W_e]^{\frac{N-j}{N}}$",
        r"$\sum_{j=1}^N [W_e W_e^\top]^{\frac{j-1}{N}} \frac{\partial L_1}{\partial W_e} "
        r"[W_e^\top W_e]^{\frac{N-j}{N}}$: one index.",
        ("A1",),
    ),
    _review(
        "Before eq. 15", "The differential equation of gradient descent is eq. 11.", "It is eq. 12."
    ),
    _review(
        "Before eq. 16",
        "The equation of layer $j+1$ is multiplied by $W_{j+1}$ from the left.",
        r"By $W_{j+1}^\top$, as in the paper's Appendix A.1: otherwise shapes do not match.",
        ("A2",),
    ),
    _review(
        "Before eq. 17",
        "The eigenvalue decomposition of $W_j$",
        "The singular value decomposition: $W_j$ need not be square.",
    ),
    _review(
        "Eqs. 18 and 19, and $W_e$ before eq. 20",
        r"$\prod_{j=N}^{1} W_i \prod_{i=N}^{j} W_i^\top$ and "
        r"$\prod_{i=1}^{j} W_i^\top \prod_{i=j}^{1} W_i$, with $W_e = \prod_{j=N}^{1} W_j$",
        r"$\prod_{i=j}^{N} W_i \prod_{i=j}^{N} W_i^\top$ and "
        r"$\prod_{i=1}^{j} W_i^\top \prod_{i=1}^{j} W_i$, with $W_e = \prod_{j=1}^{N} W_j$, in "
        "the notation of eq. 14. The right sides stand.",
    ),
    _review(
        "After eq. 23",
        "Eqs. 22 and 23 are put into eq. 16.",
        "Into eq. 15, after multiplying it by the other layers and summing over $j$.",
        ("A1",),
    ),
    _review(
        "Eq. 25",
        r"$\sum_{j=1}^N [W_e W_e]^{\frac{N-j}{N}} \circ [W_e^\top W_e]^{\frac{j-1}{N}}$",
        r"$\sum_{j=1}^N [W_e^\top W_e]^{\frac{N-j}{N}} \otimes [W_e W_e^\top]^{\frac{j-1}{N}}$, by "
        r"$\mathrm{vec}(A X B) = (B^\top \otimes A) \mathrm{vec}(X)$, column first.",
        ("A7",),
    ),
    _review(
        "After eq. 26",
        r"Eigenvalues $\sum_{j=1}^N \sigma_r^{2 \frac{N-j}{N}} "
        r"\sigma_{r'}^{2 \frac{1-N}{N}}$ of eigenvectors $\mathrm{vec}(u_r v_r^\top)$",
        r"$\sum_{j=1}^N \sigma_r^{2 \frac{N-j}{N}} \sigma_{r'}^{2 \frac{j-1}{N}}$ of "
        r"$\mathrm{vec}(u_r v_{r'}^\top)$. The printed ones are infinite where "
        r"$\sigma_{r'} = 0$. The transformation meant is that of eq. 26, not 27.",
        ("A8",),
    ),
    _review(
        "Eq. 28",
        r"$\Pr_W\{V\} = \frac{W W^\top}{\lVert W \rVert^2} V$",
        r"$\Pr_W\{V\} = \frac{V W^\top}{\lVert W \rVert^2} W$: for a row vector the printed "
        "factor is the number 1, which projects nothing.",
        ("A10",),
    ),
    _review(
        "Section 6",
        r"$F_\phi$ is called the regularization term; no condition is given.",
        "It is the transformed gradient field. That it is no gradient is shown for $N > 2$ and a "
        r"field $\phi$ that is continuous near 0 with $\phi(0) \ne 0$.",
        ("A16", "A17", "A18"),
    ),
    _review(
        "Section 7, gradient descent",
        r"$w^{(t+1)} = w^{(t)} - \eta (w^{(t)} - y_i)^{p-1}$",
        r"$w_i^{(t+1)} = w_i^{(t)} - \eta (w_i^{(t)} - y_i)^{p-1}$",
    ),
    _review(
        "Section 7, change of variables",
        r"$\Delta^{(t+1)} = \Delta^{(t)} - \eta (\Delta^{(t)})^{p-2}$",
        r"$\Delta_i^{(t+1)} = \Delta_i^{(t)} - \eta (\Delta_i^{(t)})^{p-1}$; the printed map "
        "diverges from $-y_i$, for every rate.",
        ("A19",),
    ),
    _review(
        "Section 7, coupling",
        r"The learning rate is scaled by $\frac{2}{y_1^2 - \frac{2}{N}}$.",
        r"By $y_1^{2 - \frac{2}{N}}$.",
        ("A20",),
    ),
    _expansions(
        "Eq. 6",
        r"$\delta w_t \frac{d^2 f(w_t)}{dw^2} \delta w_t$",
        r"$\frac{1}{2} \delta w_t \frac{d^2 f(w_t)}{dw^2} \delta w_t$, by Taylor's formula. All "
        r"that is said below to follow from eq. 6 is this one slip.",
        ("B1",),
    ),
    _expansions(
        "Eqs. 7 to 12",
        r"$\mathbb{E}[\nu_t] = 4 \gamma (w_t)^2 - 8 \gamma^2 (w_t)^2 - 2 \eta^2$",
        r"$\mathbb{E}[\nu_t] = 4 \gamma (w_t)^2 - 4 \gamma^2 (w_t)^2 - \eta^2$, from eq. 6.",
        ("B1",),
    ),
    _expansions(
        "After eq. 11",
        r"Noise decreases the learning speed proportionally to $\eta$ and the average curvature.",
        r"To $\eta^2$ and the average curvature, as in eq. 11.",
        ("B1",),
    ),
    _expansions(
        "Eq. 13",
        r"$\gamma^* = \frac{w^2}{4 w^2 + 1 / \sigma^2}$",
        r"$\gamma^* = \frac{2 w^2}{4 w^2 + 1 / \sigma^2}$, from eq. 6.",
        ("B2",),
    ),
    _expansions("After eq. 23", r"$\lVert \nabla f_{21} \rVert = 4 w$", "$4 |w|$"),
    _expansions(
        "After eq. 33",
        "The slope increases linearly with $N$, whereas the average eigenvalue increases with "
        "network size.",
        r"The average eigenvalue is $\rho$ for every $N$, by eq. 32. The slope is linear in $N$ at "
        r"a fixed $w_1$; at the points that are compared below it is $\rho \sqrt{N} w_0$.",
        ("B4",),
    ),
    _expansions("Eq. 34", r"$\nabla f_{21}$", r"$\nabla f$, of the function in question."),
    _expansions(
        "Eqs. 35 to 40",
        r"$\gamma \rho^2 N w_0^2 - \gamma^2 \rho^3 N^2 w_0^2 - \eta^2 \rho N$",
        r"$\gamma \rho^2 N w_0^2 - \frac{1}{2} \gamma^2 \rho^3 N^2 w_0^2 "
        r"- \frac{1}{2} \eta^2 \rho N$, from eq. 6.",
        ("B4", "B13"),
    ),
    _expansions(
        "Eq. 41",
        r"$\gamma_{N1}^* = \frac{\rho w_0^2}{2 (w_0^2 \rho^2 N + 1 / \sigma^2)}$",
        r"$\gamma_{N1}^* = \frac{\rho w_0^2}{w_0^2 \rho^2 N + 1 / \sigma^2}$, from eq. 6.",
        ("B6",),
    ),
    _expansions(
        "After eq. 41",
        r"If $\sigma$ decreases, a larger learning step can be tolerated.",
        r"By eq. 41 the best learning step falls as $\sigma$ falls: more noise asks for a smaller "
        "one.",
        ("B6",),
    ),
    _expansions(
        "Eqs. 42 and 67",
        r"Prefactor $\frac{1}{4}$ of the optimal learning speed",
        r"$\frac{1}{2}$, from eq. 6.",
        ("B7",),
    ),
    _expansions(
        "Eq. 43",
        r"$\lim_{N \to \infty} \mathbb{E}[\nu]_{N1}^* = \frac{\rho w_0}{4}$",
        r"$\frac{\rho w_0^2}{2}$, the whole loss in one step. The square is missing here, and the "
        r"factor 2 follows from eq. 6: the limit of eq. 42 as printed is $\frac{\rho w_0^2}{4}$.",
        ("B8",),
    ),
    _expansions(
        "Eqs. 48 to 50, 52 to 54 and 72 to 74",
        r"Prefactor $\frac{1}{2}$",
        r"1, since $\gamma^*$ is twice the printed one, from eq. 6. Signs and conclusions "
        "stand.",
        ("B11",),
    ),
    _expansions(
        "Eqs. 61 to 65",
        r"$\gamma \rho^2 w_0^2 - \gamma^2 \rho^3 w_0^2 - \eta^2 \rho N$",
        r"$\gamma \rho^2 w_0^2 - \frac{1}{2} \gamma^2 \rho^3 w_0^2 - \frac{1}{2} \eta^2 \rho N$, "
        "from eq. 6; in eq. 62 $H_{N1}$ should be $H_{N2}$, which has the same trace.",
        ("B5",),
    ),
    _expansions(
        "Eq. 66",
        r"$\gamma_{N2}^* = \frac{\rho w_0^2}{2 (w_0^2 \rho^2 + N / \sigma^2)}$, dominated by "
        r"$\frac{\rho w_0^2}{2 \rho^2 w_0^2}$ far from the minimum",
        r"$\gamma_{N2}^* = \frac{\rho w_0^2}{w_0^2 \rho^2 + N / \sigma^2}$, dominated by "
        r"$\frac{1}{\rho}$; from eq. 6.",
        ("B6", "B14"),
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
        r"$\epsilon = \Theta\left(\frac{1}{(\eta t)^{1/p-2}}\right)$",
        r"The exponent is $1/(p-2)$, as in the abstract. It is that of the parameters' error.",
        ("C1",),
    ),
    _hou(
        "Figure 1",
        r"The slope of the line is approximately $1/2$.",
        r"$-1/2$, by the slope $-\frac{1}{p-2}$ of the text below it.",
        ("C1",),
    ),
    _hou("Section 3", "The results on MNIST are in figure 1.", "In figure 2."),
    _hou(
        "Appendix A, update of $m_i$",
        r"$m_i^{(t+1)} = m_i^{(t+1)} - \eta (m_i^{(t+1)} - y_i)^{p-1}$",
        r"$m_i^{(t+1)} = m_i^{(t)} - \eta (m_i^{(t)} - y_i)^{p-1}$, for the loss with the factor "
        r"$\frac{1}{p}$.",
    ),
    _hou(
        "Appendix A, induction",
        r"$\Theta(\frac{1}{(t)^{1/p-2}}) (1 - \Theta(\frac{1}{t})) \approx "
        r"\Theta(\frac{1}{(t+1)^{1/p-2}})$",
        "The two orders are the same for any power of $t$, so that this does not complete the "
        r"induction. $u = |\Delta|^{-(p-2)}$ does: $u^{(t+1)} = u^{(t)} + (p-2) \eta + O(\eta^2 / "
        "u^{(t)})$. The lemma stands.",
        ("C2",),
    ),
    _hou(
        "Appendix A, factor",
        r"$\Theta((1 - \frac{1}{t+1})^{1/p-2}) \approx \Theta(1 - \frac{1}{2 (p-2)(t+1)} + "
        r"O(\frac{1}{t^2}))$",
        r"$1 - \frac{1}{(p-2)(t+1)} + O(\frac{1}{t^2})$ inside of $\Theta$, for which the factor 2 "
        "makes no difference.",
        ("C3",),
    ),
    _width(
        "Abstract and Section 4.3",
        "The distance shrinks with a power-law-like relationship, and gradient vectors become more "
        "aligned with each other; in the section the relationship is logarithmic, and width does "
        "not affect angle alignment much.",
        "The abstract and the section do not say the same; the claims measure both in linear "
        "networks.",
        ("D10", "D12"),
    ),
    _width(
        "Section 1",
        "That width does not matter is a consequence of an implicit assumption that minimum width "
        "is larger than input dimensionality.",
        "It takes a minimum width of the rank of the target map, which is at most the smaller of "
        "the numbers of inputs and outputs.",
        ("A13", "D9"),
    ),
    _width(
        "Section 3.2",
        "Figures 10a and 10b show depth and size of the dataset.",
        "Figures 3a and 3b do.",
    ),
    _width(
        "Section 3.2, last sentence",
        "With steps as $D / M^k$, if the dataset size is scaled by $S$, model size can be scaled "
        "by $S^K$ to keep the number of training steps the same.",
        "By $S^{1/k}$.",
    ),
    _width(
        "Section 4.3",
        "Models of up to 13 billion parameters",
        "Probably million, as on the axis of Figure 5.",
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
        r"$\frac{1}{2R} \int_{-R}^{R} |C - x| \, dx$, which is $C$ for $R \le C$, as printed, and "
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
)
"""All errata, by document and in the order of the text."""
