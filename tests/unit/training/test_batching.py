"""Which rows make a batch."""

import numpy as np
import pytest

from clseave.models.tokens import in_order
from clseave.training.batching import LIKE, draw_batches

LENGTHS = np.random.default_rng(0).integers(3, 30, size=203)
GROUPS = np.random.default_rng(1).integers(0, 60, size=203)
SAMPLERS = pytest.mark.parametrize("sampler", ["bucket", "random"])
GROUPED = pytest.mark.parametrize("grouping", [{}, {"groups": GROUPS, "rows_per_group": 4}], ids=["rows", "groups"])


def padded(batches):
    return sum(len(rows) * LENGTHS[rows].max() for rows in batches)


@SAMPLERS
@GROUPED
@pytest.mark.parametrize("size", [5, 16, 64, 500])
def test_every_row_comes_once_and_batches_differ_by_one_row_at_most(sampler, grouping, size):
    batches = draw_batches(LENGTHS, size, sampler, [0, 1], **grouping)
    assert sorted(np.concatenate(batches)) == list(range(203))
    sizes = [len(rows) for rows in batches]
    assert max(sizes) - min(sizes) <= 1 and abs(np.mean(sizes) - min(size, 203)) <= size / 2


@pytest.mark.parametrize("size", [4, 8, 16])
def test_no_batch_has_one_row(size):
    for count in range(2, 50):
        assert min(map(len, draw_batches(np.full(count, 5), size, "bucket", [0]))) >= 2, count


@SAMPLERS
@GROUPED
def test_the_seed_decides(sampler, grouping):
    def flat(seed):
        return [rows.tolist() for rows in draw_batches(LENGTHS, 16, sampler, seed, **grouping)]

    assert flat([0, 1]) == flat([0, 1])
    assert flat([0, 1]) != flat([0, 2]) and flat([0, 1]) != flat([1, 1])


def test_buckets_need_less_padding():
    bucket, random = (padded(draw_batches(LENGTHS, 16, sampler, [0])) for sampler in ("bucket", "random"))
    # No more than a batch or two on each border of a class of lengths is longer than it must be.
    least = sum(-(-LENGTHS // LIKE) * LIKE)
    assert sum(LENGTHS) <= bucket < 1.1 * least < random


def test_buckets_mix_lengths_that_differ_little():
    batches = draw_batches(LENGTHS, 16, "bucket", [0])
    assert sum(len(set(LENGTHS[rows])) > 2 for rows in batches) > len(batches) / 2


def test_batches_do_not_come_in_the_order_of_length():
    longest = [LENGTHS[rows].max() for rows in draw_batches(LENGTHS, 16, "bucket", [0])]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


@SAMPLERS
def test_rows_of_one_group_share_a_batch(sampler):
    # 50 groups of 4 rows of one length each; batches of 8 rows hold exactly two groups.
    groups = np.repeat(np.arange(50), 4)
    batches = draw_batches(5 + groups % 10, 8, sampler, [0], groups=groups, rows_per_group=4)
    assert all(len(set(groups[rows])) == 2 for rows in batches)


def test_a_large_group_is_cut_into_runs():
    groups = np.zeros(64, dtype=int)
    groups[32:] = np.arange(1, 33)
    batches = draw_batches(np.full(64, 5), 8, "random", [0], groups=groups, rows_per_group=4)
    # 8 runs of four are spread; without the cut, four batches would hold group 0 alone.
    assert sum((groups[rows] == 0).all() for rows in batches) <= 2
    assert sum((groups[rows] == 0).any() for rows in batches) >= 4


def test_one_row_a_group_is_no_grouping():
    plain = draw_batches(LENGTHS, 16, "random", [0])
    assert all(map(np.array_equal, plain, draw_batches(LENGTHS, 16, "random", [0], groups=GROUPS, rows_per_group=1)))


@pytest.mark.parametrize(("count", "size", "wanted"), [(5, 2, [[0, 1], [2, 3], [4]]), (2, 5, [[0, 1]]), (0, 3, [])])
def test_inference_goes_in_order(count, size, wanted):
    assert [rows.tolist() for rows in in_order(count, size)] == wanted
