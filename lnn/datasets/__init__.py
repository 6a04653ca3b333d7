"""Regression problems: built in, gas drift and tables. Names load lazily, as does JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnn.core.errors import DataError as DataError
    from lnn.core.problem import checksum as checksum
    from lnn.datasets.gas_regression import gas_drift as gas_drift
    from lnn.datasets.regression import gaussian as gaussian
    from lnn.datasets.regression import synthetic as synthetic
    from lnn.datasets.regression import two_point as two_point
    from lnn.datasets.tables.problem import table as table

LABEL_COLUMN = "concentration_ppm"
"""The default label column of a CSV."""

_HOME = {
    "DataError": "core.errors",
    "checksum": "core.problem",
    "gas_drift": "datasets.gas_regression",
    "gaussian": "datasets.regression",
    "synthetic": "datasets.regression",
    "table": "datasets.tables.problem",
    "two_point": "datasets.regression",
}

__all__ = ["DataError", "checksum", "gas_drift", "gaussian", "synthetic", "table", "two_point"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"lnn.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
