"""Settings of a claim's run: length and regression problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from lnn.core.problem import Problem
from lnn.datasets import regression

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """Length of a run (`quick`: fewer seeds, fewer steps), and UCI gas drift or None."""

    quick: bool = False
    gas: Problem | None = None

    def size(self, full: T, quick: T) -> T:
        """Return one of two sizes."""
        return quick if self.quick else full

    def regression(self, p: float) -> Problem:
        """Return the regression problem of the paper's Section 8, or its stand-in, at this p."""
        return regression.synthetic(p) if self.gas is None else replace(self.gas, p=p)

    @property
    def data(self) -> str:
        """The problem in words."""
        return "the built-in problem" if self.gas is None else self.gas.name
