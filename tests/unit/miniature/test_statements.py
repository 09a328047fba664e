"""Truth of statements: tables by hand, and the closed forms against an enumeration of what panels may hide."""

import itertools
from collections import Counter

import numpy as np
import pytest
from made_scenes import object_code

from clseave.miniature.scenes import COLOURS, EMPTY, HIDDEN, SHAPES, sample_scenes
from clseave.miniature.statements import FORMS, QUANTIFIERS, Fact, all_facts, cells_of, label_scenes

C, N, E = 0, 1, 2  # contradiction, neutral, entailment
RED_CIRCLE, RED_SQUARE, BLUE_SQUARE = (
    object_code(*words) for words in (("red", "circle"), ("red", "square"), ("blue", "square"))
)


def label(kind, arguments, scene):
    return int(label_scenes(Fact(kind, arguments), np.array([scene], dtype=np.int8))[0])


# Cells: top left, top right, bottom left, bottom right.
PLAIN = [RED_CIRCLE, BLUE_SQUARE, EMPTY, HIDDEN]
TWO = [RED_CIRCLE, HIDDEN, RED_SQUARE, HIDDEN]


@pytest.mark.parametrize(
    ("kind", "arguments", "scene", "wanted"),
    [
        ("object_at", ("red circle", "top_left"), PLAIN, E),
        ("object_at", ("red square", "top_left"), PLAIN, C),
        ("object_at", ("red circle", "top_right"), PLAIN, C),
        ("object_at", ("red circle", "bottom_left"), PLAIN, C),  # empty
        ("object_at", ("red circle", "bottom_right"), PLAIN, N),  # hidden
        ("attribute_at", ("red", "top_left"), PLAIN, E),
        ("attribute_at", ("square", "top_right"), PLAIN, E),
        ("attribute_at", ("circle", "top_right"), PLAIN, C),
        ("attribute_at", ("circle", "bottom_left"), PLAIN, C),
        ("attribute_at", ("circle", "bottom_right"), PLAIN, N),
        ("emptiness", ("empty", "bottom_left"), PLAIN, E),
        ("emptiness", ("filled", "bottom_left"), PLAIN, C),
        ("emptiness", ("filled", "top_left"), PLAIN, E),
        ("emptiness", ("empty", "bottom_right"), PLAIN, N),
        ("emptiness", ("filled", "bottom_right"), PLAIN, N),
        ("emptiness", ("filled", "top"), PLAIN, E),
        ("emptiness", ("empty", "top"), PLAIN, C),
        ("emptiness", ("filled", "left"), PLAIN, C),  # one full cell, one empty: neither filled
        ("emptiness", ("empty", "left"), PLAIN, C),  # nor empty
        ("emptiness", ("empty", "bottom"), PLAIN, N),
        ("emptiness", ("filled", "bottom"), PLAIN, C),
        ("emptiness", ("filled", "right"), PLAIN, N),
        ("exists_in_half", ("red circle", "top"), PLAIN, E),
        ("exists_in_half", ("red circle", "left"), PLAIN, E),
        ("exists_in_half", ("red circle", "right"), PLAIN, N),
        ("exists_in_half", ("red", "bottom"), PLAIN, N),
        ("exists_in_half", ("blue", "left"), PLAIN, C),
        ("relation", ("red", "left_of", "blue"), PLAIN, E),
        ("relation", ("blue", "right_of", "red"), PLAIN, E),
        ("relation", ("blue", "left_of", "red"), PLAIN, C),
        ("relation", ("red", "above", "blue"), PLAIN, N),  # blue may be hidden below
        ("relation", ("red", "below", "blue"), PLAIN, N),
        ("relation", ("red", "right_of", "blue"), PLAIN, C),  # nothing blue on the left, where nothing is hidden
        ("relation", ("blue square", "above", "red circle"), PLAIN, N),
        ("relation", ("yellow", "above", "green"), PLAIN, C),  # one panel cannot hide both
        ("relation", ("circle", "above", "square"), TWO, E),
        ("relation", ("yellow", "above", "green"), TWO, N),  # two panels can
        ("relation", ("yellow", "left_of", "green"), TWO, C),  # both panels are on the right
        ("count", ("at_least_two", "red"), PLAIN, N),
        ("count", ("at_least_three", "red"), PLAIN, C),
        ("count", ("at_most_one", "red"), PLAIN, N),
        ("count", ("at_most_two", "red"), PLAIN, E),
        ("count", ("at_least_two", "green"), PLAIN, C),
        ("count", ("at_most_one", "green"), PLAIN, E),
        ("count", ("at_least_two", "red"), TWO, E),
        ("count", ("at_least_three", "red"), TWO, N),
        ("count", ("at_most_one", "red"), TWO, C),
        ("count", ("at_most_two", "red"), TWO, N),
        ("count", ("at_least_two", "red circle"), TWO, N),
        ("count", ("at_most_one", "blue square"), TWO, N),
        ("count", ("at_most_two", "blue square"), TWO, E),
    ],
)
def test_truth_by_hand(kind, arguments, scene, wanted):
    assert label(kind, arguments, scene) == wanted


