"""The compiled program: many steps and records of the runs of several methods."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from lnn.core.network import balancedness_gap
from lnn.core.status import Status
from lnn.simulation.gradient import block_sizes, data_pass, prepare, queue, rows_at_once
from lnn.simulation.placement import ROWS, RUNS, Data
from lnn.simulation.step import Runs, restored, shared, take_step
from lnn.transforms.methods import Factored, Method


class Records(NamedTuple):
    """Measurements (R,) at a recorded step; w (R, k, d) or None; `before` are earlier statuses."""

    loss: jax.Array
    norm: jax.Array
    gradient_norm: jax.Array
    balancedness_gap: jax.Array
    before: jax.Array
    w: jax.Array | None


@partial(
    jax.jit,
    static_argnames=("methods", "mesh", "p", "examples", "save_weights", "drop_ended", "platform"),
)
def advance(
    data: Data,
    state: tuple[Runs, ...],
    limit: jax.Array,
    gaps: jax.Array,
    recorded: jax.Array,
    *,
    methods: tuple[Method, ...],
    mesh: Mesh | AbstractMesh,
    p: float,
    examples: int,
    save_weights: bool,
    drop_ended: bool,
    platform: str | None = None,
) -> Any:
    """For each gap, record if requested, then take that many steps; -1 does nothing.

    One program for all gaps. The gradient of a record is also that of the next step, so recording
    needs no extra pass over the data.

    `data` is distributed along the mesh's axis of rows, `state` along that of runs. Runs whose
    recorded loss is at or below `limit` have reached all their targets. `gaps` and `recorded` are
    (T,); the loss is divided by `examples`. With `drop_ended=False` gradients of ended runs are
    computed too; `platform` determines block sizes when lowering for absent devices. Returns the
    final state, and `Records` of every method with a leading axis T, blank where not recorded.
    """
    slots = [runs.status.size // mesh.shape[RUNS] for runs in state]
    row_shares, k = mesh.shape[ROWS], data.y.shape[1]
    platform = mesh.devices.flat[0].platform if platform is None else platform
    sizes = block_sizes(sum(slots), k, platform)
    examples_here, d = data.x.shape[0] // row_shares, data.x.shape[1]
    rows = rows_at_once(examples_here, d, sizes[-1] * k, data.x.dtype.itemsize, platform)
    # On CPU ended runs are left out; accelerators would pay more for sorting and branching.
    queues = platform == "cpu" and sum(slots) > 1

    def on_one_device(data: Data, state: Any, limit: Any, gaps: Any, recorded: Any) -> Any:
        prepared = prepare(data, transposed=queues and rows == examples_here)

        def segment(state: tuple[Runs, ...], part: tuple[jax.Array, jax.Array]) -> Any:
            gap, measured = part
            running = jnp.concatenate(_active(state))
            queued = queue(running if drop_ended else jnp.ones_like(running)) if queues else None
            blank = tuple(_blank(*pair, save_weights) for pair in zip(methods, state, strict=True))

            def passed(state: tuple[Runs, ...], measure: bool) -> Any:
                """Return matrices, pullbacks, losses and gradients of every method."""
                with jax.named_scope("methods"):
                    ws, pulls = zip(*map(_end_to_end, methods, state), strict=True)
                with jax.named_scope("pass"):
                    found = data_pass(
                        prepared, p, examples, jnp.concatenate(ws), queued,
                        # Records are few: blocks of one size suffice and compile faster.
                        sizes[-1:] if measure else sizes,
                        rows_at_once=rows, measure=measure, row_shares=row_shares,
                    )  # fmt: skip
                return ws, pulls, *(jnp.split(part, np.cumsum(slots)[:-1]) for part in found)

            def moved(state: Any, gradients: Any, pulls: Any, active: Any) -> tuple[Runs, ...]:
                parts = zip(methods, state, gradients, pulls, active, decays, strict=True)
                with jax.named_scope("methods"):
                    return tuple(take_step(*part, skips=queues) for part in parts)

            def recorded_step(state: tuple[Runs, ...]) -> Any:
                ws, pulls, losses, gradients = passed(state, True)
                state, records = _recorded(methods, state, blank, ws, losses, gradients, limit)
                active = [running & (gap > 0) for running in _active(state)]
                return moved(state, gradients, pulls, active), records

            begins = running.any() & (gap >= 0)
            state, records = jax.lax.cond(
                begins & measured, recorded_step, lambda state: (state, blank), state
            )
            active = _active(state)

            def step(_: jax.Array, state: tuple[Runs, ...]) -> tuple[Runs, ...]:
                _, pulls, _, gradients = passed(state, False)
                return moved(state, gradients, pulls, active)

            left = jnp.where(begins, gap - measured.astype(gap.dtype), 0)
            return jax.lax.fori_loop(0, left, step, state), records

        decays = [
            (1.0 if method.decay is None else method.decay) * runs.weight_decay
            for method, runs in zip(methods, state, strict=True)
        ]
        state = tuple(map(shared, methods, state))
        state, records = jax.lax.scan(segment, state, (gaps, recorded))
        return tuple(map(restored, state)), records

    return jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(PartitionSpec(ROWS), PartitionSpec(RUNS), *[PartitionSpec()] * 3),
        out_specs=(PartitionSpec(RUNS), PartitionSpec(None, RUNS)),
        check_vma=False,
    )(data, state, limit, gaps, recorded)


def _end_to_end(method: Method, runs: Runs) -> Any:
    """Return end-to-end matrices (R, k, d), and the pullback of gradients to the parameters."""
    return jax.vjp(method.parameterization.end_to_end, runs.params)


def _active(state: tuple[Runs, ...]) -> list[jax.Array]:
    """Return for each method which of its runs (R,) are running."""
    return [runs.status == Status.RUNNING for runs in state]


def _blank(method: Method, runs: Runs, save_weights: bool) -> Records:
    nothing = jnp.full_like(runs.learning_rate, jnp.nan)
    w = method.parameterization.end_to_end(runs.params) if save_weights else None
    return Records(nothing, nothing, nothing, nothing, runs.status, w)


def _all_finite(runs: Runs) -> jax.Array:
    """(R,) whether every parameter of a run is finite."""
    finite = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(runs.params)
    ]
    return jnp.all(jnp.stack(finite), axis=0)


def _recorded(
    methods: tuple[Method, ...], state: Any, records: Any, ws: Any, losses: Any, gradients: Any,
    limit: jax.Array,
) -> tuple[tuple[Runs, ...], tuple[Records, ...]]:  # fmt: skip
    """Measure every run, and update its status from its loss."""
    judged, measured = [], []
    for method, runs, record, w, loss, gradient in zip(
        methods, state, records, ws, losses, gradients, strict=True
    ):
        measured.append(
            record._replace(
                loss=loss,
                norm=jnp.linalg.norm(w, axis=(-2, -1)),
                gradient_norm=jnp.linalg.norm(gradient, axis=(-2, -1)),
                balancedness_gap=balancedness_gap(runs.params)
                if isinstance(method.parameterization, Factored)
                else record.balancedness_gap,
            )
        )
        # Only what no step can undo ends a run, so that recording does not change its course.
        lost = ~_all_finite(runs)
        after = jnp.where(loss <= limit, Status.REACHED, Status.RUNNING)
        after = jnp.where(lost, Status.DIVERGED, after).astype(runs.status.dtype)
        status = jnp.where(runs.status == Status.RUNNING, after, runs.status)
        judged.append(runs._replace(status=status))
    return tuple(judged), tuple(measured)
