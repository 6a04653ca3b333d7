"""Many steps of a batch of runs: recording, statuses, devices."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg  # noqa: F401 - loads the BLAS that XLA's CPU decompositions call
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from threadpoolctl import threadpool_limits

from lnn.config import DTYPES
from lnn.engine.step import Hyper, RunState, initial_state, take_step
from lnn.network import balancedness_gap
from lnn.problem import Problem
from lnn.rules import Factored, Method
from lnn.status import Status

DIVERGENCE_FACTOR = 1e3
"""A run whose loss exceeds this multiple of its starting loss counts as diverged."""

RECORDS_PER_DECADE = 60
_RECORDS_PER_CALL = 8


class Records(NamedTuple):
    """What is measured of every run at a recorded step, (R,) each; w (R, k, d) or None."""

    loss: jax.Array
    norm: jax.Array
    gradient_norm: jax.Array
    balancedness_gap: jax.Array
    w: jax.Array | None


@dataclass(frozen=True)
class Trajectories:
    """Recorded runs: T recorded steps, R runs (a single run has no run axis).

    Attributes:
        steps: (T,) recorded steps, from 0.
        loss: (R, T) data loss L(W_e), without weight decay; NaN after a run has ended.
        norm: (R, T) Frobenius norm of W_e.
        gradient_norm: (R, T) Frobenius norm of dL/dW at W_e.
        balancedness_gap: (R, T) largest |W_(j+1)^T W_(j+1) - W_j W_j^T|; NaN without factors.
        status: (R,) a `Status` each.
        end_step: (R,) last recorded step at which the run was still moving.
        params: final parameters, leading axis R.
        w: (R, T, k, d) recorded end-to-end matrices, or None.
    """

    steps: np.ndarray
    loss: np.ndarray
    norm: np.ndarray
    gradient_norm: np.ndarray
    balancedness_gap: np.ndarray
    status: np.ndarray
    end_step: np.ndarray
    params: Any
    w: np.ndarray | None = None


def record_steps(steps: int, per_decade: int = RECORDS_PER_DECADE) -> np.ndarray:
    """0, then geometrically spaced whole steps, at most `per_decade` a decade, then `steps`."""
    decades = np.log10(steps)
    points = np.geomspace(1, steps, max(2, int(np.ceil(decades * per_decade)) + 1))
    return np.unique(np.concatenate([[0], np.round(points), [steps]]).astype(np.int64))


def simulate(
    problem: Problem,
    method: Method,
    start: Any,
    learning_rate: float | np.ndarray,
    steps: int,
    *,
    weight_decay: float | np.ndarray = 0.0,
    stop_loss: float = -np.inf,
    save_weights: bool = False,
    dtype: str = "float32",
    per_decade: int = RECORDS_PER_DECADE,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Run a method from a start point, one run or a batch of them, over all local devices.

    Args:
        problem: the regression problem.
        method: from `lnn.make_method`, or a `Method` of your own.
        start: initial parameters: W (k, d) for `EndToEnd`, factors (W_1, ..., W_N) for `Factored`;
            with a leading axis R on every leaf for a batch.
        learning_rate: a number for one run, (R,) for a batch.
        steps: number of steps, at least 1.
        weight_decay: a number >= 0, or (R,).
        stop_loss: a run whose recorded loss is at or below this has reached all its targets, and
            stops.
        save_weights: also record W_e at every recorded step.
        dtype: "float32" or "float64".
        per_decade: recorded steps per decade.
        progress: called with the number of steps done, now and then.

    Returns:
        `Trajectories`. A run that diverges ends there and disturbs no other run.

    Raises:
        ValueError: learning rate or weight decay out of range, steps below 1, a start that does not
            fit the problem and method, an unknown dtype.
    """
    rates = np.asarray(learning_rate, np.float64)
    single = rates.ndim == 0
    rates = np.atleast_1d(rates)
    decays = np.broadcast_to(np.asarray(weight_decay, np.float64), rates.shape)
    _check(rates, decays, steps, dtype, per_decade)
    params = jax.tree.map(np.asarray, start)
    if single:
        params = jax.tree.map(lambda leaf: leaf[None], params)
    _check_start(problem, method, params, rates.size)
    with numerics(dtype):
        out = _simulate(
            problem.astype(dtype), method, params, rates, decays, steps, stop_loss,
            save_weights, np.dtype(dtype), record_steps(steps, per_decade), progress,
        )  # fmt: skip
    return _first_run(out) if single else out


