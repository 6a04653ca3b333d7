from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import oracles
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import Mesh, PartitionSpec
from oracles import case, exact_frame, matrix_of_rank, orthonormal, relative_error
from threadpoolctl import threadpool_limits

from lnn.core.spectral import precondition, preconditioner_matrix, psd_power, singular_frame

SHAPES = ((1, 7), (3, 5), (5, 3), (6, 128), (10, 10), (40, 40), (128, 128))
DEPTHS = (1, 1.5, 2, 3, 4, 7.3, 8, 16, math.inf)
PARAMS = [pytest.param(s, marks=[pytest.mark.slow] * (max(s) > 10)) for s in SHAPES]
each_shape = pytest.mark.parametrize("shape", PARAMS, ids=str)
CONDITIONS = (1.0, 1e3, 1e6)
SEEDS = range(5)
EPS32 = float(np.finfo(np.float32).eps)


@jax.jit
def at_all_depths(w: Any, g: Any) -> list[jax.Array]:
    return [precondition(w, g, depth) for depth in DEPTHS]


def rule(w: Any, g: Any, depth: float) -> jax.Array:
    """All depths are compiled together, which takes a third of the time."""
    return at_all_depths(w, g)[DEPTHS.index(depth)]


def seeds_for(shape: tuple[int, int]) -> range:
    return SEEDS[:1] if min(shape) > 10 else SEEDS


