"""The errata: what is printed is wrong and what stands for it is right, by independent numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, linalg, optimize

from lnn.claims import DOCUMENTS, all_claims
from lnn.claims.claim import OWN
from lnn.claims.errata import ERRATA


def _power(a: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(a)
    values = np.where(values < 1e-12, 0.0, values)  # roundoff would be large to a small power
    return (vectors * values**exponent) @ vectors.T


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_documents_are_all_there() -> None:
    letters = [document.letter for document in DOCUMENTS if document.letter != OWN]
    assert list(dict.fromkeys(one.document for one in ERRATA)) == letters
    assert len({(one.document, one.where) for one in ERRATA}) == len(ERRATA)


def test_claims_named_exist() -> None:
    assert {name for one in ERRATA for name in one.claims} <= set(all_claims())


@pytest.mark.parametrize(
    ("claim", "formula"),
    [
        ("A8", r"\sigma_{r'}^{2 \frac{1-N}{N}}"),
        ("A20", r"\frac{2}{y_1^2 - \frac{2}{N}}"),
        ("A7", r"[W_e W_e]^{\frac{N-j}{N}} \circ [W_e^\top W_e]^{\frac{j-1}{N}}"),
    ],
)
def test_claims_and_errata_quote_the_same(claim: str, formula: str) -> None:
    quoted = [one.printed for one in ERRATA if claim in one.claims and one.document == "R"]
    for text in (*quoted, all_claims()[claim].printed):
        assert formula.replace(" ", "") in text.replace(" ", "")
    assert quoted


def test_texts_name_no_files() -> None:
    for one in ERRATA:
        text = f"{one.where} {one.printed} {one.corrected}".lower()
        assert one.where
        assert one.printed
        assert one.corrected
        assert "seed" not in text
        assert "claims.md" not in text


# Arora, Cohen and Hazan, and the review


def test_gradient_has_the_factor_p() -> None:
    rng, p = _rng(), 4
    x, y, w = rng.standard_normal((20, 3)), rng.standard_normal(20), rng.standard_normal(3)
    printed = optimize.approx_fprime(w, lambda v: np.mean((x @ v - y) ** p), 1e-7)
    gradient = ((x @ w - y) ** (p - 1)) @ x / 20
    np.testing.assert_allclose(printed, p * gradient, rtol=1e-4)


def test_review_equation_6() -> None:
    rng = _rng()
    w1, w2, grad = rng.standard_normal(4), 0.3, rng.standard_normal(4)
    w, grad2 = w1 * w2, grad @ w1

    def errors(eta: float) -> tuple[float, float]:
        exact = (w1 - eta * w2 * grad) * (w2 - eta * grad2)
        corrected = w - eta * w2**2 * grad - eta / w2 * grad2 * w
        printed = w - eta * (w @ w) * grad - eta * grad2 * w / np.sqrt(w @ w)
        return tuple(float(np.abs(exact - one).max()) for one in (corrected, printed))  # type: ignore[return-value]

    (good, bad), (good_10, bad_10) = errors(1e-4), errors(1e-3)
    assert good_10 / good == pytest.approx(100, rel=0.01)
    assert bad_10 / bad == pytest.approx(10, rel=0.1)


def test_review_equations_18_to_23() -> None:
    rng = _rng()
    u = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(4)]
    rho = np.array([2.0, 1.0, 0.5])
    factors = [u[j + 1] @ np.diag(np.sqrt(rho)) @ u[j].T for j in range(3)]
    end = factors[2] @ factors[1] @ factors[0]
    for j in (1, 2, 3):
        upper = np.linalg.multi_dot([*factors[: j - 2 if j > 1 else None : -1], np.eye(3)])
        lower = np.linalg.multi_dot([np.eye(3), *factors[:j][::-1]])
        np.testing.assert_allclose(upper @ upper.T, u[3] @ np.diag(rho ** (4 - j)) @ u[3].T)
        np.testing.assert_allclose(upper @ upper.T, _power(end @ end.T, (4 - j) / 3), atol=1e-12)
        np.testing.assert_allclose(lower.T @ lower, u[0] @ np.diag(rho**j) @ u[0].T, atol=1e-12)
        np.testing.assert_allclose(lower.T @ lower, _power(end.T @ end, j / 3), atol=1e-12)


def test_review_equation_25_and_eigenvalues() -> None:
    rng, n = _rng(), 3
    w, g = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    left = [_power(w @ w.T, (j - 1) / n) for j in (1, 2, 3)]
    right = [_power(w.T @ w, (n - j) / n) for j in (1, 2, 3)]
    update = sum(a @ g @ b for a, b in zip(left, right, strict=True)).ravel("F")  # type: ignore[union-attr]
    corrected = sum(np.kron(b, a) for a, b in zip(left, right, strict=True))
    np.testing.assert_allclose(corrected @ g.ravel("F"), update, rtol=1e-10)
    # With the missing transpose supplied its factors are in the order for stacked rows.
    printed = sum(
        np.kron(_power(w @ w.T, (n - j) / n), _power(w.T @ w, (j - 1) / n)) for j in (1, 2, 3)
    )
    assert linalg.norm(printed @ g.ravel("F") - update) > 0.1 * linalg.norm(update)
    np.testing.assert_allclose((printed @ g.ravel()).reshape(2, 3).ravel("F"), update, rtol=1e-10)

    u, s, vt = np.linalg.svd(w)
    sigma = np.array([*s, 0.0])
    for r in (0, 1):
        for q in (0, 1, 2):
            vector = np.outer(u[:, r], vt[q]).ravel("F")
            value = sum(
                sigma[r] ** (2 * (n - j) / n) * sigma[q] ** (2 * (j - 1) / n) for j in (1, 2, 3)
            )
            np.testing.assert_allclose(corrected @ vector, value * vector, atol=1e-10)


def test_review_equation_28() -> None:
    rng = _rng()
    w, v = rng.standard_normal((1, 4)), rng.standard_normal((1, 4))
    corrected = (v @ w.T) / (w @ w.T) @ w
    np.testing.assert_allclose(corrected, (v @ w.T).item() / (w @ w.T).item() * w)
    np.testing.assert_allclose(w @ w.T / np.linalg.norm(w) ** 2 * v, v)


def test_review_change_of_variables() -> None:
    for eta in (1e-3, 1 / 9):
        right = wrong = -3.0
        for _ in range(4000):
            right -= eta * right**3
            wrong = max(wrong - eta * wrong**2, -1e6)
        assert abs(right) < 1
        assert wrong == -1e6


# Network expansions


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_learning_speed_of_expansions(equal: bool, size: int) -> None:
    rho, w0, gamma, eta, sigma = 1.5, 2.0, 0.02, 0.05, 0.7
    hessian = rho * np.eye(size) if equal else np.diag([rho * size, *[0.0] * (size - 1)])
    w = np.full(size, w0 / math.sqrt(size))

    def speed(step: float, noise: float) -> float:
        """Expected decrease of the loss: exact, by the noise's symmetric two-point rule."""
        loss = 0.5 * w @ hessian @ w
        after = w - step * hessian @ w
        ends = [
            0.5 * (after + s * noise * math.sqrt(size) * e)
            @ hessian @ (after + s * noise * math.sqrt(size) * e)
            for e in np.eye(size) for s in (-1, 1)
        ]  # fmt: skip
        return float(loss - np.mean(ends))

    n = 1 if equal else size
    corrected = (
        gamma * rho**2 * n * w0**2 - gamma**2 * rho**3 * n**2 * w0**2 / 2 - eta**2 * rho * size / 2
    )
    assert speed(gamma, eta) == pytest.approx(corrected, rel=1e-10)

    best = optimize.minimize_scalar(
        lambda step: -speed(step, step / sigma), bounds=(0, 1), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    noise = (size if equal else 1) / sigma**2
    assert best.x == pytest.approx(rho * w0**2 / (rho**2 * w0**2 * n + noise), rel=1e-5)
    top = 0.5 * (rho**2 * w0**2 * n) ** 2 / (rho**3 * w0**2 * n**2 + rho * size / sigma**2)
    assert -best.fun == pytest.approx(top, rel=1e-8)

    gradient = hessian @ w
    difficulty = gamma * gradient @ hessian @ gradient / (gradient @ gradient)
    difficulty += eta**2 / gamma * np.trace(hessian) / (gradient @ gradient)
    expected = gamma * (gradient @ gradient) * (1 - difficulty / 2)
    assert speed(gamma, eta) == pytest.approx(expected, rel=1e-10)
    assert np.linalg.norm(gradient) == pytest.approx(rho * w0 * (1 if equal else math.sqrt(size)))


def test_limits_and_signs_of_expansions() -> None:
    rho, w0 = 1.5, 2.0

    def best(size: float, sigma: float) -> float:
        return rho * w0**2 / (w0**2 * rho**2 * size + 1 / sigma**2)

    def top(size: float, prefactor: float) -> float:
        return prefactor * (rho**2 * w0**2 * size) ** 2 / (w0**2 * rho**3 * size**2 + rho * size)

    assert top(1e12, 0.5) == pytest.approx(rho * w0**2 / 2)
    assert top(1e12, 0.25) == pytest.approx(rho * w0**2 / 4)
    assert best(4, 0.5) < best(4, 1.0)


def test_consequences_of_eq_6_name_their_cause() -> None:
    """One slip is not counted nine times."""
    slipped = {i for i, claim in all_claims().items() if claim.slip and i.startswith("B")}
    causes = {
        i for one in ERRATA if one.document == "B" and "eq. 6" in one.corrected for i in one.claims
    }
    assert len(slipped) == 9
    assert slipped <= causes


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("A", "minimal and also necessary"),
        ("A", "Identity initialization"),
        ("A", "y_1 / (4"),
        ("R", "almost"),
        ("B", "G = 1"),
        ("B", "spread"),
        ("D", "every dimension"),
        ("D", r"\mathbb{E} \lVert \nabla F"),
    ],
)
def test_what_is_true_or_not_printed_is_no_erratum(document: str, text: str) -> None:
    """In whatever words its place is given."""
    quoted = [one.printed for one in ERRATA if one.document == document]
    assert quoted
    assert not [one for one in quoted if text in one]


