"""Baselines, on W and layerwise, with every constant as its authors set it.

Sign and learning rate are left to the chain. Every study prints the constants below.
"""

from __future__ import annotations

import optax

from lnn.transforms.catalogue import Entry

MOMENTUM = {"decay": 0.9}
"""Polyak (1964) heavy ball; 0.9 is customary."""

ADAGRAD = {"initial_accumulator_value": 0.0, "eps": 0.0}
"""Duchi, Hazan and Singer (2011): accumulators start at zero (0/0 is taken as 0)."""

ADADELTA = {"rho": 0.95, "eps": 1e-6}
"""Zeiler (2012), Section 4; its learning rate, 1 there, is tuned here."""

ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
"""Kingma and Ba (2015), Algorithm 1."""

ENTRIES = (
    Entry(
        name="gd", title="GD", family="baseline", build="gd", default=True, depth_alone=True,
        color="#000000", width=1.5,
    ),
    Entry(
        name="momentum", title="Momentum", family="baseline", build="momentum",
        constants="MOMENTUM", default=True, color="#7F7F7F", dashes=(3, 1.2), width=1.1,
    ),
    Entry(
        name="adagrad", title="AdaGrad", family="baseline", build="adagrad", constants="ADAGRAD",
        default=True, color="#E69F00", dashes=(6, 1.5, 1, 1.5),
    ),
    Entry(
        name="adadelta", title="AdaDelta", family="baseline", build="adadelta",
        constants="ADADELTA", default=True, color="#CC79A7", dashes=(1, 1.2), width=1.5,
    ),
    Entry(
        name="adam", title="Adam", family="baseline", build="adam", constants="ADAM", default=True,
        color="#D55E00", dashes=(10, 2),
    ),
    Entry(
        name="layerwise-gd", title="Layerwise GD", family="layerwise", build="gd", default=True,
        depth_alone=True, color="#3CC79A", dark="#00553B", dashes=(7, 1.5, 1.5, 1.5),
    ),
    Entry(
        name="layerwise-adam", title="Layerwise Adam", family="layerwise", build="adam",
        constants="ADAM", default=True, color="#F0A080", dark="#7A2500",
        dashes=(4, 1.2, 1, 1.2, 1, 1.2),
    ),
)  # fmt: skip
"""Baselines have the colours of Okabe and Ito."""


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