# Which descriptions each cell code fits, written without the codes' arithmetic.
WORDS = [{colour, shape, "filled"} for colour in COLOURS for shape in SHAPES] + [{"empty"}]


def fits(cells, description):
    table = np.array([set(description.split()) <= words for words in WORDS])
    return table[cells]


def holds(fact, cells):
    """Truth about scenes without panels, (M, 4) -> (M,) bool, straight from the meaning."""
    top, bottom, left, right = [0, 1], [2, 3], [0, 2], [1, 3]
    regions = {
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
        "top_left": [0],
        "top_right": [1],
        "bottom_left": [2],
        "bottom_right": [3],
    }
    match fact.form:
        case "object_at" | "attribute_at" | "exists_in_half":
            thing, where = fact.arguments
            return fits(cells, thing)[:, regions[where]].any(1)
        case "emptiness":
            state, where = fact.arguments
            return fits(cells, state)[:, regions[where]].all(1)
        case "relation":
            one, direction, other = fact.arguments
            side = {"left_of": left, "right_of": right, "above": top, "below": bottom}[direction]
            rest = [cell for cell in range(4) if cell not in side]
            return np.array(
                [
                    any(a and b for a in here for b in there)
                    for here, there in zip(fits(cells, one)[:, side], fits(cells, other)[:, rest], strict=True)
                ]
            )
        case "count":
            quantifier, thing = fact.arguments
            number = fits(cells, thing).sum(1)
            return {
                "at_least_two": number >= 2,
                "at_least_three": number >= 3,
                "at_most_one": number <= 1,
                "at_most_two": number <= 2,
            }[quantifier]


def fillings(scene):
    """Every scene that may be behind the panels."""
    choices = [range(EMPTY + 1) if code == HIDDEN else [code] for code in scene]
    return np.array(list(itertools.product(*choices)))


@pytest.mark.parametrize("form", FORMS)
def test_labels_equal_an_enumeration_of_all_that_panels_may_hide(form):
    rng = np.random.default_rng(7)
    scenes = sample_scenes(60, rng, empty=0.3, two_panels=0.5)
    facts = [fact for fact in all_facts() if fact.form == form]
    every = [fillings(scene) for scene in scenes]
    seen = set()
    for row in rng.permutation(len(facts))[:12]:
        true = [holds(facts[row], cells) for cells in every]
        wanted = [E if truth.all() else N if truth.any() else C for truth in true]
        assert label_scenes(facts[row], scenes).tolist() == wanted, facts[row]
        seen |= set(wanted)
    assert seen == {C, N, E}


def test_every_statement_is_listed_once():
    facts = all_facts()
    assert len(set(facts)) == len(facts)
    # 16 objects x 4 places; 8 attributes x 4; 2 states x (4 places + 4 halves); 24 descriptions x 4 halves;
    # ordered pairs x 4 directions; 8 x 4 quantifiers and 16 x 2.
    assert {form: sum(fact.form == form for fact in facts) for form in FORMS} == {
        "object_at": 64,
        "attribute_at": 32,
        "emptiness": 16,
        "exists_in_half": 96,
        "relation": 4 * (12 + 12 + 240),
        "count": 32 + 32,
    }
    assert all_facts() == facts


@pytest.mark.parametrize(
    ("where", "cells"),
    [
        ("top_left", (0,)),
        ("bottom_right", (3,)),
        ("top", (0, 1)),
        ("bottom", (2, 3)),
        ("left", (0, 2)),
        ("right", (1, 3)),
    ],
)
def test_cells_of_places_and_halves(where, cells):
    assert cells_of(where) == cells


@pytest.mark.parametrize(
    ("form", "arguments", "kind"),
    [
        ("object_at", ("red circle", "top_left"), "place"),
        ("attribute_at", ("red", "top_left"), "place"),
        ("emptiness", ("empty", "top_left"), "place"),
        ("emptiness", ("empty", "top"), "half"),
        ("exists_in_half", ("red", "top"), "half"),
        ("relation", ("red", "above", "blue"), "relation"),
        ("count", ("at_most_one", "red"), "count"),
    ],
)
def test_the_kind_of_a_statement_is_what_it_is_about(form, arguments, kind):
    fact = Fact(form, arguments)
    assert fact.kind == kind and str(fact) == f"{form} {' '.join(arguments)}"


def test_all_relations_of_two_things_are_one_topic():
    topics = Counter(fact.topic for fact in all_facts())
    # Two things in two orders and four directions; 6 pairs of colours, 6 of shapes, 120 of objects.
    assert Counter(number for topic, number in topics.items() if topic.kind == "relation") == {8: 132}
    assert {number for topic, number in topics.items() if topic.kind != "relation"} == {1}


@pytest.mark.parametrize(("kind", "arguments"), [("colour", ("red", "top")), ("count", ("at_least_two",))])
def test_what_is_no_statement_raises(kind, arguments):
    with pytest.raises(ValueError, match="not a statement"):
        label(kind, arguments, PLAIN)


def test_quantifiers_bound_one_side_each():
    assert all((least is None) != (most is None) for least, most in QUANTIFIERS.values())
