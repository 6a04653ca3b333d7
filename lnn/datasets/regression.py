"""Built-in problems as float64 NumPy arrays, standardized except for the two points."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from lnn.core.checks import check_whole
from lnn.core.errors import DataError
from lnn.core.problem import Problem
from lnn.datasets.built_in import gaussian_model, sensor_array
from lnn.datasets.built_in.two_point_targets import meaning, two_point_targets


def synthetic(p: float = 4.0, *, seed: int = 0, m: int = 2565, sensors: int = 16) -> Problem:
    """Return a simulated gas-sensor array, on which optimizers behave as on gas drift.

    The label is a concentration, the features are eight numbers for each sensor, drawn from its
    simulated response: see `lnn.datasets.built_in.sensor_array` for the model and its constants.

    Args:
        p: exponent of the loss, real, above 1.
        seed: of NumPy's default generator. Problems of a seed are bitwise equal with the same
            NumPy, and equal up to rounding otherwise.
        m: exposures, at least 20.
        sensors: sensors, at least 1; there are 8 features for each.

    Returns:
        A problem with x (m, 8 sensors) and y (m,), mean 0 and standard deviation 1.

    Raises:
        ValueError: an option outside its range.

    Example:
        >>> problem = lnn.datasets.synthetic(p=2, m=50, sensors=2)
        >>> print(problem.x.shape, problem.name)
        (50, 16) synthetic, seed 0
    """
    check_p(p)
    check_whole("seed", seed, 0)
    check_whole("m", m, 20)
    check_whole("sensors", sensors, 1)
    features, ppm = sensor_array.measurements(np.random.default_rng(seed), m, sensors)
    x, y = standardize(features), standardize(ppm[:, None])[:, 0]
    return Problem(x, y, p, name=f"synthetic, seed {seed}")


def gaussian(
    p: float = 4.0,
    *,
    seed: int = 0,
    m: int = 2565,
    d: int = 128,
    outputs: int = 1,
    rank: int | None = None,
    decay: float = 1.0,
    noise: float = 0.1,
    heavy_tails: float | bool | None = False,
) -> Problem:
    """Return a regression problem with the spectrum of gas drift, and conditioning to choose.

    Features are x = Z diag(sqrt(spectrum)) V^T, labels y = sqrt(1 - noise) Z v + sqrt(noise) e.

    * The spectrum is that of the gas drift features' correlation matrix: 73 at the top, decreasing
      smoothly below 1e-6 (at the default d). V is orthonormal and rotated until every feature has
      variance 1, so standardization preserves the spectrum.
    * Z holds the normalized principal components, exactly white. The planted vector v has norm 1;
      the first component carries 59 % of the signal, the next 19 carry 32 %, and the small ones the
      rest: in terms of x, weights grow as eigenvalues decrease.
    * Labels are concentrations: bounded for most rows, but 0.6 % of the rows are exposures about
      twice as strong as any other. In half of these the sensors overshoot; in the others they are
      almost silent, and respond along small eigendirections. These rows carry most of the p = 4
      loss at zero, as on the real data, and make GD slow.
    * The error e is orthogonal to the features, so at p = 2 the minimum is noise / 2.

    Args:
        p: exponent of the loss, real, above 1.
        seed: of NumPy's default generator. Problems of a seed are bitwise equal with the same NumPy
            and LAPACK, and equal up to rounding otherwise.
        m: rows, at least 2.
        d: features.
        outputs: labels, each with its own planted vector; 1 gives y (m,), more y (m, outputs).
        rank: nonzero eigenvalues of the spectrum, 1 to min(d, m - 1); None for the maximum.
        decay: exponent on the spectrum: 1 as measured, 0 all equal, 2 twice the decades.
        noise: fraction of the labels' variance that no linear predictor explains, in [0, 1).
        heavy_tails: degrees of freedom, above 2, of Student's t for the rows of Z and the errors;
            False or None for normal ones. Gas drift has single rows 50 deviations out.

    Returns:
        A problem with x (m, d) and y (m,) or (m, outputs), mean 0 and standard deviation 1.

    Raises:
        ValueError: an option outside its range.

    Example:
        >>> problem = lnn.datasets.gaussian(p=2, m=50, d=3, noise=0.2)
        >>> print(problem.x.shape, round(lnn.reference_optimum(problem)[1], 12))  # noise / 2
        (50, 3) 0.1
    """
    check_p(p)
    check_whole("seed", seed, 0)
    check_whole("m", m, 2)
    check_whole("d", d, 1)
    check_whole("outputs", outputs, 1, m)
    most = min(d, m - 1)
    if rank is not None:
        check_whole("rank", rank, 1, most)
    _real("decay", decay, lambda v: 0 <= v < math.inf, "a finite number >= 0 (1: as gas drift)")
    _real("noise", noise, lambda v: 0 <= v < 1, "a share of the variance, 0 <= noise < 1")
    dof: float | None = None
    if heavy_tails is not None and heavy_tails is not False:
        allowed = "degrees of freedom > 2 of Student's t (for example 3), or False for normal tails"
        _real("heavy_tails", heavy_tails, lambda v: 2 < v < math.inf, allowed)
        dof = float(heavy_tails)
    x, y = gaussian_model.measurements(
        np.random.default_rng(seed),
        m=m,
        d=d,
        outputs=outputs,
        rank=most if rank is None else rank,
        decay=decay,
        noise=noise,
        dof=dof,
    )
    x, y = standardize(x), standardize(y)
    return Problem(x, y[:, 0] if outputs == 1 else y, p, name=f"gaussian, seed {seed}")


def two_point(y1: float, y2: float, p: float = 4.0) -> Problem:
    """Return the problem of Arora, Cohen and Hazan (2018), Section 7: two examples, two features.

    The paper's loss is the sum (1/p) (|w_1 - y1|^p + |w_2 - y2|^p), for which GD is
    Delta_i <- Delta_i - eta Delta_i^(p-1), Delta = w - y. `Problem` averages over m = 2 examples,
    so x = 2^(1/p) I and y = 2^(1/p) (y1, y2) double each residual to the power p: loss, gradient
    and learning rates are the paper's.

    Its targets are distances of both weights from their labels: half, a fifth and a tenth of the
    smaller label, where the larger one alone would hold nearly all of the loss.

    Returns:
        A problem with x (2, 2) and y (2,); not standardized.

    Raises:
        ValueError: p <= 1, or a label that is not a finite number.

    Example:
        >>> problem = lnn.datasets.two_point(3.0, 1.0, p=4)
        >>> print(f"{problem.loss(np.zeros((1, 2))):.4f}")  # (3^4 + 1) / 4
        20.5000
    """
    check_p(p)
    for name, value in (("y1", y1), ("y2", y2)):
        _real(name, value, lambda v: abs(float(v)) < 8e307, "a finite number below 8e307")
    factor = 2.0 ** (1.0 / p)  # at most 2
    labels = np.array([y1, y2], np.float64)
    targets = two_point_targets(y1, y2, p)
    return Problem(
        factor * np.eye(2), factor * labels, p, name=f"two points ({y1:g}, {y2:g})",
        targets=targets, meaning=meaning(y1, y2) if targets else "",
    )  # fmt: skip


def standardize(columns: np.ndarray, where: str = "the data") -> np.ndarray:
    """Scale columns to mean 0 and standard deviation 1 (ddof 0); none may be constant.

    Raises:
        DataError: values too large or too close for float64.
    """
    with np.errstate(all="ignore"):
        result: np.ndarray = (columns - columns.mean(axis=0)) / columns.std(axis=0)
        # A second pass removes rounding errors of means that are large relative to the deviation.
        result = (result - result.mean(axis=0)) / result.std(axis=0)
    if not np.isfinite(result).all():
        raise DataError(
            f"{where}: the values span too wide a range to be standardized in float64; rescale them"
        )
    return result


def check_p(p: float) -> None:
    """Raise early what `Problem` would raise for p."""
    Problem(np.zeros((1, 1)), np.zeros(1), p)


def _real(name: str, value: Any, inside: Callable[[Any], bool], allowed: str) -> None:
    # Python integers may exceed every float.
    whole = isinstance(value, int) and abs(value) <= sys.float_info.max
    number = whole or isinstance(value, float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not inside(value):
        raise ValueError(f"{name} = {value!r}: give {allowed}")
