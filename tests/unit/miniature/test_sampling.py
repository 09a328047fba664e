"""Which statements are said about which scenes: balance, minimal pairs, disjoint splits, held-out statements."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from clseave.foundation.errors import UserError
from clseave.miniature.sampling import Drawer, facts_and_split, same_mix, scenes_of_split
from clseave.miniature.statements import KINDS, Fact, label_scenes

SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
HELD_OUT = {
    "dev": {"place": 5, "half": 5, "relation": 6, "count": 5},
    "test": {"place": 21, "half": 21, "relation": 24, "count": 21},
}
FORMS_OF_PLACE = {"object_at": 64, "attribute_at": 32, "emptiness": 8}
SEEDS = {"dev": 11, "test": 12}
FACTS, OWNER = facts_and_split(HELD_OUT, SEEDS)
NOTHING = np.zeros(len(FACTS), dtype=bool)


def scenes(split, count, seed=1):
    return scenes_of_split(split, count, SHARES, np.random.default_rng(seed), empty=0.2, two_panels=0.4)


SCENES = scenes("train", 120)


def triples(seed=2, count=120, **changes):
    settings = {"common": OWNER["train"], "held_out": NOTHING, "kinds_per_image": 3} | changes
    return list(Drawer(SCENES[:count], FACTS, np.random.default_rng(seed)).draw(**settings))


TRIPLES = [triple for _, triple in triples()]
DRAWS = [draw for triple in TRIPLES for draw in triple]
UNSEEN = triples(held_out=OWNER["test"])


def kind_of(triple):
    (kind,) = {FACTS[draw.fact].kind for draw in triple}
    return kind


def test_every_label_is_right():
    for draw in DRAWS:
        assert label_scenes(FACTS[draw.fact], SCENES[draw.scene : draw.scene + 1])[0] == draw.label


def test_each_triple_is_of_one_image_and_kind_and_has_each_label_once():
    for triple in TRIPLES:
        assert [draw.label for draw in triple] == [0, 1, 2] and kind_of(triple) in KINDS
        assert len({draw.scene for draw in triple}) == 1
    images = Counter((triple[0].scene, kind_of(triple)) for triple in TRIPLES)
    assert all(number <= (2 if kind == "relation" else 1) for (_, kind), number in images.items())
    made = Counter(triple[0].scene for triple in TRIPLES).values()
    assert max(made) == 3 and sum(made) > 2.9 * len(SCENES)  # kinds_per_image; few images allow fewer


def test_kinds_take_turns():
    kinds = Counter(map(kind_of, TRIPLES))
    # Three triples for each of 120 images, 90 a kind; relations do not fit every image.
    assert set(kinds) == set(KINDS) and all(abs(count - 90) <= 15 for count in kinds.values())


def test_the_relations_of_an_image_are_about_the_same_two_things():
    relations = [triple for triple in TRIPLES if kind_of(triple) == "relation"]
    for triple in relations:
        assert len({FACTS[draw.fact].topic for draw in triple}) == 1
    # Who sees neither direction nor order has three equal rows with three labels: one of three is right.
    guesses = defaultdict(Counter)
    for triple in relations:
        for draw in triple:
            guesses[draw.scene, FACTS[draw.fact].topic][draw.label] += 1
    assert sum(max(labels.values()) for labels in guesses.values()) * 3 == 3 * len(relations)


def test_two_relations_of_three_are_a_minimal_pair():
    for triple in TRIPLES:
        pair = [draw for draw in triple if draw.paired]
        if kind_of(triple) != "relation":
            assert not pair
            continue
        (one, direction, other), swapped = (FACTS[draw.fact].arguments for draw in pair)
        assert swapped == (other, direction, one)
        assert pair[0].label != pair[1].label and pair[0].turn == pair[1].turn


def test_no_relations_where_an_image_has_no_three_labels():
    """Only a red circle at the top left is visible: two visible things are needed for a relation that is true."""
    alone = np.array([[0, 16, 16, 17]], dtype=np.int8)  # red circle, empty, empty, hidden
    drawer = Drawer(alone, FACTS, np.random.default_rng(0))
    assert drawer.triple(0, "relation", ~NOTHING) is None and not drawer.usage.any()


def test_relations_by_hand():
    """A red circle above a blue square, both left, the right half hidden and empty.

    Above is true and below false whatever the panel at the top right hides; left and right depend on it.
    """
    red, blue = 0, 2 * 4 + 1
    scene = np.array([[red, 17, blue, 16]], dtype=np.int8)
    both = {"red circle", "blue square"}
    allowed = np.array([fact.form == "relation" and set(fact.arguments) >= both for fact in FACTS])
    triple = Drawer(scene, FACTS, np.random.default_rng(0)).triple(0, "relation", allowed)
    said = [FACTS[draw.fact].arguments for draw in triple]  # contradicted, neutral, entailed
    assert {said[0], said[2]} in (
        {("blue square", "above", "red circle"), ("red circle", "above", "blue square")},
        {("red circle", "below", "blue square"), ("blue square", "below", "red circle")},
    )
    assert said[1] in {("blue square", "left_of", "red circle"), ("red circle", "right_of", "blue square")}
    assert [draw.paired for draw in triple] == [True, False, True]


def test_a_statement_alone_tells_little_of_its_label():
    labels = defaultdict(Counter)
    for draw in DRAWS:
        labels[draw.fact][draw.label] += 1
    guess = sum(max(counts.values()) for counts in labels.values()) / len(DRAWS)
    assert guess < 0.5  # 1/3 is perfect; so few rows allow no better than 0.45


def test_training_never_says_a_held_out_statement():
    assert OWNER["train"][[draw.fact for draw in DRAWS]].all()


def test_held_out_statements_and_others_are_told_apart():
    for unseen, triple in UNSEEN:
        facts = [draw.fact for draw in triple]
        assert OWNER["test" if unseen else "train"][facts].all()


def test_seen_and_unseen_rows_have_the_same_mix_of_kinds():
    kept = same_mix(iter(UNSEEN), FACTS)
    numbers = Counter((kind_of(triple), bool(OWNER["test"][triple[0].fact])) for triple in kept)
    assert set(numbers) == {(kind, unseen) for kind in KINDS for unseen in (True, False)}
    assert len({numbers[kind, True] for kind in KINDS}) == len({numbers[kind, False] for kind in KINDS}) == 1
    drawn = [triple for _, triple in UNSEEN]
    assert kept == [triple for triple in drawn if triple in kept]  # in their order, the first of each


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_no_content_is_in_two_splits(split):
    mine, others = (
        {tuple(scene) for name in names for scene in scenes(name, 150, seed=3).tolist()}
        for names in ([split], {"train", "dev", "test"} - {split})
    )
    assert len(mine) > 100 and not mine & others


def test_the_same_seed_draws_the_same_examples():
    assert triples(count=30) == triples(count=30) != triples(seed=3, count=30)
    assert np.array_equal(scenes("dev", 20), scenes("dev", 20))


def test_every_statement_has_one_owner_and_each_kind_the_number_asked_for():
    owned = np.stack([OWNER[split] for split in SHARES])
    assert (owned.sum(0) == 1).all()
    for split, numbers in HELD_OUT.items():
        topics = {fact.topic for fact, mine in zip(FACTS, OWNER[split], strict=True) if mine}
        assert Counter(topic.kind for topic in topics) == numbers


def test_held_out_statements_are_spread_over_the_forms_of_a_kind():
    """Of the 104 statements on a place 64 name an object, 32 an attribute and 8 emptiness: of 21, 13, 6 and 2."""
    forms = Counter(fact.form for fact, mine in zip(FACTS, OWNER["test"], strict=True) if mine and fact.kind == "place")
    assert (
        abs(forms["object_at"] - 13) <= 1 and abs(forms["attribute_at"] - 6) <= 1 and abs(forms["emptiness"] - 2) <= 1
    )


def test_a_seed_for_test_decides_what_test_introduces():
    again, other = (facts_and_split(HELD_OUT, SEEDS | {"test": seed})[1] for seed in (12, 13))
    assert all(np.array_equal(OWNER[split], again[split]) for split in SHARES)
    assert not np.array_equal(OWNER["test"], other["test"]) and np.array_equal(OWNER["dev"], other["dev"])


def test_training_must_keep_a_statement_of_each_kind():
    with pytest.raises(UserError, match=r"source.held_out.dev.count: found 64, allowed: less than 64"):
        facts_and_split({"dev": {"count": 64}}, SEEDS)


def test_no_triple_without_a_statement_for_each_label():
    alone = np.array([fact == Fact("object_at", ("red circle", "top_left")) for fact in FACTS])
    drawer = Drawer(SCENES[:10], FACTS, np.random.default_rng(0))
    assert all(drawer.triple(scene, "place", alone) is None for scene in range(10))
    assert not drawer.usage.any()
