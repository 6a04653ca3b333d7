"""Linear-network dynamics: how depth changes optimization, computed and measured fairly.

Names are loaded when first used: importing `lnn` starts no JAX backend. Shapes are given by these
letters: m examples, d features, k outputs, N the depth, R runs, T recorded steps. Time is in steps,
or in units of the learning rate where a page says so. Examples assume

>>> import jax, jax.numpy as jnp, numpy as np, optax, lnn
>>> np.set_printoptions(precision=4, suppress=True)

Beside the names below: `lnn.datasets` (problems), `lnn.network` (factors and their start),
`lnn.spectral` (the preconditioner), `lnn.flow` (gradient flow), `lnn.geometry` (lengths, angles,
halting time), `lnn.line_integrals`, `lnn.noisy_quadratic`, `lnn.power_law` (fits).
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from lnn import datasets as datasets
    from lnn.core import network as network
    from lnn.core import spectral as spectral
    from lnn.core.errors import DataError as DataError
    from lnn.core.problem import Problem as Problem
    from lnn.core.reference import reference_optimum as reference_optimum
    from lnn.core.status import Status as Status
    from lnn.simulation import Trajectories as Trajectories
    from lnn.simulation.simulate import simulate as simulate
    from lnn.studies.compare.api import Study as Study
    from lnn.studies.compare.api import compare as compare
    from lnn.studies.compare.api import load as load
    from lnn.studies.compare.config import StudyConfig as StudyConfig
    from lnn.studies.compare.summary import Summary as Summary
    from lnn.studies.compare.summary import summarize as summarize
    from lnn.theory import flow as flow
    from lnn.theory import geometry as geometry
    from lnn.theory import line_integrals as line_integrals
    from lnn.theory import noisy_quadratic as noisy_quadratic
    from lnn.theory import power_law as power_law
    from lnn.theory.decomposition import decompose as decompose
    from lnn.transforms.end_to_end import scale_by_end_to_end as scale_by_end_to_end
    from lnn.transforms.factorize import factorize as factorize
    from lnn.transforms.methods import METHODS as METHODS
    from lnn.transforms.methods import EndToEnd as EndToEnd
    from lnn.transforms.methods import Factored as Factored
    from lnn.transforms.methods import Method as Method
    from lnn.transforms.methods import make_method as make_method
    from lnn.transforms.overparameterize import overparameterize as overparameterize
    from lnn.transforms.single_output import scale_by_single_output as scale_by_single_output

_HOME = {
    "DataError": "core.errors",
    "EndToEnd": "transforms.methods",
    "Factored": "transforms.methods",
    "METHODS": "transforms.methods",
    "Method": "transforms.methods",
    "Problem": "core.problem",
    "Status": "core.status",
    "Study": "studies.compare.api",
    "StudyConfig": "studies.compare.config",
    "Summary": "studies.compare.summary",
    "Trajectories": "simulation",
    "compare": "studies.compare.api",
    "decompose": "theory.decomposition",
    "factorize": "transforms.factorize",
    "load": "studies.compare.api",
    "make_method": "transforms.methods",
    "overparameterize": "transforms.overparameterize",
    "reference_optimum": "core.reference",
    "scale_by_end_to_end": "transforms.end_to_end",
    "scale_by_single_output": "transforms.single_output",
    "simulate": "simulation",
    "summarize": "studies.compare.summary",
}
_MODULES = {
    "datasets": "datasets",
    "flow": "theory.flow",
    "geometry": "theory.geometry",
    "line_integrals": "theory.line_integrals",
    "network": "core.network",
    "noisy_quadratic": "theory.noisy_quadratic",
    "power_law": "theory.power_law",
    "spectral": "core.spectral",
}

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("lnn")
    if name in _MODULES:
        return importlib.import_module(f"lnn.{_MODULES[name]}")
    if name in _HOME:
        return getattr(importlib.import_module(f"lnn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
