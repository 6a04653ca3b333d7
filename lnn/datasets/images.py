"""Images of digits with their labels, as arrays. Imports no JAX."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

SIDE, CLASSES = 28, 10


@dataclass(frozen=True)
class Images:
    """All images and labels, as bytes.

    Attributes:
        train, train_labels: (n, 28, 28) and (n,) of the training images that are trained on: as in
            the tutorial the first twelfth, 5000 of 60000, is held out.
        test, test_labels: of the test set.
        checksum: 16 hex digits of all of them.
    """

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
