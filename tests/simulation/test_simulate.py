from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from cases import mostly_slow
from small_problems import descend, problem_of, starts_of
from threadpoolctl import threadpool_info

import lnn
from lnn.core.network import init_factors
from lnn.core.problem import Problem
from lnn.simulation import Status, simulate
from lnn.simulation.program import advance
from lnn.transforms.methods import METHODS, EndToEnd, Method, make_method

COMPILATIONS = "/jax/core/compile/backend_compile_duration"


GD = make_method("gd")


@pytest.mark.parametrize("p", [2.0, 2.5, 4.0])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_gradient_descent_is_numpys_loop(p: float, decay: float) -> None:
    problem = problem_of(p=p)
    start = starts_of(problem, 1)[0]
    out = simulate(
        problem, GD, start, 0.02, 250, weight_decay=decay, dtype="float64", save_weights=True
    )
    path, losses, norms = descend(problem, start, 0.02, 250, decay)
    assert out.w is not None
    np.testing.assert_allclose(out.w, path[out.steps], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(out.params, path[-1], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(out.loss, losses[out.steps], rtol=1e-12)
    np.testing.assert_allclose(out.gradient_norm, norms[out.steps], rtol=1e-11)
    np.testing.assert_allclose(out.norm, np.linalg.norm(out.w, axis=(-2, -1)), rtol=1e-13)
    assert np.isnan(out.balancedness_gap).all()
    assert out.status == Status.BUDGET_SPENT
    assert out.end_step == 250


@pytest.mark.parametrize(
    "name", mostly_slow(METHODS, "adagrad", "end-to-end", "momentum-100", "layerwise-adam")
)
def test_a_batch_is_its_runs_one_by_one(name: str) -> None:
    problem = problem_of(k=1)
    method = make_method(name, 3.0, (2, 2))
    rates, decays = np.array([0.01, 0.03, 0.002]), np.array([0.0, 0.1, 0.5])
    dims = (problem.d, 2, 2, 1)
    starts = [init_factors(jax.random.key(seed), dims, "near-zero", 0.4) for seed in range(3)]
    if isinstance(method.parameterization, EndToEnd):
        starts = [factors[2] @ factors[1] @ factors[0] for factors in starts]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    options: Any = {"dtype": "float64", "save_weights": True}
    together = simulate(problem, method, batch, rates, 60, weight_decay=decays, **options)
    for run, (rate, decay, start) in enumerate(zip(rates, decays, starts, strict=True)):
        alone = simulate(problem, method, start, rate, 60, weight_decay=decay, **options)
        for field in ("loss", "norm", "gradient_norm", "balancedness_gap", "w"):
            np.testing.assert_allclose(
                getattr(together, field)[run], getattr(alone, field), rtol=1e-9, atol=1e-11
            )
        assert alone.loss.shape == alone.steps.shape
        assert alone.status == together.status[run] == Status.BUDGET_SPENT
        for leaf, true in zip(
            jax.tree.leaves(together.params), jax.tree.leaves(alone.params), strict=True
        ):
            np.testing.assert_allclose(leaf[run], true, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["gd", "adam", "end-to-end", "layerwise-gd"])
def test_divergence_of_one_run_changes_the_others_by_rounding_alone(name: str) -> None:
    problem, method = problem_of(), make_method(name, 2.0, (3,))
    factors = init_factors(jax.random.key(0), (problem.d, 3, problem.k))
    one = factors[1] @ factors[0] if isinstance(method.parameterization, EndToEnd) else factors
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 4), one)
    calm = simulate(problem, method, batch, np.array([0.01, 0.02, 0.01, 0.005]), 300)
    wild = simulate(problem, method, batch, np.array([0.01, 1e9, 0.01, 0.005]), 300)
    assert (calm.status == Status.BUDGET_SPENT).all()
    assert list(wild.status == Status.DIVERGED) == [False, True, False, False]
    for field in ("loss", "norm", "gradient_norm"):
        np.testing.assert_allclose(
            getattr(calm, field)[[0, 2, 3]], getattr(wild, field)[[0, 2, 3]], rtol=1e-5
        )
    for a, b in zip(jax.tree.leaves(calm.params), jax.tree.leaves(wild.params), strict=True):
        np.testing.assert_allclose(a[[0, 2, 3]], b[[0, 2, 3]], rtol=1e-4, atol=1e-6)
    ended = int(np.flatnonzero(wild.steps == wild.end_step[1])[0])
    assert np.isnan(wild.loss[1, ended + 1 :]).all()
    lost = not all(np.isfinite(leaf[1]).all() for leaf in jax.tree.leaves(wild.params))
    assert lost == (wild.end_step[1] < 300)  # only such a run ends early


