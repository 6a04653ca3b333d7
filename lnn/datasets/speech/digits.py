"""Synthetic spoken digits: a source-filter synthesizer. Imports no JAX.

Pulses of the glottis and noise pass through three resonators in a row (Klatt 1980, "Software for a
cascade/parallel formant synthesizer", eq. 1 and 2), whose frequencies move between those of the
phonemes; vowels have the means of men by Peterson and Barney (1952).
"""

from __future__ import annotations

import numpy as np

from lnn.datasets.speech.spectrogram import RATE

WORDS = {
    "zero": "z i r o u", "one": "w ^ n", "two": "- t u", "three": "th r i", "four": "f o r",
    "five": "f a i v", "six": "s I - k s", "seven": "s e v @ n", "eight": "e I - t",
    "nine": "n a i n",
}  # fmt: skip
"""The phonemes of each digit; "-" is the closure before a stop."""

_PHONEMES = {
    "i": (270, 2290, 3010, 1.0, 0.0, 90), "I": (390, 1990, 2550, 1.0, 0.0, 70),
    "e": (530, 1840, 2480, 1.0, 0.0, 90), "a": (730, 1090, 2440, 1.0, 0.0, 100),
    "o": (570, 840, 2410, 1.0, 0.0, 100), "u": (300, 870, 2240, 1.0, 0.0, 90),
    "^": (640, 1190, 2390, 1.0, 0.0, 100), "@": (500, 1500, 2500, 0.8, 0.0, 40),
    "r": (310, 1060, 1380, 0.7, 0.0, 60), "w": (290, 610, 2150, 0.6, 0.0, 60),
    "n": (250, 1300, 2500, 0.35, 0.0, 70), "v": (250, 1100, 2100, 0.3, 0.1, 50),
    "z": (250, 1700, 3600, 0.25, 0.15, 70), "s": (1500, 3500, 3800, 0.0, 0.2, 80),
    "f": (1200, 2200, 3300, 0.0, 0.15, 70), "th": (1400, 2600, 3300, 0.0, 0.15, 70),
    "t": (1800, 3100, 3600, 0.0, 0.25, 25), "k": (1000, 1800, 2400, 0.0, 0.25, 25),
    "-": (300, 1500, 2500, 0.0, 0.0, 40),
}  # fmt: skip
"""Formants (Hz), amplitudes of voice and noise, and duration (ms) of each phoneme."""

_BANDWIDTHS = (80.0, 120.0, 180.0)
_STEP = RATE // 100
"""Samples (10 ms) during which the resonators stand still."""

_NAMES = tuple(WORDS)


def spoken(index: int) -> tuple[np.ndarray, str]:
    """Return the waveform (samples,) at RATE, and transcript, of the synthetic utterance `index`.

    It has one or two digits, with short pauses. Pitch, formants, speed, level of the background
    noise, and each phoneme's duration are drawn, so that every utterance has its own speaker. The
    same index always gives the same utterance, up to rounding on other machines.
    """
    rng = np.random.default_rng((0, index))
    spoken_words = [_NAMES[i] for i in rng.integers(len(_NAMES), size=rng.integers(1, 3))]
    pitch, tract, speed = rng.uniform(90, 220), rng.uniform(0.9, 1.15), rng.uniform(0.8, 1.15)
    pause = (300, 1500, 2500, 0.0, 0.0, 60)
    rows = [pause]
    for word in spoken_words:
        rows += [*(_PHONEMES[phoneme] for phoneme in WORDS[word].split()), pause]
    table = np.array(rows)
    lasting = table[:, 5] * speed * rng.uniform(0.8, 1.2, len(table))
    ends = np.cumsum(lasting)
    steps = np.arange(5.0, ends[-1], 10.0)
    tracks = np.array([np.interp(steps, ends - lasting / 2, column) for column in table[:, :5].T])
    samples = len(steps) * _STEP
    voice, noise = np.repeat(tracks[3:], _STEP, axis=1)
    falling = pitch * np.linspace(1.1, 0.85, samples)
    pulses = np.diff(np.floor(np.cumsum(falling) / RATE), prepend=0.0)
    source = voice * pulses * 30 + noise * rng.standard_normal(samples)
    wave = _filtered(source, np.minimum(tracks[:3] * tract, 0.48 * RATE))
    background = 10 ** rng.uniform(-2.0, -1.3) * np.sqrt(np.mean(wave**2))
    return wave + background * rng.standard_normal(samples), " ".join(spoken_words)


def _filtered(source: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Pass a source (steps * _STEP,) through resonators of frequencies (3, steps)."""
    from scipy.signal import lfilter

    wave = lfilter([1.0], [1.0, -0.9], source)  # the glottal pulse, and radiation from the lips
    for track, bandwidth in zip(formants, _BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / RATE)
        turns = 2 * radius * np.cos(2 * np.pi * track / RATE)
        state = np.zeros(2)
        for step, turn in enumerate(turns):
            at = slice(step * _STEP, (step + 1) * _STEP)
            denominator = [1.0, -turn, radius**2]
            wave[at], state = lfilter([sum(denominator)], denominator, wave[at], zi=state)
    return wave
