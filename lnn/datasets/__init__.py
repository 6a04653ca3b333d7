"""The problems: synthetic ones, two points, and the gas drift data, as `Problem`s.

Names are loaded when first used: what reads only files needs no JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnn.core.errors import DataError as DataError
    from lnn.datasets.regression import checksum as checksum
    from lnn.datasets.regression import gas_drift as gas_drift
    from lnn.datasets.regression import synthetic as synthetic
    from lnn.datasets.regression import two_point as two_point

__all__ = ["DataError", "checksum", "gas_drift", "synthetic", "two_point"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from lnn.datasets import regression

        return getattr(regression, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
