"""Training runs of the study of width beside a plain loop of steps.

Most of them train a network of one step, whose program is compiled soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from audit import ELEMENTS, PLATFORMS, audit, host_calls, products_in, text_of
from small_width import corpus

from lnn.datasets.speech.spectrogram import BINS
from lnn.datasets.speech.utterances import Utterances
from lnn.datasets.text.corpus import Corpus
from lnn.studies.width import tasks, train
from lnn.studies.width.config import PATIENCE, SCALES, SYSTEMS, Setup
from lnn.studies.width.runs import Course, RecurrentRun
from lnn.studies.width.tasks import Task

pytestmark = pytest.mark.slow  # programs are compiled

SETUP = replace(
    SCALES["quick"]["characters"], batch=4, length=1, validation=20, steps=200, first=3, every=2,
    least=24, marks=4,
)  # fmt: skip
RUN = RecurrentRun("characters", 4, 40, 1, "sgd", 0.5, 0, (1,))


def initial(key: Any, width: int, depth: int) -> tasks.Params:
    keys = jax.random.split(key, 3)

    def normal(at: int, *shape: int) -> jax.Array:
        return jax.random.normal(keys[at], shape, jnp.float32)

    return {
        "embedding": {"rows": normal(0, 3, width)},
        "hidden": {"bias": jnp.zeros(width, jnp.float32), "recurrent": normal(1, width, width)},
        "softmax": {"bias": jnp.zeros(2, jnp.float32), "weights": normal(2, width, 2)},
    }


def loss(params: tasks.Params, batch: Any) -> jax.Array:
    """Cross-entropy of the second symbol's parity after the first."""
    first, then = batch
    hidden = params["hidden"]
    highest = jax.lax.Precision.HIGHEST
    sums = jnp.matmul(params["embedding"]["rows"][first], hidden["recurrent"], precision=highest)
    state = jnp.tanh(sums + hidden["bias"][None])
    weights, bias = params["softmax"]["weights"], params["softmax"]["bias"]
    odds = jnp.matmul(state, weights, precision=highest) + bias[None]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(odds), then[:, None] % 2, axis=1))


def sample(key: Any, size: Any, data: Any) -> Any:
    at = jax.random.randint(key, (4,), 0, size, jnp.int32)
    return data[0][at], data[0][at + 1]


def validate(params: tasks.Params, data: Any) -> jax.Array:
    return loss(params, (data[1][:-1], data[1][1:]))


