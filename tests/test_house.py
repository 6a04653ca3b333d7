"""The order of the house: who imports whom, how large files are, and what is public."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import grimp
import pytest

import lnn

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lnn"
FILES = sorted(PACKAGE.rglob("*.py"))
DOORS = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


@pytest.fixture(scope="module")
def imports() -> set[tuple[str, str]]:
    """Importing and imported module, but for what only type checkers see."""
    graph = grimp.build_graph("lnn", cache_dir=None, exclude_type_checking_imports=True)
    return {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }


def room(module: str) -> str:
    return module.split(".")[1]


def nodes(kind: type[Any]) -> list[tuple[Path, Any]]:
    trees = ((path, ast.parse(path.read_bytes())) for path in FILES)
    return [(path, node) for path, tree in trees for node in ast.walk(tree) if type(node) is kind]


def test_rooms_import_each_other_as_the_diagram_shows(imports: set[tuple[str, str]]) -> None:
    page = ROOT / "CONTRIBUTING.md"
    if not page.exists():
        pytest.skip("no CONTRIBUTING.md")
    diagram = re.search(r"```mermaid\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert diagram is not None
    drawn = set(re.findall(r"(\w+) --> (\w+)", diagram[1]))
    rooms = {(room(a), room(b)) for a, b in imports if a.count(".") and b.count(".")}
    assert drawn == {(a, b) for a, b in rooms if a != b and a not in DOORS}


def test_no_module_imports_a_door_or_the_package_itself(imports: set[tuple[str, str]]) -> None:
    assert {"__main__", "compare", "mnist", "phase", "reproduce", "width"} <= DOORS
    doors = {"lnn", *(f"lnn.{door}" for door in DOORS)}
    assert [pair for pair in imports if pair[1] in doors] == []


BREAKS = {
    "core/errors.py": ("from lnn.simulation import simulate", r"lnn\.core\.errors -> lnn\.simul"),
    "core/status.py": ("import lnn.compare", r"lnn\.core\.status -> lnn\.compare"),
    "theory/flow.py": ("from lnn import Problem", r"lnn\.theory\.flow -> lnn \("),
    "simulation/step.py": ("import lnn.results.latex", r"lnn\.simulation\.step -> lnn\.results"),
    "execution/pool.py": ("import lnn.theory.flow", r"lnn\.execution\.pool -> lnn\.theory\.flow"),
    "results/latex.py": ("import lnn.results.formulas", r"cycles are allowed in lnn\.results"),
}


@pytest.mark.slow
def test_imports_against_the_order_are_found(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "lnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def lint() -> tuple[int, str]:
        command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert lint()[0] == 0
    for name, (line, _) in BREAKS.items():
        with (tmp_path / "lnn" / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    code, said = lint()
    assert code == 1
    for _, found in BREAKS.values():
        assert re.search(found, said), said


def test_no_folder_holds_more_than_twelve_files() -> None:
    folders = Counter(path.relative_to(PACKAGE).parent for path in FILES)
    large = {folder.as_posix() for folder, count in folders.items() if count > 12}
    assert {name for name in large if not name.startswith("claims")} == set()


def test_no_file_is_over_400_lines() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert [path for path, count in lines.items() if count > 400] == []


def test_no_function_is_over_100_lines() -> None:
    functions = nodes(ast.FunctionDef)
    lines = {(path, one.name): one.end_lineno - one.lineno + 1 for path, one in functions}
    assert {name: count for name, count in lines.items() if count > 100} == {}


def test_no_two_classes_share_a_name() -> None:
    names = Counter(node.name for _, node in nodes(ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


MODULES = {"datasets", "flow", "geometry", "line_integrals", "network", "noisy_quadratic"}
MODULES |= {"power_law", "spectral"}


def test_public_names_are_what_they_were() -> None:
    assert set(lnn.__all__) - MODULES == {
        *("DataError", "EndToEnd", "Factored", "METHODS", "Method", "Problem", "Status", "Study"),
        *("StudyConfig", "Summary", "Trajectories", "__version__", "compare", "decompose"),
        *("factorize", "load", "make_method", "overparameterize", "reference_optimum"),
        *("scale_by_end_to_end", "scale_by_single_output", "simulate", "summarize"),
    }
    assert set(dir(lnn)) == set(lnn.__all__)
    for name in lnn.__all__:
        value = getattr(lnn, name)
        assert (type(value) is type(lnn)) == (name in MODULES), name
    assert callable(lnn.compare)
    assert {"gas_drift", "synthetic", "two_point"} <= set(lnn.datasets.__all__)
    for name in lnn.datasets.__all__:
        assert callable(getattr(lnn.datasets, name))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        lnn.nothing  # noqa: B018
