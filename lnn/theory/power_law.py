"""Fits of power laws, on a window of a log-log plot or with an offset."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real
from scipy import optimize, stats

Vector = Real[np.ndarray, " n"]

EXPONENTS = np.linspace(-6.0, 6.0, 121)
"""Initial exponents of the fit with an offset; 0 stands for the logarithm."""

_CONDITION = 1e10
"""Larger condition numbers of the scaled Jacobian leave the parameters undetermined."""


class PowerLaw(NamedTuple):
    """value = constant * t^exponent on a window.

    Attributes:
        exponent: slope of the line on the log-log plot.
        log_constant: natural logarithm of the value at t = 1 on that line.
        standard_error: of the exponent, from the scatter about the line; small for smooth curves
            of any shape, whose straightness `drift` measures.
        drift: exponent of the second half of the window, in log t, minus that of the first half;
            0 for a power law.
        points: number of points in the window.

    Example:
        >>> lnn.power_law.PowerLaw(-0.5, 0.0, 0.01, drift=0.0, points=9).constant
        1.0
    """

    exponent: float
    log_constant: float
    standard_error: float
    drift: float
    points: int

    @property
    def constant(self) -> float:
        """The value at t = 1 on the line."""
        return math.exp(self.log_constant)


def fit_power_law(t: Vector, value: Vector, window: tuple[float, float] | None = None) -> PowerLaw:
    """Fit a least-squares line to log value against log t.

    All points have equal weight: record the curve at times evenly spaced in log t, or late times
    dominate the fit.

    Args:
        t: positive times in any unit and order.
        value: positive.
        window: the first and the last t to use; all of them by default.

    Raises:
        ValueError: shapes differ, fewer than four points or two different times in either half of
            the window, or values that are not positive and finite.

    Example:
        >>> t = np.geomspace(1, 100, 9)
        >>> fit = lnn.power_law.fit_power_law(t, 3 / t**2)
        >>> print(round(fit.exponent, 6), round(fit.constant, 6))
        -2.0 3.0
    """
    t, value = _pair("t", t, "value", value)
    low, high = (float(t.min()), float(t.max())) if window is None else window
    inside = (t >= low) & (t <= high)
    if not 0 < low < high or inside.sum() < 4:
        raise ValueError(
            f"window ({low:g}, {high:g}) holds {int(inside.sum())} of {t.size} points: give "
            "0 < low < high with at least four points between them"
        )
    if not (value[inside] > 0).all():
        raise ValueError(
            f"the minimum in the window ({low:g}, {high:g}) is {value[inside].min():g}: a "
            "power law is positive; pass absolute values, or end the window where zero is reached"
        )
    x, y = np.log(t[inside]), np.log(value[inside])
    late = x > 0.5 * (x.min() + x.max())
    if min(np.unique(x[late]).size, np.unique(x[~late]).size) < 2:
        raise ValueError(
            f"the window ({low:g}, {high:g}) has fewer than two different times in one of its "
            "halves: record the curve at times spaced evenly in log t"
        )
    slope, level, error = _line(x, y)
    drift = _line(x[late], y[late])[0] - _line(x[~late], y[~late])[0]
    return PowerLaw(slope, level, error, drift, x.size)


def local_exponent(
    t: Vector, value: Vector
) -> tuple[Float[np.ndarray, " n-1"], Float[np.ndarray, " n-1"]]:
    """Return geometric means of neighbouring times, and d log value / d log t between them.

    Raises:
        ValueError: shapes differ, fewer than two times, times that are not positive and increasing,
            or values that are not positive.

    Example:
        >>> t = np.array([1.0, 4.0, 16.0])
        >>> print(*lnn.power_law.local_exponent(t, np.sqrt(t)))
        [2. 8.] [0.5 0.5]
    """
    t, value = _pair("t", t, "value", value)
    if t.size < 2 or t[0] <= 0 or (np.diff(t) <= 0).any() or not (value > 0).all():
        raise ValueError(
            f"t of {t.size} points from {t[:1]}, least value {value.min(initial=np.inf):g}: give "
            "at least two increasing positive times, and positive values"
        )
    return np.sqrt(t[1:] * t[:-1]), np.diff(np.log(value)) / np.diff(np.log(t))


class OffsetFit(NamedTuple):
    """y = a x^k + b by least squares.

    Attributes:
        a, k, b: the least-squares estimates.
        a_error, k_error, b_error: their standard errors, from the linearized model.
        a_interval, k_interval, b_interval: confidence intervals (low, high); infinite if the
            standard error is.
        residual: standard deviation of the residuals y - a x^k - b, with n - 3 degrees of freedom.
        correlation: of the estimates of a and b, with x in units of its geometric mean.
        identifiable: whether the data determine the three parameters.
        reason: why not; empty if they do.

    Example:
        >>> x = np.arange(1.0, 9.0)
        >>> print(lnn.power_law.fit_power_law_with_offset(x, 3 / x + 2).at(np.array([1.0, 3.0])))
        [5. 3.]
    """

    a: float
    k: float
    b: float
    a_error: float
    k_error: float
    b_error: float
    a_interval: tuple[float, float]
    k_interval: tuple[float, float]
    b_interval: tuple[float, float]
    residual: float
    correlation: float
    identifiable: bool
    reason: str

    def at(self, x: Vector) -> Vector:
        """Return the fitted curve at x."""
        return self.a * np.asarray(x, np.float64) ** self.k + self.b


def fit_power_law_with_offset(
    x: Vector, y: Vector, sigma: Vector | None = None, confidence: float = 0.95
) -> OffsetFit:
    """Fit y = a x^k + b, and report whether the data determine a, k and b.

    With x in units of its geometric mean, the fit starts from the best of `EXPONENTS`, where it is
    linear, and is refined by `scipy.optimize.curve_fit`. Near k = 0 the family approaches a
    logarithm, and a and b diverge with opposite signs. So the parameters are reported as not
    identifiable if the interval of k includes 0, the Jacobian lacks full rank, or the exponent
    leaves the initial range.

    Args:
        x: positive, with at least four different values.
        y: the values to fit.
        sigma: standard deviations of y, in its units; by default assumed equal and estimated
            from the residuals.
        confidence: of the intervals, between 0 and 1; by Student's t with n - 3 degrees of
            freedom, or by the normal distribution where sigma is given.

    Raises:
        ValueError: shapes differ, fewer than four different x, an x or sigma that is not positive,
            a value that is not finite, or a confidence outside (0, 1).

    Example:
        >>> x = np.arange(1.0, 9.0)
        >>> fit = lnn.power_law.fit_power_law_with_offset(x, 3 / x + 2)
        >>> print(round(fit.a, 4), round(fit.k, 4), round(fit.b, 4), fit.identifiable)
        3.0 -1.0 2.0 True
    """
    x, y, sigma, weights = _checked(x, y, sigma, confidence)
    middle = math.exp(np.log(x).mean())
    size = float(np.ptp(y)) or 1.0
    u, v = x / middle, (y - y.mean()) / size
    best = _start(u, v, weights)

    def model(u: np.ndarray, a: float, k: float, b: float) -> np.ndarray:
        return a * u**k + b

    reason, covariance = "", np.full((3, 3), np.inf)
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", optimize.OptimizeWarning)  # the covariance shows it
        try:
            best, covariance = optimize.curve_fit(
                model, u, v, best, None if sigma is None else sigma / size,
                absolute_sigma=sigma is not None, ftol=1e-14, xtol=1e-14, gtol=1e-14,
            )  # fmt: skip
        except RuntimeError:
            reason = "the least-squares search did not converge"
    a, k, b = map(float, best)
    jacobian = np.column_stack([u**k, a * u**k * np.log(u), np.ones_like(u)]) * weights[:, None]
    columns = np.linalg.norm(jacobian, axis=0)
    if not np.isfinite(covariance).all():
        covariance = np.full((3, 3), np.inf)
    if not reason and (
        not (columns > 0).all()
        or not np.isfinite(covariance).all()
        or np.linalg.cond(jacobian / columns) > _CONDITION
    ):
        reason = "the Jacobian lacks full rank: different a, k and b give the same curve"

    # Back to the units of x and y: a_x = size a middle^-k, whose error is shared with that of k.
    scale = size * middle**-k
    linear = np.array([[scale, -scale * a * math.log(middle), 0], [0, 1, 0], [0, 0, size]])
    finite = bool(np.isfinite(covariance).all())
    errors = np.sqrt(np.diag(linear @ covariance @ linear.T)) if finite else np.full(3, np.inf)
    spread = math.sqrt(covariance[0, 0] * covariance[2, 2]) if finite else 0.0
    correlation = float(covariance[0, 2] / spread) if spread > 0 else math.nan
    spare = y.size - 3
    tail = 0.5 + confidence / 2
    reach = float(stats.norm.ppf(tail) if sigma is not None else stats.t.ppf(tail, spare))
    values = (scale * a, k, size * b + float(y.mean()))
    a_error, k_error, b_error = map(float, errors)
    a_interval, k_interval, b_interval = (
        (value - reach * error, value + reach * error)
        for value, error in zip(values, (a_error, k_error, b_error), strict=True)
    )
    if not reason and abs(k) > EXPONENTS[-1]:
        reason = f"the exponent left the range searched, to {k:.3g}"
    if not reason and k_interval[0] <= 0 <= k_interval[1]:
        reason = (
            f"the {confidence:.0%} interval of the exponent, {k_interval[0]:.3g} to "
            f"{k_interval[1]:.3g}, includes 0, where a and b are indistinguishable (their "
            f"estimates have correlation {correlation:.4f})"
        )
    residuals = size * (v - model(u, a, k, b))
    return OffsetFit(
        *values, a_error, k_error, b_error, a_interval, k_interval, b_interval,
        math.sqrt(float(residuals @ residuals) / spare), correlation, not reason, reason,
    )  # fmt: skip


def _checked(
    x: Vector, y: Vector, sigma: Vector | None, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    x, y = _pair("x", x, "y", y)
    if np.unique(x).size < 4 or not (x > 0).all():
        raise ValueError(
            f"x has {np.unique(x).size} different values, the least of them "
            f"{x.min(initial=np.inf):g}: three parameters need at least four, all positive"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence!r}: give a number between 0 and 1, as 0.95")
    weights = np.ones_like(y)
    if sigma is not None:
        sigma, _ = _pair("sigma", sigma, "y", y)
        if not (sigma > 0).all():
            raise ValueError(f"the least sigma is {sigma.min():g}: standard deviations are > 0")
        weights = 1 / sigma
    return x, y, sigma, weights


def _start(u: np.ndarray, v: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the best a, k, b with k among `EXPONENTS`, by linear least squares at each."""
    found = []
    size = np.abs(EXPONENTS)
    for k in EXPONENTS[(size > 1e-9) & (size * np.abs(np.log(u)).max() < 300)]:
        design = np.column_stack([u**k, np.ones_like(u)]) * weights[:, None]
        (a, b), *_ = np.linalg.lstsq(design, v * weights, rcond=None)
        rss = float(np.sum((design @ np.array([a, b]) - v * weights) ** 2))
        found.append((rss, np.array([a, k, b])))
    return min(found, key=lambda pair: pair[0])[1]


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return slope, value at 0, and the slope's standard error (`linregress`: NaN if level)."""
    across = x - x.mean()
    slope = float(across @ y / (across @ across))
    scatter = y - y.mean() - slope * across
    variance = float(scatter @ scatter) / max(x.size - 2, 1) / float(across @ across)
    return slope, float(y.mean() - slope * x.mean()), math.sqrt(variance)


def _pair(
    name: str, first: np.ndarray, other: str, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(
            f"{name} of shape {a.shape} and {other} of shape {b.shape}: give one-dimensional "
            "arrays of the same length, every value finite"
        )
    return a, b