def text(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symbols 0, 1, 2 that mostly follow one another, to train on and to validate on."""
    rng = np.random.default_rng(seed)
    moves = rng.choice(3, (2, 101), p=(0.1, 0.7, 0.2))
    train_part, validation = np.cumsum(moves, axis=1).astype(np.int32) % 3
    return train_part, validation[:21]


TASK = Task(initial, sample, loss, validate, text())


def lengths(tree: Any) -> np.ndarray:
    """Norms by group and of all, in float64."""
    return np.array([np.linalg.norm(vector) for vector in vectors(tree)])


def vectors(tree: Any) -> list[np.ndarray]:
    """Groups as vectors, then all of them."""
    groups = [
        np.concatenate([np.float64(leaf).ravel() for leaf in jax.tree.leaves(tree[name])])
        for name in ("embedding", "hidden", "softmax")
    ]
    return [*groups, np.concatenate(groups)]


def angles(a: Any, b: Any) -> np.ndarray:
    """Angles by group and of all; NaN where one is 0."""
    with np.errstate(invalid="ignore"):
        cosines = [u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
                   for u, v in zip(vectors(a), vectors(b), strict=True)]  # fmt: skip
        return np.arccos(np.clip(cosines, -1, 1))


def minus(a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: np.float64(x) - np.float64(y), a, b)


def by_hand(a: float, width: int) -> tuple[Any, Any]:
    """Factors of start and rate for a network `a` times as wide as the base."""
    start = {"embedding": {"rows": 1.0}, "hidden": {"bias": 1.0, "recurrent": 1.0},
             "softmax": {"bias": 1.0, "weights": a**-0.5}}  # fmt: skip
    rate = {"embedding": {"rows": a}, "hidden": {"bias": a, "recurrent": 1.0},
            "softmax": {"bias": 1.0, "weights": 1 / a}}  # fmt: skip
    return start, rate


SLOPE, VALUE = jax.jit(jax.grad(loss)), jax.jit(validate)


def loop(setup: Setup, run: RecurrentRun, task: Task = TASK) -> dict[str, Any]:
    """The same run, step by step, with lengths and angles in float64."""
    slope, value = (SLOPE, VALUE) if task is TASK else map(jax.jit, (jax.grad(task.loss),
                                                                     task.validate))  # fmt: skip
    key = jax.random.key(run.seeds[0])
    params = task.initial(jax.random.fold_in(key, 0), run.width, run.depth)
    start_factors, rate_factors = by_hand(run.width / run.base if run.base else 1.0, run.width)
    if run.base:
        params = jax.tree.map(lambda x, a: x * np.float32(a), params, start_factors)
    order, data = jax.random.fold_in(key, 1), jax.tree.map(jnp.asarray, task.data)
    adam = optax.adam(run.rate)
    begun, inner = params, adam.init(params)
    path, turned, step = np.zeros(4), np.zeros(4), 0
    found: dict[str, list[Any]] = {name: [] for name in (
        "steps", "loss", "distance", "path", "to_start", "printed", "norm")}  # fmt: skip
    kept, best, updates = [], (np.inf, 0, params), params
    for at, until in enumerate(setup.evaluations):
        while step < until:
            batch = task.sample(jax.random.fold_in(order, step), jnp.int32(run.size), data)
            gradient = slope(params, batch)
            if run.optimizer == "adam":
                updates, inner = adam.update(gradient, inner, params)
            else:
                updates = jax.tree.map(lambda g: -np.float32(run.rate) * g, gradient)
            if run.base:
                updates = jax.tree.map(lambda u, a: u * np.float32(a), updates, rate_factors)
            if step:
                turned += angles(updates, minus(begun, params))
            before, params = params, jax.tree.map(jnp.add, params, updates)
            path += lengths(minus(params, before))
            step += 1
        reached = float(value(params, data))
        for name, number in {
            "steps": step, "loss": reached, "distance": lengths(minus(params, begun)),
            "path": path.copy(), "to_start": turned / max(step - 1, 1),
            "printed": angles(params, begun), "norm": lengths(params),
        }.items():  # fmt: skip
            found[name].append(number)
        if at:
            kept.append((at, step - 1, minus(params, updates), updates))
        if reached < best[0]:
            best = (reached, step, params)
        if not np.isfinite(reached) or (step >= setup.least and step >= PATIENCE * best[1]):
            break
    marks = {at: (mark, angles(updates, minus(best[2], before)))
             for at, mark, before, updates in kept}  # fmt: skip
    arrays = {name: np.array(values) for name, values in found.items()}
    return {**arrays, "angles": marks, "best": best[1]}


def check(found: Course, true: dict[str, Any], seed: int = 0) -> None:
    """Compare a run with the loop's."""
    count = len(true["steps"])
    np.testing.assert_array_equal(found.steps[:count], true["steps"])
    for name in ("loss", "distance", "path", "to_start", "printed", "norm"):
        values = getattr(found, name)[seed]
        np.testing.assert_allclose(values[:count], true[name], rtol=1e-4, atol=1e-3, err_msg=name)
        assert np.isnan(values[count:]).all()


@pytest.fixture(scope="module")
def course() -> Course:
    return train.descend(SETUP, TASK, RUN)


@pytest.fixture(scope="module")
def true() -> dict[str, Any]:
    return loop(SETUP, RUN)


def test_a_run_is_a_plain_loop(course: Course, true: dict[str, Any]) -> None:
    check(course, true)
    assert course.parameters == 3 * 4 + 4 + 4 * 4 + 2 + 4 * 2
    losses = true["loss"]
    assert losses.min() < 0.85 * losses[0]
    assert SETUP.least < true["steps"][-1] < SETUP.steps
    assert course.seconds > 0


def test_marks_are_at_even_intervals(course: Course, true: dict[str, Any]) -> None:
    """The interval of evaluations doubles whenever four marks are kept and another is to come."""
    evaluations = len(true["steps"]) - 1
    every = 1
    while evaluations > 4 * every:
        every *= 2
    assert every > 2
    at = range(every, evaluations + 1, every)
    marks = course.marks[0]
    assert marks[marks >= 0].tolist() == [true["steps"][i] - 1 for i in at]
    assert (marks[len(at) :] == -1).all()
    for i, angle in zip(at, course.to_end[0], strict=False):
        step, expected = true["angles"][i]
        assert step in marks
        np.testing.assert_allclose(angle, expected, atol=2e-3)


def test_it_ends_when_the_least_loss_is_well_before(true: dict[str, Any]) -> None:
    last, before = true["steps"][-1], true["steps"][-2]
    assert SETUP.least < before < PATIENCE * true["best"] <= last


def test_the_same_run_has_the_same_bits(course: Course) -> None:
    again = train.descend(SETUP, TASK, RUN)
    for name, values in vars(course).items():
        if name != "seconds":
            np.testing.assert_array_equal(getattr(again, name), values)


def test_sizes_rates_and_seeds_need_no_other_program(course: Course) -> None:
    def size() -> int:
        made = train._compiled(SETUP, TASK, RUN._replace(size=0, rate=0.0, seeds=(0,)))
        return sum(each._cache_size() for each in (made.begin, made.advance, made.finish))

    before, programs = size(), train._compiled.cache_info().currsize
    other = RUN._replace(size=7, rate=0.2, seeds=(5,))
    check(train.descend(SETUP, TASK, other), loop(SETUP, other))
    assert (size(), train._compiled.cache_info().currsize) == (before, programs) == (3, programs)


def test_a_run_that_diverges_ends() -> None:
    """With weights beyond float32, the loss is no number."""
    found = train.descend(SETUP, TASK, RUN._replace(rate=1e30))
    last = int(np.flatnonzero(found.marks[0] >= 0)[-1])
    assert not np.isfinite(found.loss[0, 1])
    assert np.isnan(found.loss[0, 2:]).all()
    assert found.marks[0].tolist() == [2, -1, -1, -1]
    assert last == 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A call of the program takes three evaluations; nothing compiled so is kept."""
    train._compiled.cache_clear()
    monkeypatch.setattr(train, "CALL", 3)
    yield
    train._compiled.cache_clear()


def test_a_run_in_pieces_is_the_same(course: Course, calls: None) -> None:
    again = train.descend(SETUP, TASK, RUN)
    for name, values in vars(course).items():
        if name != "seconds":
            np.testing.assert_allclose(getattr(again, name), values, rtol=1e-6)


@pytest.mark.parametrize(
    "run",
    [
        RUN._replace(optimizer="adam", rate=0.05),
        RUN._replace(base=2),
        RUN._replace(width=5, base=15, optimizer="adam", rate=0.05),
    ],
)
def test_other_rules_are_plain_loops(run: RecurrentRun, standard_promotion: None) -> None:
    check(train.descend(SETUP, TASK, run), loop(SETUP, run))


def test_at_the_base_width_it_is_the_standard_run(course: Course) -> None:
    again = train.descend(SETUP, TASK, RUN._replace(base=RUN.width))
    for name, values in vars(course).items():
        if name != "seconds":
            np.testing.assert_allclose(getattr(again, name), values, rtol=1e-5, atol=1e-5)


def test_seeds_together_are_seeds_alone() -> None:
    seeds = (0, 3, 1)
    together = train.descend(SETUP, TASK, RUN._replace(seeds=seeds))
    assert together.parameters == 42
    for i, seed in enumerate(seeds):
        alone = train.descend(SETUP, TASK, RUN._replace(seeds=(seed,)))
        for name in ("loss", "distance", "path", "to_start", "printed", "norm", "to_end"):
            found, true = getattr(together, name)[i], getattr(alone, name)[0]
            np.testing.assert_allclose(found, true, rtol=1e-5, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(together.marks[i], alone.marks[0])
    ends = (~np.isnan(together.loss)).sum(axis=1)
    assert len(set(ends)) > 1  # some end before others


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({"steps": 20, "marks": 50}, 0.5),  # the last step comes first
        ({"steps": 60, "least": 60, "marks": 3}, 0.5),  # so many at least
        ({"steps": 60, "least": 2, "marks": 1}, 5.0),  # it is soon at its least
    ],
)
def test_ends_and_marks_of_other_setups(changes: dict[str, int], rate: float) -> None:
    setup, run = replace(SETUP, **changes), RUN._replace(rate=rate)
    found, true = train.descend(setup, TASK, run), loop(setup, run)
    check(found, true)
    marks = found.marks[0][found.marks[0] >= 0]
    evaluations = len(true["steps"]) - 1
    every = 1
    while evaluations > setup.marks * every:
        every *= 2
    at = list(range(every, evaluations + 1, every))
    assert marks.tolist() == [true["steps"][i] - 1 for i in at]


@pytest.mark.parametrize("system", ["characters", "words"])
def test_networks_train_as_plain_loops(system: str) -> None:
    setup = replace(SETUP, system=system, batch=2, length=5, validation=23, steps=60)
    task = tasks.task(setup, corpus())
    run = RUN._replace(system=system, width=3, depth=2)
    check(train.descend(setup, task, run), loop(setup, run, task))


def text_or_speech(setup: Setup) -> Corpus | Utterances:
    """A little data of the shapes and vocabulary of a system at full scale."""
    if setup.system != "speech":
        names = tuple(map(str, range(setup.vocabulary or 256)))
        return Corpus("made up", names, *2 * [np.zeros(40_000, np.int32)], 0.0)
    count = np.ones(3 * setup.batch, np.int32)
    features = np.zeros((len(count), 60, BINS), np.float32)
    return Utterances("made up", True, features, 60 * count, count[:, None] * np.ones(9, np.int32),
                      9 * count, 2 * setup.batch)  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_widest_networks_lower_for_accelerators(system: str, standard_promotion: None) -> None:
    """Several seeds of the document's networks, all of whose products are at full precision."""
    setup = SCALES["full"][system]
    run = RecurrentRun(system, setup.widths[-1], 0, setup.depths[0], setup.optimizers[0], 0.0, 0,
                       (0, 1))  # fmt: skip
    task = tasks.task(setup, text_or_speech(setup))
    made = train.program(setup, task, run)
    advance = jax.vmap(made.advance, in_axes=(0, 0, None, None, None))

    def program(state: Any, seeds: Any, *others: Any) -> Any:
        return advance(state, jax.vmap(jax.random.key)(seeds), *others)

    seeds = jax.ShapeDtypeStruct((2,), jnp.uint32)
    state = jax.eval_shape(lambda seeds: jax.vmap(made.begin)(jax.vmap(jax.random.key)(seeds)),
                           seeds)  # fmt: skip
    data = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), task.data)
    arguments = (state, seeds, jnp.int32(0), jnp.float32(0), data)
    function = jax.jit(program, donate_argnums=0)
    assert host_calls(function.trace(*arguments).jaxpr) == []
    for platform in PLATFORMS:
        text = text_of(platform, function, *arguments)
        # JAX draws random numbers with unsigned integers.
        assert audit(text, platform, ELEMENTS["float32"] | {"ui32", "ui64"}) == []
        assert any(run.width in shape for shape in products_in(text))
