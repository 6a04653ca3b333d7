"""CONTRIBUTING.md says of the house what is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lnn"
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def imported(path: Path) -> set[str]:
    """The modules of lnn that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("lnn.")}


def test_the_diagram_has_the_arrows_that_the_imports_have() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [diagram] = re.findall(r"^```mermaid\ngraph TD\n(.*?)^```$", text, re.M | re.S)
    drawn = re.findall(r"^    (\w+) --> (\w+)$", diagram, re.M)
    arrows = {
        (room, target)
        for room in ROOMS
        for path in (PACKAGE / room).rglob("*.py")
        for target in {name.split(".")[1] for name in imported(path)} & ROOMS
        if target != room
    }
    assert len(drawn) == len(diagram.splitlines()) == len(set(drawn))
    assert set(drawn) == arrows


def test_files_to_copy_from_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:lnn|tests|\.ci)/[\w/.]*)`", text)) - {"lnn/transforms/my_rule.py"}
    assert {"lnn/studies/phase/", "lnn/transforms/single_output.py"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