@contextmanager
def numerics(dtype: str) -> Any:
    """Float64 where asked for, and one BLAS thread while XLA's devices call into it.

    XLA's CPU decompositions call SciPy's OpenBLAS from several threads at once; its own threads
    then collide, 10 to 100 times slower or stalled. The user's settings come back afterwards.
    """
    with ExitStack() as stack:
        if dtype == "float64" and not jax.config.read("jax_enable_x64"):
            jax.config.update("jax_enable_x64", True)
            stack.callback(jax.config.update, "jax_enable_x64", False)
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        yield


def _simulate(
    problem: Problem,
    method: Method,
    params: Any,
    rates: np.ndarray,
    decays: np.ndarray,
    steps: int,
    stop_loss: float,
    save_weights: bool,
    dtype: np.dtype,
    grid: np.ndarray,
    progress: Callable[[int], None] | None,
) -> Trajectories:
    devices = jax.local_devices()
    runs = rates.size
    mesh = Mesh(np.array(devices[: min(len(devices), runs)]), ("runs",))
    padding = -runs % mesh.size

    def padded(values: np.ndarray) -> jax.Array:
        # A run axis must divide by the devices: the last run is simulated again and dropped.
        return jnp.asarray(np.concatenate([values] + [values[-1:]] * padding), dtype)

    hyper = Hyper(padded(rates), padded(decays))
    state = initial_state(method, jax.tree.map(padded, params))
    status = jnp.asarray(np.full(runs + padding, Status.RUNNING, np.int32))
    bound = padded(np.full(runs, np.inf))
    limit = _not_above(stop_loss, dtype)
    # Where the program will leave them: a first call from elsewhere would compile it twice.
    state, hyper, status, bound = jax.device_put(
        (state, hyper, status, bound), NamedSharding(mesh, PartitionSpec("runs"))
    )

    gaps = np.diff(grid, prepend=0).astype(np.int32)
    gaps = np.concatenate([gaps, np.zeros(-gaps.size % _RECORDS_PER_CALL, np.int32)])
    calls, statuses = [], []
    for first in range(0, gaps.size, _RECORDS_PER_CALL):
        state, status, bound, records, history = _advance(
            problem, state, hyper, status, bound, limit,
            jnp.asarray(gaps[first : first + _RECORDS_PER_CALL]),
            method=method, mesh=mesh, save_weights=save_weights,
        )  # fmt: skip
        calls.append(jax.device_get(records))
        statuses.append(np.asarray(history))
        if progress is not None:
            progress(int(grid[min(first + _RECORDS_PER_CALL, grid.size) - 1]))
        if not (np.asarray(status) == Status.RUNNING).any():
            break
    if progress is not None:
        progress(steps)
    params, ended = jax.device_get((state.params, status))
    return _collect(calls, np.concatenate(statuses), params, ended, grid, runs)


def _not_above(value: float, dtype: np.dtype) -> jax.Array:
    """The value in this precision, rounded down: a run that stops has reached it in any other."""
    rounded = np.asarray(value, dtype)
    if float(rounded) > value:
        rounded = np.nextafter(rounded, np.asarray(-np.inf, dtype))
    return jnp.asarray(rounded)


@partial(jax.jit, static_argnames=("method", "mesh", "save_weights"))
def _advance(
    problem: Problem,
    state: RunState,
    hyper: Hyper,
    status: jax.Array,
    bound: jax.Array,
    limit: jax.Array,
    gaps: jax.Array,
    *,
    method: Method,
    mesh: Mesh,
    save_weights: bool,
) -> Any:
    """For each gap: so many steps, then a record. One program whatever the gaps."""
    runs, alike = PartitionSpec("runs"), PartitionSpec()

    def on_one_device(
        problem: Problem, state: RunState, hyper: Hyper, status: Any, bound: Any, limit: Any,
        gaps: Any,
    ) -> Any:  # fmt: skip
        problem = problem.with_transpose()

        def segment(carry: Any, gap: jax.Array) -> Any:
            state, status, bound = carry
            active = status == Status.RUNNING
            state = jax.lax.fori_loop(
                0,
                jnp.where(active.any(), gap, 0),
                lambda _, state: take_step(problem, method, state, hyper, active),
                state,
            )
            records = _measure(problem, method, state.params, save_weights)
            # The bound is infinite until the first record has set it.
            bound = jnp.where(jnp.isinf(bound), DIVERGENCE_FACTOR * records.loss, bound)
            diverged = ~jnp.isfinite(records.loss) | (records.loss > bound)
            after = jnp.where(records.loss <= limit, Status.REACHED, Status.RUNNING)
            after = jnp.where(diverged, Status.DIVERGED, after).astype(status.dtype)
            return (state, jnp.where(active, after, status), bound), (records, status)

        (state, status, bound), (records, history) = jax.lax.scan(
            segment, (state, status, bound), gaps
        )
        return state, status, bound, records, history

    time_major = PartitionSpec(None, "runs")
    return jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(alike, runs, runs, runs, runs, alike, alike),
        out_specs=(runs, runs, runs, time_major, time_major),
        check_vma=False,
    )(problem, state, hyper, status, bound, limit, gaps)


