"""Whether a difference is more than chance: paired tests between evaluations, and a regression on few points.

The test is that of `clustered`: rows of one image are not independent, and neither are those of one statement. Exact
McNemar takes all rows for independent; its counts and its p are given beside it, nothing is concluded from them.
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
ORDERS = 400_000  # permutations at most: all of them up to nine points (9! = 362,880)
FEWEST = 10  # points of a regression
_WORDS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def _judged(name: str, hits: np.ndarray) -> np.ndarray:
    """Hits as (seeds, N) bool. ValueError when they are not right or wrong, such as means over seeds."""
    table = np.atleast_2d(np.asarray(hits))
    if table.dtype != np.bool_ or table.ndim != 2 or not table.size:
        raise ValueError(f"{name}: expected hits as bool, (rows,) or (seeds, rows), found {table.dtype} {table.shape}")
    return table


def mcnemar(hits_a: np.ndarray, hits_b: np.ndarray) -> dict[str, Any]:
    """Exact McNemar test of two (N,) bool: rows that only the first (`b`) and only the second (`c`) has right, and p.

    Two-sided binomial p of `b` in `b + c` at 1/2, not rounded; 1 when no row tells them apart. Source: McNemar (1947),
    Psychometrika 12; recommended for two classifiers on one test set by Dietterich (1998), Neural Computation 10.
    ValueError when the sizes differ or a value is not bool.
    """
    (one,), (other,) = _judged("first", hits_a), _judged("second", hits_b)
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} hits: McNemar compares the same rows")
    b, c = int((one & ~other).sum()), int((other & ~one).sum())
    return {"b": b, "c": c, "p": float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0}


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in their order: step-down of Holm (1979), Scandinavian J. Statistics 6."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def judged(rows: Sequence[dict[str, Any]], found: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Rows with the estimate of their difference in points: interval, p, p after Holm over all rows, and `apart`.

    Two evaluations are apart where the corrected two-way test says so and the intervals that cluster by image alone
    and by statement alone exclude 0 too; else they are tied, which does not mean equal.
    """
    corrected = holm([one.p for one in found])
    return [
        row
        | {"points": rounded(one.value), "low": rounded(one.low), "high": rounded(one.high)}
        | {"p": rounded(one.p), "p_holm": rounded(p), "apart": bool(p < ALPHA and one.robust)}
        for row, one, p in zip(rows, found, corrected, strict=True)
    ]


def pairwise(
    hits: Mapping[str, np.ndarray],
    images: Sequence[str],
    statements: Sequence[str],
    seeds: Callable[[str, str], float] = lambda one, other: 0.0,
) -> list[dict[str, Any]]:
    """One row for each two evaluations: what `judged` says of their difference, and McNemar.

    `hits` are bool, (N,) or (seeds, N), on the same rows in the same order; `images` and `statements` are of those
    rows. `points` is `evaluation` minus `other`, both as means over the seeds; `seeds` gives the variance that their
    choice adds. McNemar needs one right-or-wrong a row, so `b`, `c` and `mcnemar_p` are of the first seed.
    A printed p of 0 means below half a millionth. ValueError when sizes differ or a value is not bool.
    """
    tables = {name: _judged(name, found) for name, found in hits.items()}
    rows, found = [], []
    places = codes(images), codes(statements)
    for one, other in combinations(tables, 2):
        test = mcnemar(tables[one][0], tables[other][0])
        rows.append(
            {"evaluation": one, "other": other, "b": test["b"], "c": test["c"], "mcnemar_p": rounded(test["p"])}
        )
        points = 100 * (tables[one].mean(0) - tables[other].mean(0))
        found.append(estimate(points, *places, seeds=seeds(one, other)))
    return judged(rows, found)


def regression(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Least squares of N `y` on N `x`: slope, intercept, r and r squared, 95 % intervals, p, and what that supports.

    The slope's interval is Student's t with N - 2 degrees of freedom, that of r Fisher's z (all of -1 to 1 at three
    points). p is exact: r among the r of all N! orders of `y`, twice the smaller tail (Pitman 1937), from ten points
    on among `ORDERS` random ones. `supports` is False below `FEWEST` points, whatever p says, and else when the slope's
    interval holds 0; `sentence` says so. ValueError when there are fewer than three points, the sizes differ, a value
    is not finite, or all values of one are equal.
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
    """Both as (N,) float64; ValueError when no line can be drawn through them."""
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.shape != second.shape or len(first) < 3:
        raise ValueError(f"{len(first)} and {len(second)} values: a regression needs as many of both, at least three")
    if not np.isfinite([first, second]).all() or not np.ptp(first) or not np.ptp(second):
        raise ValueError("a regression needs finite values that are not all equal")
    return first, second


def _sentence(n: int, supports: bool) -> str:
    """What `n` points say, in words."""
    if n < FEWEST:
        return f"{_WORDS[n]} points support no regression"
    return f"{n} points: the slope's 95 % interval {'excludes' if supports else 'holds'} 0"
