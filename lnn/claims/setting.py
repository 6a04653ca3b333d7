"""What a claim is run with: how long, and on which regression problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from lnn.core.problem import Problem
from lnn.datasets import regression

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """Attributes:
    quick: fewer seeds, shorter runs; the same checks.
    gas: the Ethanol rows of UCI gas drift, or None for the built-in problem in their place.
    """

    quick: bool = False
    gas: Problem | None = None

    def size(self, full: T, quick: T) -> T:
        """One of two sizes."""
        return quick if self.quick else full

    def regression(self, p: float) -> Problem:
        """The regression problem of the paper's Section 8, or its built-in stand-in, at this p."""
        return regression.synthetic(p) if self.gas is None else replace(self.gas, p=p)

    @property
    def data(self) -> str:
        """Which problem that is, in words."""
        return "the built-in problem" if self.gas is None else self.gas.name
