"""Two-way clustered variances by hand, against statsmodels' regression, and in the cases where they say nothing."""

import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.regression.linear_model import OLS

from clseave.statistics import clustered

VALUES, IMAGES, STATEMENTS = np.array([1, 1, 0, 1, 0, 0]), list("aaabbb"), list("xyzxyz")


def test_a_toy_of_two_images_and_three_statements():
    """Two images by three statements, a row of each pair: 1 1 0 / 1 0 0, mean 1/2, residuals +-1/2, N = 6.

    Sums of residuals by image: 1/2, -1/2; squares 1/2, times G/(G-1) = 2, over 36: 1/36.
    By statement: 1, 0, -1; squares 2, times 3/2, over 36: 3/36.
    By row (the intersections): six times 1/4, times 6/5, over 36: 1.8/36.
    Two-way: (1 + 3 - 1.8)/36 = 2.2/36, below the 3/36 of statements alone, which is taken.
    """
    both, image, statement = clustered.variances(VALUES, IMAGES, STATEMENTS)
    assert (image, statement) == pytest.approx((1 / 36, 3 / 36))
    assert both == pytest.approx(3 / 36)


def test_a_toy_whose_two_way_variance_is_larger():
    """Images 1 1 1 / 0 0 0 by statements, but the last row: 1 1 1 / 1 0 0, mean 2/3, N = 6, residuals 1/3 or -2/3.

    By image: 1, -1; squares 2, times 2, over 36: 4/36. By statement (1+1, 1+0, 1+0): 2/3, -1/3, -1/3; squares 6/9,
    times 3/2, over 36: 1/36. By row: four times 1/9 and two times 4/9 make 12/9, times 6/5, over 36: 1.6/36.
    Two-way 3.4/36, below the image's 4/36. With each statement in one image only, its clusters are the intersections
    and the two-way variance is the image's: 4/36 again.
    """
    values = np.array([1, 1, 1, 1, 0, 0])
    assert clustered.variances(values, IMAGES, STATEMENTS) == pytest.approx((4 / 36, 4 / 36, 1 / 36))
    both, image, row = clustered.variances(values, IMAGES, list("uvwxyz"))
    assert (both, image, row) == pytest.approx((4 / 36, 4 / 36, 1.6 / 36))


def test_both_clusterings_add_up():
    """Three images by three statements with effects of both: value = image + statement, each -1, 0, 1; mean 0, N = 9.

    By image: sums -3, 0, 3; squares 18, times 3/2, over 81: 27/81. By statement the same. By row: squares of
    -2 -1 0 / -1 0 1 / 0 1 2 are 12, times 9/8, over 81: 13.5/81. Two-way: 40.5/81 = 1/2; t has two degrees of freedom.
    """
    values = np.add.outer([-1, 0, 1], [-1, 0, 1]).ravel()
    images, statements = np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3)
    assert clustered.variances(values, images, statements) == pytest.approx((1 / 2, 1 / 3, 1 / 3))
    found = clustered.estimate(values + 5.0, images, statements)
    half = t.ppf(0.975, 2) * math.sqrt(1 / 2)
    assert (found.value, found.low, found.high) == pytest.approx((5, 5 - half, 5 + half))
    assert found.p == pytest.approx(2 * t.sf(5 / math.sqrt(1 / 2), 2)) and found.robust
    wider = clustered.estimate(values + 5.0, images, statements, seeds=1.5)  # 1/2 + 3/2
    assert wider.high - 5 == pytest.approx(t.ppf(0.975, 2) * math.sqrt(2))


def test_it_is_the_regression_on_a_constant():
    generator = np.random.default_rng(1)
    images, statements = generator.integers(0, 40, 500), generator.integers(0, 30, 500)
    values = generator.normal(size=40)[images] + generator.normal(size=30)[statements] + generator.normal(size=500)
    groups = np.stack([images, statements], axis=1)
    fitted = OLS(values, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    both, _, _ = clustered.variances(values, images.astype(str).tolist(), statements)
    assert both == pytest.approx(float(fitted.cov_params().item()))


def test_a_share_that_the_design_fixes_has_no_interval():
    hits = np.array([1, 0, 0, 0, 1, 0])  # one row of three is right in each image, whatever the statements
    found = clustered.estimate(hits, IMAGES, STATEMENTS)
    assert found.low == found.high == found.value == pytest.approx(1 / 3)
    same = clustered.estimate(np.zeros(6), IMAGES, STATEMENTS)
    assert (same.low, same.high, same.p, same.robust) == (0.0, 0.0, 1.0, False)


@pytest.mark.parametrize(("images", "statements"), [("aaaaaa", "xyzxyz"), ("aaabbb", "xxxxxx")])
def test_one_cluster_says_nothing(images, statements):
    found = clustered.estimate(VALUES, list(images), list(statements))
    assert (found.low, found.high, found.p, found.robust) == (None, None, 1.0, False)
    assert found.within(0, 1) == (None, None)


def test_one_way_intervals_must_exclude_zero_too():
    # Images differ little, the statements much: by image alone 0 is excluded, by statement alone it is not.
    values, images = np.array([3.0, 0.1, -0.1, 3.1, 0.0, 0.0]), list("aaabbb")
    by_image = clustered.variances(values, images, STATEMENTS)[1]
    assert values.mean() > t.ppf(0.975, 1) * math.sqrt(by_image)
    assert not clustered.estimate(values, images, STATEMENTS).robust


def test_a_share_stays_between_0_and_1():
    low, high = clustered.estimate(np.array([1, 1, 1, 1, 1, 0]), IMAGES, STATEMENTS).within(0, 1)
    assert low is not None and 0 <= low < 5 / 6 and high == 1


def test_seeds_add_the_variance_of_their_mean():
    assert clustered.of_seeds([0.8, 0.9, 1.0], 3) == pytest.approx(0.01 / 3)
    assert clustered.of_seeds([0.8, 0.9, 1.0], 1) == pytest.approx(0.01)  # a run of one seed, of which three are known
    assert clustered.of_seeds([0.8], 1) == clustered.of_seeds([], 1) == 0.0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 values, 1 images, 2 statements"):
        clustered.estimate(np.ones(2), ["a"], ["x", "y"])
