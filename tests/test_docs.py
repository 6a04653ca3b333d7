"""Every public name has an example, and every example in a docstring gives what it says."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lnn

PACKAGE = Path(lnn.__file__).parent
PARSER = doctest.DocTestParser()


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Names and docstrings of a file, those of its variables too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            yield getattr(node, "name", ""), ast.get_docstring(node) or ""
    for node, after in pairwise(tree.body):
        target = getattr(node, "target", *getattr(node, "targets", [None]))
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr):
            yield target.id, inspect.cleandoc(ast.literal_eval(after.value))


def public() -> dict[str, tuple[Any, str]]:
    """Every public name, with its value and docstring."""
    found = {}
    for name in set(lnn.__all__) - {"__version__"}:
        value = getattr(lnn, name)
        if isinstance(value, ModuleType):
            names = getattr(value, "__all__", vars(value))
            members = {member: getattr(value, member) for member in names}
            found |= {
                f"{name}.{member}": (function, inspect.getdoc(function) or "")
                for member, function in members.items()
                if not member.startswith("_")
                and (inspect.isfunction(function) or inspect.isclass(function))
                and (hasattr(value, "__all__") or function.__module__ == value.__name__)
            }
        elif callable(value):
            found[name] = value, inspect.getdoc(value) or ""
        else:
            home = importlib.import_module(f"lnn.{lnn._HOME[name]}")
            found[name] = value, dict(docstrings(Path(home.__file__ or "")))[name]
    return found


def with_examples() -> list[str]:
    """The files of the package with examples."""
    files = [path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    return sorted(path.relative_to(PACKAGE).as_posix() for path in files)


def test_every_public_name_has_an_example() -> None:
    missing = [name for name, (_, text) in public().items() if not PARSER.get_examples(text)]
    assert not missing, f"no example in the docstrings of {sorted(missing)}"


def test_public_functions_say_what_they_raise() -> None:
    silent = [
        name
        for name, (value, text) in public().items()
        if inspect.isfunction(value)
        and "raise ValueError" in inspect.getsource(value)
        and "Raises:" not in text
    ]
    assert not silent, f"no errors in the docstrings of {sorted(silent)}"


@pytest.mark.parametrize("file", with_examples())
def test_examples(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    with np.printoptions():
        for name, text in docstrings(PACKAGE / file):
            given: dict[str, Any] = {}
            for line in PARSER.get_examples(lnn.__doc__ or ""):
                exec(line.source, given)
            runner.run(PARSER.get_doctest(text, given, name, file, 0), out=said.append)
    assert runner.tries, f"no example was found in {file}"
    assert not runner.failures, "".join(said)
