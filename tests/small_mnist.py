"""A small study on MNIST whose runs are made up: curves that are least at one rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from lnn.studies.mnist.config import MnistConfig
from lnn.studies.mnist.runs import Curve, TrainingRun

SMALL = MnistConfig(channels=(2, 3), hidden=6, steps=64, evaluation=100, tuning_seeds=2, seeds=3)


def bowl(best: Mapping[str, int], at: Callable[[TrainingRun], float] = lambda run: 0.0) -> Any:
    """Curves whose final objective is least at one power, and all runs that were asked for."""
    asked: list[TrainingRun] = []

    def make(runs: Iterable[TrainingRun], text: str) -> dict[TrainingRun, Curve]:
        found = {}
        for run in runs:
            asked.append(run)
            final = 1 + (run.power - best[run.arm]) ** 2 / 100 + at(run)
            found[run] = Curve(SMALL.record_steps(), *3 * [np.full(SMALL.record_steps().size,
                               final / 2)], 0.1, 1.0)  # fmt: skip
        return found

    return make, asked
