"""Intervals and tests of a mean over rows that share an image, a statement or both: two-way cluster-robust variance.

Source: Cameron, Gelbach and Miller (2011), Robust Inference with Multiway Clustering, Journal of Business & Economic
Statistics 29: variance = that of clusters of one kind + that of the other - that of their intersections, each times
G / (G - 1) for its G clusters, and Student's t with min(G) - 1 degrees of freedom. statsmodels computes the three.
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
_NONE = 1e-20  # a variance of a mean below this is rounding


@dataclass(frozen=True)
class Estimate:
    """A mean, its interval, the p of no difference from 0, and whether both one-way intervals exclude 0.

    The interval has no width, and nothing is tested (p 1), where every image has the same mean, as by design for a
    model that says one thing. It is None, and p 1, where there are fewer than two images or statements.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    robust: bool

    def within(self, least: float, most: float) -> tuple[float | None, float | None]:
        """The interval cut to the values that are possible, such as 0 to 1 of a share."""
        low, high = (None if end is None else min(max(end, least), most) for end in (self.low, self.high))
        return low, high


def codes(names: Ids) -> np.ndarray:
    """Whole numbers (N,) in place of N names: equal where those are equal."""
    if isinstance(names, np.ndarray):
        return np.unique(names, return_inverse=True)[1]
    known: dict[Any, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def variances(values: np.ndarray, images: Ids, statements: Ids) -> tuple[float, float, float]:
    """Variance of the mean of (N,) values: two-way, by image alone, by statement alone.

    The two-way one is the larger one-way variance where it is below that, as a difference of three estimates may be.
    """
    groups = np.stack([codes(images), codes(statements)], axis=1)
    fitted = OLS(np.asarray(values, dtype=np.float64), np.ones(len(values))).fit()
    both, one, other = (float(part.item()) for part in cov_cluster_2groups(fitted, groups))
    return max(both, one, other), one, other


def estimate(values: np.ndarray, images: Ids, statements: Ids, *, seeds: float = 0.0, level: float = LEVEL) -> Estimate:
    """Mean of (N,) values with its interval, from the image and the statement of each row.

    `seeds` is the variance of the mean that the choice of training seeds adds; it enters one-way and two-way variances.
    ValueError when there is no row or the lengths differ.
    """
    if not len(values) == len(images) == len(statements) or not len(values):
        raise ValueError(
            f"{len(values)} values, {len(images)} images, {len(statements)} statements: expected as many, at least one"
        )
    value, sizes = float(np.mean(values)), (len(np.unique(codes(images))), len(np.unique(codes(statements))))
    if min(sizes) < 2:
        return Estimate(value, None, None, 1.0, robust=False)
    both, one, other = variances(values, images, statements)
    if one < _NONE:  # every image has the same mean
        return Estimate(value, value, value, 1.0, robust=False)
    half = _half(both + seeds, min(sizes), level)
    alone = [_half(part + seeds, size, level) for part, size in zip((one, other), sizes, strict=True)]
    p = 2 * float(stats.t.sf(abs(value) / np.sqrt(both + seeds), min(sizes) - 1))
    return Estimate(value, value - half, value + half, p, robust=all(abs(value) > part for part in alone))


def _half(variance: float, clusters: int, level: float) -> float:
    """Half the width of an interval by Student's t with one degree of freedom less than clusters."""
    return float(stats.t.ppf((1 + level) / 2, clusters - 1) * np.sqrt(variance))


def of_seeds(values: Sequence[float], averaged: int) -> float:
    """What the choice of seeds adds to the variance of a mean over `averaged` of them; `values` are of each seed known.

    0 for fewer than two, whose spread is not known.
    """
    return float(np.var(values, ddof=1)) / averaged if len(values) > 1 else 0.0


def share(values: np.ndarray, images: Ids, statements: Ids, *, seeds: float = 0.0) -> Estimate:
    """`estimate` of (N,) shares of 1, its interval cut to 0 and 1."""
    found = estimate(values, images, statements, seeds=seeds)
    low, high = found.within(0.0, 1.0)
    return replace(found, low=low, high=high)
