"""`lnn.compare` and `lnn.load`: comparisons from Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Never

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
    """A finished study: the labelled dataset, and the summary drawn from it.

    Example:
        >>> problem, short = lnn.datasets.two_point(3.0, 1.0), {"steps": 20, "methods": "gd"}
        >>> dataset, summary = lnn.compare(problem, quick=True, **short)
        >>> print(dataset["loss"].dims, summary.seeds)
        ('algorithm', 'seed', 'step') 5
    """

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
    methods: str | Sequence[str] | None = None,
    hidden: int | Sequence[int] | None = None,
    init: str | None = None,
    init_norm: float | None = None,
    steps: int | None = None,
    rates: int | Sequence[float] | None = None,
    rate_range: tuple[float, float] | None = None,
    tuning_seeds: int | None = None,
    seeds: int | None = None,
    targets: float | Sequence[float] | None = None,
    weight_decay: float | None = None,
    divergence: float | None = None,
    dtype: str | None = None,
    compensation: bool | None = None,
    save_weights: bool | None = None,
    **unknown: Never,
) -> Study:
    """Tune every method on a problem by the same protocol, and compare them.

    Omitted options have the defaults of `lnn.StudyConfig`.

    Args:
        problem: an `lnn.Problem`.
        depth: depth or depths of the deep methods.
        progress: show a progress bar; by default in a terminal only.
        quick: a short budget and few seeds, for a first look.
        methods: names from `lnn.METHODS`; "default" stands for the default ones.
        hidden: hidden widths of real networks, one for all layers or a list.
        init: "balanced", "near-zero" or "identity".
        init_norm: Frobenius norm of the balanced start.
        steps: budget of every run.
        rates: number of learning rates per method, or the rates themselves.
        rate_range: lowest and highest learning rate of the first pass.
        tuning_seeds: number of seeds that choose the rate.
        seeds: number of evaluation seeds, never used for tuning.
        targets: relative suboptimalities to reach; by default the problem's own, if it has any.
        weight_decay: lambda on every trained parameter.
        divergence: a run that ends above this multiple of the loss at W = 0 has diverged.
        dtype: "float32" or "float64".
        compensation: in float32, use compensated summation for the parameters.
        save_weights: save the end-to-end matrix at every recorded step.
        unknown: rejected with a list of the valid options.

    Returns:
        `Study(dataset, summary)`; the summary displays itself in a notebook.

    Raises:
        ValueError: an option out of range or unknown, or one that does not fit the problem.
        ArithmeticError: no reference optimum can be computed to tolerance.

    Example:
        >>> problem = lnn.datasets.two_point(3.0, 1.0)
        >>> study = lnn.compare(problem, quick=True, steps=20, methods="gd")
        >>> [(row.rule, row.diverged) for row in study.summary.rows]
        [('gd', 0)]
    """
    options = {
        "methods": methods, "hidden": hidden, "init": init, "init_norm": init_norm, "steps": steps,
        "rates": rates, "rate_range": rate_range, "tuning_seeds": tuning_seeds, "seeds": seeds,
        "targets": targets, "weight_decay": weight_decay,
        "divergence": divergence, "dtype": dtype,
        "compensation": compensation, "save_weights": save_weights,
    }  # fmt: skip
    for name in unknown:
        raise ValueError(f"option {name!r} is unknown: choose from {', '.join(options)}")
    given = {name: value for name, value in options.items() if value is not None}
    if problem.targets:
        given.setdefault("targets", problem.targets)
    chosen: dict[str, Any] = {**(QUICK if quick else {}), **given, "depths": depth}
    config = StudyConfig(**chosen)
    with progress_bar(sys.stderr.isatty() if progress is None else progress) as report:
        return measured(run_study(problem, config, report))


def measured(runs: StudyRuns) -> Study:
    """Return the dataset and summary of finished runs."""
    dataset = to_dataset(runs)
    config = runs.config
    if config.save_weights and "gd" in config.methods and not config.weight_decay:
        dataset = with_decomposition(dataset, runs.problem)
    return Study(dataset, summarize(dataset))


def load(folder: str | os.PathLike[str]) -> Study:
    """Load a finished study from its folder, to recreate summary and figure without any run.

    Raises:
        ValueError: the folder holds no `trajectories.nc`, or a damaged one.

    Example:
        >>> problem = lnn.datasets.two_point(3.0, 1.0)
        >>> study = lnn.compare(problem, quick=True, steps=20, methods="gd")
        >>> study.dataset.to_netcdf("trajectories.nc", engine="scipy")  # as the command does
        >>> lnn.load(".").summary.to_csv() == study.summary.to_csv()
        True
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
