"""Tuned learning rates: chosen on tuning draws, measured on evaluation draws. No JAX.

Every method has its own rate in each cell and for each target: the one that reaches the target
first on the worst tuning draw (ties, as where it is missed, by the next worst). Runs that miss the
target or diverge count as infinity.
"""

from __future__ import annotations

import numpy as np

from lnn.studies.phase.config import RATES, TUNING

CELL = ("p", "decay", "depth", "relative_norm", "target")
"""Dimensions of a map."""

GD_CELL = ("p", "decay", "relative_norm", "target")
"""Those without the depth, on which GD does not depend."""


def tuned(hits: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose rates, and return their steps on evaluation draws, the rates, and which are at an
    edge.

    Args:
        hits: (p, decays, draws, methods, norms, rates, targets), tuning draws first.
        allowed: indices of the rates that may be chosen, ascending.

    Returns:
        Whole steps (p, decays, evaluation draws, methods, norms, targets), infinity where no rate
        reached the target on any tuning draw; rates (p, decays, methods, norms, targets), NaN
        there; -1, 0 or 1 of the same shape. If no rate reached it on all tuning draws, one that did
        on most of them is chosen.
    """
    some = np.take(hits, allowed, axis=5)
    ordered = np.sort(some[:, :, :TUNING], axis=2)
    # The last key, the worst draw, decides; ties are broken by the next worst.
    best = np.lexsort(np.moveaxis(ordered, 2, 0), axis=4)[:, :, :, :, 0]
    at = best[:, :, None, :, :, None, :]
    easiest = np.take_along_axis(ordered[:, :, :1], at, axis=5)[:, :, 0, :, :, 0]
    steps = np.take_along_axis(some[:, :, TUNING:], at, axis=5)[:, :, :, :, :, 0]
    reached = np.isfinite(easiest)
    # Steps are integers, so round up: 0.2 steps of GD would make all other methods look slow.
    steps = np.where(reached[:, :, None], np.ceil(steps), np.inf)
    rates = np.where(reached, np.array(RATES)[allowed][best], np.nan)
    edge = (best == allowed.size - 1).astype(np.int8) - (best == 0).astype(np.int8)
    return steps, rates, np.where(reached, edge, 0).astype(np.int8)
