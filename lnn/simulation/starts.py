"""What `simulate` accepts for a method and a start, as a method and a batch of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import optax

from lnn.core.problem import Problem
from lnn.transforms.catalogue import BASELINES, LAYERWISE
from lnn.transforms.methods import METHODS, EndToEnd, Factored, Method, make_method

_CONSTANT = np.ones(())
"""The learning rate of methods that scale their steps themselves."""


def chosen(
    method: Any, start: Any, learning_rate: Any, weight_decay: Any
) -> tuple[Method, np.ndarray]:
    """Return the method and its learning rates, () or (R,).

    Raises:
        ValueError: an unknown label, an optax optimizer beside a learning rate, or a schedule
            beside the weight decay of an end-to-end rule.
        TypeError: `method` is nothing of the kind.
    """
    if isinstance(method, str):
        method = _labelled(method, start)
    elif isinstance(method, optax.GradientTransformation):
        if learning_rate is not None:
            raise ValueError(
                "learning_rate beside an optax optimizer, which sets its own: give None, or a "
                "Method of a transformation without a learning rate"
            )
        # Its updates are added, a method's are subtracted.
        transformation = optax.chain(method, optax.scale(-1.0))
        return Method("optax", _parameterization(start), transformation), _CONSTANT
    if not isinstance(method, Method):
        raise TypeError(
            f"method is a {type(method).__name__}: give a Method, such as lnn.make_method('gd'), a "
            "label or an optax optimizer"
        )
    if learning_rate is None:
        raise ValueError("learning_rate is None: give a positive number, an array or a schedule")
    if not callable(learning_rate):
        return method, np.asarray(learning_rate, np.float64)
    return _scheduled(method, learning_rate, weight_decay), _CONSTANT


def _scheduled(method: Method, schedule: Callable[[Any], Any], weight_decay: Any) -> Method:
    if method.decay is not None and np.any(np.asarray(weight_decay) != 0):
        raise ValueError(
            f"weight_decay with a schedule for {method.label}: its decay would not follow the "
            "schedule; use a constant rate, or layerwise-gd"
        )
    transformation = optax.chain(method.transformation, optax.scale_by_schedule(schedule))
    return replace(method, transformation=transformation)


def _labelled(label: str, start: Any) -> Method:
    """Return the method of a label, such as "end-to-end-2" or "layerwise-gd"."""
    if label in BASELINES:
        return make_method(label)
    name, _, depth = label.rpartition("-")
    layers = _parameterization(start)
    for layerwise in LAYERWISE:
        if label == layerwise or name == layerwise:
            if isinstance(layers, Factored):
                found = make_method(layerwise, layers.depth, layers.hidden)
                if label in (layerwise, found.label):
                    return found
            raise ValueError(
                f"method {label!r} trains the factors (W_1, ..., W_N) of the start, which has "
                f"{len(jax.tree.leaves(start))} of them"
            )
    if name in METHODS and depth:
        try:
            number = float(depth)
        except ValueError:
            number = np.nan
        if not np.isnan(number):
            return make_method(name, number)
    if label in METHODS:
        raise ValueError(f"method {label!r} needs a depth: give for example '{label}-2'")
    raise ValueError(
        f"method {label!r} is unknown: choose from {', '.join(METHODS)}, with a depth after the "
        "deep ones, such as 'end-to-end-2'"
    )


def _parameterization(start: Any) -> EndToEnd | Factored:
    """Return the parameterization of a start: one array, or factors with their widths."""
    factors = isinstance(start, tuple | list) and len(start) > 1
    if not factors or min(np.ndim(factor) for factor in start) < 2:
        return EndToEnd()
    return Factored(tuple(int(np.shape(factor)[-2]) for factor in start[:-1]))


def batch_of_starts(problem: Problem, method: Method, start: Any, runs: int, single: bool) -> Any:
    """Return parameters with leaves (runs, ...), repeating a single start for every rate.

    Raises:
        ValueError: leaves of other shapes.
    """
    hidden = getattr(method.parameterization, "hidden", ())
    dims = (problem.d, *hidden, problem.k)
    shapes = [(dims[i + 1], dims[i]) for i in range(len(dims) - 1)]
    one = isinstance(method.parameterization, EndToEnd)
    leaves, tree = jax.tree.flatten(start)
    if tree != jax.tree.structure(0 if one else (0,) * len(shapes)):  # type: ignore[operator]
        kind = "one array W" if one else f"a tuple of {len(shapes)} factors"
        raise ValueError(
            f"start is a {type(start).__name__} of {len(leaves)}: {method.label} needs {kind}"
        )
    if len(shapes) == len(leaves) == problem.k == 1:
        (leaf,) = leaves
        rows = not single and leaf.shape == (runs, problem.d) != shapes[0]
        if leaf.shape == (problem.d,) or rows:  # one weight vector, or one for each rate
            leaves = [leaf.reshape(*leaf.shape[:-1], 1, problem.d)]
    given = [leaf.shape for leaf in leaves]
    if given == shapes:
        repeated = [np.broadcast_to(leaf, (runs, *leaf.shape)) for leaf in leaves]
        return jax.tree.unflatten(tree, repeated)
    if not single and given == [(runs, *shape) for shape in shapes]:
        return jax.tree.unflatten(tree, leaves)
    needed = ", ".join(str(shape) for shape in shapes)
    batch = "" if single else f", or with a leading axis of {runs} runs"
    raise ValueError(
        f"start has leaves of shape {', '.join(map(str, given))}: {method.label} on this problem "
        f"(d = {problem.d}, k = {problem.k}) needs {needed}{batch}"
    )
