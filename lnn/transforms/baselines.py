"""The baselines, every constant pinned to its authors' value.

Each transformation leaves sign and learning rate to the chain. The constants below are printed with
every study.
"""

from __future__ import annotations

import optax

MOMENTUM = {"decay": 0.9}
"""Polyak (1964) heavy ball; 0.9 is the customary constant."""

ADAGRAD = {"initial_accumulator_value": 0.0, "eps": 0.0}
"""Duchi, Hazan and Singer (2011): accumulators start at zero (0/0 is taken as 0)."""

ADADELTA = {"rho": 0.95, "eps": 1e-6}
"""Zeiler (2012), Section 4; its learning rate, 1 there, is a factor that is tuned here."""

ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
"""Kingma and Ba (2015), Algorithm 1."""


def gd() -> optax.GradientTransformation:
    """Plain gradient descent: the gradient itself."""
    return optax.identity()


def momentum() -> optax.GradientTransformation:
    """Heavy ball: m <- 0.9 m + g (Polyak 1964)."""
    return optax.trace(**MOMENTUM)


def adagrad() -> optax.GradientTransformation:
    """g / sqrt(sum of g^2), from a zero accumulator (Duchi, Hazan and Singer 2011)."""
    return optax.scale_by_rss(**ADAGRAD)


def adadelta() -> optax.GradientTransformation:
    """g RMS(updates) / RMS(gradients) (Zeiler 2012)."""
    return optax.scale_by_adadelta(**ADADELTA)


def adam() -> optax.GradientTransformation:
    """Bias-corrected moments (Kingma and Ba 2015)."""
    return optax.scale_by_adam(**ADAM)
