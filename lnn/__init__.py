"""Linear-network dynamics: how depth changes optimization, computed and measured fairly.

Names are loaded when first used: importing `lnn` starts no JAX backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lnn import datasets as datasets
    from lnn import flow as flow
    from lnn import geometry as geometry
    from lnn import line_integrals as line_integrals
    from lnn import network as network
    from lnn import noisy_quadratic as noisy_quadratic
    from lnn import power_law as power_law
    from lnn import spectral as spectral
    from lnn.analysis import Summary as Summary
    from lnn.analysis import summarize as summarize
    from lnn.compare import Study as Study
    from lnn.compare import compare as compare
    from lnn.compare import load as load
    from lnn.config import StudyConfig as StudyConfig
    from lnn.decomposition import decompose as decompose
    from lnn.engine import Trajectories as Trajectories
    from lnn.engine.simulate import simulate as simulate
    from lnn.errors import DataError as DataError
    from lnn.factorization import factorize as factorize
    from lnn.problem import Problem as Problem
    from lnn.reference import reference_optimum as reference_optimum
    from lnn.rules import METHODS as METHODS
    from lnn.rules import EndToEnd as EndToEnd
    from lnn.rules import Factored as Factored
    from lnn.rules import Method as Method
    from lnn.rules import make_method as make_method
    from lnn.rules import overparameterize as overparameterize
    from lnn.rules import scale_by_end_to_end as scale_by_end_to_end
    from lnn.rules import scale_by_single_output as scale_by_single_output
    from lnn.status import Status as Status

_HOME = {
    "Summary": "analysis",
    "summarize": "analysis",
    "Study": "compare",
    "load": "compare",
    "StudyConfig": "config",
    "decompose": "decomposition",
    "Status": "status",
    "Trajectories": "engine",
    "simulate": "engine",
    "DataError": "errors",
    "factorize": "factorization",
    "Problem": "problem",
    "reference_optimum": "reference",
    "METHODS": "rules",
    "EndToEnd": "rules",
    "Factored": "rules",
    "Method": "rules",
    "make_method": "rules",
    "overparameterize": "rules",
    "scale_by_end_to_end": "rules",
    "scale_by_single_output": "rules",
}
_MODULES = (
    "compare",
    "datasets",
    "flow",
    "geometry",
    "line_integrals",
    "network",
    "noisy_quadratic",
    "power_law",
    "spectral",
)

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"lnn.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"lnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