def _measure(problem: Problem, method: Method, params: Any, save_weights: bool) -> Records:
    w = method.parameterization.end_to_end(params)
    loss, gradient = problem.loss_and_gradient(w)
    factored = isinstance(method.parameterization, Factored)
    return Records(
        loss=loss,
        norm=jnp.linalg.norm(w, axis=(-2, -1)),
        gradient_norm=jnp.linalg.norm(gradient, axis=(-2, -1)),
        balancedness_gap=balancedness_gap(params) if factored else jnp.full_like(loss, jnp.nan),
        w=w if save_weights else None,
    )


def _collect(
    calls: list[Records],
    before: np.ndarray,
    params: Any,
    status: np.ndarray,
    grid: np.ndarray,
    runs: int,
) -> Trajectories:
    """Join the calls of a batch, drop padding, blank what was recorded after a run had ended.

    `before` (records, padded runs) holds the statuses before each record was taken.
    """
    times = min(grid.size, len(before))
    moving = before[:times, :runs].T == Status.RUNNING  # the record that ends a run is its last

    def joined(field: str) -> np.ndarray:
        values = np.concatenate([getattr(call, field) for call in calls])[:times, :runs]
        values = np.moveaxis(values, 0, 1)
        mask = moving.reshape(moving.shape + (1,) * (values.ndim - 2))
        filled = np.full((runs, grid.size, *values.shape[2:]), np.nan, values.dtype)
        filled[:, :times] = np.where(mask, values, np.nan)
        return filled

    ended = status[:runs]
    return Trajectories(
        steps=grid,
        loss=joined("loss"),
        norm=joined("norm"),
        gradient_norm=joined("gradient_norm"),
        balancedness_gap=joined("balancedness_gap"),
        status=np.where(ended == Status.RUNNING, Status.BUDGET_SPENT, ended).astype(np.int32),
        end_step=grid[moving.sum(axis=1) - 1],
        params=jax.tree.map(lambda leaf: leaf[:runs], params),
        w=None if calls[0].w is None else joined("w"),
    )


def _first_run(out: Trajectories) -> Trajectories:
    fields = {name: value for name, value in vars(out).items() if name not in ("steps", "w")}
    first = jax.tree.map(lambda leaf: leaf[0], fields)
    return Trajectories(steps=out.steps, w=None if out.w is None else out.w[0], **first)


def _check(rates: np.ndarray, decays: np.ndarray, steps: int, dtype: str, per_decade: int) -> None:
    bad = ~(np.isfinite(rates) & (rates > 0))
    if rates.ndim != 1 or bad.any():
        raise ValueError(
            f"learning_rate = {_first_bad(rates, bad)}: give a "
            "positive number for one run, or an array (R,) of them"
        )
    bad = ~(np.isfinite(decays) & (decays >= 0))
    if bad.any():
        raise ValueError(
            f"weight_decay = {_first_bad(decays, bad)}: give a "
            "number >= 0, or an array (R,) of them"
        )
    if int(steps) != steps or steps < 1 or steps > np.iinfo(np.int32).max:
        raise ValueError(f"steps = {steps}: give a whole number from 1 to 2147483647")
    if per_decade < 1:
        raise ValueError(f"per_decade = {per_decade}: record at least 1 step a decade")
    if dtype not in DTYPES:
        raise ValueError(f"dtype = {dtype!r}: choose 'float32' or 'float64'")


def _first_bad(values: np.ndarray, bad: np.ndarray) -> object:
    return values[bad][0] if bad.any() else f"array of shape {values.shape}"


def _check_start(problem: Problem, method: Method, params: Any, runs: int) -> None:
    try:
        shape = jax.eval_shape(method.parameterization.end_to_end, params).shape
    except (TypeError, ValueError, AttributeError):
        shape = None
    if shape != (runs, problem.k, problem.d):
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
        raise ValueError(
            f"start has leaves of shape {shapes} (runs first): for {method.label} on this problem "
            f"their end-to-end matrix must be ({runs}, {problem.k}, {problem.d}), one per rate"
        )
