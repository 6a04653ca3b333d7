"""Simulation of batches of runs: calls of the program, devices, slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from lnn.core.checks import DIVERGENCE, DTYPES, check_divergence, check_whole, dtype_name, plain
from lnn.core.precision import numerics
from lnn.core.problem import Problem
from lnn.core.status import Status
from lnn.simulation.placement import RUNS, Placed, place
from lnn.simulation.program import Records, advance
from lnn.simulation.starts import batch_of_starts, chosen
from lnn.simulation.step import Runs
from lnn.simulation.trajectories import (
    RECORDS_PER_DECADE,
    Trajectories,
    collect,
    given_steps,
    mapped,
    record_steps,
)
from lnn.transforms.methods import Method

_SEGMENTS_PER_CALL = 32
_FLOP_PER_CALL = {"cpu": 2e11}
"""About a second of work, 1e13 on accelerators: the latency of signals and checkpoints."""
_FLOP_PER_LEAF = 2e6
"""Floating-point operations in the fixed time of a step per parameter array."""


class Group(NamedTuple):
    """R runs of one method: parameters with leaves (R, ...), learning rates and decays (R,).

    `state` are `Runs` to resume from; None starts at `params`.
    """

    method: Method
    params: Any
    learning_rate: np.ndarray
    weight_decay: np.ndarray
    state: Runs | None = None


def simulate(
    problem: Problem,
    method: Method | str | optax.GradientTransformation,
    start: Any,
    learning_rate: float | np.ndarray | Callable[[Any], Any] | None,
    steps: int,
    *,
    weight_decay: float | np.ndarray = 0.0,
    stop_loss: float = -np.inf,
    divergence: float = DIVERGENCE,
    save_weights: bool = False,
    dtype: Any = "float32",
    compensation: bool = True,
    per_decade: int = RECORDS_PER_DECADE,
    record: Sequence[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Run a method from a start point, one run or a batch of them, over all local devices.

    Args:
        problem: the regression problem.
        method: from `lnn.make_method`, or a `Method` of your own; or its label, such as "gd" or
            "end-to-end-4" (depth and widths of layerwise methods are those of the start); or an
            optax optimizer, which sets its own learning rate.
        start: initial parameters: W (k, d), or (d,) for one output, for `EndToEnd`, factors (W_1,
            ..., W_N) for `Factored`; with a leading axis R on every leaf for a batch. One start
            serves all learning rates.
        learning_rate: a number for one run, (R,) for a batch; a schedule, from the number of steps
            taken to the rate, for one run; None for an optax optimizer.
        steps: number of steps, at least 1.
        weight_decay: a number >= 0, or (R,).
        stop_loss: a run whose recorded loss is at or below this has reached all its targets, and
            stops.
        divergence: a run whose last loss is above this multiple of the loss at W = 0 has diverged,
            and so has one whose parameters are not finite, which ends it; inf: only the latter.
        save_weights: also record W_e at every recorded step.
        dtype: "float32" or "float64".
        compensation: in float32, carry what rounding takes from the parameters on to the next step;
            without it a run freezes once its steps are below half an ulp of its weights.
        per_decade: recorded steps per decade.
        record: steps to record, beside 0 and the last; None for `per_decade` of them.
        progress: called with the number of steps done, now and then.

    Returns:
        `Trajectories`. A run with parameters that are not finite ends there; diverged runs change
        others by no more than rounding.

    Raises:
        ValueError: learning rate or weight decay out of range, steps below 1, a start that does not
            fit the problem and method, an unknown method or dtype.

    Example:
        >>> problem, gd = lnn.datasets.two_point(3.0, 1.0, p=2), lnn.make_method("gd")
        >>> run = lnn.simulate(problem, gd, np.zeros((1, 2)), learning_rate=0.5, steps=2)
        >>> print(run.steps, run.loss, run.params)
        [0 1 2] [5.     1.25   0.3125] [[2.25 0.75]]
    """
    # A list of numbers is a weight vector; of arrays, the factors.
    numbers = isinstance(start, list | tuple) and all(np.ndim(part) == 0 for part in start)
    params = np.asarray(start) if numbers else jax.tree.map(np.asarray, start)
    params = tuple(params) if isinstance(params, list) else params
    method, rates = chosen(method, params, learning_rate, weight_decay)
    single = rates.ndim == 0
    rates = np.atleast_1d(rates)
    decays = np.broadcast_to(np.asarray(weight_decay, np.float64), rates.shape)
    dtype, divergence = dtype_name(dtype), plain(divergence)
    _check(rates, decays, steps, dtype, per_decade, divergence)
    params = batch_of_starts(problem, method, params, rates.size, single)
    group = Group(method, params, rates, decays)
    (out,) = simulate_groups(
        problem, [group], steps, stop_loss=stop_loss, divergence=divergence,
        save_weights=save_weights, dtype=dtype, compensation=compensation, per_decade=per_decade,
        record=record, progress=progress,
    )  # fmt: skip
    return mapped(lambda leaf: leaf[0], out) if single else out