# Hou, Khandeparkar and Li


def test_exponents_are_quoted_as_printed() -> None:
    printed = {one.where: one.printed for one in ERRATA if one.document == "C"}
    assert r"\frac{1}{(\eta t)^{1/p-2}}" in printed["Lemma 2.1 and its proof"]
    assert printed["Appendix A, induction"] in all_claims()["C2"].printed
    assert "2 (p-2)(t+1)" in printed["Appendix A, factor"]


def test_rates_of_gradient_descent() -> None:
    p, eta, steps = 6, 0.02, 400_000
    u = delta = 1.0
    for _ in range(steps):
        delta *= 1 - eta * delta ** (p - 2)
    assert delta == pytest.approx(((p - 2) * eta * steps) ** (-1 / (p - 2)), rel=1e-3)
    u = delta ** -(p - 2)
    after = (delta * (1 - eta * delta ** (p - 2))) ** -(p - 2)
    assert (after - u - (p - 2) * eta) * u / eta**2 == pytest.approx((p - 2) * (p - 1) / 2, rel=0.1)


def test_factor_of_the_induction() -> None:
    for p in (4, 6, 8):
        t = 1e4
        exact = (1 - (t / (t + 1)) ** (1 / (p - 2))) * (t + 1)
        assert exact == pytest.approx(1 / (p - 2), rel=1e-3)


