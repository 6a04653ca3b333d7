"""Log spectrograms of waveforms. Imports no JAX.

Amodei et al. (2016), "Deep Speech 2": log-spectrograms of power-normalized audio clips, calculated
on 20 ms windows.
"""

from __future__ import annotations

import math

import numpy as np

RATE = 8000
"""Samples per second at which spectrograms are computed; other rates are resampled to it."""

WINDOW, HOP = 160, 80
"""Samples of a window (20 ms), and between the starts of two (10 ms)."""

BINS = WINDOW // 2 + 1
"""Frequencies of a spectrogram, 0 to 4000 Hz, 50 Hz apart."""

SLOWEST, FASTEST = 1000, 384_000
"""Limits of the samples per second of a recording."""

FLOOR = 1e-4
"""Added to the power, of which white noise has 1 in every bin on average."""

CENTRE, SCALE = -6.0, 3.0
"""Subtracted from the logarithm, and then divided by: speech has about mean 0 and deviation 1."""


def resampled(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return a waveform (samples,) at RATE, low-pass filtered by SciPy's polyphase filter."""
    from scipy.signal import resample_poly

    common = math.gcd(RATE, rate)
    return wave if rate == RATE else resample_poly(wave, RATE // common, rate // common)


def log_spectrogram(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return the log spectrogram (frames, BINS), float32, of a finite waveform (samples,).

    The waveform is scaled to a mean power of 1, so that its loudness does not matter. Each frame is
    log(FLOOR + |DFT(w s)|^2 / sum w^2) of WINDOW samples s, with Hann's window w, less CENTRE, by
    SCALE: fixed numbers, not fitted to data. Frames lie within the waveform: nothing is padded.

    Raises:
        ValueError: a waveform of less than a frame, or of silence; the message is a predicate.
    """
    from scipy.signal.windows import hann

    peak = np.max(np.abs(wave), initial=0.0)
    if peak == 0:
        raise ValueError("is silent" if len(wave) else "holds no samples")
    wave = resampled(wave.astype(np.float64) / peak, rate)  # its square cannot overflow
    if len(wave) < WINDOW:
        raise ValueError(f"is shorter than a frame of {1000 * WINDOW // RATE} ms")
    power = np.mean(wave**2)
    if power == 0:
        raise ValueError("is silent")
    window = hann(WINDOW, sym=False) / math.sqrt(power)
    clips = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    energy = np.abs(np.fft.rfft(clips * window)) ** 2 / np.sum(hann(WINDOW, sym=False) ** 2)
    return ((np.log(energy + FLOOR) - CENTRE) / SCALE).astype(np.float32)
