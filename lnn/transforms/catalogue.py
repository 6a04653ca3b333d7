"""Catalogue of all methods, with names and styles. Imports no JAX.

A rule file of this folder declares its methods in `ENTRIES`, a tuple of `Entry(...)` with literal
arguments, read from the source since importing a rule would import JAX.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FAMILIES = ("baseline", "end-to-end", "layerwise")


@dataclass(frozen=True)
class Entry:
    """Declaration of a method.

    Attributes:
        name, title: its name for users and for readers.
        family: "baseline": no depth; "end-to-end": depth, but one matrix; "layerwise": one matrix
            per layer.
        build: function of the file that returns the optax transformation; end-to-end rules get the
            depth and `arguments`.
        color: as #RRGGBB; with `dark`, at the lowest of several depths.
        dark: colour at the highest depth.
        dashes: lengths of dashes and gaps; () for a solid line.
        width: line width.
        arguments: of `build` after the depth.
        constants: dictionary of the file with fixed constants, for reports.
        default: whether studies include the method by default.
        one_output: whether it requires a single output.
        depth_alone: whether it is gradient descent on a network of this depth, which differs from
            GD by depth alone.
        order: position within the family.
        module: the file; set by the catalogue.
    """

    name: str
    title: str
    family: Literal["baseline", "end-to-end", "layerwise"]
    build: str
    color: str
    dark: str = ""
    dashes: tuple[float, ...] = ()
    width: float = 1.2
    arguments: tuple[Any, ...] = ()
    constants: str = ""
    default: bool = False
    one_output: bool = False
    depth_alone: bool = False
    order: int = 9
    module: str = ""


def _declared(path: Path) -> list[Entry]:
    """Return the entries of a rule file, read from its source."""
    text = path.read_text(encoding="utf-8")
    for statement in ast.parse(text).body if "\nENTRIES = " in text else []:
        match statement:
            case ast.Assign([ast.Name("ENTRIES")], ast.Tuple(calls)):
                return [
                    Entry(
                        **{str(word.arg): ast.literal_eval(word.value) for word in call.keywords},
                        module=path.stem,
                    )
                    for call in calls
                    if isinstance(call, ast.Call)
                ]
    return []


_FOUND = [entry for path in sorted(Path(__file__).parent.glob("*.py")) for entry in _declared(path)]
CATALOGUE = {
    entry.name: entry
    for entry in sorted(_FOUND, key=lambda entry: (FAMILIES.index(entry.family), entry.order))
}
BASELINES = tuple(name for name, entry in CATALOGUE.items() if entry.family == "baseline")
LAYERWISE = tuple(name for name, entry in CATALOGUE.items() if entry.family == "layerwise")
DEEP = tuple(name for name in CATALOGUE if name not in BASELINES)
ONE_OUTPUT = tuple(name for name, entry in CATALOGUE.items() if entry.one_output)
DEPTH_ALONE = tuple(name for name, entry in CATALOGUE.items() if entry.depth_alone)
DEFAULT_METHODS = tuple(name for name, entry in CATALOGUE.items() if entry.default)


def rule_name(rule: str) -> str:
    """Return a rule's name for readers; rules of the user keep theirs."""
    return CATALOGUE[rule].title if rule in CATALOGUE else rule


def has_depth(rule: str, depth: float) -> bool:
    """Return whether to state a method's depth: known deep rules, or depths other than 1."""
    return rule in DEEP or depth != 1


def method_name(rule: str, depth: float) -> str:
    """Return a method's name for readers, such as "End-to-end rule, depth 4"."""
    name = rule_name(rule)
    return f"{name}, depth {depth:g}" if has_depth(rule, depth) else name


def inline_name(rule: str, depth: float) -> str:
    """Return a method's name inside a sentence, such as "the end-to-end rule at depth 4"."""
    name = rule_name(rule)
    if name.endswith("rule"):
        name = f"the {name[0].lower()}{name[1:]}"
    return f"{name} at depth {depth:g}" if has_depth(rule, depth) else name
