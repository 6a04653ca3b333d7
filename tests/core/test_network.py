from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import mostly_slow
from hypothesis import given, settings
from hypothesis import strategies as st

import lnn
from lnn.core.network import (
    balanced_factors,
    balancedness_gap,
    end_to_end,
    init_factors,
    random_direction,
)
from lnn.core.problem import Problem

KEY = jax.random.key(3)


def product(factors: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.linalg.multi_dot(factors[::-1]) if len(factors) > 1 else factors[0]


def gap(factors: tuple[np.ndarray, ...]) -> float:
    return max(
        (float(np.linalg.norm(b.T @ b - a @ a.T)) for a, b in pairwise(factors)), default=0.0
    )


sizes = st.lists(st.integers(1, 40), min_size=2, max_size=7)


@given(dims=sizes, norm=st.sampled_from([1e-3, 0.1, 1.0, 7.0]), seed=st.integers(0, 1000))
@settings(max_examples=150)
def test_balanced_start_is_balanced_and_has_its_norm(
    dims: list[int], norm: float, seed: int
) -> None:
    factors = init_factors(jax.random.key(seed), dims, "balanced", norm)
    assert [f.shape for f in factors] == [(above, below) for below, above in pairwise(dims)]
    assert all(f.dtype == np.float64 for f in factors)
    assert gap(factors) < 1e-12
    assert np.linalg.norm(product(factors)) == pytest.approx(norm, rel=1e-13)
    assert np.linalg.matrix_rank(product(factors), tol=1e-9 * norm) == min(dims)


@given(
    k=st.integers(1, 6), d=st.integers(1, 6), extra=st.lists(st.integers(0, 9), max_size=4),
    data=st.data(),
)  # fmt: skip
def test_any_widths_from_the_rank_up_split_a_matrix_exactly(
    k: int, d: int, extra: list[int], data: st.DataObject
) -> None:
    rank = data.draw(st.integers(1, min(k, d)))
    rng = np.random.default_rng([k, d, rank])
    w = random_direction(rng, k, d, rank, 1.3)
    factors = balanced_factors(w, (d, *(rank + n for n in extra), k), rng)
    np.testing.assert_allclose(product(factors), w, atol=1e-13)
    assert gap(factors) < 1e-12


@given(dims=st.sampled_from([[3, 2], [4, 1, 2], [3, 3, 3, 3], [2, 5, 4, 3]]))
@settings(max_examples=4)
def test_end_to_end_and_gap_agree_with_numpy_one_by_one_and_in_a_batch(
    x64: None, dims: list[int]
) -> None:
    rng = np.random.default_rng(0)
    batch = tuple(rng.standard_normal((2, above, below)) for below, above in pairwise(dims))
    runs = [tuple(f[i] for f in batch) for i in range(2)]
    np.testing.assert_allclose(end_to_end(batch), [product(run) for run in runs], rtol=1e-12)
    np.testing.assert_allclose(
        balancedness_gap(batch), [gap(run) for run in runs], rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(balancedness_gap(runs[0]), gap(runs[0]), rtol=1e-12, atol=1e-15)


def test_library_gap_of_a_balanced_start_is_below_1e_12(x64: None) -> None:
    for dims in ([128, 1, 1], [128, 128, 128, 6], [5, 3], [5, 9, 4, 3], [1, 1, 1]):
        assert float(balancedness_gap(init_factors(KEY, dims))) < 1e-12


def test_one_key_gives_one_matrix_whatever_the_widths() -> None:
    first = product(init_factors(KEY, [5, 3]))
    for dims in ([5, 3, 3], [5, 20, 3], [5, 4, 3, 9, 3]):
        np.testing.assert_allclose(product(init_factors(KEY, dims)), first, atol=1e-15)
    narrow = product(init_factors(KEY, [5, 1, 3]))
    assert np.linalg.matrix_rank(narrow, tol=1e-12) == 1
    np.testing.assert_allclose(product(init_factors(KEY, [5, 8, 1, 3])), narrow, atol=1e-15)
    assert np.abs(product(init_factors(jax.random.key(4), [5, 3])) - first).max() > 1e-3


def test_same_key_same_bits_and_old_style_keys_work() -> None:
    for scheme in ("balanced", "near-zero", "identity"):
        one, two = (init_factors(jax.random.key(5), [4, 3, 2], scheme) for _ in range(2))
        old = init_factors(jax.random.PRNGKey(5), [4, 3, 2], scheme)
        for a, b, c in zip(one, two, old, strict=True):
            assert np.array_equal(a, b)
            assert np.array_equal(a, c)


def test_near_zero_has_the_papers_deviation_by_default() -> None:
    entries = np.concatenate([f.ravel() for f in init_factors(KEY, [100, 200, 100], "near-zero")])
    assert entries.std() == pytest.approx(0.01, rel=0.02)
    assert abs(entries.mean()) < 4 * 0.01 / np.sqrt(entries.size)
    assert np.linalg.norm(init_factors(KEY, [300, 200], "near-zero", 2.0)) == pytest.approx(
        2 * np.sqrt(60000), rel=0.02
    )


def test_default_balanced_norm_is_a_tenth() -> None:
    assert np.linalg.norm(product(init_factors(KEY, [6, 4, 2]))) == pytest.approx(0.1, rel=1e-13)


def test_identity_puts_one_on_the_diagonal_of_rectangular_factors_too() -> None:
    dims = [5, 2, 4, 3]
    identity = init_factors(KEY, dims, "identity")
    noise = init_factors(KEY, dims, "near-zero")
    for a, b, (below, above) in zip(identity, noise, pairwise(dims), strict=True):
        np.testing.assert_allclose(a - b, np.eye(above, below), atol=1e-15)


@pytest.mark.parametrize(
    ("dims", "balanced"),
    [
        ([5, 3], True),
        ([5, 3, 3], True),
        ([5, 3, 9, 3], True),
        ([3, 7, 7, 3], False),
        ([4, 4, 4], True),
        ([5, 7, 3], False),
        ([3, 5, 4, 3], False),
        ([1, 6, 6, 1], False),
    ],
)
def test_identity_is_balanced_exactly_when_all_smaller_neighbours_are_equal(
    dims: list[int], balanced: bool
) -> None:
    assert (len({min(pair) for pair in pairwise(dims)}) == 1) == balanced
    found = gap(init_factors(KEY, dims, "identity", 1e-300))
    assert found < 1e-250 if balanced else found >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5],), r"dims = \[5\]: give at least two layer sizes"),
        (([5, 0, 2],), r"dims = \[5, 0, 2\].*each at least 1"),
        (([5, 1.5, 2],), r"dims = \[5, 1.5, 2\]"),
        (([5, 2], "xavier"), r"scheme = 'xavier': choose one of balanced, near-zero, identity"),
        (([5, 2], "balanced", 0.0), r"scale = 0.0: give a positive number"),
        (([5, 2], "near-zero", -1.0), r"scale = -1.0: give a positive number"),
        (([5, 2], "identity", float("nan")), r"scale = nan: give a positive number"),
    ],
)
def test_init_says_what_was_wrong(arguments: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        init_factors(KEY, *arguments)


def test_balanced_factors_says_when_a_width_is_below_the_rank() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"hidden widths \[4, 2\] are below the rank 3"):
        balanced_factors(rng.standard_normal((3, 5)), (5, 4, 2, 3), rng)
    with pytest.raises(ValueError, match=r"w has shape \(3, 5\), but dims = \[3, 5\]"):
        balanced_factors(rng.standard_normal((3, 5)), (3, 5), rng)


