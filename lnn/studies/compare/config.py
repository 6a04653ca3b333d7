"""Configuration of a study, validated before anything runs. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lnn.core.checks import (
    DIVERGENCE,
    DTYPES,
    LARGEST,
    MOST_LAYERS,
    SCHEMES,
    SMALLEST,
    as_tuple,
    check_depth,
    check_divergence,
    check_whole,
    dtype_name,
    plain,
    reals,
)
from lnn.transforms.catalogue import CATALOGUE, DEFAULT_METHODS, LAYERWISE

DEFAULT = "default"
"""Stands for the default methods in a list of methods."""


@dataclass(frozen=True)
class StudyConfig:
    """Configuration of a study, apart from its problem, with the defaults of the command.

    Attributes:
        depths: depths N of the deep methods; real or inf for the end-to-end rules.
        methods: names from `lnn.METHODS`; "default" stands for the default ones at these depths,
            which include layerwise methods only if a depth is a whole number.
        hidden: hidden widths: () for the default (1 for one output, min(k, d) for more), one
            number for every hidden layer, or N - 1 numbers.
        init: "balanced", "near-zero" or "identity".
        init_norm: Frobenius norm of the balanced start W_e(0).
        steps: budget of every run.
        rates: number of learning rates per method, or the rates themselves.
        rate_range: lowest and highest learning rate of the first, log-spaced pass.
        tuning_seeds, seeds: numbers of seeds that choose the rate, and of evaluation seeds.
        targets: relative suboptimalities (L - L*) / (L_0 - L*), fixed beforehand; `lnn.compare`
            prefers those of a problem that has its own.
        weight_decay: lambda on every trained parameter.
        divergence: a run that ends above this multiple of the loss at W = 0 has diverged and counts
            as having reached nothing, as does one whose parameters are not finite; inf: only those.
        dtype: "float32" or "float64".
        compensation: in float32, use compensated summation for the parameters.
        save_weights: save W_e at every recorded step of the evaluation runs.

    Raises:
        ValueError: a value out of range; the message says what is allowed.

    Example:
        >>> config = lnn.StudyConfig(depths=[2, 3], targets=0.1)
        >>> print(config.depths, config.targets, config.steps)
        (2.0, 3.0) (0.1,) 10000
    """

    depths: tuple[float, ...] = (4.0,)
    methods: tuple[str, ...] = (DEFAULT,)
    hidden: tuple[int, ...] = ()
    init: str = "balanced"
    init_norm: float = 0.1
    steps: int = 10_000
    rates: int | tuple[float, ...] = 24
    rate_range: tuple[float, float] = (1e-5, 10.0)
    tuning_seeds: int = 3
    seeds: int = 11
    targets: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01)
    weight_decay: float = 0.0
    divergence: float = DIVERGENCE
    dtype: str = "float32"
    compensation: bool = True
    save_weights: bool = False

    def __post_init__(self) -> None:
        checked = {name: plain(value) for name, value in vars(self).items()}
        depths = tuple(dict.fromkeys(map(check_depth, _several(self.depths))))
        checked |= {
            "depths": depths,
            "methods": _expanded(_several(self.methods), depths),
            "hidden": _several(self.hidden),
            "rate_range": reals("rate_range", _several(self.rate_range)),
            "targets": tuple(sorted(reals("targets", _several(self.targets)), reverse=True)),
        }
        if not isinstance(checked["rates"], int):
            checked["rates"] = tuple(sorted(reals("rates", _several(self.rates))))
        checked["dtype"] = dtype_name(checked["dtype"])
        for name in ("init_norm", "weight_decay", "divergence"):
            (checked[name],) = reals(name, [checked[name]])
        vars(self).update(checked)  # before it is frozen
        self._check_choices()
        self._check_numbers()
        self._check_rates()

    def _check_choices(self) -> None:
        for method in self.methods:
            if method not in CATALOGUE:
                known = ", ".join((*CATALOGUE, DEFAULT))
                raise ValueError(f"method {method!r} is unknown: choose from {known}")
        for name, value, allowed in (("init", self.init, SCHEMES), ("dtype", self.dtype, DTYPES)):
            if value not in allowed:
                raise ValueError(f"{name} = {value!r}: choose one of {', '.join(allowed)}")
        if not self.methods or not self.depths:
            raise ValueError("no method or no depth is given: name at least one of each")
        whole = [depth for depth in self.depths if depth.is_integer()]
        layered = [method for method in self.methods if method in LAYERWISE]
        if layered and not whole:
            raise ValueError(
                f"{layered[0]} at depth {self.depths[0]:g}: a network of real layers needs a "
                "whole depth; add one, or omit the layerwise methods"
            )
        if self.init != "balanced" and len(whole) < len(self.depths):
            raise ValueError(
                f"init = {self.init!r} initializes real layers, which a depth that is not a whole "
                "number does not have: use init 'balanced'"
            )
        if (layered or self.init != "balanced") and max(whole, default=1) > MOST_LAYERS:
            raise ValueError(
                f"{layered[0] if layered else self.init} at depth {max(whole):g}: real networks "
                f"have at most {MOST_LAYERS} layers here; the end-to-end rules take any depth "
                "from a balanced start"
            )
        if len(self.hidden) > 1:
            for depth in whole:
                if len(self.hidden) != depth - 1:
                    raise ValueError(
                        f"width = {list(self.hidden)}: depth {depth:g} has {depth - 1:g} hidden "
                        "layers; give that many widths, or one for all"
                    )

    def _check_numbers(self) -> None:
        for name in ("compensation", "save_weights"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} = {getattr(self, name)!r}: give True or False")
        # Evaluation seeds count from 0, tuning seeds from a million.
        for name, most in (("steps", 2**31 - 1), ("seeds", 10**6), ("tuning_seeds", 10**6)):
            check_whole(name, getattr(self, name), 1, most)
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self.hidden):
            raise ValueError(f"width = {list(self.hidden)}: give whole numbers, at least 1")
        check_divergence(self.divergence)
        if not SMALLEST <= self.init_norm <= LARGEST:
            raise ValueError(
                f"init_norm = {self.init_norm}: give a positive number, {SMALLEST:g} to {LARGEST:g}"
            )
        if not (self.weight_decay == 0 or SMALLEST <= self.weight_decay <= LARGEST):
            raise ValueError(
                f"weight_decay = {self.weight_decay}: give a number >= 0, at most {LARGEST:g}"
            )
        if not self.targets or not all(0 < target < 1 for target in self.targets):
            raise ValueError(
                f"targets = {list(self.targets)}: relative suboptimalities lie between 0 and 1, "
                "such as 0.1 0.01"
            )
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets = {list(self.targets)}: give each target once")

    def _check_rates(self) -> None:
        if isinstance(self.rates, bool) or (isinstance(self.rates, int) and self.rates < 4):
            raise ValueError(
                f"rates = {self.rates!r}: a count of learning rates must be at least 4; to try "
                "given rates, list them, such as 0.001,0.01"
            )
        if not isinstance(self.rates, int):
            bad = [rate for rate in self.rates if not SMALLEST <= rate <= LARGEST]
            if bad or not self.rates:
                raise ValueError(
                    f"learning rate {bad[0] if bad else 'list is empty'}: give positive "
                    f"numbers, {SMALLEST:g} to {LARGEST:g}"
                )
            if len(set(self.rates)) < len(self.rates):
                raise ValueError(f"learning rates {list(self.rates)}: give each rate once")
        low, high = self.rate_range if len(self.rate_range) == 2 else (0.0, 0.0)
        if not SMALLEST <= low < high <= LARGEST:
            raise ValueError(
                f"rate_range = {' '.join(f'{end:g}' for end in self.rate_range)}: give two "
                f"positive numbers, the lower one first, {SMALLEST:g} to {LARGEST:g}"
            )

    def hidden_widths(self, depth: float, k: int, d: int) -> tuple[int, ...]:
        """Return the N - 1 hidden widths at a whole depth N, for a problem of this size."""
        layers = int(depth) - 1
        if layers and len(self.hidden) > 1:
            return self.hidden
        width = self.hidden[0] if self.hidden else (1 if k == 1 else min(k, d))
        return (width,) * layers

    def start_rank(self, k: int, d: int) -> int:
        """Return the rank of the balanced start, limited by the narrowest layer."""
        return min(k, d, *(self.hidden or (k,)))


def _several(value: Any) -> tuple[Any, ...]:
    """Return one value or several as a tuple of Python values."""
    return tuple(map(plain, as_tuple(plain(value))))


def _expanded(methods: tuple[Any, ...], depths: tuple[float, ...]) -> tuple[str, ...]:
    """Return the names of the methods, each once, with `DEFAULT` expanded."""
    layers = any(depth.is_integer() for depth in depths)
    default = [name for name in DEFAULT_METHODS if layers or name not in LAYERWISE]
    names = [default if method == DEFAULT else [str(method)] for method in methods]
    return tuple(dict.fromkeys(name for part in names for name in part))


QUICK = {"steps": 1000, "rates": 12, "tuning_seeds": 1, "seeds": 5}
"""Settings of a first look: a short budget and few seeds."""