def simulate_groups(
    problem: Problem | Placed,
    groups: Sequence[Group],
    steps: int,
    *,
    stop_loss: float = -np.inf,
    divergence: float = DIVERGENCE,
    save_weights: bool = False,
    dtype: str = "float32",
    compensation: bool = True,
    per_decade: int = RECORDS_PER_DECADE,
    record: Sequence[int] | None = None,
    slots: Sequence[int] | None = None,
    drop_ended: bool = True,
    begin: tuple[int, int] = (0, 0),
    offer: Callable[[Callable[[], tuple[int, list[Trajectories]]]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Trajectories]:
    """Run several methods together: the gradients of all their runs are one matrix product.

    Returns the `Trajectories` of every group. Options not listed are those of `simulate`.

    - problem: the regression problem, or one placed on the devices in this dtype.
    - groups: validated by the caller; a group without runs still needs parameters, for their
      shapes. - slots: capacity of the program for each group; by default its number of runs. Calls
      with equal methods and slots share one compiled program; empty slots are almost free on CPU. -
      drop_ended: False computes gradients of ended runs on CPU too, to measure savings. - begin:
      records made and steps taken before: (0, 0), or where `state` was saved; earlier records are
      NaN in the result. - offer: called between calls of the program with a function that returns
      the number of steps taken and the `Trajectories` so far, also if called later. Resuming gives
      the same bits.

    Raises:
        ValueError: no runs at all, or more runs in a group than slots.
    """
    runs = [len(group.learning_rate) for group in groups]
    room = runs if slots is None else list(slots)
    if sum(runs) == 0 or any(count > most for count, most in zip(runs, room, strict=True)):
        raise ValueError(
            f"{runs} runs in {room} slots: give at least one run, and no group more than its slots"
        )
    with numerics(dtype):
        placed = problem if isinstance(problem, Placed) else place(problem, dtype, sum(room))
        shares = placed.mesh.shape[RUNS]
        deals = [_deal(count + -count % shares, shares, i % shares) for i, count in enumerate(room)]
        # Placed as the program returns them, since another placement would be compiled separately.
        state = jax.device_put(
            tuple(
                _fill(group, deal, np.dtype(dtype), compensation)
                for group, deal in zip(groups, deals, strict=True)
            ),
            NamedSharding(placed.mesh, PartitionSpec(RUNS)),
        )
        chosen = [
            np.argsort(deal)[: len(group.learning_rate)]
            for deal, group in zip(deals, groups, strict=True)
        ]
        grid = record_steps(steps, per_decade) if record is None else given_steps(record, steps)
        most = divergence * placed.zero_loss if placed.zero_loss else np.inf

        def collected(
            made: int, state: tuple[Runs, ...], calls: Sequence[Any]
        ) -> list[Trajectories]:
            records = jax.tree.map(lambda *parts: np.concatenate(parts), *calls)
            return [
                collect(recorded, runs, order, grid[:made], begin[0], placed.layout, most)
                for recorded, runs, order in zip(
                    records, jax.device_get(state), chosen, strict=True
                )
            ]

        state, calls = _advance(
            placed, tuple(group.method for group in groups), grid, begin, state,
            _not_above(stop_loss, dtype), save_weights, drop_ended,
            None if offer is None else lambda step, *now: offer(lambda: (step, collected(*now))),
            progress,
        )  # fmt: skip
        return collected(grid.size, state, calls)


def _advance(
    placed: Placed,
    methods: tuple[Method, ...],
    grid: np.ndarray,
    begin: tuple[int, int],
    state: tuple[Runs, ...],
    limit: jax.Array,
    save_weights: bool,
    drop_ended: bool,
    offer: Callable[[int, int, tuple[Runs, ...], Sequence[Any]], None] | None,
    progress: Callable[[int], None] | None,
) -> tuple[tuple[Runs, ...], list[tuple[Records, ...]]]:
    """Call the program until the budget is spent or all runs ended; return state and records."""
    made, step = begin
    calls: list[tuple[Records, ...]] = []
    leaves = len(jax.tree.leaves([runs.params for runs in state]))
    platform = placed.mesh.devices.flat[0].platform
    running = _running(state)
    while made < grid.size and (running or not calls):
        cost = max(running * placed.flop, leaves * _FLOP_PER_LEAF)
        budget = int(_FLOP_PER_CALL.get(platform, 1e13) / cost)
        gaps, recorded, made, step = _next_call(grid, made, step, budget)
        state, records = advance(
            placed.data, state, limit, jnp.asarray(gaps), jnp.asarray(recorded),
            methods=methods, mesh=placed.mesh, p=placed.p, examples=placed.examples,
            save_weights=save_weights, drop_ended=drop_ended,
        )  # fmt: skip
        calls.append(jax.tree.map(lambda leaf, kept=recorded: np.asarray(leaf)[kept], records))
        running = _running(state)
        if offer is not None:
            offer(step, made, state, tuple(calls))
        if progress is not None:
            progress(step)
    if progress is not None:
        progress(int(grid[-1]))
    return state, calls


def blank_state(group: Group, dtype: str, compensation: bool) -> Runs:
    """Return the state of one run of this group, for its tree and leaf shapes."""
    with numerics(dtype):
        return _fill(group, np.zeros(1, int), np.dtype(dtype), compensation)


def _running(state: tuple[Runs, ...]) -> int:
    return sum(int((np.asarray(runs.status) == Status.RUNNING).sum()) for runs in state)


def _next_call(
    grid: np.ndarray, made: int, step: int, budget: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return the segments of a call of about `budget` steps: a record where one is due, then steps.

    Depends on its arguments only, so that a resumed run makes the same calls as an uninterrupted
    one. Gaps between records that exceed the budget are split over several calls.
    """
    gaps = np.full(_SEGMENTS_PER_CALL, -1, np.int32)
    recorded = np.zeros(_SEGMENTS_PER_CALL, bool)
    for i in range(_SEGMENTS_PER_CALL):
        if made == grid.size or (i and budget <= 0):
            break
        if step == grid[made]:
            recorded[i] = True
            made += 1
        left = int(grid[made]) - step if made < grid.size else 0
        gaps[i] = min(left, max(1, budget))
        step += int(gaps[i])
        budget -= max(1, int(gaps[i]))
    return gaps, recorded, made, step


def _deal(slots: int, shares: int, first: int) -> np.ndarray:
    """Assign runs to slots, dealt out like cards from device `first` on.

    Neighbouring rates, which end at similar times, go to different devices.
    """
    return np.roll(np.arange(slots).reshape(-1, shares), first, axis=1).T.ravel()


def _fill(group: Group, deal: np.ndarray, dtype: np.dtype, compensation: bool) -> Runs:
    """Return the state before the first step; empty slots hold a copy that has ended."""
    runs = len(group.learning_rate)
    source = np.minimum(deal, max(runs - 1, 0))
    if runs and group.state is not None:
        state: Runs = jax.tree.map(lambda leaf: np.asarray(leaf)[source], group.state)
        status = np.where(deal < runs, state.status, Status.BUDGET_SPENT).astype(np.int32)
        return state._replace(status=jnp.asarray(status))
    status = np.where(deal < runs, Status.RUNNING, Status.BUDGET_SPENT).astype(np.int32)

    def filled(values: np.ndarray) -> jax.Array:
        return jnp.asarray(np.asarray(values)[source], dtype)

    def rest(values: np.ndarray) -> jax.Array:
        exact = np.asarray(values, np.float64)[source]
        return jnp.asarray(exact - exact.astype(dtype), dtype)

    params = jax.tree.map(filled, group.params)
    compensated = compensation and dtype == np.float32
    rates = group.learning_rate if runs else np.ones(1)
    decays = group.weight_decay if runs else np.zeros(1)
    return Runs(
        params,
        jax.tree.map(rest, group.params) if compensated else None,
        jax.vmap(group.method.transformation.init)(params),
        filled(rates),
        filled(decays),
        jnp.asarray(status),
    )


def _not_above(value: float, dtype: str) -> jax.Array:
    """Round down to this precision, so that a run that stops has reached it in any precision."""
    rounded = np.asarray(value, dtype)
    if float(rounded) > value:
        rounded = np.nextafter(rounded, np.asarray(-np.inf, dtype))
    return jnp.asarray(rounded)


def _check(
    rates: np.ndarray, decays: np.ndarray, steps: int, dtype: str, per_decade: int,
    divergence: float,
) -> None:  # fmt: skip
    bad = ~(np.isfinite(rates) & (rates > 0))
    if rates.ndim != 1 or rates.size == 0 or bad.any():
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
    check_whole("steps", steps, 1, int(np.iinfo(np.int32).max))
    if per_decade < 1:
        raise ValueError(f"per_decade = {per_decade}: record at least 1 step a decade")
    check_divergence(divergence)
    if dtype not in DTYPES:
        raise ValueError(f"dtype = {dtype!r}: choose 'float32' or 'float64'")


def _first_bad(values: np.ndarray, bad: np.ndarray) -> object:
    return values[bad][0] if bad.any() else f"array of shape {values.shape}"
