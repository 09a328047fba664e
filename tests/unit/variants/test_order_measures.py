"""What the study of heads measures beside the answers."""

import numpy as np
import pytest

from clseave.foundation.rows.labels import label_id
from clseave.foundation.settings.params import read_yaml
from clseave.foundation.settings.schema import Scenes
from clseave.miniature import world
from clseave.variants import order_measures
from settings import SETTINGS

SOURCE = Scenes.model_validate(read_yaml(SETTINGS / "profiles/tiny.yaml")["source"])


@pytest.fixture(scope="module")
def examples():
    return world.build_split("train", SOURCE, None)[0]


def test_relations_say_first_thing_direction_and_second_thing(examples):
    found = order_measures.relations(examples)
    for row in examples:
        if row.kind == "relation":
            assert " ".join(("relation", *found[row.hypothesis_id])) == row.statement
    assert len(found) == len({row.hypothesis_id for row in examples if row.kind == "relation"})


def test_swap_accuracy_of_answers(examples):
    rows = [row for row in examples if row.pair is not None]
    gold = np.array([label_id(row.label) for row in rows])
    assert order_measures.swap_accuracy(rows, gold) == 1
    assert order_measures.swap_accuracy(rows, np.zeros_like(gold)) == 0


def test_the_worlds_own_labels_decide_which_negatives_are_true(examples, monkeypatch):
    found = order_measures.rule(examples, SOURCE, 0)
    assert found["rule_negatives"] > 0 and 0.5 < found["rule_true"] < 1
    assert order_measures.rule(examples, SOURCE, 0) == found
    monkeypatch.setattr(order_measures, "negatives", list)  # the examples themselves are all true
    assert order_measures.rule(examples, SOURCE, 0)["rule_true"] == 1


def test_photos_have_neither(tmp_path):
    assert order_measures.rule([], None, 0) == order_measures.probe_images(tmp_path, None) == {}


def test_scenes_are_those_of_the_examples(examples):
    scenes, _ = world.draw_scenes("train", SOURCE)
    assert np.array_equal(scenes, world.build_split("train", SOURCE, None)[2])
    assert {row.image_id for row in examples} <= {world.image_id("train", number) for number in range(len(scenes))}
