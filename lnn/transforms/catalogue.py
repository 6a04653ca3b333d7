"""Every method by name: what it is called, and which family it belongs to. Imports no JAX."""

from __future__ import annotations

BASELINES = ("gd", "momentum", "adagrad", "adadelta", "adam")


LAYERWISE = ("layerwise-gd", "layerwise-adam")


READINGS = {"momentum-all": None, "momentum-100": 100, "momentum-10": 10}
"""Rules that read the end-to-end rule as momentum, and over how many steps: None for all."""


ABLATIONS = ("norm-factor", "projection", *READINGS)


DEEP = ("end-to-end", "single-output", *ABLATIONS, *LAYERWISE)


ONE_OUTPUT = ("single-output", *READINGS)


DEFAULT_METHODS = (*BASELINES, "end-to-end", *LAYERWISE)
"""`single-output` equals `end-to-end` for one output, so it is left out unless asked for."""


NAMES = {
    "gd": "GD",
    "momentum": "Momentum",
    "adagrad": "AdaGrad",
    "adadelta": "AdaDelta",
    "adam": "Adam",
    "end-to-end": "End-to-end rule",
    "single-output": "Single-output rule",
    "norm-factor": "Norm factor alone",
    "projection": "Projection alone",
    "momentum-all": "Momentum of all steps",
    "momentum-100": "Momentum of 100 steps",
    "momentum-10": "Momentum of 10 steps",
    "layerwise-gd": "Layerwise GD",
    "layerwise-adam": "Layerwise Adam",
}


def rule_name(rule: str) -> str:
    """Name of a rule as readers know it; a rule of the user's own keeps its name."""
    return NAMES.get(rule, rule)


def has_depth(rule: str, depth: float) -> bool:
    """Whether a method's depth is to be told: it belongs to the known deep rules, or is not 1."""
    return rule in DEEP or depth != 1


def method_name(rule: str, depth: float) -> str:
    """A method as readers know it, such as "End-to-end rule, depth 4"."""
    name = rule_name(rule)
    return f"{name}, depth {depth:g}" if has_depth(rule, depth) else name


def inline_name(rule: str, depth: float) -> str:
    """A method inside a sentence, such as "the end-to-end rule at depth 4"."""
    name = rule_name(rule)
    if name.endswith("rule"):
        name = f"the {name[0].lower()}{name[1:]}"
    return f"{name} at depth {depth:g}" if has_depth(rule, depth) else name
