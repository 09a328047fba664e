"""Slices of real and made hypotheses, and consistency between languages, by hand."""

import json

import numpy as np
import pytest

from clseave.statistics import slices


@pytest.mark.parametrize(
    "text",
    [
        "There is no one in this picture.",
        "The girl can't stand the ocean",
        "The girl can’t stand the ocean",
        "The boys aren't here".replace("'", ""),  # as people type
        "He is n't here",
        "Nobody is dancing",
        "A man leaves without paying",
        "The bottom left corner contains no shape",
        "Neither is asleep.",
        "He cannot swim",
    ],
)
def test_negation(text):
    assert "negation" in slices.of(text)


@pytest.mark.parametrize(
    "text",
    [
        "A nice notebook",  # "no" inside a word
        "The man knows nuts",
        "An unhappy girl",  # a prefix is left out
        "I want an ant",
        "He is hardly awake",
    ],
)
def test_no_negation(text):
    assert "negation" not in slices.of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Two dogs run.",
        "A man with 3 balls",
        "There are 1,000 people.",
        "One man is asleep",
        "The left half contains at least one triangle",
        "At most a few are red",
        "exactly so",
        "Both cells in the top half are empty",
        "A twenty-year-old sings",
    ],
)
def test_numbers(text):
    assert "counting" in slices.of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Several women watch",  # fixes no number
        "There is no one in this picture.",
        "They share stories with one another.",
        "The one on the left",
        "He came in 3rd",
        "A couple is kissing",
        "Someone waits alone",
        "The most people at the beach",
    ],
)
def test_no_numbers(text):
    assert "counting" not in slices.of(text)


@pytest.mark.parametrize(("length", "name"), [(1, "short"), (6, "short"), (7, "medium"), (8, "medium"), (9, "long")])
def test_length_has_one_bucket(length, name):
    assert slices.of(" ".join(["tree"] * length)) == {name}


@pytest.mark.needs_data
def test_buckets_are_thirds_of_snli(test_data):
    paths = [test_data / "snli_text" / f"snli_1.0_{split}.part.jsonl" for split in ("dev", "test")]
    texts = [json.loads(line)["sentence2"] for path in paths for line in path.open(encoding="utf-8")]
    lengths = [len(text.split()) for text in texts]
    assert np.quantile(lengths, [1 / 3, 2 / 3]).tolist() == [slices.SHORT, slices.LONG - 1]
    assert len(texts) == 2341
    share = {name: np.mean([name in slices.of(text) for text in texts]) for name in slices.NAMES[1:]}
    assert share["short"] + share["medium"] + share["long"] == pytest.approx(1)
    assert 0.01 < share["negation"] < 0.05 and 0.05 < share["counting"] < 0.2


TEXTS = ["Two dogs run.", "No dog runs.", "A very big brown dog runs through the water.", "Two dogs run."]
UNKNOWN = [(text, None) for text in TEXTS]  # kinds
IMAGES = ["a", "a", "b", "b"]


def test_rows_by_hand():
    hits = {"en": np.array([1, 0, 1, 1]), "de": np.array([0.5, 0, 1, 0])}
    rows = slices.rows(hits, UNKNOWN, IMAGES, TEXTS, {"en": "English", "de": "German"})
    table = {(row["evaluation"], row["slice"]): (row["rows"], row["accuracy"]) for row in rows}
    assert table == {
        ("en", "all"): (4, 0.75),
        ("en", "negation"): (1, 0.0),
        ("en", "counting"): (2, 1.0),
        ("en", "short"): (3, 0.666667),
        ("en", "long"): (1, 1.0),
        ("de", "all"): (4, 0.375),
        ("de", "negation"): (1, 0.0),
        ("de", "counting"): (2, 0.25),
        ("de", "short"): (3, 0.166667),
        ("de", "long"): (1, 1.0),
    }
    assert {row["label"] for row in rows} == {"English", "German"}
    assert (rows[0]["low"], rows[0]["high"]) == (0.0, 1.0)  # two images: Student's t with one degree of freedom


def test_a_known_kind_decides_what_counts():
    texts = [("Both cells are empty", "half"), ("The left half has at least one star", "half"), ("Two stars", "count")]
    rows = slices.rows({"en": np.array([1.0, 0, 1])}, texts, list("abc"), list("xyz"), {"en": "English"})
    (counting,) = [row for row in rows if row["slice"] == "counting"]
    assert (counting["rows"], counting["accuracy"]) == (1, 1.0)
    assert "counting" in slices.of("Both cells are empty") and "counting" in slices.of("No star", "count")


def test_rows_need_a_text_and_an_image_each():
    with pytest.raises(ValueError, match="en: 1 hits, 4 texts, 4 image ids"):
        slices.rows({"en": np.ones(1)}, UNKNOWN, IMAGES, TEXTS, {"en": "English"})


def test_consistency_by_hand():
    predicted = {
        "en": np.array([0, 1, 2, 0, 1, 2]),
        "de": np.array([0, 1, 2, 0, 1, 0]),  # differs in the last row
        "ja": np.array([0, 1, 2, 1, 1, 0]),  # and in the fourth
    }
    gold = np.array([0, 1, 1, 0, 1, 2])  # English is right but for the third row
    rows = slices.consistency(predicted, list("aabbcc"), list("xyzxyz"), gold)
    numbers = ("rows", "same", "same_right", "images", "images_same")
    assert [(row["evaluation"], *(row[key] for key in numbers)) for row in rows] == [
        ("de", 6, 0.833333, 0.666667, 3, 0.666667),
        ("ja", 6, 0.666667, 0.5, 3, 0.333333),
        ("all", 6, 0.666667, 0.5, 3, 0.333333),
    ]
    assert all(row[f"{key}_low"] <= row[key] <= row[f"{key}_high"] for row in rows for key in numbers[1:3])


def test_all_languages_may_agree_less_than_any_pair():
    predicted = {"en": np.array([0, 0]), "de": np.array([1, 0]), "ja": np.array([0, 1])}
    rows = slices.consistency(predicted, ["a", "b"], ["x", "y"], np.array([0, 0]))
    assert [row["same"] for row in rows] == [0.5, 0.5, 0.0]


def test_a_language_agrees_with_its_copy():
    one = np.array([0, 1, 2])
    for row in slices.consistency({"en": one, "de": one.copy()}, list("abb"), list("xyz"), np.zeros(3)):
        assert (row["same"], row["same_low"], row["images_same"], row["same_right"]) == (1.0, 1.0, 1.0, 0.333333)


def test_consistency_needs_two_and_as_many():
    with pytest.raises(ValueError, match="1 evaluation: consistency compares at least two"):
        slices.consistency({"en": np.zeros(1)}, ["a"], ["x"], np.zeros(1))
    with pytest.raises(ValueError, match="2 predictions, 1 image ids, 2 gold ids"):
        slices.consistency({"en": np.zeros(2), "de": np.zeros(2)}, ["a"], ["x"], np.zeros(2))
