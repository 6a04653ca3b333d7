"""Tests mirror the rooms: lnn/core/linalg.py is tested in tests/core/test_linalg.py."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "lnn"

WHOLE = {
    "claims/test_acceleration_experiments": "the claims of claims/acceleration/ on experiments",
    "claims/test_acceleration_theory": "the exact claims of claims/acceleration/",
    "claims/test_expansions": "the claims of claims/expansions/",
    "claims/test_rates": "the claims of claims/rates/",
    "claims/test_recurrent": "claims/width/recurrent and the statements it judges",
    "claims/test_texts": "the texts of all claims",
    "claims/test_width": "the claims of claims/width/",
    "core/test_not_finite": "whatever decomposes, of matrices that are not finite",
    "datasets/test_hostile_files": "files made to do harm, in any format",
    "execution/test_distributed": "a study by several processes",
    "execution/test_kill": "a study that is killed again and again",
    "simulation/test_golden": "a whole study, against numbers recorded earlier",
    "studies/compare/test_bad_input": "generated input that is wrong, to all that reads it",
    "studies/test_settings": "a command under settings of JAX, Python and the machine",
    "transforms/test_other_libraries": "overparameterize in the loops of other libraries",
    "transforms/test_real_use": "overparameterize in wrappers, saved, sharded, under settings",
}
"""Tests of more than one module, and what they test."""

ELSEWHERE = {
    "core/arrays": "core/test_problem",
    "core/errors": "no function of its own",
    "core/spectral/analysis": "core/spectral/test_rule",
    "core/spectral/sweeps": "core/spectral/test_tracking",
    "core/status": "an enumeration",
    "datasets/tables/wording": "datasets/tables/test_columns",
    "datasets/images": "datasets/test_mnist",
    "datasets/source": "datasets/test_gas_table",
    "results/dataset": "studies/compare/test_summary",
    "studies/command": "studies/phase/test_study",
    "studies/compare/dataset": "studies/compare/test_study",
    "studies/compare/options": "studies/compare/test_bad_input",
    "studies/compare/report/styles": "a table of colours",
    "studies/config": "studies/test_options",
    "studies/mnist/command": "studies/mnist/test_study",
    "studies/mnist/conclusion": "studies/mnist/test_summary",
    "studies/mnist/config": "studies/mnist/test_study",
    "studies/mnist/figures": "studies/mnist/test_summary",
    "studies/mnist/network": "studies/mnist/test_train",
    "studies/mnist/report": "studies/mnist/test_summary",
    "studies/mnist/runs": "studies/mnist/test_study",
    "studies/phase/command": "studies/phase/test_study",
    "studies/phase/conclusion": "studies/phase/test_study",
    "studies/phase/config": "studies/phase/test_study",
    "studies/phase/figures": "studies/phase/test_study",
    "studies/phase/summary": "studies/phase/test_study",
    "studies/runner": "studies/phase/test_study",
    "studies/search": "studies/mnist/test_study",
    "studies/width/conclusion/geometry": "studies/width/conclusion/test_listed",
    "studies/width/conclusion/own": "studies/width/conclusion/test_listed",
    "studies/width/conclusion/statement": "studies/width/conclusion/test_listed",
    "studies/width/conclusion/steps": "studies/width/conclusion/test_listed",
    "studies/width/conclusion/structure": "studies/width/conclusion/test_listed",
    "studies/width/jobs": "studies/width/test_study",
    "studies/width/selection": "studies/width/test_summary",
    "studies/width/report": "studies/width/test_command",
    "studies/width/runs": "studies/width/test_study",
}
"""Modules without tests of their name, and which test them. Claims are tested by document."""


def names(folder: Path, pattern: str) -> set[str]:
    """Paths of files in the rooms of a folder, without suffix."""
    paths = {path.relative_to(folder).with_suffix("") for path in folder.rglob(pattern)}
    return {path.as_posix() for path in paths if len(path.parts) > 1}


MODULES = {name for name in names(PACKAGE, "*.py") if not name.endswith("__init__")}
TESTED = {name.replace("/test_", "/") for name in names(TESTS, "test_*.py")}


def test_every_test_module_is_named_after_a_module_of_its_room() -> None:
    assert {name.replace("/test_", "/") for name in WHOLE} == TESTED - MODULES


def test_every_module_has_a_test_module_of_its_name() -> None:
    outside = {name for name in MODULES if not name.startswith("claims/")}
    assert outside - TESTED == set(ELSEWHERE)
    named = {place for place in ELSEWHERE.values() if "/" in place}
    assert named <= names(TESTS, "test_*.py")


def test_no_test_module_is_over_400_lines() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in TESTS.rglob("*.py")}
    large = {path.relative_to(TESTS).as_posix() for path, count in lines.items() if count > 400}
    assert large == {"execution/test_workspace.py"}
