"""Clock cycles of a step of the engine on a TPU, as its compiler estimates them.

The optimized HLO of a program for a TPU states `estimated_cycles` for every operation and every
fusion. Those of one step are added up: of a branch the dearest, of a loop with a stated number of
trips all trips, of any other loop one. Data moved while something else is computed costs nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

PARTS = ("pass", "methods")
"""Named scopes of the engine's program; everything else is bookkeeping."""

BOOKKEEPING = "bookkeeping"

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
_OPERATION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = .*?\s([\w-]+)\(")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_NAME = re.compile(r'op_name="([^"]*)"')
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_CALLED = re.compile(r"(?:body|to_apply|true_computation|false_computation)=%?([\w.-]+)")


class Step(NamedTuple):
    """Cycles of one step by part, and how many loops of unknown length are in it."""

    cycles: Mapping[str, int]
    loops: int

    @property
    def total(self) -> int:
        """Cycles of all parts."""
        return sum(self.cycles.values())


def computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines of every computation of an HLO module by its name, and the name of the main one."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    entry = ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            lines = found.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif line.startswith("  "):
            lines.append(line)
    return found, entry


def step_cycles(text: str) -> Step:
    """Cycles of one trip of the loop over steps, which is in the loop over segments.

    Raises:
        ValueError: there is not exactly one such loop with a pass over the data.
    """
    found, entry = computations(text)
    steps = [
        body
        for segment in _loops(found[entry])
        for body in _loops(found[segment])
        if any(_part(line) == PARTS[0] for line in found[body])
    ]
    if len(steps) != 1:
        raise ValueError(f"{len(steps)} loops over steps in this program; there should be one")
    return _added(found, steps[0])


def _added(found: Mapping[str, list[str]], name: str) -> Step:
    cycles: Counter[str] = Counter()
    loops = 0
    for line in found[name]:
        operation = _OPERATION.match(line)
        if stated := _CYCLES.search(line):
            cycles[_part(line)] += int(stated[1])
        if operation is None or operation[1] not in ("while", "conditional", "call"):
            continue
        branches = _BRANCHES.search(line)
        called = re.findall(r"[\w.-]+", branches[1]) if branches else _CALLED.findall(line)
        inside = max((_added(found, one) for one in called), key=lambda step: step.total)
        trips = _TRIPS.search(line) if operation[1] == "while" else None
        unknown = operation[1] == "while" and trips is None
        loops += inside.loops + unknown
        for part, count in inside.cycles.items():
            cycles[part] += count * (int(trips[1]) if trips else 1)
    return Step(cycles, loops)


def _loops(lines: list[str]) -> list[str]:
    """Bodies of the loops among these lines."""
    return [
        _CALLED.findall(line)[0]
        for line in lines
        if (operation := _OPERATION.match(line)) and operation[1] == "while"
    ]


def _part(line: str) -> str:
    """Part of the step that an operation belongs to, by its scopes."""
    name = _NAME.search(line)
    scopes = name[1].split("/") if name else []
    return next((part for part in PARTS if part in scopes), BOOKKEEPING)
