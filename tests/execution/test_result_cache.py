"""Keys of saved results follow the code that computes them, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lnn.claims import all_claims
from lnn.execution.result_cache import PACKAGE, code_key, import_closure

FILES = {
    "__init__.py": "",
    "study.py": (
        "from typing import TYPE_CHECKING\n"
        "import numpy as np\n"
        "import lnn.whole\n"
        "from lnn.rules import fast, limit\n"
        "if TYPE_CHECKING:\n    from lnn.shown import Table\n"
        "def run():\n    from lnn.inside import helper\n"
    ),
    "whole.py": "from lnn.deeper.value import VALUE\n",
    "rules/__init__.py": "limit = 1\n",
    "rules/fast.py": "",
    "rules/slow.py": "",
    "inside.py": "from lnn import study\n",
    "shown.py": "",
    "deeper/__init__.py": "",
    "deeper/value.py": "VALUE = 1\n",
}
COUNTED = {"deeper/value.py", "inside.py", "rules/__init__.py", "rules/fast.py", "study.py"}
COUNTED |= {"whole.py"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "lnn" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "lnn"


@pytest.mark.parametrize("name", FILES)
def test_the_key_changes_with_what_is_imported_and_with_nothing_else(
    name: str, package: Path
) -> None:
    before = code_key("settings", "lnn.study", package=package)
    assert len(before) == 16
    assert code_key("others", "lnn.study", package=package) != before
    with (package / name).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    changed = code_key("settings", "lnn.study", package=package) != before
    assert changed == (name in COUNTED)


def test_entries_add_up(package: Path) -> None:
    both = import_closure("lnn.study", "lnn.shown", package=package)
    assert both == sorted([*import_closure("lnn.study", package=package), package / "shown.py"])
    assert code_key("", "lnn.study", package=package) != code_key(
        "", "lnn.study", "lnn.shown", package=package
    )


def test_who_loads_its_folder_by_name_depends_on_all_of_it(package: Path) -> None:
    text = 'import importlib\nimportlib.import_module(f".{name}", __package__)\n'
    (package / "rules/fast.py").write_text(text, encoding="utf-8")
    for entry in ("lnn.study", "lnn.rules.fast"):
        assert package / "rules/slow.py" in import_closure(entry, package=package)


def test_a_renamed_file_is_another_key(package: Path) -> None:
    before = code_key("", "lnn.rules.slow", package=package)
    (package / "rules/slow.py").rename(package / "rules/slower.py")
    assert code_key("", "lnn.rules.slower", package=package) != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from importlib import import_module\n", r"rules/slow.py loads modules by name"),
        ("import lnn.gone\n", "has no module lnn.gone"),
        ("from lnn.gone import value\n", "has no module lnn.gone"),
    ],
)
def test_what_would_hide_a_dependency_is_an_error(package: Path, text: str, said: str) -> None:
    (package / "rules/slow.py").write_text(text, encoding="utf-8")
    with pytest.raises(ImportError, match=said):
        code_key("", "lnn.rules.slow", package=package)


def test_siblings_that_are_loaded_by_name_count(package: Path) -> None:
    text = "import importlib\nimportlib.import_module('.slow', __package__)\n"
    (package / "rules/fast.py").write_text(text, encoding="utf-8")
    found = {path.name for path in import_closure("lnn.rules.fast", package=package)}
    assert found == {"__init__.py", "fast.py", "slow.py"}


def test_names_that_the_package_loads_lazily_are_refused() -> None:
    for entry in ("lnn", "lnn.datasets", "lnn.claims"):
        with pytest.raises(ImportError, match="loads modules by name"):
            import_closure(entry)


KEYS: dict[str, Callable[[], set[str]]] = {
    "phase": lambda: {"lnn.studies.phase.study"},
    "mnist": lambda: {"lnn.studies.mnist.train"},
    "width": lambda: {"lnn.studies.width.train"},
    "claims": lambda: {claim.run.__module__ for claim in all_claims().values()},
}


@pytest.mark.parametrize("of", KEYS)
def test_no_key_depends_on_what_only_shows_or_organizes(of: str) -> None:
    for entry in KEYS[of]():
        for path in import_closure(entry):
            name = path.relative_to(PACKAGE)
            assert name.parts[0] not in ("execution",), (entry, name)
            assert not {"report", "command.py", "figures.py", "summary.py"} & set(name.parts)
            assert not (name.parts[0] == "datasets" and name.stem.startswith(("gas", "download")))


def test_documents_have_keys_of_their_own() -> None:
    for entry in KEYS["claims"]():
        document = entry.split(".")[2]
        others = {path.relative_to(PACKAGE).parts for path in import_closure(entry)}
        claims = {parts[1] for parts in others if parts[0] == "claims" and len(parts) == 3}
        assert claims == {document}
