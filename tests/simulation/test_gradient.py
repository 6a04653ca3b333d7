from __future__ import annotations

import importlib
import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import lnn
from lnn.core.problem import Problem
from lnn.simulation import gradient as engine
from lnn.simulation import place
from lnn.simulation.placement import ROWS, RUNS, compressed
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
            engine.prepare(data, at_once), problem.p, problem.m, w, engine.queue(active), sizes,
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
    residual = np.einsum("md,rkd->rmk", problem.x, w) - problem.y
    expected = np.sum(np.mean(np.abs(residual) ** p, axis=1), axis=-1) / p
    pulled = np.sign(residual) * np.abs(residual) ** (p - 1)
    slopes = np.einsum("rmk,md->rkd", pulled, problem.x) / m
    np.testing.assert_allclose(loss[active], expected[active], rtol=1e-12)
    for found in (gradient, unmeasured):
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


@pytest.mark.parametrize("k", [1, 3])
def test_second_moments_stand_for_all_examples_at_p_2(x64: None, k: int) -> None:
    problem = problem_of(200, 6, k, 2.0)
    short = compressed(problem)
    assert short.m == 6 + k
    np.testing.assert_allclose(
        short.x.T @ short.x / short.m, problem.x.T @ problem.x / problem.m, rtol=1e-12, atol=1e-14
    )
    w = np.random.default_rng(3).standard_normal((4, k, 6))
    np.testing.assert_allclose(short.loss(w), problem.loss(w), rtol=1e-13)
    np.testing.assert_allclose(short.gradient(w), problem.gradient(w), rtol=1e-11, atol=1e-13)


def test_only_long_problems_at_p_2_are_shortened() -> None:
    for problem in (problem_of(200, 6, 1, 4.0), problem_of(7, 6, 1, 2.0)):
        assert compressed(problem) is problem


def test_losses_near_the_optimum_keep_float32_accuracy_at_p_2() -> None:
    """The quadratic form of the moments would lose them: |w|^2 terms cancel to a small rest."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 8))
    best = rng.standard_normal((1, 8))
    problem = Problem(x, x @ best.T + 1e-3 * rng.standard_normal((500, 1)), 2.0)
    out = lnn.simulate(problem, make_method("gd"), best, 1e-9, 1)
    assert float(problem.loss(best.astype(np.float32))) < 1e-6
    exact = np.mean((x @ best.T - problem.y) ** 2) / 2
    assert out.loss[0] == pytest.approx(exact, rel=1e-3)


@pytest.mark.usefixtures("two_devices")
def test_rows_are_shared_out_when_runs_are_few_and_data_is_large() -> None:
    large, small = problem_of(200_000, 50, 1, 4.0), problem_of(100, 5, 1, 4.0)
    assert place(large, "float32", 1).layout == "rows of the data shared out"
    assert place(large, "float32", 3).layout == "rows of the data shared out"
    assert place(small, "float32", 64).layout == "runs shared out"
    assert place(small, "float32", 1).layout == "one device"


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize(("m", "p"), [(60, 4.0), (61, 2.5)])
@pytest.mark.parametrize("name", ["gd", "end-to-end", "layerwise-adam"])
def test_sharing_rows_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, m: int, p: float, name: str
) -> None:
    problem, method = problem_of(m, 5, 2, p), make_method(name, 2.0, (2,))
    start: Any = lnn.core.network.init_factors(jax.random.key(0), (5, 2, 2), "near-zero", 0.4)
    if name != "layerwise-adam":
        start = start[1] @ start[0]
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 3), start)
    rates = np.array([1e-3, 1e-2, 1e9])
    placement = importlib.import_module("lnn.simulation.placement")
    outs = []
    for cost in (1e30, -1e30):  # of adding up gradients: runs shared out, then rows
        monkeypatch.setattr(placement, "_FLOP_PER_SUM", cost)
        assert ("rows" in place(problem, "float64", 3).layout) == (cost < 0)
        outs.append(lnn.simulate(problem, method, batch, rates, 100, dtype="float64"))
    assert np.array_equal(outs[0].status, outs[1].status)
    for field in ("loss", "norm", "gradient_norm"):
        np.testing.assert_allclose(
            getattr(outs[0], field)[:2], getattr(outs[1], field)[:2], rtol=1e-9
        )


@pytest.mark.usefixtures("two_devices")
def test_data_on_the_devices_is_not_copied() -> None:
    problem = problem_of(200_000, 64, 1, 4.0)
    x = jnp.asarray(problem.x, jnp.float32)
    y = jnp.asarray(problem.y, jnp.float32)
    placed = place(Problem(x, y, 4.0), "float32", 1)
    assert "rows" in placed.layout
    first = x.unsafe_buffer_pointer()
    shares = sorted(
        shard.data.unsafe_buffer_pointer() for shard in placed.data.x.addressable_shards
    )
    assert shares == [first, first + x.nbytes // 2]
    again = place(Problem(placed.data.x, placed.data.y, 4.0), "float32", 1)
    assert again.data.x is placed.data.x


@pytest.mark.usefixtures("two_devices")
def test_an_odd_row_is_padded_without_a_copy_in_another_precision() -> None:
    problem = problem_of(250_001, 48, 1, 4.0)
    x = jnp.asarray(problem.x, jnp.float32)
    tracemalloc.start()
    placed = place(Problem(x, jnp.asarray(problem.y, jnp.float32), 4.0), "float32", 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert placed.data.x.shape == (250_002, 48)
    assert not np.asarray(placed.data.x)[-1].any()
    assert peak < 0.6 * x.nbytes  # the padded half, once


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
