"""Deep Speech beside SciPy, utterance by utterance, and its loss beside the sum over alignments."""

from __future__ import annotations

from itertools import groupby, product
from typing import Any

import jax
import jax.numpy as jnp
import network_checks as checks
import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.special import log_softmax

from lnn.studies.width.systems import deep_speech

pytestmark = pytest.mark.slow  # programs are compiled

BINS, WIDTH, LETTERS, TIME = 45, 3, 2, 11
RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((3, TIME, BINS)).astype(np.float32)
FRAMES = np.array([11, 6, 8], np.int32)
LABELS = np.array([[1, 1, 2], [2, 2, 1], [2, 1, 2]], np.int32)
LENGTHS = np.array([3, 1, 2], np.int32)  # the first has a repetition, the second unused letters
DATA = (FEATURES, FRAMES, LABELS, LENGTHS)
LOGITS = jax.jit(deep_speech.logits)
SLOPE = jax.jit(jax.value_and_grad(deep_speech.loss))


def start(seed: int = 0) -> deep_speech.Params:
    return deep_speech.initial(jax.random.key(seed), BINS, WIDTH, LETTERS, 2, 2)


def reference(params: Any, features: np.ndarray) -> np.ndarray:
    """Log-odds (outputs, letters + 1) of one whole utterance (frames, bins)."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    maps, convolutions = [np.float64(features)], p["convolutions"]
    for layer, stride in (("1", 2), ("2", 1)):
        kernel, bias = convolutions["kernel" + layer], convolutions["bias" + layer]
        times = len(kernel) // 2
        sums = [
            sum(
                correlate2d(np.pad(m, ((times, times), (0, 0))), kernel[:, :, c, o], "valid")
                for c, m in enumerate(maps)
            )
            for o in range(kernel.shape[-1])
        ]
        length = len(maps[0]) // stride
        maps = [np.clip(s[::stride, ::2] + bias[o], 0, 20)[:length] for o, s in enumerate(sums)]
    x, hidden = np.stack(maps, axis=-1).reshape(len(maps[0]), -1), p["hidden"]
    for layer in range(len(hidden["bias"])):
        weights = hidden["input"][layer - 1] if layer else hidden["first"]
        sums = [x @ weights[way] + hidden["bias"][layer, way] for way in (0, 1)]
        forward, backward = hidden["recurrent"][layer]
        x = (
            checks.lstm_outputs(sums[0], forward)
            + checks.lstm_outputs(sums[1][::-1], backward)[::-1]
        )
    return x @ p["softmax"]["weights"] + p["softmax"]["bias"]


def chance(logits: np.ndarray, labels: list[int]) -> float:
    """Sum over all alignments whose symbols, repetitions merged and blanks removed, are these."""
    chances = np.exp(log_softmax(logits, axis=1))
    total = 0.0
    for path in product(range(logits.shape[1]), repeat=len(logits)):
        if [symbol for symbol, _ in groupby(path) if symbol != 0] == labels:
            total += np.prod([chances[t, symbol] for t, symbol in enumerate(path)])
    return total


def test_log_odds_are_those_of_each_utterance_alone() -> None:
    params = jax.tree.map(lambda leaf: 1.5 * leaf, start())
    found = LOGITS(params, FEATURES, FRAMES)
    assert found.shape == (3, TIME // deep_speech.SUBSAMPLING, LETTERS + 1)
    for utterance, frames in enumerate(FRAMES):
        true = reference(params, FEATURES[utterance, :frames])
        np.testing.assert_allclose(found[utterance, : frames // 2], true, rtol=1e-5, atol=1e-5)


def test_loss_is_the_sum_over_alignments() -> None:
    total = 0.0
    for features, frames, labels, length in zip(*DATA, strict=True):
        total -= np.log(chance(reference(start(), features[:frames]), labels[:length].tolist()))
    found = float(SLOPE(start(), *DATA)[0])
    assert found == pytest.approx(total / LENGTHS.sum(), rel=1e-5)


def test_gradient_is_that_of_differences(x64: None) -> None:
    features, *others = DATA
    checks.check_by_differences(SLOPE, checks.doubled(start()), np.float64(features), *others)


def test_what_lies_beyond_the_end_changes_nothing() -> None:
    features, labels = FEATURES.copy(), LABELS.copy()
    for utterance in range(3):
        features[utterance, FRAMES[utterance] :] = 1e3
        labels[utterance, LENGTHS[utterance] :] = 0
    assert not np.array_equal(features, FEATURES)
    assert not np.array_equal(labels, LABELS)
    true = SLOPE(start(), *DATA)
    louder = SLOPE(start(), features, FRAMES, LABELS, LENGTHS)
    assert all(map(np.array_equal, jax.tree.leaves(louder), jax.tree.leaves(true)))
    checks.close_gradients(SLOPE(start(), FEATURES, FRAMES, labels, LENGTHS), true)


def test_gradients_of_seeds() -> None:
    checks.check_seeds(SLOPE, [start(0), start(1)], *DATA)


def test_programs() -> None:
    checks.check_programs(SLOPE, start(), *DATA)


def test_float32_stays_float32_where_jax_has_float64(x64: None, standard_promotion: None) -> None:
    value, slopes = jax.eval_shape(jax.value_and_grad(deep_speech.loss), start(), *DATA)
    assert {leaf.dtype for leaf in (value, *jax.tree.leaves(slopes))} == {jnp.dtype("float32")}


def test_initial_weights() -> None:
    width, channels = 64, 8
    params = deep_speech.initial(jax.random.key(0), 81, width, 28)
    assert tuple(params) == deep_speech.GROUPS
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    convolutions, hidden, softmax = (params[group] for group in deep_speech.GROUPS)
    assert hidden["first"].shape == (2, 15 * channels, 4 * width)
    deviations = [
        (convolutions["kernel1"], (2 / (5 * 11)) ** 0.5),
        (convolutions["kernel2"], (2 / (3 * 7 * channels)) ** 0.5),
        *((matrix, (15 * channels) ** -0.5) for matrix in hidden["first"]),
        *((m, width**-0.5) for name in ("input", "recurrent") for two in hidden[name] for m in two),
        (softmax["weights"], width**-0.5),
    ]
    assert len(deviations) == 2 + 2 + 3 * 2 + 4 * 2 + 1
    for weights, deviation in deviations:
        assert float(weights.std()) == pytest.approx(deviation, rel=0.05)
    assert len({float(weights.ravel()[0]) for weights, _ in deviations}) == len(deviations)
    forget = np.s_[..., width : 2 * width]
    assert (hidden["bias"][forget] == 1).all()
    for bias in (convolutions["bias1"], softmax["bias"], hidden["bias"].at[forget].set(0)):
        assert not bias.any()


def test_at_the_start_it_knows_nothing() -> None:
    for seed in range(3):
        chances = jax.nn.log_softmax(LOGITS(start(seed), FEATURES, FRAMES))
        assert float(-chances.mean()) == pytest.approx(np.log(LETTERS + 1), rel=0.1)