# Width


def test_distances_of_appendix_b() -> None:
    c = 1.0
    for radius in (0.5, 0.7, 1.0, 2.0):
        line = integrate.quad(lambda x: abs(c - x), -radius, radius, points=[min(c, radius)])[0]
        expected = c if radius <= c else (c**2 + radius**2) / (2 * radius)
        assert line / (2 * radius) == pytest.approx(expected, rel=1e-8)

        h = c / math.sqrt(2)
        disk = integrate.quad(
            lambda x, r=radius, h=h: abs(h - x) * 2 * math.sqrt(max(r**2 - x**2, 0)),
            -radius, radius, points=[min(h, radius)],
        )[0] / (math.pi * radius**2)  # fmt: skip
        if radius <= h:
            assert disk == pytest.approx(h, rel=1e-6)
        else:
            assert disk > h


def test_angles_on_a_straight_path() -> None:
    start, end = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    now = 0.7 * start + 0.3 * end

    def angle(a: np.ndarray, b: np.ndarray) -> float:
        return math.acos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))

    u = end - start
    assert angle(u, start - now) == pytest.approx(math.pi)
    assert angle(u, end - now) == pytest.approx(0, abs=1e-6)
    assert abs(angle(now, start) - (math.pi - angle(now, end))) > 1


def test_model_grows_with_the_root_of_the_data() -> None:
    k, scale = 0.3, 10.0
    assert scale / (scale ** (1 / k)) ** k == pytest.approx(1)
    assert scale / (scale**k) ** k != pytest.approx(1)
