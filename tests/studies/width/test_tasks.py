"""Minibatches, validation losses and the maximal update parametrization of the study of width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small_width import corpus

from lnn.datasets.speech.utterances import ALPHABET, Utterances
from lnn.studies.width import tasks
from lnn.studies.width.config import SCALES, Setup
from lnn.studies.width.systems import deep_speech, lstm, rhn

LENGTH, BATCH, SIZE = 5, 2, 16
TEXT = corpus()
SETUP = replace(SCALES["quick"]["characters"], batch=BATCH, length=LENGTH, steps=10)


def setup_of(system: str) -> Setup:
    return replace(SETUP, system=system)


def batches(task: tasks.Task, size: int) -> Any:
    """Minibatches of many keys."""
    keys = jax.vmap(jax.random.key)(jnp.arange(2000, dtype=jnp.uint32))
    placed = jax.tree.map(jnp.asarray, task.data)
    return jax.jit(jax.vmap(task.sample, (0, None, None)))(keys, jnp.int32(size), placed)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    """Minibatches of a text in which no symbol is twice: a window says where it begins."""
    text = replace(TEXT, train=np.arange(60, dtype=np.int32))
    return np.asarray(batches(tasks.task(SETUP, text), SIZE))


def test_windows_begin_anywhere_in_the_training_set(windows: np.ndarray) -> None:
    assert windows.shape == (2000, BATCH, LENGTH + 1)
    np.testing.assert_array_equal(np.diff(windows, axis=2), 1)
    starts = np.bincount(windows[:, :, 0].ravel())
    # 11 windows of 6 symbols lie within 16.
    assert len(starts) == SIZE - LENGTH
    assert windows.max() == SIZE - 1
    assert stats.chisquare(starts).pvalue > 1e-3


def test_windows_of_a_batch_are_drawn_apart(windows: np.ndarray) -> None:
    pairs = np.zeros((SIZE - LENGTH, SIZE - LENGTH))
    np.add.at(pairs, (windows[:, 0, 0], windows[:, 1, 0]), 1)
    assert stats.chi2_contingency(pairs).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("system", "module"), [("characters", rhn), ("words", lstm)])
@pytest.mark.parametrize("windows", [4, 131])
def test_validation_is_over_windows_that_follow_one_another(
    system: str, module: Any, windows: int
) -> None:
    """4 windows of 23 symbols; 131 in two products of 65, of which one window is left out."""
    text = corpus(validation=LENGTH * windows + 3)
    task = tasks.task(setup_of(system), text)
    params = task.initial(jax.random.key(0), 3, 2)
    found = task.validate(params, jax.tree.map(jnp.asarray, task.data))
    kept = 130 if windows == 131 else windows
    rows = np.stack([text.validation[LENGTH * i : LENGTH * (i + 1) + 1] for i in range(kept)])
    np.testing.assert_allclose(found, module.loss(params, rows), rtol=1e-5)
    assert task.data[1].shape[0] == (1 if windows < 128 else 2)


def test_validation_windows_share_their_ends_only() -> None:
    windows = tasks.task(SETUP, TEXT).data[1].reshape(-1, LENGTH + 1)
    np.testing.assert_array_equal(windows[:, :-1].ravel(), TEXT.validation[:20])
    np.testing.assert_array_equal(windows[1:, 0], windows[:-1, -1])


@pytest.mark.parametrize(("system", "module"), [("characters", rhn), ("words", lstm)])
def test_networks_read_the_vocabulary(system: str, module: Any) -> None:
    task = tasks.task(setup_of(system), TEXT)
    shapes = jax.eval_shape(lambda key: task.initial(key, 3, 2), jax.random.key(0))
    true = jax.eval_shape(lambda key: module.initial(key, 4, 3, 2), jax.random.key(0))
    assert shapes == true
    assert task.loss is module.loss


# Speech.


def utterances(validation: int = 5, train: int = 7) -> Utterances:
    """Utterances whose first letter and feature count them."""
    count = validation + train
    rng = np.random.default_rng(0)
    features = rng.standard_normal((count, 20, 45)).astype(np.float32)
    features[:, 0, 0] = np.arange(count)
    lengths = (1 + np.arange(count) % 3).astype(np.int32)
    labels = rng.integers(1, 28, (count, 3)).astype(np.int32)
    labels[np.arange(3) >= lengths[:, None]] = 0
    frames = np.full(count, 20, np.int32)
    return Utterances("made up", True, features, frames, labels, lengths, validation)


SPEECH = replace(SCALES["quick"]["speech"], batch=BATCH)


def test_utterances_are_drawn_from_the_training_set() -> None:
    data = utterances()
    features, frames, labels, lengths = batches(tasks.task(SPEECH, data), 4)
    chosen = np.asarray(features)[:, :, 0, 0].astype(int)
    counts = np.bincount(chosen.ravel())
    assert (counts[:5] == 0).all()  # for validation
    assert len(counts) == 5 + 4
    assert stats.chisquare(counts[5:]).pvalue > 1e-3
    for values, true in (
        (features, data.features), (frames, data.frames), (labels, data.labels),
        (lengths, data.lengths),
    ):  # fmt: skip
        np.testing.assert_array_equal(values, true[chosen])


def test_validation_of_speech_is_per_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over letters of batches of 2; the fifth utterance fills none."""
    data = utterances()

    def loss(params: Any, features: Any, frames: Any, labels: Any, lengths: Any) -> Any:
        return params * jnp.mean(features[:, 0, 0])

    monkeypatch.setattr(deep_speech, "loss", loss)
    task = tasks.task(SPEECH, data)
    found = task.validate(2.0, jax.tree.map(jnp.asarray, task.data))  # type: ignore[arg-type]
    letters = data.lengths[:4].reshape(2, 2).sum(axis=1)
    assert letters.tolist() == [3, 4]
    assert float(found) == pytest.approx(2 * (0.5 * 3 + 2.5 * 4) / 7)


