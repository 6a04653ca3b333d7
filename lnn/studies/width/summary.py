"""Labelled dataset of a study's runs, a row each, from which all that is shown or stated follows.

Lengths and angles are those at the halting time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from lnn.results.dataset import described
from lnn.studies.search import TUNING_SEED_OFFSET
from lnn.studies.width.config import MARGIN, Setup
from lnn.studies.width.runs import GROUPS, Course, RecurrentRun
from lnn.studies.width.study import SystemRuns, halt, steps_to

_COLUMNS: dict[str, tuple[str, str]] = {
    "width": ("hidden units of a layer", "1"),
    "size": ("training symbols or utterances", "1"),
    "depth": ("layers of a recurrent step (characters), or LSTM layers", "1"),
    "rate": ("learning rate", "1"),
    "base": ("width at which the maximal update parametrization is the standard one, or 0", "1"),
    "seed": (f"start and minibatches; {TUNING_SEED_OFFSET} and more choose learning rates", "1"),
    "parameters": ("number of parameters", "1"),
    "steps": (f"first evaluation within {MARGIN:.0%} of the least validation loss", "steps"),
    "taken": ("steps of the whole run", "steps"),
    "censored": ("1 if the least loss is not well before the last step: no halting time", "1"),
    "least": ("least validation loss", "nats per symbol"),
    "steps_to_goal": ("steps to the loss that all widths are compared at; inf if missed", "steps"),
}
_LENGTHS = {
    "distance": ("direct distance from the start", "1"),
    "path": ("length of the path", "1"),
    "norm": ("norm of the parameters", "1"),
    "to_start": ("mean angle between update and way back to the start", "degrees"),
    "to_end": ("mean angle between update and way to the least loss", "degrees"),
    "printed": ("mean angle between parameters and those at the start", "degrees"),
}


def dataset(found: Sequence[SystemRuns], facts: Mapping[str, Any]) -> xr.Dataset:
    """Return all runs as a labelled dataset, with these attributes."""
    rows = [
        _row(each.setup, run, each.courses[run], each.goal)
        for each in found
        for run in sorted(each.courses)
    ]
    texts = {"system": "what is modelled", "optimizer": "sgd or adam"}
    variables: dict[str, Any] = {
        name: described("run", [row[name] for row in rows], text, None)
        for name, text in texts.items()
    }
    for name, (text, units) in _COLUMNS.items():
        variables[name] = described("run", np.array([row[name] for row in rows]), text, units)
    values: Any
    for name, (text, units) in _LENGTHS.items():
        values = np.array([row[name] for row in rows], np.float64)
        variables[name] = described(("run", "group"), values, text, units)
    chosen = [(each, width, rate) for each in found for width, rate in each.chosen.items()]
    for name, values in {
        "tuned_system": [each.setup.system for each, _, _ in chosen],
        "tuned_width": [width for _, width, _ in chosen],
        "tuned_rate": [rate for _, _, rate in chosen],
        "tuned_edge": [
            (rate == each.tried[width][-1]) - (rate == each.tried[width][0])
            for each, width, rate in chosen
        ],
    }.items():
        if chosen:
            variables[name] = described("search", values, name.replace("_", " "), None)
    goals = {f"{each.setup.system}_goal": each.goal for each in found}
    setups = json.dumps([asdict(each.setup) for each in found])
    group = described("group", list(GROUPS), "parameters", None)
    return xr.Dataset(variables, {"group": group}, {**facts, **goals, "setups": setups})


def _row(setup: Setup, run: RecurrentRun, course: Course, goal: float) -> dict[str, Any]:
    halted = halt(setup, course)
    at = halted.evaluation
    marks = course.marks[0]
    on_the_way = (marks >= 0) & (marks < halted.steps)
    angles = {
        "to_start": course.to_start[0, at],
        "to_end": _mean(course.to_end[0][on_the_way], marks[on_the_way]),
        "printed": _mean(course.printed[0, 1 : at + 1], course.steps[1 : at + 1]),
    }
    return {
        **run._asdict(), "seed": run.seeds[0], "parameters": int(course.parameters),
        "steps": halted.steps, "taken": halted.taken, "censored": int(halted.censored),
        "least": float(np.nanmin(course.loss)), "steps_to_goal": steps_to(course, goal),
        **{name: getattr(course, name)[0, at] for name in ("distance", "path", "norm")},
        **{name: np.degrees(values) for name, values in angles.items()},
    }  # fmt: skip


def _mean(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the mean over steps of values (n, 4) at some of them; NaN without any."""
    if len(steps) < 2:
        return values[0] if len(steps) else np.full(len(GROUPS), np.nan)
    return np.average(values, axis=0, weights=np.gradient(steps.astype(np.float64)))
