"""Every method by name: what it is, what it is called, how it is drawn. Imports no JAX.

A rule file of this folder declares its methods in `ENTRIES`, a tuple of `Entry(...)` with literal
arguments. They are read from the source, since importing a rule would import JAX.
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
        name: how users ask for it.
        title: how readers know it.
        family: "baseline": without depth; "end-to-end": a depth, but one matrix; "layerwise": one
            matrix per layer.
        build: function of the file that returns the optax transformation. End-to-end rules are
            given the depth and `arguments`; the others nothing.
        color: as #RRGGBB; with `dark`, the colour at the least of several depths.
        dark: colour at the largest depth.
        dashes: lengths of dashes and gaps; () for a solid line.
        width: width of the line.
        arguments: what `build` is given after the depth.
        constants: dictionary of the file with the fixed constants, for reports.
        default: whether a study includes the method unless told otherwise.
        one_output: whether it takes problems with a single output only.
        depth_alone: gradient descent on a network of this depth: depth is all that distinguishes
            it from GD.
        order: position of the file's entries within their family.
        module: the file; filled in by the catalogue.
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
    """Entries of a rule file, read from its source."""
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
    """Name of a rule as readers know it; a rule of the user's own keeps its name."""
    return CATALOGUE[rule].title if rule in CATALOGUE else rule


def has_depth(rule: str, depth: float) -> bool:
    """Whether to state a method's depth: it belongs to the known deep rules, or is not 1."""
    return rule in DEEP or depth != 1


def method_name(rule: str, depth: float) -> str:
    """A method as readers know it, such as "End-to-end rule, depth 4"."""
    name = rule_name(rule)
    return f"{name}, depth {depth:g}" if has_depth(rule, depth) else name


def inline_name(rule: str, depth: float) -> str:
    """A method inside a sentence, such as "the end-to-end rule at depth 4"."""
    name = rule_name(rule)
    if name.endswith("rule"):
        name = f"the {name[0].lower()}{name[1:]}"
    return f"{name} at depth {depth:g}" if has_depth(rule, depth) else name