def test_deep_speech_reads_the_alphabet() -> None:
    task = tasks.task(SPEECH, utterances())
    shapes = jax.eval_shape(lambda key: task.initial(key, 3, 2), jax.random.key(0))
    true = jax.eval_shape(
        lambda key: deep_speech.initial(key, 45, 3, len(ALPHABET) - 1, layers=2), jax.random.key(0)
    )
    assert shapes == true


def test_data_are_placed_once() -> None:
    task, other = tasks.task(SETUP, TEXT), tasks.task(SETUP, corpus(train=70))
    first = tasks.place(task)
    assert tasks.place(task) is first
    assert tasks.place(other)[0].shape == (70,)
    np.testing.assert_array_equal(tasks.place(task)[0], TEXT.train)


# The maximal update parametrization.


def test_scales_are_those_of_table_3() -> None:
    """Yang et al. 2022, Table 3, SGD, at 4 times the base width.

    Standard deviations: input and hidden weights as they are, output weights 1 / width in place of
    1 / sqrt(width). Rates: input weights and all biases grow with the width (their input is of
    fixed size), hidden weights stay, output weights fall. Biases of the softmax have fixed size.
    """
    for system in ("characters", "words"):
        task = tasks.task(setup_of(system), TEXT)
        shapes = jax.eval_shape(lambda key: task.initial(key, 8, 2), jax.random.key(0))  # noqa: B023
        start, rate = tasks.scales(shapes, 4.0)
        assert start == {
            "embedding": {"rows": 1.0}, "hidden": {"input": 1.0, "recurrent": 1.0, "bias": 1.0},
            "softmax": {"weights": 0.5, "bias": 1.0},
        }  # fmt: skip
        assert rate == {
            "embedding": {"rows": 4.0}, "hidden": {"input": 1.0, "recurrent": 1.0, "bias": 4.0},
            "softmax": {"weights": 0.25, "bias": 1.0},
        }  # fmt: skip
        leaves = jax.tree.leaves((start, rate))
        assert {(leaf.dtype, leaf.shape) for leaf in leaves} == {(jnp.dtype("float32"), ())}
        assert set(map(float, jax.tree.leaves(tasks.scales(shapes, 1.0)))) == {1.0}
