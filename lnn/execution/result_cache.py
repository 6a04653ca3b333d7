"""Cached results of jobs, keyed by what they depend on: code, configuration, data, versions."""

from __future__ import annotations

import ast
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from lnn.core.checks import RECORDS
from lnn.core.files import load_record
from lnn.execution.workspace import Workspace

T = TypeVar("T")
PACKAGE = Path(__file__).resolve().parents[1]


def code_key(configuration: str, *entries: str, package: Path = PACKAGE) -> str:
    """Return 16 hex digits for a configuration and the source files that `entries` import."""
    digest = hashlib.sha256(configuration.encode())
    for path in import_closure(*entries, package=package):
        name = path.relative_to(package).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def import_closure(*entries: str, package: Path = PACKAGE) -> list[Path]:
    """Return the files of these modules and of everything they import from the package, sorted.

    Imports inside functions count, those under `if TYPE_CHECKING` do not; the `__init__` of a
    package counts if a name is imported from it. A module that loads siblings by name, with
    `import_module(..., __package__)`, depends on all of them.

    Raises:
        ImportError: a module is missing, or loads others than its siblings by name, which would
            hide them: import from the module that defines the name.
    """
    found: set[Path] = set()
    left = [(entry, "") for entry in entries]
    while left:
        module, name = left.pop()
        path = _file(f"{module}.{name}", package) or _file(module, package)
        if path is None:
            raise ImportError(f"{package} has no module {module}")
        if path in found:
            continue
        found.add(path)
        source = path.read_bytes()
        if b"import_module" in source:
            if b", __package__)" not in source:
                raise ImportError(f"{path} loads modules by name: import what defines the name")
            siblings = (each.relative_to(package.parent) for each in path.parent.glob("*.py"))
            left += [(".".join(each.with_suffix("").parts), "") for each in siblings]
        left += [item for item in _imports(source) if item[0].split(".")[0] == package.name]
    return sorted(found)


def _file(module: str, package: Path) -> Path | None:
    place = package.parent.joinpath(*module.split("."))
    choices = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in choices if path.is_file()), None)


@cache
def _imports(source: bytes) -> list[tuple[str, str]]:
    """Return the imported modules, each with the name imported from it, if any."""
    found = []
    for node in _executed(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(each.name, "") for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", each.name) for each in node.names]
    return found


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes except those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _executed(node)


class ResultCache:
    """Results of a study's jobs by name, a folder per `key`; reuses those of `earlier` studies."""

    def __init__(self, workspace: Workspace, key: str, earlier: Sequence[Path] = ()) -> None:
        self.folder = workspace.folder(RECORDS, key)
        self._earlier = [folder / RECORDS / key for folder in earlier]
        self._workspace = workspace

    def load(self, name: str, cls: type[T]) -> T | None:
        """Return the result of this name; None if it is missing or damaged."""
        path = self.folder / name
        if (found := load_record(path, cls)) is not None:
            return found
        for folder in self._earlier:
            if (found := load_record(folder / name, cls)) is not None:
                shutil.copyfile(folder / name, path)
                self.saved(name)
                return found
        return None

    def saved(self, name: str) -> None:
        """Copy a result to the mirror, if any."""
        self._workspace.copy(self.folder / name)
