"""Negatives by rule, and training examples without minimal pairs."""

from collections import Counter
from dataclasses import replace

import pytest

from clseave.corpora.direction_swaps import negatives, single, swap_direction, thinned
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


@pytest.fixture
def rows():
    """Twenty images of three relations each, of which two are a minimal pair, and one row of another kind for each."""
    made = []
    for image in range(20):
        for number, label in enumerate(("entailment", "neutral", "contradiction")):
            pair = f"m{image}" if number != 1 else None
            made.append(replace(example(len(made), f"text {image} {number}", label, pair=pair), image_id=f"i{image}"))
        made.append(replace(example(len(made), "alone", "entailment"), image_id=f"i{image}", kind="place"))
    return made


def test_without_pairs_one_relation_of_each_image_is_kept(rows):
    kept = single(rows, 0)
    relations = [row for row in kept if row.kind == "relation"]
    assert [row.image_id for row in relations] == [f"i{image}" for image in range(20)]
    assert {row.label for row in relations} == {"entailment", "neutral", "contradiction"}
    assert [row for row in kept if row.kind == "place"] == [row for row in rows if row.kind == "place"]
    assert kept == single(rows, 0) != single(rows, 1)


def test_thinned_has_as_many_relations_in_whole_images(rows):
    kept = thinned(rows, 0)
    by_image = Counter(row.image_id for row in kept if row.kind == "relation")
    assert set(by_image.values()) == {3} and len(by_image) == 20 // 3
    assert sum(row.kind == "place" for row in kept) == 20
    assert kept == thinned(rows, 0) != thinned(rows, 1)


def test_where_there_are_no_pairs_all_examples_are_kept(rows):
    alone = [replace(row, pair=None) for row in rows]
    assert single(alone, 0) == thinned(alone, 0) == alone
