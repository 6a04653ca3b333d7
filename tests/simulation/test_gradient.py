from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.core.problem import Problem
from lnn.simulation import gradient as engine
from lnn.simulation.placement import ROWS, RUNS
from lnn.transforms.methods import make_method


def problem_of(m: int, d: int, k: int, p: float, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, d))
    return Problem(x, x @ rng.standard_normal((d, k)) / d + rng.standard_normal((m, k)), p)


def passed(
    problem: Problem,
    w: np.ndarray,
    active: np.ndarray,
    sizes: list[int],
    shares: int = 1,
    at_once: int = 1000,
    measure: bool = True,
    queues: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and gradient by the engine's pass, the rows dealt out over `shares` devices."""
    mesh = Mesh(np.array(jax.devices()[:shares])[None], (RUNS, ROWS))
    rows = -(-problem.m // shares) * shares
    x = np.zeros((rows, problem.d))
    y = np.zeros((rows, problem.k))
    x[: problem.m], y[: problem.m] = problem.x, problem.y
    data = jax.device_put(
        engine.Data(jnp.asarray(x), jnp.asarray(y)), NamedSharding(mesh, PartitionSpec(ROWS))
    )

    def on_one_device(data: Any, w: Any, active: Any) -> Any:
        return engine.data_pass(
            engine.prepare(data, transposed=queues and at_once >= len(data.x)),
            problem.p, problem.m, w,
            engine.queue(active) if queues else None, sizes,
            rows_at_once=at_once, measure=measure, row_shares=shares,
        )  # fmt: skip

    program = jax.jit(
        jax.shard_map(
            on_one_device,
            mesh=mesh,
            in_specs=(PartitionSpec(ROWS), PartitionSpec(), PartitionSpec()),
            out_specs=PartitionSpec(),
            check_vma=False,
        )
    )
    loss, gradient = program(data, jnp.asarray(w), jnp.asarray(active))
    return np.asarray(loss), np.asarray(gradient)


@settings(max_examples=3)  # each compiles three programs
@given(
    m=st.integers(1, 40), d=st.integers(1, 5), k=st.integers(1, 3), runs=st.integers(1, 9),
    p=st.sampled_from([1.5, 2.0, 3.0, 4.0]), seed=st.integers(0, 2**32 - 1),
    rows=st.sampled_from([4, 7, 1000]), shares=st.integers(1, min(2, jax.local_device_count())),
    data=st.data(),
)  # fmt: skip
def test_the_pass_is_loss_and_gradient_of_the_running_runs(
    x64: None, m: int, d: int, k: int, runs: int, p: float,
    seed: int, rows: int, shares: int, data: Any,
) -> None:  # fmt: skip
    k = min(k, m)
    sizes = sorted(data.draw(st.sets(st.integers(1, runs), min_size=1)))
    active = np.array(data.draw(st.lists(st.booleans(), min_size=runs, max_size=runs)))
    problem = problem_of(m, d, k, p, seed)
    w = np.random.default_rng(seed + 1).standard_normal((runs, k, d))
    loss, gradient = passed(problem, w, active, sizes, shares, rows)
    _, unmeasured = passed(problem, w, active, sizes, shares, rows, measure=False)
    at_once, all_at_once = passed(problem, w, active, sizes, shares, rows, queues=False)
    residual = np.einsum("md,rkd->rmk", problem.x, w) - problem.y
    expected = np.sum(np.mean(np.abs(residual) ** p, axis=1), axis=-1) / p
    pulled = np.sign(residual) * np.abs(residual) ** (p - 1)
    slopes = np.einsum("rmk,md->rkd", pulled, problem.x) / m
    for found in (loss, at_once):
        np.testing.assert_allclose(found[active], expected[active], rtol=1e-12)
    for found in (gradient, unmeasured, all_at_once):
        np.testing.assert_allclose(found[active], slopes[active], rtol=1e-10, atol=1e-12)


def test_an_ended_run_may_hold_anything(x64: None) -> None:
    problem = problem_of(20, 4, 1, 4.0)
    w = np.random.default_rng(0).standard_normal((5, 1, 4))
    active = np.array([True, False, True, True, False])
    _, clean = passed(problem, w, active, [1, 2])
    w[~active] = np.nan
    _, gradient = passed(problem, w, active, [1, 2])
    assert np.array_equal(gradient[active], clean[active])


@pytest.mark.parametrize("outputs", [1, 6, 100])
@pytest.mark.parametrize("runs", [1, 2, 7, 64, 500])
def test_block_sizes_go_up_to_a_full_block(runs: int, outputs: int) -> None:
    sizes = engine.block_sizes(runs, outputs, "cpu")
    assert sizes == sorted(set(sizes))
    assert sizes[0] >= 1
    assert sizes[-1] == min(runs, max(1, engine.BLOCK_COLUMNS // outputs))
    assert engine.block_sizes(runs, outputs, "tpu")[-1] == runs


@pytest.mark.parametrize(
    ("rows", "d", "columns", "itemsize", "expected"),
    [(2565, 128, 64, 4, 2565), (10**6, 128, 64, 4, 2048), (10**6, 4, 64, 4, 4096)],
)
def test_rows_go_in_blocks_where_they_would_not_fit(
    rows: int, d: int, columns: int, itemsize: int, expected: int
) -> None:
    assert engine.rows_at_once(rows, d, columns, itemsize, "cpu") == expected
    assert engine.rows_at_once(rows, d, columns, itemsize, "gpu") == rows


def test_many_rows_through_simulate_are_the_plain_gradient() -> None:
    problem = problem_of(80_000, 64, 1, 4.0)
    assert engine.rows_at_once(80_000, 64, 64, 8, "cpu") < 20_000
    w = np.random.default_rng(0).standard_normal((1, 64))
    out = lnn.simulate(problem, make_method("gd"), w, 0.01, 1, dtype="float64")
    residual = problem.x @ w.T - problem.y
    np.testing.assert_allclose(out.loss[0], np.mean(residual**4) / 4, rtol=1e-12)
    gradient = (residual**3).T @ problem.x / problem.m
    np.testing.assert_allclose(out.params, w - 0.01 * gradient, rtol=1e-11)
