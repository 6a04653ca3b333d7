"""Training runs of the study, and what is recorded of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

GROUPS = ("input", "hidden", "output", "all")
"""Groups of parameters: embedding or convolutions, recurrent layers, softmax, all together."""


class RecurrentRun(NamedTuple):
    """Runs of a network from several seeds, computed together.

    Attributes:
        system, width, size, depth, optimizer, rate: as of `Setup`.
        base: width at which the maximal update parametrization agrees with the standard one; 0 for
            the standard one.
        seeds: of start and minibatches.
    """

    system: str
    width: int
    size: int
    depth: int
    optimizer: str
    rate: float
    base: int
    seeds: tuple[int, ...]

    def stem(self, digest: str) -> str:
        """Return a file name; `digest` stands for everything else that determines the runs."""
        kind = f"{self.optimizer}-base{self.base}" if self.base else self.optimizer
        seeds = f"{self.seeds[0]}to{self.seeds[-1]}" if len(self.seeds) > 1 else f"{self.seeds[0]}"
        return (
            f"{self.system}-width{self.width}-size{self.size}-depth{self.depth}-{kind}"
            f"-rate{self.rate:.6g}-seed{seeds}-{digest}.npz"
        )


@dataclass(frozen=True)
class Course:
    """What was recorded along runs, (S, E) by seed and evaluation, (S, E, 4) by group too.

    NaN after the end of a run. Lengths in units of the parameters, angles in radians.

    Attributes:
        parameters: number of parameters.
        steps: (E,) steps done at each evaluation, from 0.
        loss: validation loss, nats per symbol.
        distance: direct distance from the start.
        path: length of the path.
        to_start: mean angle between the update and the way back to the start, over the steps.
        printed: angle between the parameters and those at the start, the document's formula.
        norm: of the parameters.
        marks: (S, M) steps before which the angle to the end was measured; -1 where there is none.
        to_end: (S, M, 4) angle between the update and the way to the parameters of the least loss.
        seconds: duration of all seeds together, compilation included.
    """

    parameters: float
    steps: np.ndarray
    loss: np.ndarray
    distance: np.ndarray
    path: np.ndarray
    to_start: np.ndarray
    printed: np.ndarray
    norm: np.ndarray
    marks: np.ndarray
    to_end: np.ndarray
    seconds: float
