"""Images of digits and their labels. Imports no JAX."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

SIDE, CLASSES = 28, 10


@dataclass(frozen=True)
class Images:
    """Training images (n, 28, 28) but the held-out first twelfth, test images, labels (n,)."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def checksum(self) -> str:
        """16 hex digits of the contents."""
        digest = hashlib.sha256()
        for values in (self.train, self.train_labels, self.test, self.test_labels):
            digest.update(values.tobytes())
        return digest.hexdigest()[:16]
