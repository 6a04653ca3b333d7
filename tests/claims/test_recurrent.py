"""Claims on recurrent networks: verdicts of the runs on record, and that other runs change them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jax
import pytest
import xarray as xr
from mutation import QUICK, Mutation, check_figure, judged, mutated
from small_width import World

from lnn.claims import all_claims, all_figures, command
from lnn.claims.recorded import recorded, worded
from lnn.claims.width import recurrent
from lnn.core.errors import DamagedError
from lnn.results.verdict import Findings
from lnn.studies.width.conclusion.listed import STATEMENTS, judged_all

CLAIMS = {claim.id: claim for claim in recurrent.CLAIMS}
REPEATED = ("D17a", "D17b", "D17c")
"""Claims for which runs on record are made again."""

CONTRARY = World(
    drop=(0.2, 0.2, 0.2), data=(-0.5, -0.5, -0.5), bend=2.0, flat=False, worse=(False, False),
    slower=(0.8, 0.3), adam=(0.5, 0.0), depth=0.3, tuned=0.3, far=(5.0, 7.0, 6.0, 11.0),
    distance=(0.2, 0.1, 0.3, 0.2), long=(0.05, 0.02, 0.03, 0.07), step=(0.5, 0.5, 0.0, 0.6),
    angle=60.0, opening=-4.0,
)  # fmt: skip
"""A world in which no statement holds."""

FIGURES = [figure for name, figure in all_figures().items() if "recurrent" in name]

pytestmark = pytest.mark.usefixtures("x64")


@cache
def worlds() -> tuple[xr.Dataset, ...]:
    """Their runs."""
    return World().dataset(), CONTRARY.dataset()


def on_record(name: str) -> str:
    """The verdict on record, the same for every kind of run."""
    (found,) = {worded(kind[name]["verdicts"]) for kind in recorded().values()}
    return found


def without_repetition(name: str) -> Findings:
    found = next(each for each in STATEMENTS if each.id == name).judge(recurrent.recorded_runs())
    assert found is not None
    return found


def test_every_statement_is_a_claim_that_the_record_can_judge() -> None:
    assert list(CLAIMS) == [statement.id for statement in STATEMENTS]
    assert len(judged_all(recurrent.recorded_runs())) == len(STATEMENTS)
    assert set(CLAIMS) <= set(all_claims())


def test_one_name_stands_for_all() -> None:
    assert list(command.chosen(["d17"])) == list(CLAIMS)
    assert list(command.chosen(["D17b", "d17A", "D1"])) == ["D1", "D17a", "D17b"]


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict(name: str) -> None:
    assert judged(CLAIMS[name], without_repetition(name)) == on_record(name)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "D17i"])  # reported
def test_what_breaks_it_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One of two worlds, where all statements hold and where none does, changes the verdict."""
    found = set()
    for runs in worlds():
        monkeypatch.setattr(recurrent, "recorded_runs", lambda runs=runs: runs)
        found.add(judged(CLAIMS[name], without_repetition(name)))
    assert found - {on_record(name)}


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_a_repeated_run_halts_as_on_record(name: str) -> None:
    found = CLAIMS[name].run(QUICK)
    assert judged(CLAIMS[name], found) == on_record(name)
    assert "repeated and on record" in found.checks[-1].what


@pytest.mark.slow
def test_other_training_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowed(_: Any) -> Any:
        return lambda params, updates: jax.tree.map(lambda p, u: p + 0.3 * u, params, updates)

    broken = Mutation("D17a", "optax.apply_updates", slowed, "small steps")
    check = mutated(monkeypatch, broken).checks[-1]
    assert check.passed is False
    assert check.measured > recurrent.SAME


def test_another_record_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytearray(recurrent.RECORD.read_bytes())
    content[-1] ^= 1
    copy = tmp_path / "recurrent.nc"
    copy.write_bytes(content)
    monkeypatch.setattr(recurrent, "RECORD", copy)
    recurrent.recorded_runs.cache_clear()
    try:
        with pytest.raises(DamagedError, match="differs from what was recorded: install lnn again"):
            recurrent.recorded_runs()
    finally:
        recurrent.recorded_runs.cache_clear()


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_are_drawn_from_the_record(figure: Any) -> None:
    check_figure(figure, ())
