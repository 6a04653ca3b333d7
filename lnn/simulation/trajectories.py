"""Records of runs, and when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from lnn.core.checks import as_tuple, check_whole, plain
from lnn.core.status import Status
from lnn.simulation.program import Records
from lnn.simulation.step import Runs

RECORDS_PER_DECADE = 60
RECORDED = ("loss", "norm", "gradient_norm", "balancedness_gap")
"""The arrays (R, T) of `Trajectories` that are always present."""


@dataclass(frozen=True)
class Trajectories:
    """Recorded runs: T recorded steps, R runs (a single run has no run axis).

    Attributes:
        steps: (T,) recorded steps, from 0.
        loss: (R, T) data loss L(W_e), without weight decay; NaN after a run has ended.
        norm: (R, T) Frobenius norm of W_e.
        gradient_norm: (R, T) Frobenius norm of dL/dW at W_e.
        balancedness_gap: (R, T) largest |W_(j+1)^T W_(j+1) - W_j W_j^T|; NaN without factors.
        status: (R,) a `Status` each.
        end_step: (R,) last recorded step at which the run was still moving.
        params: final parameters, leading axis R.
        state: the final `Runs`, from which the runs can resume.
        w: (R, T, k, d) recorded end-to-end matrices, or None.
        layout: what was divided among the devices, runs or rows of the data.

    Example:
        >>> problem, gd = lnn.datasets.two_point(3.0, 1.0, p=2), lnn.make_method("gd")
        >>> run = lnn.simulate(problem, gd, np.zeros((1, 2)), learning_rate=3.0, steps=99)
        >>> lnn.Status(run.status).name
        'DIVERGED'
    """

    steps: np.ndarray
    loss: np.ndarray
    norm: np.ndarray
    gradient_norm: np.ndarray
    balancedness_gap: np.ndarray
    status: np.ndarray
    end_step: np.ndarray
    params: Any
    state: Any = None
    w: np.ndarray | None = None
    layout: str = ""


def record_steps(steps: int, per_decade: int = RECORDS_PER_DECADE) -> np.ndarray:
    """Return 0, the rounded powers 10^(i / per_decade) below `steps`, and `steps`.

    A longer budget only adds records after the last power below the shorter one.
    """
    count = int(np.floor(np.log10(steps) * per_decade + 1e-9))
    points = 10.0 ** (np.arange(count + 1) / per_decade)
    return np.unique(np.concatenate([[0], np.round(points), [steps]]).astype(np.int64))


def given_steps(record: Any, steps: int) -> np.ndarray:
    """Return the given steps beside 0 and `steps`, ascending; `ValueError` if one is outside."""
    checked = [check_whole("record", step, 0, steps) for step in as_tuple(plain(record))]
    return np.unique(np.array([0, *checked, steps], np.int64))


def collect(
    recorded: Records, final: Runs, chosen: np.ndarray, grid: np.ndarray, first: int, layout: str,
    most: float,
) -> Trajectories:  # fmt: skip
    """Return the records of a group, runs in their own order, blank after a run has ended.

    Runs that took all steps and end with a loss above `most`, or NaN, have diverged.
    """
    runs, times = chosen.size, len(recorded.loss)
    # The record that ends a run is the last.
    moving = recorded.before.T[chosen] == Status.RUNNING

    def joined(leaf: Any) -> np.ndarray:
        values = np.moveaxis(np.asarray(leaf), 0, 1)[chosen]
        mask = moving.reshape(moving.shape + (1,) * (values.ndim - 2))
        filled = np.full((runs, grid.size, *values.shape[2:]), np.nan, values.dtype)
        filled[:, first : first + times] = np.where(mask, values, np.nan)
        return filled

    state: Runs = jax.tree.map(lambda leaf: leaf[chosen], final)
    measured = {name: joined(getattr(recorded, name)) for name in RECORDED}
    spent = np.where(measured["loss"][:, -1] <= most, Status.BUDGET_SPENT, Status.DIVERGED)
    ended = np.where(state.status == Status.RUNNING, spent, state.status)
    return Trajectories(
        steps=grid,
        **measured,
        status=ended.astype(np.int32),
        end_step=grid[np.maximum(first + moving.sum(axis=1) - 1, 0)],
        params=state.params,
        state=state,
        w=None if recorded.w is None else joined(recorded.w),
        layout=layout,
    )


def mapped(function: Any, *parts: Trajectories) -> Trajectories:
    """Apply a function to each array of the runs of all parts."""
    alike: dict[str, Any] = {"steps": parts[0].steps, "layout": parts[0].layout}
    fields = [
        {name: value for name, value in vars(part).items() if name not in alike} for part in parts
    ]
    return Trajectories(**alike, **jax.tree.map(function, *fields))
