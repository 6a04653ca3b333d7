"""Matrices of every spectrum that a kernel has to bear."""

from __future__ import annotations

import numpy as np
from oracles import orthonormal

SPECTRA = ("gaussian", "graded", "low rank", "equal", "half small", "zero")


def matrix(kind: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return a float64 matrix whose entries are exact in float32."""
    rng = np.random.default_rng([seed, *shape])
    r = min(shape)
    first = np.arange(r) < max(1, r // 4)
    s = {
        "graded": np.geomspace(1, 1e-5, r),
        "low rank": np.where(first, 1 + np.linspace(0, 1, r), 0),
        "equal": np.ones(r),
        "half small": np.where(first, 1, 3e-4),
        "zero": np.zeros(r),
    }
    if kind == "gaussian":
        w = rng.standard_normal(shape)
    else:
        w = orthonormal(rng, shape[0], r) * s[kind] @ orthonormal(rng, shape[1], r).T
    return w.astype(np.float32).astype(np.float64)


def true_rule(w: np.ndarray, g: np.ndarray, depth: int) -> np.ndarray:
    """Return the sum over layers with NumPy's decomposition of w in float64."""
    u, s, vt = np.linalg.svd(w)
    left, right = (np.append(s, np.zeros(n - len(s))) for n in w.shape)
    rotated = u.T @ g @ vt.T
    factor = sum(
        left[:, None] ** (2 * (j - 1) / depth) * right[None] ** (2 * (depth - j) / depth)
        for j in range(1, depth + 1)
    )
    return u @ (factor * rotated) @ vt
