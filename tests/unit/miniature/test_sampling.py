"""Which statements are said about which scenes: balance, disjoint splits, held-out statements."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from clseave.foundation.rows.labels import CONTRADICTION
from clseave.miniature.sampling import Drawer, facts_and_split, scenes_of_split, split_facts
from clseave.miniature.statements import KINDS, Fact, all_facts, both_visible, label_scenes

SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
FACT_SHARES = {"train": 0.75, "dev": 0.07, "test": 0.18}
FACTS, OWNER = facts_and_split(FACT_SHARES, seed=11)
NOTHING = np.zeros(len(FACTS), dtype=bool)


def scenes(split, count, seed=1):
    return scenes_of_split(split, count, SHARES, np.random.default_rng(seed), empty=0.2, two_panels=0.4)


SCENES = scenes("train", 120)


def draws(seed=2, count=120, **changes):
    settings = {
        "common": OWNER["train"],
        "held_out": NOTHING,
        "held_out_rows": 0.0,
        "kinds_per_image": 3,
        "hard_relations": 0.5,
    } | changes
    return list(Drawer(SCENES[:count], FACTS, 3, np.random.default_rng(seed)).draw(**settings))


DRAWS = draws()


def test_every_label_is_right():
    for draw in DRAWS:
        assert label_scenes(FACTS[draw.fact], SCENES[draw.scene : draw.scene + 1])[0] == draw.label


def test_each_kind_of_each_image_has_each_label_once():
    labels = defaultdict(list)
    for draw in DRAWS:
        labels[draw.scene, FACTS[draw.fact].kind].append(draw.label)
    assert set(map(tuple, map(sorted, labels.values()))) == {(0, 1, 2)}
    kinds = Counter(scene for scene, _ in labels).values()
    assert max(kinds) == 3 and sum(kinds) > 2.9 * len(SCENES)  # kinds_per_image; few images allow fewer


def test_kinds_take_turns():
    kinds = Counter(FACTS[draw.fact].kind for draw in DRAWS)
    assert set(kinds) == set(KINDS)
    # Three kinds on each of 120 images: 60 images a kind, three rows each; some kinds do not fit every image.
    assert all(abs(count - 180) <= 45 for count in kinds.values())


def test_a_statement_alone_tells_little_of_its_label():
    labels = defaultdict(Counter)
    for draw in DRAWS:
        labels[draw.fact][draw.label] += 1
    guess = sum(max(counts.values()) for counts in labels.values()) / len(DRAWS)
    assert guess < 0.46  # 1/3 is perfect, few rows allow no better than 0.4; without the balance 0.53


def test_phrasings_of_a_statement_take_turns():
    used = defaultdict(list)
    for draw in DRAWS:
        used[draw.fact, draw.label].append(draw.phrasing)
    assert all(phrasings == [turn % 3 for turn in range(len(phrasings))] for phrasings in used.values())


def test_training_never_says_a_held_out_statement():
    assert OWNER["train"][[draw.fact for draw in DRAWS]].all()


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.0, 0.05), (0.5, 0.15, 0.4), (1.0, 0.45, 1.0)])
def test_held_out_statements_are_preferred_as_often_as_asked(share, low, high):
    made = draws(held_out=OWNER["test"], held_out_rows=share, count=60)
    assert low <= OWNER["test"][[draw.fact for draw in made]].mean() <= high
    assert not OWNER["dev"][[draw.fact for draw in made]].any()


def test_hard_relations_name_two_visible_things_wherever_such_a_contradiction_exists():
    hard = {row: both_visible(fact, SCENES) for row, fact in enumerate(FACTS) if fact.kind == "relation"}
    false = {row: label_scenes(FACTS[row], SCENES) == CONTRADICTION for row in hard}
    checked = 0
    for draw in draws(hard_relations=1.0):
        if draw.fact in hard and draw.label == CONTRADICTION:
            possible = any(hard[row][draw.scene] and false[row][draw.scene] for row in hard if OWNER["train"][row])
            assert hard[draw.fact][draw.scene] == possible
            checked += possible
    assert checked > 10


def test_the_share_of_hard_relations_changes_the_draws():
    assert draws(hard_relations=0.0, count=40) != draws(hard_relations=1.0, count=40)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_no_content_is_in_two_splits(split):
    mine, others = (
        {tuple(scene) for name in names for scene in scenes(name, 150, seed=3).tolist()}
        for names in ([split], {"train", "dev", "test"} - {split})
    )
    assert len(mine) > 100 and not mine & others


def test_the_same_seed_draws_the_same_examples():
    assert draws(count=30) == draws(count=30) != draws(seed=3, count=30)
    assert np.array_equal(scenes("dev", 20), scenes("dev", 20))


def test_every_statement_has_one_owner_in_the_shares_asked_for_of_every_kind():
    owned = np.stack([OWNER[split] for split in SHARES])
    assert (owned.sum(0) == 1).all()
    for kind in KINDS:
        members = np.array([fact.kind == kind for fact in FACTS])
        for split in ("dev", "test"):
            assert OWNER[split][members].sum() == round(FACT_SHARES[split] * members.sum())


def test_every_kind_holds_out_at_least_one_statement():
    owner = split_facts(all_facts(), {"train": 1.0, "dev": 0.0, "test": 0.0}, np.random.default_rng(0))
    for split in ("dev", "test"):
        assert Counter(fact.kind for fact, mine in zip(FACTS, owner[split], strict=True) if mine) == dict.fromkeys(
            KINDS, 1
        )


def test_the_owner_depends_on_the_seed_alone():
    again, other = (facts_and_split(FACT_SHARES, seed)[1] for seed in (11, 12))
    assert all(np.array_equal(OWNER[split], again[split]) for split in SHARES)
    assert not np.array_equal(OWNER["test"], other["test"])


def test_no_triple_without_a_statement_for_each_label():
    alone = np.array([fact == Fact("object_at", ("red circle", "top_left")) for fact in FACTS])
    drawer = Drawer(SCENES[:10], FACTS, 3, np.random.default_rng(0))
    assert all(drawer.triple(scene, "object_at", alone, False) is None for scene in range(10))
    assert not drawer.usage.any()
