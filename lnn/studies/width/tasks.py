"""What a run trains on: a network, its minibatches and its validation loss, for each system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lnn.datasets.speech import utterances
from lnn.datasets.speech.utterances import ALPHABET, Utterances
from lnn.datasets.text import corpus
from lnn.datasets.text.corpus import Corpus
from lnn.studies.width.config import Setup
from lnn.studies.width.systems import deep_speech, lstm, rhn

Params = dict[str, Any]
Data = Corpus | Utterances

CHUNK = 128
"""Validation windows of a product: more of them gain little, and take memory."""


class Scales(NamedTuple):
    """Factors of every parameter's start and of its learning rate."""

    start: Params
    rate: Params


@dataclass(frozen=True, eq=False)
class Task:
    """A system with its data.

    Attributes:
        initial: parameters by group, from a key, a width and a depth.
        sample: a minibatch, from a key, the size of the training set and `data` on the device.
            Drawn with replacement: windows that begin anywhere, or utterances.
        loss: of parameters on a minibatch, nats per symbol.
        validate: of parameters on all validation data.
        data: arrays for `sample` and `validate`.
    """

    initial: Callable[[Any, int, int], Params]
    sample: Callable[[Any, Any, Any], Any]
    loss: Callable[[Params, Any], jax.Array]
    validate: Callable[[Params, Any], jax.Array]
    data: Any


def load_system(setup: Setup, path: str | None) -> Data:
    """Return the data of a system, from a path or built in."""
    size: dict[str, int] = {"train": setup.sizes[-1], "validation": setup.validation}
    if setup.system == "speech":
        return utterances.load(path, **size)
    if setup.system == "words":
        return corpus.words(path, vocabulary=setup.vocabulary, **size)
    return corpus.characters(path, **size)


def task(setup: Setup, data: Data) -> Task:
    """Return the task of a system.

    A window of text starts from a state of zeros. Validation windows follow one another without
    overlap; the rest of the text, less than a window, is left out, as are windows that do not fill
    one of equal products.
    """
    if isinstance(data, Utterances):
        return _speech(setup, data)
    system = rhn if setup.system == "characters" else lstm
    length = setup.length
    reach = np.arange(length + 1, dtype=np.int32)
    starts = np.arange(0, len(data.validation) - length, length, dtype=np.int32)
    windows = data.validation[starts[:, None] + reach]
    held_out = _in_chunks(windows, len(windows) // -(-len(windows) // CHUNK))

    def sample(key: Any, size: Any, placed: Any) -> Any:
        start = jax.random.randint(key, (setup.batch, 1), 0, size - length, jnp.int32)
        return placed[0][start + reach[None]]

    def validate(params: Params, placed: Any) -> jax.Array:
        return jnp.mean(jax.lax.map(lambda chunk: system.loss(params, chunk), placed[1]))

    return Task(
        lambda key, width, depth: system.initial(key, len(data.symbols), width, depth),
        sample, system.loss, validate, (data.train, held_out),
    )  # fmt: skip


def _speech(setup: Setup, data: Utterances) -> Task:
    arrays = (data.features, data.frames, data.labels, data.lengths)
    split = data.validation
    bins = data.features.shape[-1]

    def sample(key: Any, size: Any, placed: Any) -> Any:
        chosen = jax.random.randint(key, (setup.batch,), 0, size, jnp.int32)
        return tuple(array[chosen] for array in placed[0])

    def loss(params: Params, batch: Any) -> jax.Array:
        return deep_speech.loss(params, *batch)

    def validate(params: Params, placed: Any) -> jax.Array:
        def part(batch: Any) -> tuple[jax.Array, jax.Array]:
            letters = jnp.sum(batch[3]).astype(jnp.float32)
            return loss(params, batch) * letters, letters

        totals, letters = jax.lax.map(part, placed[1])
        return jnp.sum(totals) / jnp.sum(letters)

    held_out = tuple(_in_chunks(array[:split], setup.batch) for array in arrays)
    return Task(
        lambda key, width, depth: deep_speech.initial(
            key, bins, width, len(ALPHABET) - 1, layers=depth
        ),
        sample, loss, validate, (tuple(array[split:] for array in arrays), held_out),
    )  # fmt: skip


def _in_chunks(array: np.ndarray, chunk: int) -> np.ndarray:
    """Return (chunks, chunk, ...); the rest, less than a chunk, is left out."""
    whole = len(array) // chunk
    return array[: whole * chunk].reshape(whole, chunk, *array.shape[1:])


def scales(params: Params, factor: float) -> Scales:
    """Return the maximal update parametrization for SGD, relative to the standard one.

    Yang et al. 2022 (Tensor Programs V), Table 3, with `factor` the width over that at which both
    agree. Embeddings and hidden biases: the rate grows with the factor. Softmax weights: the rate
    falls with it, and so does the standard deviation at the start, beyond the square root that it
    has anyway. Hidden weights and the softmax bias: as they are.
    """

    def of(path: Any, leaf: Any, embedding: float, hidden: float, softmax: float) -> Any:
        group, *_, name = (part.key for part in path)
        size = {"embedding": embedding, "softmax": softmax}.get(group, 1.0)
        if "bias" in name:
            size = hidden if group == "hidden" else 1.0
        return jnp.full((), size, leaf.dtype)

    def each(*sizes: float) -> Params:
        return jax.tree_util.tree_map_with_path(lambda path, leaf: of(path, leaf, *sizes), params)

    return Scales(each(1.0, 1.0, factor**-0.5), each(factor, factor, 1 / factor))


_placed: list[tuple[Task, Any]] = []


def place(task: Task) -> Any:
    """Return the data of a task as device arrays, transferred once for many runs."""
    if not _placed or _placed[0][0] is not task:
        _placed[:] = [(task, jax.tree.map(jnp.asarray, task.data))]
    return _placed[0][1]