def quadratic(rates: Any, steps: int, start: float = 1.0, **options: Any) -> Any:
    """Runs of w <- w - rate (w - 1), whose loss at w = 0 is 1/2."""
    problem = Problem(np.ones((1, 1)), np.ones(1), 2.0)
    start_at = np.full((np.size(rates), 1, 1), 1 + start)
    return simulate(problem, GD, start_at, np.array(rates), steps, dtype="float64", **options)


def test_divergence_is_a_last_loss_above_a_multiple_of_that_at_zero() -> None:
    # From w - 1 = 1 the loss grows by 4 a step: 4^4 = 256 is below 1000 times 1/2, 4^5 above.
    assert list(quadratic([3.0, 2.0], 4).status) == 2 * [Status.BUDGET_SPENT]
    out = quadratic([3.0, 2.0], 5)
    assert list(out.status) == [Status.DIVERGED, Status.BUDGET_SPENT]
    assert list(out.end_step) == [5, 5]  # it goes on to the end all the same
    assert list(quadratic([3.0, 2.0], 5, divergence=2000).status) == 2 * [Status.BUDGET_SPENT]
    assert list(quadratic([3.0], 1100, divergence=np.inf).status) == [Status.DIVERGED]
    for wrong in (1.0, np.nan, "2"):
        with pytest.raises(ValueError, match=r"divergence = .*: give a factor above 1"):
            quadratic([3.0], 4, divergence=wrong)


def test_divergence_does_not_depend_on_what_is_recorded() -> None:
    dense, sparse = (quadratic([2.5, 1.9, 1e3], 700, record=r) for r in (range(701), ()))
    np.testing.assert_array_equal(dense.status, sparse.status)
    np.testing.assert_array_equal(dense.params[:2], sparse.params[:2])  # the last is not finite
    assert list(sparse.steps) == [0, 700]


def test_a_run_from_the_optimum_has_not_diverged_when_it_leaves() -> None:
    problem = problem_of(p=4.0)
    best, _ = lnn.reference_optimum(problem)
    out = simulate(problem, make_method("adam"), best, 1e-3, 50, dtype="float64")
    assert out.loss.max() > 1 * out.loss[0]
    assert out.status == Status.BUDGET_SPENT


def test_a_run_that_comes_back_is_not_lost() -> None:
    # The first step multiplies w - 1 by 99, the others by 1/2.
    def schedule(step: Any) -> Any:
        return jax.numpy.where(step == 0, 100.0, 0.5)

    problem = Problem(np.ones((1, 1)), np.ones(1), 2.0)
    out = simulate(problem, "gd", np.full((1, 1), 2.0), schedule, 30, dtype="float64")
    assert out.loss[1] > 1000 * 0.5
    assert out.loss[-1] < 1e-10
    assert out.status == Status.BUDGET_SPENT


def test_reaching_the_target_stops_the_run_and_freezes_it() -> None:
    problem = problem_of(p=2.0)
    starts = np.repeat(starts_of(problem, 1), 4, axis=0)  # two on a device: one of them goes on
    goal = 0.05
    out = simulate(
        problem,
        GD,
        starts,
        np.array([0.1, 1e-5, 0.1, 1e-5]),
        500,
        stop_loss=goal,
        save_weights=True,
    )
    assert list(out.status) == [Status.REACHED, Status.BUDGET_SPENT] * 2
    assert list(out.end_step)[1] == 500
    ended = int(np.flatnonzero(out.steps == out.end_step[0])[0])
    assert 0 < ended < out.steps.size - 1
    assert out.loss[0, ended] <= goal < out.loss[0, ended - 1]
    assert np.isnan(out.loss[0, ended + 1 :]).all()
    assert out.w is not None
    assert np.array_equal(out.params[0], out.w[0, ended])
    assert np.isfinite(out.loss[1]).all()
    already = simulate(problem, GD, starts[0], 0.1, 500, stop_loss=np.inf)
    assert already.status == Status.REACHED
    assert already.end_step == 0
    assert np.array_equal(already.params, starts[0].astype(np.float32))


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_runs_that_do_not_divide_by_the_devices(runs: int) -> None:
    problem = problem_of()
    starts, rates = starts_of(problem, runs), np.linspace(0.01, 0.03, runs)
    out = simulate(problem, GD, starts, rates, 50, dtype="float64")
    assert out.loss.shape == (runs, out.steps.size)
    assert out.params.shape == starts.shape
    for run in range(runs):
        path, _, _ = descend(problem, starts[run], rates[run], 50, 0.0)
        np.testing.assert_allclose(out.params[run], path[-1], rtol=1e-12, atol=1e-13)


