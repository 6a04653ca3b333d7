"""Status of runs. Imports no JAX: saved results use these values too."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """State of a run: running, or how it ended.

    Example:
        >>> [status.name for status in lnn.Status]
        ['RUNNING', 'REACHED', 'DIVERGED', 'BUDGET_SPENT']
    """

    RUNNING = 0
    REACHED = 1
    DIVERGED = 2
    BUDGET_SPENT = 3
