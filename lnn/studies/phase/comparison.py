"""Every method against the first one: speed-ups, bounds, bands, sign tests. No JAX.

A cell is significant by the exact sign test of its paired draws, with the false-discovery rate
controlled over many cells.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from lnn.results.statistics import quantile, speed_ratio


def speedups(steps: np.ndarray, budget: int, order: int) -> dict[str, np.ndarray]:
    """Return the speed-up of every method over the first, with bound, band and sign test.

    Args:
        steps: (p, decays, draws, methods, norms, targets); infinity if missed within the budget.
        budget: steps of every run.
        order: the band is the `order`-th smallest and largest of the paired speed-ups.

    Returns:
        Arrays (p, decays, methods - 1, norms, targets): `speedup`, of the medians, and `bound`;
        `low` and `high`, where draws that both missed may be anything; `sign`, of the draws on
        which the method is faster minus those on which it is slower; `p_value`, of `sign_test`;
        speed-up and p-value are NaN where both missed on the median draw.
    """
    plain, deep = steps[:, :, :, :1], steps[:, :, :, 1:]
    middle = quantile(plain, 0.5, axis=2), quantile(deep, 0.5, axis=2)
    gd_missed, missed = (np.isinf(value) for value in middle)
    ratio = speed_ratio(np.minimum(middle[0], budget), np.minimum(middle[1], budget))
    pairs = speed_ratio(*np.broadcast_arrays(plain, deep))
    unknown = np.isnan(pairs)  # both missed
    # Equal steps are ties, and so are two misses, of which nothing is known: both are dropped.
    faster, slower = np.sum(deep < plain, axis=2), np.sum(deep > plain, axis=2)
    neither = gd_missed & missed
    return {
        "speedup": np.where(neither, np.nan, ratio),
        "bound": np.where(gd_missed == missed, 0, np.where(gd_missed, 1, -1)).astype(np.int8),
        "low": np.sort(np.where(unknown, 0.0, pairs), axis=2)[:, :, order - 1],
        "high": np.sort(np.where(unknown, np.inf, pairs), axis=2)[:, :, -order],
        "sign": np.sign(faster - slower).astype(np.int8),
        "p_value": np.where(neither, np.nan, sign_test(faster, slower)),
    }


def sign_test(faster: np.ndarray, slower: np.ndarray) -> np.ndarray:
    """Return exact two-sided p-values of the hypothesis that either is as likely; ties dropped.

    2 P(Binomial(faster + slower, 1/2) <= min(faster, slower)), at most 1, and 1 without any draw.
    Source: J. D. Gibbons and S. Chakraborti, Nonparametric Statistical Inference, Section 5.4.

    Args:
        faster: numbers of draws, any shape.
        slower: the same shape.
    """
    tail = stats.binom.cdf(np.minimum(faster, slower), faster + slower, 0.5)
    values: np.ndarray = np.minimum(1.0, 2 * tail)
    return values


def adjusted(p_values: np.ndarray, method: Literal["bh", "by"] = "bh") -> np.ndarray:
    """Return p-values adjusted for the number of cells of each exponent, the first axis.

    Cells with an adjusted value of at most q have a false-discovery rate of at most q: by "bh"
    where tests are independent or positively dependent, by "by" under any dependence.
    Sources: Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, Journal of the
    Royal Statistical Society B 57 (1995); Y. Benjamini and D. Yekutieli, The control of the false
    discovery rate in multiple testing under dependency, Annals of Statistics 29 (2001).

    Args:
        p_values: (p, ...); NaN for cells without a test, which stay NaN and do not count.
        method: of these two.
    """
    values = np.full(p_values.shape, np.nan)
    for of_p, into in zip(p_values, values, strict=True):
        known = np.isfinite(of_p)
        if known.any():
            into[known] = stats.false_discovery_control(of_p[known], method=method)
    return values


def least_p_value(draws: int) -> float:
    """Return the least p-value of the sign test over so many draws."""
    return float(sign_test(np.array(draws), np.array(0)))
