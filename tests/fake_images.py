"""Images in the form of MNIST, made from a seed."""

from __future__ import annotations

import numpy as np

from lnn.datasets.images import Images


def fake_images(rows: int = 128, seed: int = 0) -> Images:
    """Ten patterns under noise, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 256, (10, 28, 28))

    def some(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 10, count).astype(np.uint8)
        noisy = patterns[labels] + rng.normal(0, 60, (count, 28, 28))
        return np.clip(noisy, 0, 255).astype(np.uint8), labels

    return Images(*some(rows), *some(50))
