"""`lnn.compare` has a keyword for every field of the configuration, and hands each of them on."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

import lnn
from lnn.studies.compare import api

OPTIONS: dict[str, Any] = {
    "methods": ("gd",), "hidden": (3,), "init": "near-zero", "init_norm": 0.2, "steps": 7,
    "rates": (0.1, 0.2), "rate_range": (0.1, 1.0), "tuning_seeds": 2, "seeds": 4,
    "targets": (0.5,), "weight_decay": 0.1, "divergence": 50.0, "dtype": "float64",
    "compensation": False, "save_weights": True,
}  # fmt: skip


class StartedError(Exception):
    """Carries the configuration of a study that would have run."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run_study(problem: lnn.Problem, config: lnn.StudyConfig, report: Any) -> None:
        raise StartedError(config)

    def configuration(*arguments: Any, **options: Any) -> Any:
        with pytest.raises(StartedError) as caught:
            lnn.compare(lnn.datasets.two_point(3.0, 1.0), *arguments, **options)
        return caught.value.args[0]

    monkeypatch.setattr(api, "run_study", run_study)
    return configuration


def test_every_field_is_a_keyword_and_arrives(started: Any) -> None:
    keywords = list(inspect.signature(lnn.compare).parameters)
    fields = [field.name for field in dataclasses.fields(lnn.StudyConfig)]
    assert keywords == [
        "problem", "depth", "progress", "quick", *fields[1:], "unknown"
    ]  # fmt: skip
    assert list(OPTIONS) == fields[1:]
    found = started(3, **OPTIONS)
    assert dataclasses.asdict(found) == {"depths": (3.0,), **OPTIONS}
    default = dataclasses.asdict(lnn.StudyConfig())
    assert all(value != default[name] for name, value in OPTIONS.items())


def test_what_is_given_goes_before_what_quick_says(started: Any) -> None:
    problem = lnn.datasets.two_point(3.0, 1.0)
    assert started() == lnn.StudyConfig(targets=problem.targets)  # which are its own
    quick = started(quick=True, steps=10_000)
    assert (quick.steps, quick.rates, quick.tuning_seeds, quick.seeds) == (10_000, 12, 1, 5)


def test_a_mistyped_keyword_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="option 'step' is unknown: choose from methods, hidden"):
        lnn.compare(lnn.datasets.two_point(3.0, 1.0), step=10)  # type: ignore[arg-type]
