"""Minimal pairs by hand."""

import numpy as np
import pytest

from clseave.statistics import swaps

PAIRS = ["p", None, "q", "p", "q", "r"]  # the other row of r is missing


def test_swap_accuracy_by_hand():
    hits = np.array([1, 1, 1, 1, 0, 1], dtype=bool)  # p: both, q: the first
    assert swaps.complete(PAIRS).tolist() == [[0, 3], [2, 4]]
    assert swaps.summary(hits, PAIRS) == {"swap_pairs": 2, "swap_accuracy": 0.5, "swap_rows": 0.75}


def test_who_answers_both_rows_alike_has_no_pair():
    gold = np.array([0, 1, 0, 2])
    for answer in range(3):
        found = swaps.summary(np.full(4, answer) == gold, ["p", "p", "q", "q"])
        assert found["swap_accuracy"] == 0.0


def test_without_pairs_there_is_nothing_to_say():
    assert swaps.summary(np.ones(2), [None, "p"]) == dict.fromkeys(("swap_pairs", "swap_accuracy", "swap_rows"))


def test_a_pair_has_two_rows():
    with pytest.raises(ValueError, match="minimal pair p has 3 rows"):
        swaps.complete(["p", "p", "p"])