def test_progress_counts_up_to_the_last_step() -> None:
    seen: list[int] = []
    simulate(problem_of(), GD, starts_of(problem_of(), 1)[0], 0.01, 200, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == 200


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    events: list[str] = []
    counting = [True]

    def listen(event: str, _: float, **__: Any) -> None:
        if event == COMPILATIONS and counting:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    counting.clear()


def test_neither_chunks_nor_seeds_nor_rates_nor_steps_compile_again(
    compilations: list[str],
) -> None:
    problem, method = problem_of(), make_method("end-to-end", 2.75)

    def study(seed: int, steps: int, rate: float) -> None:
        starts = starts_of(problem, 4, seed)
        simulate(problem, method, starts, rate * np.arange(1.0, 5), steps, weight_decay=0.01 * seed)

    study(0, 2, 0.01)  # a single chunk
    study(0, 3000, 0.01)
    first, entries = len(compilations), advance._cache_size()
    assert first > 0
    study(1, 3000, 0.02)
    study(2, 500, 0.001)
    assert len(compilations) == first
    assert advance._cache_size() == entries


@pytest.mark.parametrize("name", ["end-to-end", "adam", "adadelta", "momentum", "layerwise-gd"])
def test_the_program_is_compiled_once_for_all_chunks(compilations: list[str], name: str) -> None:
    problem, method, runs = problem_of(), make_method(name, 2.0, (2,)), 6
    start: Any = init_factors(jax.random.key(0), (problem.d, 2, problem.k))
    if isinstance(method.parameterization, EndToEnd):
        start = start[1] @ start[0]
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * runs), start)
    simulate(problem, method, batch, np.full(runs, 0.01), 2)
    first, entries = len(compilations), advance._cache_size()
    assert first > 0
    simulate(problem, method, batch, np.full(runs, 0.01), 1000)
    assert len(compilations) == first, "the second chunk compiles again"
    assert advance._cache_size() == entries


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_settings_are_left_as_they_were(before: bool, dtype: str) -> None:
    was = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", before)
    try:
        threads = [pool["num_threads"] for pool in threadpool_info()]
        problem = problem_of()
        during: list[list[int]] = []

        def look(_: int) -> None:
            pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
            during.append([pool["num_threads"] for pool in pools])

        out = simulate(problem, GD, starts_of(problem, 1)[0], 0.01, 20, dtype=dtype, progress=look)
        assert out.params.dtype == out.loss.dtype == np.dtype(dtype)
        assert jax.config.read("jax_enable_x64") == before
        assert [pool["num_threads"] for pool in threadpool_info()] == threads
        assert during[0]
        assert all(count == 1 for counts in during for count in counts)
        with pytest.raises(RuntimeError, match="stop"):
            simulate(problem, GD, starts_of(problem, 1)[0], 0.01, 20, dtype=dtype, progress=stop)
        assert jax.config.read("jax_enable_x64") == before
        assert [pool["num_threads"] for pool in threadpool_info()] == threads
    finally:
        jax.config.update("jax_enable_x64", was)


