"""Frames that follow W, and the sweeps that refine them, against NumPy's in float64."""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow
from oracles import relative_error
from spectra import SPECTRA, matrix, true_rule

from lnn.core.spectral import precondition_in, short_frame, tracked_frame
from lnn.core.spectral.sweeps import measured, swept
from lnn.core.spectral.tracking import together

SHAPES = ((6, 9), (9, 6), (12, 12))


@jax.jit
def step(basis: Any, w: Any, g: Any) -> tuple[jax.Array, jax.Array]:
    frame = tracked_frame(basis, w)
    return precondition_in(frame, g, 3), frame.u


@pytest.fixture
def decompositions(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for every matrix that is decomposed."""
    count: list[None] = []

    def counted(w: jax.Array) -> Any:
        jax.debug.callback(lambda: count.append(None))
        return short_frame(w)

    monkeypatch.setattr("lnn.core.spectral.tracking.short_frame", counted)
    jax.clear_caches()
    return count


def blank(shape: tuple[int, int], dtype: str = "float32") -> jax.Array:
    return jnp.zeros((min(shape),) * 2, dtype)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    mostly_slow(product(SHAPES, ["float32", "float64"]), ((6, 9), "float64"), ((9, 6), "float32")),
    ids=str,
)
@pytest.mark.parametrize("kind", SPECTRA)
def test_the_update_is_exact_while_w_moves(
    x64: None, shape: tuple[int, int], kind: str, dtype: str
) -> None:
    rng = np.random.default_rng(1)
    w, basis, errors = matrix(kind, shape), blank(shape, dtype), []
    for _ in range(8):
        g = rng.standard_normal(shape)
        update, basis = step(basis, jnp.asarray(w, dtype), jnp.asarray(g, dtype))
        true = true_rule(w.astype(dtype).astype(float), g, 3)
        if kind == "zero":
            assert not np.any(update)
        else:
            errors.append(relative_error(update, true))
        w = w + 1e-3 * (
            w @ rng.standard_normal((shape[1],) * 2) + rng.standard_normal(shape[:1] * 2) @ w
        )
    # Rounding in W is magnified by the power 2/3 of singular values that should be zero.
    rough = kind in ("low rank", "graded", "half small")
    bound = (1e-3 if rough else 1e-5) if dtype == "float32" else (1e-8 if rough else 1e-12)
    assert max(errors, default=0) < bound


@pytest.mark.slow
def test_w_is_decomposed_at_the_start_and_when_it_jumps_only(decompositions: list[None]) -> None:
    w, basis = matrix("gaussian", (8, 10)).astype(np.float32), blank((8, 10))
    for i in range(5):
        basis = tracked_frame(basis, jnp.asarray(w * (1 + 1e-4 * i) + 1e-4 * i)).u
    jax.effects_barrier()
    assert len(decompositions) == 1
    tracked_frame(basis, jnp.asarray(matrix("gaussian", (8, 10), 1), jnp.float32))
    jax.effects_barrier()
    assert len(decompositions) == 2


@pytest.mark.slow
def test_of_a_batch_only_those_that_need_it_are_decomposed(decompositions: list[None]) -> None:
    ws = jnp.asarray(np.stack([matrix("gaussian", (6, 9), i) for i in range(4)]), jnp.float32)
    bases = jax.vmap(short_frame)(ws).u.at[1].set(0)
    ws = (ws + 1e-4).at[3].set(0)
    frames = jax.jit(jax.vmap(tracked_frame))(bases, ws)
    jax.effects_barrier()
    assert len(decompositions) == 1
    rebuilt = (frames.u * frames.s[:, None]) @ frames.vt
    np.testing.assert_allclose(rebuilt, ws, atol=2e-6)
    assert np.array_equal(frames.u[3], bases[3])
    nested = jax.jit(jax.vmap(jax.vmap(tracked_frame)))(bases[None], ws[None])
    for ours, theirs in zip(nested, frames, strict=True):
        np.testing.assert_allclose(ours[0], theirs, atol=1e-6)


@pytest.mark.slow
def test_batched_products_as_on_accelerators_give_the_same() -> None:
    ws = jnp.asarray(np.stack([matrix("gaussian", (6, 9), i) for i in range(3)]), jnp.float32)
    bases = jax.vmap(short_frame)(ws).u
    for start in (bases, bases.at[1].set(0)):
        moved = ws + 1e-4
        goals = jnp.full(3, 1e-6)
        frames = jax.jit(together)(start, moved, goals, goals)
        np.testing.assert_allclose((frames.u * frames.s[:, None]) @ frames.vt, moved, atol=2e-6)
        np.testing.assert_allclose(frames.u.mT @ frames.u, np.tile(np.eye(6), (3, 1, 1)), atol=2e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_forgotten(bad: float) -> None:
    w = jnp.asarray(matrix("gaussian", (6, 9)), jnp.float32)
    g = jnp.ones((6, 9))
    good, basis = step(blank((6, 9)), w, g)
    update, basis = step(basis, w.at[1, 2].set(bad), g)
    assert np.isnan(update).all()
    again, _ = step(basis, w, g)
    np.testing.assert_allclose(again, good, rtol=1e-4)


def test_extreme_norms_do_not_underflow() -> None:
    w = jnp.asarray(matrix("gaussian", (6, 9)), jnp.float32)
    g = jnp.ones((6, 9))
    _, basis = step(blank((6, 9)), w, g)
    true = true_rule(np.asarray(w, float), np.ones((6, 9)), 3)
    for scale in (1e-20, 1e15):
        update, _ = step(basis, w * scale, g)
        assert relative_error(update, scale ** (4 / 3) * true) < 1e-5


@pytest.mark.slow
def test_a_looser_limit_accepts_what_one_sweep_leaves(decompositions: list[None]) -> None:
    w = matrix("gaussian", (12, 12))
    g = np.random.default_rng(0).standard_normal((12, 12))
    basis = short_frame(jnp.asarray(w, jnp.float32)).u
    w = w + 0.01 * np.random.default_rng(1).standard_normal((12, 12))
    frame = tracked_frame(basis, jnp.asarray(w, jnp.float32), 1e-4, 0.05)
    jax.effects_barrier()
    assert not decompositions
    error = relative_error(
        precondition_in(frame, jnp.asarray(g, jnp.float32), 2), true_rule(w, g, 2)
    )
    assert 1e-6 < error < 5e-3


def test_a_sweep_squares_the_error(x64: None) -> None:
    w = jnp.asarray(np.diag(np.arange(1.0, 7.0)) @ matrix("equal", (6, 8)))
    basis = short_frame(w).u
    residuals = []
    for move in (1e-2, 1e-3, 1e-4):
        moved = w + move * jnp.asarray(matrix("gaussian", (6, 8), 2))
        fit = measured(basis, moved)
        residuals.append((float(fit.residual), float(swept(fit, moved).residual)))
    before, after = np.log10(residuals).T
    assert np.all(np.abs(np.diff(before) + 1) < 0.2)
    assert np.all(np.diff(after) < -1.7)


def test_it_is_not_differentiated_in_w() -> None:
    w = jnp.ones((3, 4))
    with pytest.raises(ValueError, match="differentiated with respect to W"):
        jax.grad(lambda w: tracked_frame(blank((3, 4)), w).s.sum())(w)