def synthetic_a(k: int) -> Problem:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((40, 5))
    y = x @ rng.standard_normal((5, k)) + 0.3 * rng.standard_normal((40, k))
    return Problem(x, y, 2.0)


def start_of(problem: Problem, depth: int, width: int) -> tuple[np.ndarray, ...]:
    return init_factors(KEY, [5, *[width] * (depth - 1), problem.k], "balanced", 1.0)


def both_ways(
    problem: Problem, depth: int, width: int, rate: float, steps: int, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """W_e after so many steps of layerwise gradient descent, and of the end-to-end rule."""
    factors = start_of(problem, depth, width)
    layers = lnn.simulate(
        problem, lnn.make_method("layerwise-gd", depth, (width,) * (depth - 1)), factors, rate,
        steps, weight_decay=decay, dtype="float64", per_decade=1,
    )  # fmt: skip
    rule = lnn.simulate(
        problem, lnn.make_method("end-to-end", depth), product(factors), rate, steps,
        weight_decay=decay, dtype="float64", per_decade=1,
    )  # fmt: skip
    return product(layers.params), rule.params


def slope(problem: Problem, depth: int, decay: float, halvings: range, *, one_step: bool) -> float:
    rates = 0.02 / 2.0 ** np.array(halvings)
    errors = []
    for rate in rates:
        steps = 1 if one_step else round(1 / rate)
        layers, rule = both_ways(problem, depth, 4, float(rate), steps, decay)
        errors.append(np.linalg.norm(layers - rule))
    found = float(np.polyfit(np.log(rates), np.log(errors), 1)[0])
    print(f"k={problem.k} N={depth} decay={decay} one_step={one_step}: slope {found:.4f}")
    return found


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("depth", mostly_slow([2, 3, 4], 3))
def test_layerwise_descent_approaches_the_end_to_end_rule_with_first_order(
    depth: int, k: int
) -> None:
    assert slope(synthetic_a(k), depth, 0.0, range(2, 7), one_step=False) == pytest.approx(
        1, abs=0.05
    )


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("depth", mostly_slow([2, 3, 4], 3))
def test_one_step_differs_with_second_order_with_and_without_weight_decay(
    depth: int, k: int, decay: float
) -> None:
    assert slope(synthetic_a(k), depth, decay, range(7), one_step=True) == pytest.approx(
        2, abs=0.05
    )


def test_the_slope_is_lost_without_balance() -> None:
    problem, depth = synthetic_a(3), 3
    rng = np.random.default_rng(0)
    factors = tuple(0.5 * rng.standard_normal(shape) for shape in ((4, 5), (4, 4), (3, 4)))
    rate, options = 1e-4, {"dtype": "float64", "per_decade": 1}
    layers = lnn.simulate(
        problem, lnn.make_method("layerwise-gd", depth, (4, 4)), factors, rate, 1, **options
    )
    start = product(factors)
    rule = lnn.simulate(problem, lnn.make_method("end-to-end", depth), start, rate, 1, **options)
    moved = np.linalg.norm(rule.params - start)
    assert np.linalg.norm(product(layers.params) - rule.params) > 0.1 * moved


def test_width_does_not_matter_from_balanced_starts_of_full_rank() -> None:
    problem = synthetic_a(3)
    paths = [both_ways(problem, 3, width, 0.01, 300, 0.0)[0] for width in (3, 7, 20)]
    start = product(start_of(problem, 3, 3))
    assert np.linalg.norm(paths[0] - start) > 0.5
    for path in paths[1:]:
        np.testing.assert_allclose(path, paths[0], atol=1e-10)


def test_bottleneck_below_the_rank_of_the_target_map_does_matter() -> None:
    problem = synthetic_a(3)
    narrow, _ = both_ways(problem, 3, 1, 0.01, 1000, 0.0)
    assert np.linalg.matrix_rank(narrow, tol=1e-9) == 1


def test_depth_one_needs_no_neighbour() -> None:
    assert float(balancedness_gap((jnp.ones((2, 3)),))) == 0
    assert balancedness_gap((jnp.ones((4, 2, 3)),)).shape == (4,)


def test_the_rank_of_a_balanced_start_must_fit() -> None:
    factors = init_factors(jax.random.key(0), (6, 4), rank=2)
    assert np.linalg.matrix_rank(factors[0]) == 2
    with pytest.raises(ValueError, match=r"rank = 5: layer sizes .* allow 1 to 4"):
        init_factors(jax.random.key(0), (6, 4), rank=5)
