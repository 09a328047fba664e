"""Significance: paired tests between evaluations, and a regression on few points.

Tests are cluster-robust (`clustered`), since rows of the same image or statement are not independent. Exact McNemar
assumes independent rows; its counts and p-value are reported too, but no conclusion is drawn from them.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from clseave.statistics.clustered import LEVEL, Estimate, codes, estimate
from clseave.statistics.metrics import rounded

ALPHA = 0.05
ORDERS = 400_000  # most permutations: all of them up to nine points (9! = 362,880)
FEWEST = 10  # points from which on a regression may support a conclusion
_WORDS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def _as_table(name: str, hits: np.ndarray) -> np.ndarray:
    """Return hits as (seeds, N) bool. ValueError when they are not bool, such as means over seeds."""
    table = np.atleast_2d(np.asarray(hits))
    if table.dtype != np.bool_ or table.ndim != 2 or not table.size:
        raise ValueError(f"{name}: expected hits as bool, (rows,) or (seeds, rows), found {table.dtype} {table.shape}")
    return table


def mcnemar(hits_a: np.ndarray, hits_b: np.ndarray) -> dict[str, Any]:
    """Exact McNemar test of two (N,) bool: rows that only the first (`b`) or only the second (`c`) has right, and `p`.

    `p` is the two-sided binomial p-value of `b` in `b + c` at 1/2, not rounded; 1 when `b + c` is 0. Source: McNemar
    (1947), Psychometrika 12; recommended for two classifiers on one test set by Dietterich (1998), Neural
    Computation 10. ValueError when the sizes differ or a value is not bool.
    """
    (first,), (second,) = _as_table("first", hits_a), _as_table("second", hits_b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} hits: McNemar compares the same rows")
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return {"b": b, "c": c, "p": float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0}


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-corrected p-values, in the given order. Source: Holm (1979), Scandinavian J. Statistics 6."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def with_tests(rows: Sequence[dict[str, Any]], estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Add to each row its difference in points: interval, p, p after Holm over all rows, and whether `significant`.

    A difference is significant when the corrected two-way p is below `ALPHA` and the intervals clustered by image only
    and by statement only exclude 0 too. One that is not does not mean that the two are equal.
    """
    corrected = holm([gap.p for gap in estimates])
    return [
        row
        | {"points": rounded(gap.value), "low": rounded(gap.low), "high": rounded(gap.high)}
        | {"p": rounded(gap.p), "p_holm": rounded(p), "significant": bool(p < ALPHA and gap.robust)}
        for row, gap, p in zip(rows, estimates, corrected, strict=True)
    ]


def pairwise(
    hits: Mapping[str, np.ndarray],
    images: Sequence[str],
    statements: Sequence[str],
    seeds: Callable[[str, str], float] = lambda first, second: 0.0,
) -> list[dict[str, Any]]:
    """Return one row for each pair of evaluations: their difference as in `with_tests`, and McNemar's test.

    `hits` are bool, (N,) or (seeds, N), on the same rows in the same order; `images` and `statements` are ids of those
    rows. `points` is `evaluation` minus `other`, both as means over the seeds; `seeds` returns the variance that the
    choice of seeds adds. McNemar needs one bool per row: `b`, `c` and `mcnemar_p` are of the first seed.
    A printed p of 0 means below half a millionth. ValueError when sizes differ or a value is not bool.
    """
    tables = {name: _as_table(name, values) for name, values in hits.items()}
    rows, estimates = [], []
    clusters = codes(images), codes(statements)
    for first, second in combinations(tables, 2):
        test = mcnemar(tables[first][0], tables[second][0])
        rows.append(
            {"evaluation": first, "other": second, "b": test["b"], "c": test["c"], "mcnemar_p": rounded(test["p"])}
        )
        points = 100 * (tables[first].mean(0) - tables[second].mean(0))
        estimates.append(estimate(points, *clusters, seeds=seeds(first, second)))
    return with_tests(rows, estimates)


def regression(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Least squares of N `y` on N `x`: slope, intercept, r and r squared, 95 % intervals, p, and a conclusion.

    The slope's interval uses Student's t with N - 2 degrees of freedom, the interval of r Fisher's z (-1 to 1 at three
    points). p is a permutation test of r: twice the smaller tail (Pitman 1937) over all N! orders of `y`, or over
    `ORDERS` random orders from ten points on. `supports` is True from `FEWEST` points on when the slope's interval
    excludes 0; `sentence` is the conclusion in words. ValueError when there are fewer than three points, the sizes
    differ, a value is not finite, or all values of `x` or of `y` are equal.
    """
    first, second = _points(x, y)
    n = len(first)
    fit = stats.linregress(first, second)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 2) * fit.stderr)
    low, high = float(fit.slope) - half, float(fit.slope) + half
    orders = stats.PermutationMethod(n_resamples=ORDERS, batch=10_000, rng=np.random.default_rng(0))
    tested = stats.pearsonr(first, second, method=orders)
    r_low, r_high = stats.pearsonr(first, second).confidence_interval(LEVEL)
    supports = n >= FEWEST and not low <= 0 <= high
    numbers = {"slope": fit.slope, "slope_low": low, "slope_high": high, "intercept": fit.intercept}
    numbers |= {"r": fit.rvalue, "r_low": r_low, "r_high": r_high, "r2": fit.rvalue**2, "p": tested.pvalue}
    rows: dict[str, Any] = {key: rounded(value) for key, value in numbers.items()}
    return {"points": n} | rows | {"supports": supports, "sentence": _sentence(n, supports)}


def _points(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return both as (N,) float64; ValueError when no line can be fitted."""
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.shape != second.shape or len(first) < 3:
        raise ValueError(f"{len(first)} and {len(second)} values: a regression needs equally many, at least three")
    if not np.isfinite([first, second]).all() or not np.ptp(first) or not np.ptp(second):
        raise ValueError("a regression needs finite values that are not all equal")
    return first, second


def _sentence(n: int, supports: bool) -> str:
    """Return the conclusion from `n` points in words."""
    if n < FEWEST:
        return f"{_WORDS[n]} points support no regression"
    return f"{n} points: the slope's 95 % interval {'excludes' if supports else 'holds'} 0"
