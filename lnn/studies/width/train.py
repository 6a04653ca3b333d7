"""Runs of one network from several seeds, as one program for every size, rate and seed.

A step draws a minibatch, descends and measures. Between evaluations nothing leaves the device; at
an evaluation the validation loss and the lengths so far are recorded. Lengths, norms and angles to
the start need the first parameters only; for angles to the end, which is not known before, some
states on the way are kept: at even intervals, doubled whenever memory for `marks` of them is full.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lnn.core.precision import numerics
from lnn.studies.width.config import PATIENCE, Setup
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.tasks import Task, place, scales
from lnn.theory import geometry

CALL = 16
"""Evaluations of a call of the program, between which a signal can end it."""

Params = dict[str, Any]


class Lengths(NamedTuple):
    """Measured at evaluations, or at every step: an array for each, (..., 4) by group."""

    distance: Any
    path: Any
    to_start: Any
    printed: Any
    norm: Any


class Marks(NamedTuple):
    """Parameters kept on the way with the updates that led there; `step` is -1 where empty."""

    params: Params
    updates: Params
    step: Any
    every: Any


class RunState(NamedTuple):
    """A run on its way: `turned` sums the angles to the start, `evaluated` counts evaluations."""

    params: Params
    updates: Params
    inner: Any
    start: Params
    tracks: tuple[geometry.Track, ...]
    turned: Any
    best: Params
    best_loss: Any
    best_step: Any
    marks: Marks
    step: Any
    evaluated: Any
    loss: Any
    lengths: Lengths
    ended: Any


def grouped(params: Params) -> list[Params]:
    """Return the groups of parameters in order, then all of them."""
    return [*(params[name] for name in sorted(params)), params]


class Program(NamedTuple):
    """`begin(key)`, `advance(state, key, size, rate, data)`, `finish(state)`: one run, not jitted.

    `advance` takes up to `CALL` evaluations, with `step`, of the same arguments, between them;
    `finish` returns the angles at the marks.
    """

    begin: Any
    step: Any
    advance: Any
    finish: Any


def program(setup: Setup, task: Task, run: RecurrentRun) -> Program:
    """Return the run of a network; sizes, rates, seeds and data are arguments of it."""
    at_steps = setup.evaluations
    count = len(at_steps)

    def optimizer(rate: Any) -> optax.GradientTransformation:
        return {"sgd": optax.sgd, "adam": optax.adam}[run.optimizer](rate)

    def begin(key: Any) -> RunState:
        params = task.initial(jax.random.fold_in(key, 0), run.width, run.depth)
        if run.base:
            factors = scales(params, run.width / run.base).start
            params = jax.tree.map(jnp.multiply, params, factors)
        empty = jax.tree.map(lambda x: jnp.zeros((setup.marks, *x.shape), x.dtype), params)
        steps = jnp.full(setup.marks, -1, jnp.int32)
        blank = jnp.full((count, len(params) + 1), jnp.nan, jnp.float32)
        zero = jax.tree.map(jnp.zeros_like, params)
        return RunState(
            params, zero, optimizer(jnp.float32(0)).init(params), params,
            tuple(map(geometry.init, grouped(params))),
            jnp.zeros(len(params) + 1, jnp.float32), params, jnp.float32(jnp.inf), jnp.int32(0),
            Marks(empty, empty, steps, jnp.int32(1)), jnp.int32(0), jnp.int32(0),
            jnp.full(count, jnp.nan, jnp.float32), Lengths(*5 * [blank]),
            jnp.array(False),
        )  # fmt: skip

    def step(state: RunState, key: Any, size: Any, rate: Any, data: Any) -> RunState:
        batch = task.sample(jax.random.fold_in(key, state.step), size, data)
        gradient = jax.grad(task.loss)(state.params, batch)
        updates, inner = optimizer(rate).update(gradient, state.inner, state.params)
        if run.base:
            factors = scales(updates, run.width / run.base).rate
            updates = jax.tree.map(jnp.multiply, updates, factors)
        back = (
            geometry.angle_to_start(*each)
            for each in zip(*map(grouped, (updates, state.params, state.start)), strict=True)
        )
        # At the start itself there is no way back.
        turned = state.turned + jnp.where(state.step == 0, 0, jnp.stack([*back]))
        params = optax.apply_updates(state.params, updates)
        tracks = map(geometry.update, state.tracks, grouped(params))
        return state._replace(
            params=params, updates=updates, inner=inner, tracks=tuple(tracks), turned=turned,
            step=state.step + 1,
        )  # fmt: skip

    def evaluate(state: RunState, data: Any) -> RunState:
        loss = task.validate(state.params, data)
        better = loss < state.best_loss
        at = state.evaluated
        state = state._replace(
            best=_select(better, state.params, state.best),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.step, state.best_step),
            loss=state.loss.at[at].set(loss),
            lengths=jax.tree.map(lambda kept, new: kept.at[at].set(new), state.lengths,
                                 _lengths(state)),
            marks=_marked(state, at),
        )  # fmt: skip
        settled = state.step.astype(jnp.float32) >= PATIENCE * state.best_step.astype(jnp.float32)
        ended = (settled & (state.step >= setup.least)) | (state.step >= setup.steps)
        return state._replace(ended=ended | ~jnp.isfinite(loss), evaluated=at + 1)

    def advance(state: RunState, key: Any, size: Any, rate: Any, data: Any) -> RunState:
        key = jax.random.fold_in(key, 1)
        last = state.evaluated + CALL

        def stretch(state: RunState) -> RunState:
            until = jnp.array(at_steps, jnp.int32)[state.evaluated]
            state = jax.lax.while_loop(
                lambda state: state.step < until,
                lambda state: step(state, key, size, rate, data), state,
            )  # fmt: skip
            return evaluate(state, data)

        return jax.lax.while_loop(
            lambda state: ~state.ended & (state.evaluated < last), stretch, state
        )

    def finish(state: RunState) -> tuple[Any, Any]:
        def angle(params: Params, updates: Params) -> Any:
            before = jax.tree.map(jnp.subtract, params, updates)
            ends = zip(*map(grouped, (updates, before, state.best)), strict=True)
            return jnp.stack([geometry.angle_to_end(*each) for each in ends])

        return state.marks.step, jax.vmap(angle)(state.marks.params, state.marks.updates)

    return Program(begin, step, advance, finish)


def _lengths(state: RunState) -> Lengths:
    taken = jnp.maximum(state.step - 1, 1).astype(jnp.float32)
    pairs = zip(grouped(state.params), grouped(state.start), strict=True)
    return Lengths(
        jnp.stack([track.distance for track in state.tracks]),
        jnp.stack([track.path for track in state.tracks]),
        state.turned / taken,
        jnp.stack([geometry.angle(*pair) for pair in pairs]),
        jnp.stack([geometry.norm(group) for group in grouped(state.params)]),
    )


def _marked(state: RunState, at: Any) -> Marks:
    """Keep the latest step, at even intervals; drop every second mark if there is no room."""
    marks = state.marks
    count = marks.step.shape[0]
    half = count // 2

    def thinned(marks: Marks) -> Marks:
        def keep(leaf: Any) -> Any:
            return jnp.concatenate([leaf[1::2], leaf[half:]])

        order = jnp.concatenate([marks.step[1::2], jnp.full(count - half, -1, jnp.int32)])
        params, updates = (jax.tree.map(keep, part) for part in (marks.params, marks.updates))
        return Marks(params, updates, order, 2 * marks.every)

    marks = jax.lax.cond(marks.step[-1] >= 0, thinned, lambda marks: marks, marks)
    slot = jnp.argmax(marks.step < 0)
    due = (at > 0) & (at % marks.every == 0)

    def put(leaf: Any, new: Any) -> Any:
        return leaf.at[slot].set(jnp.where(due, new, leaf[slot]))

    return Marks(
        jax.tree.map(put, marks.params, state.params),
        jax.tree.map(put, marks.updates, state.updates),
        put(marks.step, state.step - 1), marks.every,
    )  # fmt: skip


def _select(which: Any, new: Params, old: Params) -> Params:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)


@cache
def _compiled(setup: Setup, task: Task, run: RecurrentRun) -> Program:
    """Return the jitted program of all seeds; `run` has neither size nor rate nor seeds of its own.

    One seed is not mapped: on a processor a batch of one costs more than the run itself.
    """
    made = program(setup, task, run)
    if len(run.seeds) > 1:
        advance = jax.vmap(made.advance, in_axes=(0, 0, None, None, None))
        made = Program(jax.vmap(made.begin), made.step, advance, jax.vmap(made.finish))
    return Program(
        jax.jit(made.begin), made.step, jax.jit(made.advance, donate_argnums=0),
        jax.jit(made.finish),
    )  # fmt: skip


def descend(setup: Setup, task: Task, run: RecurrentRun) -> Course:
    """Train a network from each of the seeds, in float32, and return what was recorded."""
    with numerics("float32"):  # elsewhere the CTC loss would be float64
        return _descend(setup, task, run)


def _descend(setup: Setup, task: Task, run: RecurrentRun) -> Course:
    began = time.perf_counter()
    alone = len(run.seeds) == 1
    made = _compiled(
        setup, task, run._replace(size=0, rate=0.0, seeds=tuple(range(len(run.seeds))))
    )
    keys = jax.vmap(jax.random.key)(jnp.array(run.seeds, jnp.uint32))
    key = keys[0] if alone else keys
    size, rate, data = jnp.int32(run.size), jnp.float32(run.rate), place(task)
    state = made.begin(key)
    while not np.all(state.ended):
        state = made.advance(state, key, size, rate, data)
    step, to_end = made.finish(state)
    leaves = jax.tree.leaves(state.start)
    count = sum(leaf.size for leaf in leaves) / len(run.seeds)
    found = {"loss": state.loss, **state.lengths._asdict(), "marks": step, "to_end": to_end}
    arrays = {name: np.asarray(value)[None] if alone else np.asarray(value)
              for name, value in found.items()}  # fmt: skip
    steps = np.array(setup.evaluations, np.int32)
    return Course(count, steps, **arrays, seconds=time.perf_counter() - began)
