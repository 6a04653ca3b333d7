"""Methods: a parameterization and an optax transformation."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import optax

from lnn.core import network
from lnn.core.checks import as_tuple, check_depth, check_whole, plain
from lnn.transforms.catalogue import CATALOGUE, DEEP, Entry
from lnn.transforms.end_to_end import decay_factor


@dataclass(frozen=True)
class EndToEnd:
    """The parameter is the end-to-end matrix W itself, (k, d).

    Example:
        >>> print(lnn.EndToEnd().end_to_end(np.array([[3.0, 4.0]])))
        [[3. 4.]]
    """

    def end_to_end(self, params: Any) -> Any:
        """Return W_e = W."""
        return params


@dataclass(frozen=True)
class Factored:
    """The parameters are the factors (W_1, ..., W_N) of a network with these hidden widths.

    Example:
        >>> network = lnn.Factored(hidden=(1,))
        >>> print(network.depth, network.end_to_end((np.array([[3.0, 4.0]]), np.array([[2.0]]))))
        2 [[6. 8.]]
    """

    hidden: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of factors."""
        return len(self.hidden) + 1

    def end_to_end(self, params: Any) -> Any:
        """Return W_e = W_N ... W_1."""
        return network.end_to_end(params)


@dataclass(frozen=True)
class Method:
    """A method of training: a parameterization, and an optax transformation of its gradients.

    Attributes:
        name: its key in `METHODS`.
        parameterization: `EndToEnd()` or `Factored(hidden)`.
        transformation: an optax transformation; sign and learning rate are applied after it.
        depth: depth of the network whose dynamics this is; 1 for the baselines.
        decay: None: weight decay is lambda * parameter, added to the gradient before the
            transformation. A number: decay * lambda * W is added after it (Theorem 1: N lambda W).
        constants: the fixed constants of the transformation, for reports.

    Example:
        >>> method = lnn.Method("mine", lnn.EndToEnd(), optax.trace(decay=0.5))
        >>> print(method.label, method.depth, method.decay)
        mine 1.0 None
    """

    name: str
    parameterization: EndToEnd | Factored
    transformation: optax.GradientTransformation
    depth: float = 1.0
    decay: float | None = None
    constants: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def label(self) -> str:
        """A unique name within a study, such as "end-to-end-4"."""
        return f"{self.name}-{self.depth:g}" if self.name in DEEP else self.name


def _method(entry: Entry, depth: float, hidden: tuple[int, ...]) -> Method:
    """Return the method of an entry, importing its rule on first use."""
    name, module = entry.name, importlib.import_module(f".{entry.module}", __package__)
    rule = getattr(module, entry.build)
    constants = getattr(module, entry.constants) if entry.constants else {}
    if entry.family == "baseline":
        return Method(name, EndToEnd(), rule(), constants=constants)
    if entry.family == "end-to-end":
        transformation, decay = rule(depth, *entry.arguments), decay_factor(depth)
        return Method(name, EndToEnd(), transformation, depth, decay, constants)
    if not float(depth).is_integer():
        raise ValueError(
            f"{name} at depth {depth:g}: a network of real layers needs a whole depth; "
            "non-integer depths and inf are for the end-to-end rules"
        )
    hidden = hidden or (1,) * (int(depth) - 1)
    if len(hidden) != int(depth) - 1:
        raise ValueError(
            f"{name} at depth {depth:g} has {int(depth) - 1} hidden layers, but "
            f"{len(hidden)} widths were given: {list(hidden)}"
        )
    return Method(name, Factored(hidden), rule(), depth=depth, constants=constants)


METHODS: dict[str, Callable[[float, tuple[int, ...]], Method]] = {
    name: partial(_method, entry) for name, entry in CATALOGUE.items()
}
"""Every method by name; call an entry as `METHODS[name](depth, hidden_widths)`.

Example:
    >>> print(lnn.METHODS["layerwise-gd"](3, (5, 4)).parameterization)
    Factored(hidden=(5, 4))
"""


def make_method(name: str, depth: float = 1.0, hidden: int | Sequence[int] = ()) -> Method:
    """Return the method of this name, cached so that it compiles once.

    Args:
        name: a key of `METHODS`.
        depth: depth N >= 1 of the end-to-end and layerwise methods; baselines ignore it.
        hidden: hidden widths of the layerwise methods: N - 1 of them, or one number for all;
            default 1 everywhere.

    Raises:
        ValueError: unknown name, depth below 1, widths that do not fit the depth.

    Example:
        >>> print(lnn.make_method("end-to-end", depth=4).label, lnn.make_method("adam").constants)
        end-to-end-4 {'b1': 0.9, 'b2': 0.999, 'eps': 1e-08}
    """
    if name not in METHODS:
        raise ValueError(f"method {name!r} is unknown: choose from {', '.join(METHODS)}")
    depth = check_depth(depth)
    widths = tuple(check_whole("hidden", width, 1) for width in as_tuple(plain(hidden)))
    if not hasattr(hidden, "__len__") and float(depth).is_integer():
        widths *= int(depth) - 1
    return _cached(name, depth, widths)


@lru_cache(maxsize=256)
def _cached(name: str, depth: float, hidden: tuple[int, ...]) -> Method:
    return METHODS[name](depth, hidden)
