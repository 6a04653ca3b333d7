"""Small problems for tests, and the loss and its gradient by NumPy."""

from __future__ import annotations

import numpy as np

from lnn.core.problem import Problem

POWERS = (1.5, 2, 2.5, 3, 4, 6)


def data(m: int, d: int, k: int | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, m, d])
    x = rng.standard_normal((m, d))
    y = x @ rng.standard_normal((d, k or 1)) + 0.5 * rng.standard_normal((m, k or 1))
    return x, y[:, 0] if k is None else y


def numpy_loss(problem: Problem, w: np.ndarray) -> float:
    residual = np.abs(problem.x @ w.T - problem.y.reshape(problem.m, -1))
    return float((residual**problem.p).sum(axis=1).mean() / problem.p)


def numpy_gradient(problem: Problem, w: np.ndarray) -> np.ndarray:
    residual = problem.x @ w.T - problem.y.reshape(problem.m, -1)
    pulled = np.sign(residual) * np.abs(residual) ** (problem.p - 1)
    return (pulled.T @ problem.x) / problem.m


def problem_of(k: int = 2, p: float = 4.0, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((30, 6))
    y = x @ rng.standard_normal((6, k)) / 3 + 0.1 * rng.standard_normal((30, k))
    return Problem(x, y, p)


def starts_of(problem: Problem, runs: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((runs, problem.k, problem.d))


def descend(
    problem: Problem, w: np.ndarray, rate: float, steps: int, decay: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plain gradient descent: every W, loss and gradient norm from step 0 on."""
    path, losses, norms = [], [], []
    for _ in range(steps + 1):
        residual = problem.x @ w.T - problem.y
        pulled = np.sign(residual) * np.abs(residual) ** (problem.p - 1)
        gradient = pulled.T @ problem.x / problem.m
        path.append(w)
        losses.append(np.sum(np.mean(np.abs(residual) ** problem.p, axis=0)) / problem.p)
        norms.append(np.linalg.norm(gradient))
        w = w - rate * (gradient + decay * w)
    return np.array(path), np.array(losses), np.array(norms)
