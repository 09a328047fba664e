"""Intervals and tests of a mean over rows that share an image, a statement or both: two-way cluster-robust variance.

Source: Cameron, Gelbach and Miller (2011), Robust Inference with Multiway Clustering, Journal of Business & Economic
Statistics 29: variance = V(by image) + V(by statement) - V(by both), each times G / (G - 1) for its G clusters, and
Student's t with min(G) - 1 degrees of freedom. statsmodels computes the three variances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

LEVEL = 0.95
Ids = Sequence[Any] | np.ndarray  # the cluster of each row
_ZERO = 1e-20  # a smaller variance of a mean is rounding error


@dataclass(frozen=True)
class Estimate:
    """A mean, its interval, the p-value of a mean of 0, and whether both one-way intervals exclude 0.

    Where every image has the same mean, as for a model that predicts a constant label on a balanced set, the interval
    has width 0 and p is 1. With fewer than two images or statements the interval is None and p is 1.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    robust: bool

    def within(self, least: float, most: float) -> tuple[float | None, float | None]:
        """Return the interval clipped to the possible values, such as 0 to 1 for a share."""
        low, high = (None if end is None else min(max(end, least), most) for end in (self.low, self.high))
        return low, high


def codes(names: Ids) -> np.ndarray:
    """Return integer codes (N,) of N names: equal names have equal codes."""
    if isinstance(names, np.ndarray):
        return np.unique(names, return_inverse=True)[1]
    known: dict[Any, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def variances(values: np.ndarray, images: Ids, statements: Ids) -> tuple[float, float, float]:
    """Return the variance of the mean of (N,) values: two-way, by image only, by statement only.

    The two-way variance is a difference of estimates and may come out too small: it is at least each one-way variance.
    """
    groups = np.stack([codes(images), codes(statements)], axis=1)
    fitted = OLS(np.asarray(values, dtype=np.float64), np.ones(len(values))).fit()
    two_way, by_image, by_statement = (float(part.item()) for part in cov_cluster_2groups(fitted, groups))
    return max(two_way, by_image, by_statement), by_image, by_statement


def estimate(values: np.ndarray, images: Ids, statements: Ids, *, seeds: float = 0.0, level: float = LEVEL) -> Estimate:
    """Estimate the mean of (N,) values, clustered by the image and the statement of each row.

    `seeds` is the variance that the choice of training seeds adds; it is added to one-way and two-way variances.
    ValueError when there is no row or the lengths differ.
    """
    if not len(values) == len(images) == len(statements) or not len(values):
        raise ValueError(
            f"{len(values)} values, {len(images)} images, {len(statements)} statements: expected as many, at least one"
        )
    value, sizes = float(np.mean(values)), (len(np.unique(codes(images))), len(np.unique(codes(statements))))
    if min(sizes) < 2:
        return Estimate(value, None, None, 1.0, robust=False)
    two_way, *one_way = variances(values, images, statements)
    if one_way[0] < _ZERO:  # every image has the same mean
        return Estimate(value, value, value, 1.0, robust=False)
    half = _half_width(two_way + seeds, min(sizes), level)
    halves = [_half_width(variance + seeds, size, level) for variance, size in zip(one_way, sizes, strict=True)]
    p = 2 * float(stats.t.sf(abs(value) / np.sqrt(two_way + seeds), min(sizes) - 1))
    return Estimate(value, value - half, value + half, p, robust=all(abs(value) > one_half for one_half in halves))


def _half_width(variance: float, clusters: int, level: float) -> float:
    """Return half the width of an interval by Student's t with `clusters` - 1 degrees of freedom."""
    return float(stats.t.ppf((1 + level) / 2, clusters - 1) * np.sqrt(variance))


def of_seeds(values: Sequence[float], averaged: int) -> float:
    """Return the variance that the choice of seeds adds to a mean over `averaged` seeds, from the values of all known
    seeds; 0 when fewer than two are known.
    """
    return float(np.var(values, ddof=1)) / averaged if len(values) > 1 else 0.0


def share(values: np.ndarray, images: Ids, statements: Ids, *, seeds: float = 0.0) -> Estimate:
    """Return `estimate` of (N,) shares of 1, its interval clipped to [0, 1]."""
    result = estimate(values, images, statements, seeds=seeds)
    low, high = result.within(0.0, 1.0)
    return replace(result, low=low, high=high)
