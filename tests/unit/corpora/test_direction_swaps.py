"""Negatives by rule, and training examples without minimal pairs."""

import pytest

from clseave.corpora.direction_swaps import negatives, swap_direction, unpaired
from clseave.foundation.rows.records import Example, hypothesis_id


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A square lies somewhere left of a triangle", "A square lies somewhere right of a triangle"),
        ("Right of a circle there is a diamond", "Left of a circle there is a diamond"),
        ("A man stands in front of a house.", "A man stands behind a house."),
        ("Birds above water", "Birds below water"),
        ("A bird above a dog left of a house", None),  # two directions
        ("There is a circle in the left half", None),
        ("An aboveboard deal", None),
    ],
)
def test_the_only_direction_is_exchanged(text, wanted):
    assert swap_direction(text) == wanted
    if wanted:
        assert swap_direction(wanted) == text


def example(number, text, label, pair=None):
    return Example(
        f"p{number}", "i", hypothesis_id(text), text, label, "train", "relation", True, statement="s", pair=pair
    )


def test_entailed_directions_become_contradictions():
    rows = [
        example(0, "A dog above a cat", "entailment"),
        example(1, "A dog above a bird", "neutral"),
        example(2, "A dog", "entailment"),
    ]
    (made,) = negatives(rows)
    text = "A dog below a cat"
    assert (made.pair_id, made.image_id, made.hypothesis) == ("p0-swapped", "i", text)
    assert (made.hypothesis_id, made.label, made.statement) == (hypothesis_id(text), "contradiction", None)


def test_one_row_of_each_pair_is_left_out():
    rows = [example(number, f"text {number}", "neutral", pair=f"m{number // 2}") for number in range(40)]
    rows.insert(7, example(99, "alone", "entailment"))
    kept = unpaired(rows, 0)
    assert sorted(row.pair for row in kept if row.pair) == sorted({row.pair for row in rows if row.pair})
    assert rows[7] in kept and kept == unpaired(rows, 0) != unpaired(rows, 1)
    assert 0 < sum(int(row.pair_id[1:]) % 2 for row in kept if row.pair) < 20  # not always the first one
