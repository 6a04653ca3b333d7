"""Cases of a parametrization: some in the suite that a user runs, the rest among the slow ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """All `cases`, marked slow but for those `kept`; a tuple holds the values of all arguments.

    Raises:
        ValueError: one that is kept is not among the cases.
    """
    every = list(cases)
    if missing := [case for case in kept if case not in every]:
        raise ValueError(f"kept {missing}: not among the cases {every}")

    def param(case: Any) -> Any:
        values = case if isinstance(case, tuple) else (case,)
        return pytest.param(*values, marks=() if case in kept else pytest.mark.slow)

    return [param(case) for case in every]
