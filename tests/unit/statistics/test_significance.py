"""Paired tests and the small regression against values computed by hand, in closed form or by enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm, t
from statsmodels.stats.contingency_tables import mcnemar as reference

from clseave.statistics import significance
from clseave.statistics.clustered import Estimate


def split(both, first, second, neither):
    """Hits of two evaluations with so many rows right in both, in one only, in none."""
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return np.array(one), np.array(other)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (1, 5, 2 * (1 + 6) / 64),  # P(at most 1 of 6), twice
        (0, 4, 2 / 16),
        (3, 3, 1.0),
        (0, 0, 1.0),  # they are equal
    ],
)
def test_mcnemar_by_hand(first, second, p):
    found = significance.mcnemar(*split(20, first, second, 3))
    assert found == {"b": first, "c": second, "p": pytest.approx(p, abs=1e-12)}


def test_mcnemar_agrees_with_statsmodels():
    generator = np.random.default_rng(3)
    one, other = generator.random(300) < 0.7, generator.random(300) < 0.6
    table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), (~one & ~other).sum()]]
    assert significance.mcnemar(one, other)["p"] == pytest.approx(reference(table, exact=True).pvalue, abs=1e-12)


def test_mcnemar_is_symmetric():
    one, other = split(5, 2, 9, 1)
    turned = significance.mcnemar(other, one)
    assert (turned["b"], turned["c"], turned["p"]) == (9, 2, significance.mcnemar(one, other)["p"])


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (np.array([True]), np.array([True, False]), "1 and 2 hits"),
        (np.array([0.5, 1.0]), np.array([True, False]), "first: expected hits as bool, .* found float64"),
        (np.array([True]), np.array([], dtype=bool), "second: expected hits as bool"),
    ],
)
def test_mcnemar_refuses_what_is_not_right_or_wrong(one, other, message):
    with pytest.raises(ValueError, match=message):
        significance.mcnemar(one, other)


def test_holm_by_hand():
    # Sorted: 4 x .005, 3 x .01, 2 x .03, then not below the one before.
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]
    assert significance.holm([]) == []


def test_pairs_hold_differences_and_corrected_values():
    hits = dict(zip("xyz", [*split(10, 6, 0, 4), np.array([True] * 20)], strict=True))
    ids = [str(row) for row in range(20)]
    rows = significance.pairwise(hits, ids, ids)
    assert [(row["evaluation"], row["other"], row["b"], row["c"]) for row in rows] == [
        ("x", "y", 6, 0),
        ("x", "z", 0, 4),
        ("y", "z", 0, 10),
    ]
    assert [row["points"] for row in rows] == [30.0, -20.0, -50.0]
    assert [row["mcnemar_p"] for row in rows] == pytest.approx([2 / 2**6, 2 / 2**4, 2 / 2**10], abs=5e-7)
    # Every row its own cluster: the paired t test. A share s of 20 rows differs: variance s (1 - s) / 19 of the mean.
    p = [2 * t.sf(s / math.sqrt(s * (1 - s) / 19), 19) for s in (0.3, 0.2, 0.5)]
    assert [row["p"] for row in rows] == pytest.approx(p, abs=1e-6)
    assert [row["p_holm"] for row in rows] == pytest.approx([2 * p[0], p[1], 3 * p[2]], abs=2e-6)
    assert [row["significant"] for row in rows] == [2 * p[0] < 0.05, p[1] < 0.05, True]
    assert all(row["low"] < row["points"] < row["high"] for row in rows)


def test_rows_of_one_image_fool_mcnemar_but_not_the_interval():
    # 40 images of 10 rows that are right or wrong together: 24 favour one evaluation, 16 the other.
    one = np.repeat(np.arange(40) < 24, 10)
    images, statements = [f"image{n // 10}" for n in range(400)], [f"said{n}" for n in range(400)]
    (row,) = significance.pairwise({"a": one, "b": ~one}, images, statements)
    assert (row["b"], row["c"], row["points"]) == (240, 160, 20.0)
    assert row["mcnemar_p"] < 0.001 < row["p"] and not row["significant"]
    half = 100 * t.ppf(0.975, 39) * math.sqrt((1 - 0.2**2) / 39)  # of 40 images, not of 400 rows
    assert (row["low"], row["high"]) == pytest.approx((20 - half, 20 + half), abs=1e-6)
    (turned,) = significance.pairwise({"a": one, "b": ~one}, statements, images)  # 40 statements of 10 images each
    assert (turned["low"], turned["significant"]) == (row["low"], False)


def test_mcnemar_is_of_the_first_seed_and_the_difference_of_the_mean():
    one, other = split(0, 3, 1, 0)
    rows = significance.pairwise({"a": np.stack([one, other]), "b": np.stack([other, other])}, "wxyz", "wxyz")
    assert (rows[0]["b"], rows[0]["c"], rows[0]["points"]) == (3, 1, 25.0)  # 50 points in one seed, 0 in the other


def test_the_choice_of_seeds_widens_an_interval():
    hits = dict(zip("xy", split(10, 6, 0, 4), strict=True))
    ids = [str(row) for row in range(20)]
    (row,) = significance.pairwise(hits, ids, ids, lambda one, other: 100.0)  # a standard error of 10 points
    half = t.ppf(0.975, 19) * math.sqrt(100**2 * 0.3 * 0.7 / 19 + 100)
    assert row["high"] - row["points"] == pytest.approx(half, abs=1e-6)


def test_apart_needs_the_corrected_test_and_both_one_way_intervals():
    sure = {"value": 1.0, "low": 0.5, "high": 1.5}
    found = [Estimate(**sure, p=p, robust=robust) for p, robust in ((0.001, True), (0.001, False), (0.04, True))]
    rows = significance.with_tests([{}, {}, {}], found)
    assert [row["p_holm"] for row in rows] == pytest.approx([0.003, 0.003, 0.04])
    assert [row["significant"] for row in rows] == [True, False, True]


def test_pairs_do_not_take_means_over_seeds():
    with pytest.raises(ValueError, match="b: expected hits as bool"):
        significance.pairwise({"a": np.array([True, False]), "b": np.array([0.5, 1.0])}, ["x", "y"], ["x", "y"])


def test_line_through_three_points_by_hand():
    found = significance.regression([1, 2, 3], [1, 2, 2])
    # Residuals -1/6, 2/6, -1/6: variance 1/6 with one degree of freedom, over a sum of squares of 2.
    half = t.ppf(0.975, 1) * math.sqrt(1 / 6 / 2)
    assert (found["slope"], found["intercept"], found["r2"]) == (0.5, 0.666667, 0.75)
    assert found["slope_low"] == pytest.approx(0.5 - half, abs=1e-6)
    assert found["slope_high"] == pytest.approx(0.5 + half, abs=1e-6)
    assert (found["r_low"], found["r_high"]) == (-1.0, 1.0)
    assert found["p"] == round(2 * 2 / 6, 6)  # two of six orders are as steep
    assert found["sentence"] == "three points support no regression"


def test_a_perfect_line_through_five_points_supports_nothing():
    found = significance.regression([1, 2, 3, 4, 5], [3, 5, 7, 9, 11])
    assert (found["points"], found["slope"], found["intercept"], found["r"]) == (5, 2.0, 1.0, 1.0)
    assert found["p"] == round(2 / 120, 6)
    assert (found["supports"], found["sentence"]) == (False, "five points support no regression")


def test_p_is_that_of_all_orders():
    x, y = [0.1, 0.7, 0.2, 0.9, 0.4], [3.0, 1.0, 4.0, 1.5, 2.0]
    scores = [np.corrcoef(x, order)[0, 1] for order in itertools.permutations(y)]
    seen = np.corrcoef(x, y)[0, 1]
    tail = min(np.mean(np.array(scores) >= seen - 1e-12), np.mean(np.array(scores) <= seen + 1e-12))
    assert significance.regression(x, y)["p"] == pytest.approx(2 * tail, abs=1e-6)


def test_ten_points_may_support_a_regression():
    x = np.arange(10.0)
    found = significance.regression(x, x + np.array([1, -1] * 5))
    around = np.tanh(np.arctanh(found["r"]) + norm.ppf([0.025, 0.975]) / math.sqrt(7))  # Fisher's z
    assert (found["r_low"], found["r_high"]) == pytest.approx(tuple(around), abs=1e-5)
    assert (found["supports"], found["sentence"]) == (True, "10 points: the slope's 95 % interval excludes 0")
    flat = significance.regression(x, np.array([1, -1] * 5))
    assert (flat["supports"], flat["sentence"]) == (False, "10 points: the slope's 95 % interval holds 0")
    assert flat == significance.regression(x, np.array([1, -1] * 5))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1, 2], "2 and 2 values"),
        ([1, 2, 3], [1, 2], "3 and 2 values"),
        ([1, 1, 1], [1, 2, 3], "not all equal"),
        ([1, 2, 3], [1, np.nan, 3], "finite"),
    ],
)
def test_a_regression_needs_points(x, y, message):
    with pytest.raises(ValueError, match=message):
        significance.regression(x, y)
