"""The synthesizer of spoken digits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lnn.datasets.speech.digits import WORDS, spoken
from lnn.datasets.speech.spectrogram import RATE, log_spectrogram

Spoken = list[tuple[np.ndarray, str]]


@pytest.fixture(scope="module")
def utterances() -> Spoken:
    return [spoken(index) for index in range(600)]


@pytest.fixture(scope="module")
def single(utterances: Spoken) -> Spoken:
    """Those of one digit."""
    return [(wave, text) for wave, text in utterances if " " not in text]


def test_an_index_always_gives_the_same_utterance(utterances: Spoken) -> None:
    for index in (0, 17):
        again, text = spoken(index)
        np.testing.assert_array_equal(again, utterances[index][0])
        assert text == utterances[index][1]
    assert len({wave.tobytes() for wave, _ in utterances}) == len(utterances)


def test_one_or_two_digits_are_equally_frequent(utterances: Spoken) -> None:
    lengths = Counter(len(text.split()) for _, text in utterances)
    words = Counter(word for _, text in utterances for word in text.split())
    assert set(lengths) == {1, 2}
    assert set(words) == set(WORDS)
    # Four deviations of a binomial distribution.
    assert all(abs(count - 300) < 4 * np.sqrt(600 / 4) for count in lengths.values())
    assert all(abs(count - 90) < 4 * np.sqrt(900 * 0.09) for count in words.values())


def test_utterances_are_short(utterances: Spoken) -> None:
    for wave, text in utterances:
        assert np.all(np.isfinite(wave))
        assert 0.15 < len(wave) / RATE / len(text.split()) < 0.65, text
    digits = sum(len(text.split()) for _, text in utterances)
    assert 0.25 < sum(len(wave) for wave, _ in utterances) / RATE / digits < 0.4


def test_a_vowel_is_loudest_between_its_first_two_formants(single: Spoken) -> None:
    spectra = [log_spectrogram(wave, RATE).max(axis=0) for wave, text in single if text == "four"]
    loudest = 50 * np.argmax(spectra, axis=1)
    # Of the vowel of "four", by Peterson and Barney; a speaker's own are 0.9 to 1.15 times these.
    assert np.all((loudest > 0.75 * 570) & (loudest < 1.2 * 840)), loudest


def test_hissing_is_loud_above_2750_hz_and_vowels_are_not(single: Spoken) -> None:
    peaks = [(text, log_spectrogram(wave, RATE)[:, 55:].max()) for wave, text in single]
    words = ("six", "seven", "one", "four")
    high = {word: np.mean([peak for text, peak in peaks if text == word]) for word in words}
    assert min(high["six"], high["seven"]) > max(high["one"], high["four"]) + 1


def outline(wave: np.ndarray) -> np.ndarray:
    """Mean spectra of eight parts of an utterance, in bands of 400 Hz."""
    spectrogram = log_spectrogram(wave, RATE)[:, :80].reshape(-1, 10, 8).mean(axis=2)
    return np.concatenate([part.mean(axis=0) for part in np.array_split(spectrogram, 8)])


def test_digits_are_told_apart_by_the_nearest_mean_spectrum(single: Spoken) -> None:
    points = np.array([outline(wave) for wave, _ in single])
    texts = np.array([text for _, text in single])
    half = len(points) // 2
    centres = np.array([points[:half][texts[:half] == word].mean(axis=0) for word in WORDS])
    distances = np.linalg.norm(points[half:, None] - centres, axis=2)
    right = np.array(list(WORDS))[np.argmin(distances, axis=1)] == texts[half:]
    assert len(right) > 80
    assert right.mean() > 0.8, right.mean()  # chance is 0.1


def test_speakers_differ(single: Spoken) -> None:
    lengths = [len(wave) for wave, text in single if text == "eight"]
    assert len(set(lengths)) >= 5
    assert max(lengths) > 1.2 * min(lengths)


def test_vowels_have_the_pitch_of_a_voice(single: Spoken) -> None:
    for wave, text in single:
        if text == "one":
            vowel = wave[len(wave) // 2 - 500 : len(wave) // 2 + 500]
            correlation = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :] / np.sum(vowel**2)
            assert correlation[RATE // 260 : RATE // 75].max() > 0.4