def errors(
    shape: tuple[int, int], condition: float | None, dtype: str, *, compare: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors (seed, depth) of the rule and of LAPACK's SVD of W in the same dtype.

    After the SVD its formula is evaluated in float64, with the true rank given: what is left is
    the error of the decomposition alone. W stands on its small side in both: the luck of rounding
    differs between W and W^T by factors of 5.
    """
    ours, lapack = [], []
    for seed in range(20) if compare and max(shape) < 10 else seeds_for(shape):
        w, g = case(shape, condition, seed, dtype)
        frame = exact_frame(w)
        rank = len(frame.s)
        wide = g.astype(np.float64)
        true = [oracles.end_to_end_rule(frame, wide, depth) for depth in DEPTHS]
        found = at_all_depths(w, g)
        assert all(update.dtype == dtype for update in found)
        ours.append([relative_error(*pair) for pair in zip(found, true, strict=True)])
        if not compare:
            continue
        lying = w if shape[0] <= shape[1] else w.T
        u, s, vt = scipy.linalg.svd(lying, full_matrices=False)
        assert u.dtype == w.dtype  # NumPy's own svd computes in float64
        vectors = (u[:, :rank].astype(float), vt[:rank].T.astype(float))
        left, right = vectors if lying is w else vectors[::-1]
        guess = oracles.ExactFrame(left, [mp.mpf(float(x)) for x in s[:rank]], right)
        lapack.append(
            [
                relative_error(oracles.end_to_end_rule(guess, wide, depth), answer)
                for depth, answer in zip(DEPTHS, true, strict=True)
            ]
        )
    return np.array(ours), np.array(lapack)


@pytest.mark.parametrize("condition", CONDITIONS)
@each_shape
def test_float64_is_within_1e_11_of_the_oracle_at_full_rank(
    x64: None, shape: tuple[int, int], condition: float
) -> None:
    found, _ = errors(shape, condition, "float64")
    print(f"{shape} condition {condition:g}: worst float64 error by depth", found.max(axis=0))
    # At condition 1e6 the rounding inside any float64 SVD is of the order of the bar: of 30 other
    # seeds a few are above it (up to 5e-11), and so is LAPACK's SVD with a 60-digit formula.
    assert np.all(found <= 1e-11)
    assert np.all(found <= 1e-14 * condition)


@pytest.mark.parametrize("shape", PARAMS[1:], ids=str)
def test_float64_is_as_accurate_at_exact_rank_deficiency(x64: None, shape: tuple[int, int]) -> None:
    found, _ = errors(shape, None, "float64")
    print(f"{shape} deficient: worst float64 error by depth", found.max(axis=0))
    assert np.all(found <= 1e-13)


@pytest.mark.parametrize("condition", [*CONDITIONS, None])
@each_shape
def test_float32_is_within_four_times_the_error_of_a_float32_svd(
    shape: tuple[int, int], condition: float | None
) -> None:
    if shape[0] == 1 and condition is None:
        pytest.skip("one row has no deficient rank but zero, which has a test of its own")
    found, lapack = errors(shape, condition, "float32", compare=True)
    # The worst of a few small matrices is luck of rounding, which differs between processors. No
    # less than the rounding of the result itself is asked for.
    ours, theirs = (np.quantile(error, [0.5, 0.8], axis=0) for error in (found, lapack))
    ratio = ours / np.maximum(theirs, EPS32)
    print(f"{shape} condition {condition}: median and 80 % quantile over those of an SVD", ratio)
    assert np.all(ratio <= 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_formula_adds_nothing_to_the_error_of_the_svd(x64: None, dtype: str) -> None:
    """Of a diagonal W the frame is exact, so the update shows the error of the pair factors."""
    eps = float(np.finfo(dtype).eps)
    for ratio in (1e-6, 1e-4, 0.03, 0.4, 0.6, 0.97, 1 - 3 * eps):
        w = np.diag(np.array([1.0, ratio])).astype(dtype)
        g = np.array([[0.0, 1], [1, 0]], dtype)
        frame = oracles.mp_frame(w.astype(np.float64))
        for depth, update in zip(DEPTHS, at_all_depths(w, g), strict=True):
            true = oracles.end_to_end_rule(frame, g.astype(np.float64), depth)
            assert relative_error(update, true) < 40 * eps, (ratio, depth)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_depth_one_is_the_gradient_bit_for_bit(x64: None, dtype: str) -> None:
    w, g = case((3, 5), 1e3, 0, dtype)
    assert np.array_equal(rule(w, g, 1), g)
    assert np.array_equal(rule(w, g, 1.0), g)
    assert np.array_equal(rule(0 * w, g, 1), g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1), (3, 5), (5, 3), (10, 10)], ids=str)
def test_zero_w_gives_zero_beyond_depth_one(x64: None, shape: tuple[int, int], dtype: str) -> None:
    g = np.ones(shape, dtype)
    for depth, update in zip(DEPTHS, at_all_depths(np.zeros_like(g), g), strict=True):
        assert np.array_equal(update, g if depth == 1 else np.zeros_like(g))


def test_zeroth_power_is_the_identity_not_a_projector(x64: None) -> None:
    update = rule(np.array([[3.0, 0, 0]]), np.array([[1.0, 1, 1]]), 2)
    np.testing.assert_allclose(update, [[6, 3, 3]], rtol=1e-15)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1)], ids=str)
@pytest.mark.parametrize("depth", DEPTHS)
def test_one_row_and_one_column_follow_the_single_output_formula(
    x64: None, shape: tuple[int, int], depth: float
) -> None:
    w, g = case(shape, 1.0, 3, "float64")
    w = 2.5 * w
    along = np.sum(w * g) / np.sum(w * w) * w
    norm = np.linalg.norm(w)
    if math.isinf(depth):
        true = norm**2 * along
    else:
        true = norm ** (2 - 2 / depth) * (g + (depth - 1) * along)
    np.testing.assert_allclose(rule(w, g, depth), true, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("depth", DEPTHS)
def test_orthogonal_w_multiplies_by_the_depth(x64: None, depth: float) -> None:
    rng = np.random.default_rng(0)
    g = rng.standard_normal((6, 6))
    times = 1.0 if math.isinf(depth) else depth
    np.testing.assert_allclose(rule(orthonormal(rng, 6, 6), g, depth), times * g, atol=1e-13)
    np.testing.assert_allclose(rule(np.eye(6), g, depth), times * g, rtol=1e-14)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-9])
def test_two_equal_singular_values_of_many(x64: None, depth: float, gap: float) -> None:
    rng = np.random.default_rng(1)
    s = np.array([2.0, 1.0, 1.0 - gap, 0.25])
    w = orthonormal(rng, 4, 4) * s @ orthonormal(rng, 6, 4).T
    g = rng.standard_normal((4, 6))
    true = oracles.end_to_end_rule(oracles.mp_frame(w), g, depth)
    assert relative_error(rule(w, g, depth), true) < 1e-14


@pytest.mark.parametrize("shape", [(1, 7), (3, 5), (10, 10)], ids=str)
@pytest.mark.parametrize("norm", [1e-24, 1e10])
def test_extreme_norms_in_float32_are_finite_and_right(shape: tuple[int, int], norm: float) -> None:
    w, g = case(shape, 10.0, 0, "float32")
    w = (w / np.linalg.norm(w) * np.float32(norm)).astype(np.float32)
    frame = oracles.mp_frame(w.astype(np.float64)).rounded()
    for depth, update in zip(DEPTHS, at_all_depths(w, g), strict=True):
        true = oracles.end_to_end_rule(frame, g.astype(np.float64), depth)
        # Terms below 1.2e-38, float32's smallest normal number, may be flushed to zero.
        tolerance = 5e-6 * np.abs(true).max() + 1e-37
        np.testing.assert_allclose(update, true, rtol=0, atol=tolerance)


@lru_cache(maxsize=32)
def small_case(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, *shape])
    w = rng.standard_normal(shape) * 10 ** rng.uniform(-1, 1, shape)
    return w, *rng.standard_normal((2, *shape))


some_cases = given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(1, 4), (3, 5), (5, 3), (4, 4)]),
    depth=st.sampled_from(DEPTHS),
)


@some_cases
def test_linear_in_the_gradient(x64: None, seed: int, shape: tuple[int, int], depth: float) -> None:
    w, g, h = small_case(seed, shape)
    whole = rule(w, 2 * g - 3 * h, depth)
    parts = 2 * rule(w, g, depth) - 3 * rule(w, h, depth)
    np.testing.assert_allclose(whole, parts, atol=1e-12 * np.abs(parts).max())


@some_cases
def test_equivariant_under_rotations_of_inputs_and_outputs(
    x64: None, seed: int, shape: tuple[int, int], depth: float
) -> None:
    w, g, _ = small_case(seed, shape)
    rng = np.random.default_rng(seed)
    q, r = (orthonormal(rng, n, n) for n in shape)
    turned = rule(q @ w @ r.T, q @ g @ r.T, depth)
    true = q @ np.asarray(rule(w, g, depth)) @ r.T
    np.testing.assert_allclose(turned, true, atol=1e-11 * np.abs(true).max())


@some_cases
def test_transposed_matrices_give_the_transposed_update(
    x64: None, seed: int, shape: tuple[int, int], depth: float
) -> None:
    w, g, _ = small_case(seed, shape)
    true = np.asarray(rule(w, g, depth)).T
    np.testing.assert_allclose(rule(w.T, g.T, depth), true, atol=1e-11 * np.abs(true).max())


@some_cases
def test_homogeneous_in_w_of_degree_two_minus_two_over_depth(
    x64: None, seed: int, shape: tuple[int, int], depth: float
) -> None:
    w, g, _ = small_case(seed, shape)
    true = 3.7 ** (2 - 2 / depth) * np.asarray(rule(w, g, depth))
    np.testing.assert_allclose(rule(3.7 * w, g, depth), true, atol=1e-11 * np.abs(true).max())


@some_cases
def test_never_against_the_gradient(
    x64: None, seed: int, shape: tuple[int, int], depth: float
) -> None:
    w, g, _ = small_case(seed, shape)
    update = np.asarray(rule(w, g, depth))
    assert np.sum(g * update) > 0
    assert np.sum(g * update) >= -1e-14 * np.linalg.norm(g) * np.linalg.norm(update)


MATRICES = [(1, (3, 5), 3), (2, (3, 5), 3), (3, (3, 5), 2), (4, (5, 3), 3), (3, (1, 6), 1),
            (4, (3, 5), 2)]  # fmt: skip


@pytest.mark.parametrize(("depth", "shape", "rank"), MATRICES)
def test_preconditioner_matrix_acts_on_stacked_columns(
    x64: None, depth: int, shape: tuple[int, int], rank: int
) -> None:
    rng = np.random.default_rng(depth)
    w = matrix_of_rank(rng, shape, rank) / 4
    g = rng.standard_normal(shape)
    p = np.asarray(preconditioner_matrix(jnp.asarray(w), depth))
    update = np.asarray(rule(w, g, depth))
    np.testing.assert_allclose(p @ g.ravel("F"), update.ravel("F"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(p, p.T, atol=1e-12)
    assert np.linalg.eigvalsh(p).min() >= -1e-12 * np.linalg.norm(p)
    if depth > 1 and min(shape) > 1:
        by_rows = p @ g.ravel("C")
        assert np.abs(by_rows - update.ravel("C")).max() > 0.1 * np.abs(update).max()


@pytest.mark.parametrize(("depth", "shape", "rank"), MATRICES)
def test_preconditioner_matrix_has_the_eigenpairs_of_claim_1(
    x64: None, depth: int, shape: tuple[int, int], rank: int
) -> None:
    w = matrix_of_rank(np.random.default_rng(7 + depth), shape, rank) / 4
    p = np.asarray(preconditioner_matrix(jnp.asarray(w), depth))
    u, s, vt = np.linalg.svd(w)
    k, d = shape
    s = np.where(np.arange(max(shape)) < rank, np.append(s, np.zeros(max(shape) - s.size)), 0)
    for r in range(k):
        for c in range(d):
            vector = np.outer(u[:, r], vt[c]).ravel("F")
            for left, right in ((s[r], s[c]), (s[c], s[r])):  # both pairings: the sum is the same
                value = sum(
                    left ** (2 * (j - 1) / depth) * right ** (2 * (depth - j) / depth)
                    for j in range(1, depth + 1)
                )
                np.testing.assert_allclose(p @ vector, value * vector, atol=1e-10 * s[0] ** 2)


@pytest.mark.parametrize("depth", [0, -1, 1.5])
def test_preconditioner_matrix_refuses_a_depth_that_is_no_number_of_layers(depth: float) -> None:
    with pytest.raises(ValueError, match=rf"depth = {depth}: .* positive integer"):
        preconditioner_matrix(jnp.ones((2, 3)), depth)  # type: ignore[arg-type]


def test_psd_power_of_a_rank_one_gram_matrix_leaks_nothing(x64: None) -> None:
    v = np.random.default_rng(0).standard_normal(128)
    gram = np.outer(v, v)
    for exponent in (1 / 3, 0.5, 1.0, 2.0):
        true = (v @ v) ** (exponent - 1) * gram
        assert relative_error(psd_power(jnp.asarray(gram), exponent), true) < 1e-13


def test_psd_power_composes_and_has_the_identity_as_zeroth_power(x64: None) -> None:
    b = np.random.default_rng(1).standard_normal((4, 6))
    a = jnp.asarray(b @ b.T)
    third = psd_power(a, 1 / 3)
    np.testing.assert_allclose(third @ third @ third, a, rtol=1e-12)
    assert np.array_equal(psd_power(jnp.zeros((3, 3)), 0), np.eye(3))
    assert np.array_equal(psd_power(jnp.zeros((3, 3)), 0.5), np.zeros((3, 3)))


def test_psd_power_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\): give a square"):
        psd_power(jnp.ones((2, 3)), 0.5)
    with pytest.raises(ValueError, match=r"exponent = -0.5: give a number >= 0"):
        psd_power(jnp.eye(2), -0.5)
    with pytest.raises(ValueError, match=r"exponent = nan"):
        psd_power(jnp.eye(2), math.nan)


@pytest.mark.parametrize("shape", [(1, 4), (3, 5), (5, 3)], ids=str)
def test_frame_rebuilds_w_and_blanks_what_is_below_the_cutoff(
    x64: None, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(2)
    full = rng.standard_normal(shape)
    frame = singular_frame(jnp.asarray(full))
    np.testing.assert_allclose((frame.u * frame.s[None]) @ frame.vt, full, atol=1e-14)
    if min(shape) > 1:
        frame = singular_frame(jnp.asarray(matrix_of_rank(rng, shape, 1)))
        assert np.count_nonzero(frame.s) == 1
        assert np.count_nonzero(np.any(np.asarray(frame.vt) != 0, axis=1)) == 1


def batch(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.standard_normal(shape), rng.standard_normal(shape)


def loop(w: np.ndarray, g: np.ndarray, *depths: float) -> list[np.ndarray]:
    """Of all pairs of matrices, one by one."""
    pairs = zip(w.reshape(-1, *w.shape[-2:]), g.reshape(-1, *g.shape[-2:]), strict=True)
    found = [[np.asarray(rule(*pair, depth)) for depth in depths] for pair in pairs]
    return [np.stack(one).reshape(w.shape) for one in zip(*found, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_jit_vmap_and_vmap_of_vmap_equal_a_loop(x64: None, shape: tuple[int, int]) -> None:
    depths = (1.5, 3, math.inf)

    def one(w: Any, g: Any) -> list[jax.Array]:
        return [precondition(w, g, depth) for depth in depths]

    def close(found: list[jax.Array], true: list[np.ndarray]) -> None:
        for ours, expected in zip(found, true, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-13)

    w, g = batch((2, 3, *shape))
    same_g, same_w = (np.broadcast_to(a[0, :1], (3, *shape)) for a in (g, w))
    close(one(w[0, 0], g[0, 0]), [true[0] for true in loop(w[0], g[0], *depths)])
    close(jax.vmap(one)(w[0], g[0]), loop(w[0], g[0], *depths))
    close(jax.jit(jax.vmap(jax.vmap(one)))(w, g), loop(w, g, *depths))
    close(jax.jit(jax.vmap(one, in_axes=(0, None)))(w[0], g[0, 0]), loop(w[0], same_g, *depths))
    close(jax.jit(jax.vmap(one, in_axes=(None, 0)))(w[0, 0], g[0]), loop(same_w, g[0], *depths))


@pytest.mark.usefixtures("two_devices")
def test_sharded_over_two_devices_equals_a_loop(x64: None) -> None:
    w, g = batch((6, 10, 12))
    mesh = Mesh(np.array(jax.local_devices()), ("runs",))
    spec = PartitionSpec("runs")
    sharded = jax.shard_map(
        jax.vmap(partial(precondition, depth=3)), mesh=mesh, in_specs=(spec, spec), out_specs=spec
    )
    with threadpool_limits(1, user_api="blas"):
        found = jax.block_until_ready(jax.jit(sharded)(w, g))
    np.testing.assert_allclose(found, loop(w, g, 3)[0], rtol=1e-12, atol=1e-13)


def test_no_decomposition_larger_than_the_small_side() -> None:
    for shape in ((3, 64), (64, 3)):
        text = str(jax.make_jaxpr(partial(precondition, depth=3))(*batch(shape)))
        assert "svd" in text
        assert "[64,64]" not in text
