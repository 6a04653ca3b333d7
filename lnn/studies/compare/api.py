"""`lnn.compare` and `lnn.load`: a study from Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from lnn.core.errors import one_line
from lnn.core.problem import Problem
from lnn.execution.terminal import progress_bar
from lnn.results.dataset import load_dataset
from lnn.studies.compare.attribution import with_decomposition
from lnn.studies.compare.config import QUICK, StudyConfig
from lnn.studies.compare.dataset import to_dataset
from lnn.studies.compare.study import StudyRuns, run_study
from lnn.studies.compare.summary import Summary, summarize


class Study(NamedTuple):
    """A finished study: the labelled dataset, and the summary drawn from it."""

    dataset: xr.Dataset
    summary: Summary

    def _repr_html_(self) -> str:
        return self.summary._repr_html_()


def compare(
    problem: Problem,
    depth: float | Sequence[float] = 4,
    *,
    progress: bool | None = None,
    quick: bool = False,
    **options: Any,
) -> Study:
    """Tune every method on a problem by the same rules, and compare them.

    Args:
        problem: an `lnn.Problem`.
        depth: depth or depths of the deep methods.
        progress: show a progress bar; by default in a terminal only.
        quick: a short budget and few seeds, for a first look.
        options: any field of `lnn.StudyConfig`, such as steps, methods, seeds, targets.

    Returns:
        `Study(dataset, summary)`; the summary displays itself in a notebook.

    Raises:
        ValueError: for an option out of range or unknown, or one that does not fit the problem.
        ArithmeticError: if no reference optimum can be computed to tolerance.
    """
    known = [field.name for field in fields(StudyConfig) if field.name != "depths"]
    for name in options:
        if name not in known:
            raise ValueError(f"option {name!r} is unknown: choose from {', '.join(known)}")
    chosen = {**(QUICK if quick else {}), **options, "depths": depth}
    config = StudyConfig(**chosen)
    return study_of(problem, config, sys.stderr.isatty() if progress is None else progress)


def study_of(problem: Problem, config: StudyConfig, show_progress: bool) -> Study:
    """Run a study in this process, and summarize it."""
    with progress_bar(show_progress) as report:
        return measured(run_study(problem, config, report))


def measured(runs: StudyRuns) -> Study:
    """What finished runs show: their dataset and summary."""
    dataset = to_dataset(runs)
    config = runs.config
    if config.save_weights and "gd" in config.methods and not config.weight_decay:
        dataset = with_decomposition(dataset, runs.problem)
    return Study(dataset, summarize(dataset))


def load(folder: str | os.PathLike[str]) -> Study:
    """A finished study from its folder: summary and figure can be made again without a run.

    Raises:
        ValueError: the folder holds no `trajectories.nc`, or a damaged one.
    """
    path = Path(folder) / "trajectories.nc"
    if not path.is_file():
        raise ValueError(f"{path} does not exist: give the folder of a finished study")
    try:
        dataset = load_dataset(path)
        return Study(dataset, summarize(dataset))
    except (ValueError, TypeError, LookupError, EOFError) as error:
        reason = one_line(str(error).partition("\n")[0])
        raise ValueError(f"{path} is not the dataset of a study, or damaged: {reason}") from error
