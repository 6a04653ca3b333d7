"""Log spectrograms against sums over samples, sines and white noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lnn.datasets.speech.spectrogram import BINS, RATE, log_spectrogram

FLOOR, CENTRE, SCALE = 1e-4, -6.0, 3.0  # what users' models have learned from


def by_sums(wave: np.ndarray) -> np.ndarray:
    """The definition, frame by frame and bin by bin."""
    wave = wave / math.sqrt(sum(value * value for value in wave) / len(wave))
    n = np.arange(160)
    window = np.sin(np.pi * n / 160) ** 2
    rows = []
    for start in range(0, len(wave) - 159, 80):
        clip = wave[start : start + 160] * window
        powers = [abs(np.sum(clip * np.exp(-2j * np.pi * k * n / 160))) ** 2 for k in range(81)]
        rows.append([(math.log(power / 60 + FLOOR) - CENTRE) / SCALE for power in powers])
    return np.array(rows)


@pytest.mark.parametrize("samples", [160, 239, 240, 1000])
def test_it_is_its_definition(samples: int) -> None:
    wave = np.random.default_rng(samples).standard_normal(samples) * np.linspace(0, 3, samples)
    found = log_spectrogram(wave, RATE)
    assert found.shape == ((samples - 160) // 80 + 1, BINS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_sums(wave), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("k", [3, 20, 79])
def test_a_sine_peaks_at_its_frequency(k: int) -> None:
    wave = np.sin(2 * np.pi * 50 * k * np.arange(RATE) / RATE)
    found = log_spectrogram(wave, RATE)
    assert np.all(np.argmax(found, axis=1) == k)
    # Amplitude sqrt(2), and Hann's window sums to 80: |DFT|^2 = 2 (80 / 2)^2.
    peak = (math.log(3200 / 60 + FLOOR) - CENTRE) / SCALE
    np.testing.assert_allclose(found[:, k], peak, rtol=1e-6)
    np.testing.assert_allclose(found[:, k - 3], (math.log(FLOOR) - CENTRE) / SCALE, atol=1e-5)


def test_white_noise_has_power_one_in_every_bin() -> None:
    found = log_spectrogram(np.random.default_rng(0).standard_normal(20 * RATE), RATE)
    energy = np.exp(SCALE * found.astype(np.float64) + CENTRE) - FLOOR
    # 2000 frames, half as many independent ones; the first and last bins are real.
    np.testing.assert_allclose(energy[:, 1:-1].mean(axis=0), 1.0, atol=0.2)
    assert energy[:, 1:-1].mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("factor", [7.0, -1.0, 1e-300, 1e300])
def test_loudness_does_not_matter(factor: float) -> None:
    wave = np.random.default_rng(1).standard_normal(800)
    np.testing.assert_allclose(
        log_spectrogram(factor * wave, RATE), log_spectrogram(wave, RATE), atol=1e-6
    )


@pytest.mark.parametrize("rate", [16_000, 44_100, 11_025, 48_001])
def test_a_chord_of_another_rate_is_resampled(rate: int) -> None:
    def chord(rate: int) -> np.ndarray:
        t = np.arange(rate) / rate
        return np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 1510 * t)

    wanted, found = log_spectrogram(chord(RATE), RATE), log_spectrogram(chord(rate), rate)
    assert found.shape == wanted.shape
    # Where there is power, away from the ends, which the filter sees as zeros beyond.
    loud = wanted > 2.0
    assert np.count_nonzero(loud[5:-5]) > 500
    np.testing.assert_allclose(found[5:-5][loud[5:-5]], wanted[5:-5][loud[5:-5]], atol=0.01)


def test_frequencies_above_4_khz_are_filtered_out() -> None:
    t = np.arange(48_000) / 48_000
    both = np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 7000 * t)  # would fold to 1000 Hz
    low = np.sin(2 * np.pi * 1000 * t)
    np.testing.assert_allclose(
        log_spectrogram(both, 48_000)[5:-5, 18:23], log_spectrogram(low, 48_000)[5:-5, 18:23],
        atol=0.01,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wave", "rate", "match"),
    [
        (np.zeros(0), RATE, "holds no samples"),
        (np.zeros(999), RATE, "is silent"),
        (np.ones(159), RATE, "is shorter than a frame of 20 ms"),
        (np.ones(300), 16_000, "is shorter than a frame of 20 ms"),
    ],
)
def test_without_sound_there_is_none(wave: np.ndarray, rate: int, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        log_spectrogram(wave, rate)