def stop(_: int) -> None:
    raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate = 0.0: give a positive number"),
        ({"learning_rate": -1.0}, r"learning_rate = -1.0: give a positive"),
        ({"learning_rate": math.nan}, r"learning_rate = nan"),
        ({"learning_rate": np.ones((2, 2))}, r"learning_rate = array of shape \(2, 2\)"),
        ({"weight_decay": -0.1}, r"weight_decay = -0.1: give a number >= 0"),
        ({"weight_decay": math.inf}, r"weight_decay = inf"),
        ({"learning_rate": np.array([])}, r"learning_rate = array of shape \(0,\)"),
        ({"steps": 0}, r"steps = 0: give a whole number, 1 to 2147483647"),
        ({"steps": 2.5}, r"steps = 2.5: give a whole number"),
        ({"steps": 2**31}, r"steps = 2147483648: give a whole number, 1 to 2147483647"),
        ({"per_decade": 0}, r"per_decade = 0: record at least 1"),
        ({"dtype": "float16"}, r"dtype = 'float16': choose 'float32' or 'float64'"),
        ({"start": np.ones((6, 2))}, r"start has leaves of shape \(6, 2\).*needs \(2, 6\)"),
        ({"start": np.ones(6)}, r"start has leaves of shape"),
        ({"start": (np.ones((2, 6)),) * 2}, r"start is a tuple of 2: gd needs one array W"),
        ({"method": make_method("layerwise-gd", 2), "start": np.ones((2, 6))}, r"layerwise-gd-2"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments = {"method": GD, "start": np.ones((2, 6)), "learning_rate": 0.1, "steps": 5}
    arguments |= change
    with pytest.raises(ValueError, match=message):
        simulate(problem_of(), **arguments)


def test_a_start_for_another_number_of_runs_is_named() -> None:
    with pytest.raises(ValueError, match=r"needs \(2, 6\), or with a leading axis of 3 runs"):
        simulate(problem_of(), GD, np.ones((2, 2, 6)), np.full(3, 0.1), 5)


def test_balancedness_gap_is_recorded_for_factors() -> None:
    problem = problem_of()
    method = make_method("layerwise-gd", 2, (3,))
    factors = init_factors(jax.random.key(0), (6, 3, 2), "near-zero", 0.5)
    out = simulate(problem, method, factors, 1e-3, 10, dtype="float64")
    gap = np.linalg.norm(factors[1].T @ factors[1] - factors[0] @ factors[0].T)
    assert out.balancedness_gap[0] == pytest.approx(gap, rel=1e-12)
    assert out.balancedness_gap[-1] == pytest.approx(gap, rel=1e-3)  # nearly conserved
    balanced = init_factors(jax.random.key(0), (6, 3, 2))
    assert (
        simulate(problem, method, balanced, 1e-3, 10, dtype="float64").balancedness_gap[0] < 1e-12
    )


def test_a_method_of_ones_own_runs() -> None:
    own = Method("sign", EndToEnd(), optax.stateless(lambda g, _: jax.tree.map(jax.numpy.sign, g)))
    problem = problem_of()
    out = lnn.simulate(problem, own, starts_of(problem, 1)[0], 1e-3, 50)
    assert out.loss[-1] < out.loss[0]


@pytest.mark.parametrize("name", ["gd", "end-to-end"])
def test_ended_runs_change_the_others_by_rounding_alone(name: str) -> None:
    """Blocks of columns get narrower, and a product of another width rounds otherwise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 128))
    problem = Problem(
        x, x @ rng.standard_normal((128, 1)) / 11 + rng.standard_normal((300, 1)), 4.0
    )
    start = 0.05 * rng.standard_normal((200, 1, 128))
    calm = np.full(200, 1e-3)
    wild = np.where(np.arange(200) < 5, 1e-3, 1e9)
    method = make_method(name, 2.0)
    outs = [simulate(problem, method, start, rates, 200) for rates in (calm, wild)]
    assert (outs[1].status[5:] == Status.DIVERGED).all()
    for field in ("loss", "norm", "gradient_norm"):
        np.testing.assert_allclose(
            getattr(outs[0], field)[:5], getattr(outs[1], field)[:5], rtol=2e-5
        )


STUDY_OF_128_OUTPUTS = """
import jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
import lnn
rng = np.random.default_rng(0)
x = rng.standard_normal((300, 128))
y = x @ rng.standard_normal((128, 128)) / 128
w = rng.standard_normal((8, 128, 128)) / 128
out = lnn.simulate(
    lnn.Problem(x, y, 2.0), lnn.make_method("end-to-end", 3), w, np.geomspace(1e-3, 1e-1, 8), 100
)
assert len(jax.local_devices()) == 2
assert (out.loss[:, -1] < out.loss[:, 0]).all(), out.loss
print("done", list(out.status))
"""


@pytest.mark.slow
def test_a_study_of_128_outputs_on_two_devices_does_not_hang() -> None:
    prefixes = ("OPENBLAS", "OMP", "XLA", "MKL", "GOTO", "NPROC", "JAX")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", STUDY_OF_128_OUTPUTS],
        env=environment, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")
