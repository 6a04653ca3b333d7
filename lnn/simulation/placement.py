"""A problem's data on the devices: precision, layout and shortest equivalent form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lnn.core.linalg import row_blocks, triangular_factor
from lnn.core.precision import numerics
from lnn.core.problem import Problem

RUNS, ROWS = "runs", "rows"
"""Mesh axes: what is divided among the devices."""

_CACHE_BYTES = 2**25
"""Larger data is read from memory in every step."""
_FLOP_PER_BYTE = 8
"""Floating-point operations of a core in the time to read one byte from memory."""
_FLOP_PER_SUM = 2e7
"""Floating-point operations of a core in the time to sum gradients over devices."""


class Data(NamedTuple):
    """Examples x (m, d) and labels y (m, k) on the devices."""

    x: jax.Array
    y: jax.Array


@dataclass(frozen=True)
class Placed:
    """A problem on a mesh of devices, whose two axes divide runs and rows of the data.

    The loss is divided by `examples`; the data may end with rows of zeros. `zero_loss` is the loss
    at W = 0.
    """

    data: Data
    mesh: Mesh
    p: float
    examples: int
    zero_loss: float

    @property
    def outputs(self) -> int:
        """Number of outputs k."""
        return int(self.data.y.shape[1])

    @property
    def flop(self) -> float:
        """Floating-point operations of the gradient of one run."""
        return 4.0 * self.data.x.size * self.outputs

    @property
    def layout(self) -> str:
        """What is divided among the devices, in words."""
        if self.mesh.size == 1:
            return "one device"
        return "runs shared out" if self.mesh.shape[RUNS] > 1 else "rows of the data shared out"


def place(problem: Problem, dtype: str, runs: int) -> Placed:
    """Put a problem on all local devices, for batches of up to `runs` runs.

    Devices divide either the runs, each holding all data, or the rows of the data, summing their
    gradients in every step. An estimate selects the cheaper: rows for few runs, and for data larger
    than the cache, which every device would have to read.

    Arrays that devices can read in place are not copied, so do not write to them: a JAX array of
    this dtype, or on CPU a NumPy array aligned to 64 bytes.
    """
    data = compressed(problem)
    mesh = _mesh(data, np.dtype(dtype), runs)
    with numerics(dtype):
        x = _shared_rows(data.x, mesh, dtype)
        y = _shared_rows(data.y.reshape(data.m, data.k), mesh, dtype)
    return Placed(Data(x, y), mesh, float(problem.p), data.m, loss_at_zero(problem))


def loss_at_zero(problem: Problem) -> float:
    """Return the loss at W = 0, (1 / (p m)) sum |y|^p, in float64; infinite if it is too large."""
    p = float(problem.p)
    with np.errstate(over="ignore"):
        total = sum(
            float(np.sum(np.abs(block.astype(np.float64)) ** p))
            for _, block in row_blocks(problem.y)
        )
    return total / (p * problem.m)


def compressed(problem: Problem) -> Problem:
    """For p = 2, return the same loss on d + k examples: the rows of the triangular factor of [x,
    y].

    R^T R = [x, y]^T [x, y] are the second moments, and |R (w, -1)| = |x w - y|: losses still come
    from residuals, avoiding the squared condition number of the moments. R is formed in float64 and
    scaled so that the mean over d + k rows is the mean over m.
    """
    if problem.p != 2 or problem.m <= problem.d + problem.k:
        return problem
    factor = triangular_factor(problem.x, problem.y) * math.sqrt(
        (problem.d + problem.k) / problem.m
    )
    return replace(problem, x=factor[:, : problem.d], y=factor[:, problem.d :])


def _mesh(problem: Problem, dtype: np.dtype, runs: int) -> Mesh:
    devices = jax.local_devices()
    count, size = len(devices), problem.m * problem.d * dtype.itemsize
    flop = 4.0 * problem.m * problem.d * problem.k
    traffic = _FLOP_PER_BYTE * size if size > _CACHE_BYTES else 0
    share_runs = flop * math.ceil(runs / count) + traffic
    share_rows = (flop * runs + traffic) / count + _FLOP_PER_SUM
    if share_rows < share_runs:
        return Mesh(np.array(devices)[None], (RUNS, ROWS))
    return Mesh(np.array(devices[: max(1, min(count, runs))])[:, None], (RUNS, ROWS))


def _shared_rows(values: Any, mesh: Mesh, dtype: str) -> jax.Array:
    """Distribute rows along the mesh's second axis, padding with zeros to equal shares."""
    sharding = NamedSharding(mesh, PartitionSpec(ROWS))
    shares = mesh.shape[ROWS]
    padding = -len(values) % shares
    if isinstance(values, jax.Array) and values.sharding == sharding and values.dtype == dtype:
        return values
    if isinstance(values, jax.Array) and next(iter(values.devices())).platform != "cpu":
        # Not through the host, which would be slow and double the memory.
        widths = [(0, padding), *[(0, 0)] * (values.ndim - 1)]
        return jax.device_put(jnp.pad(values.astype(dtype), widths), sharding)
    host = np.asarray(values)
    length = (len(host) + padding) // shares
    blocks: dict[int, np.ndarray] = {}
    parts = []
    for (_, share), device in np.ndenumerate(mesh.devices):
        if share not in blocks:
            block = host[share * length : (share + 1) * length].astype(dtype, copy=False)
            if len(block) < length:  # zero rows add nothing to loss or gradient
                padded = np.zeros((length, *host.shape[1:]), dtype)
                padded[: len(block)] = block
                block = padded
            blocks[share] = block
        part = jax.device_put(blocks[share], device, may_alias=True)
        if device.platform == "cpu":  # other devices share the first one's copy
            blocks[share] = np.asarray(part)
        parts.append(part)
    shape = (len(host) + padding, *host.shape[1:])
    return jax.make_array_from_single_device_arrays(shape, sharding, parts)
