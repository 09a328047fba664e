"""What the study of heads measures beside the answers."""

import numpy as np
import pytest
import torch

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


class Words:
    """A tower whose vectors hold the words of a relation, each at its place or without one."""

    def __init__(self, examples, order):
        self.parts = {row.hypothesis: parts for row in examples for parts in [order_measures.relations([row])] if parts}
        self.words = sorted({word for parts in self.parts.values() for found in parts.values() for word in found})
        self.order = order

    def embed(self, texts):
        vectors = np.zeros((len(texts), 3 * len(self.words)), dtype=np.float32)
        for row, text in enumerate(texts):
            ((parts),) = self.parts[text].values()
            for place, word in enumerate(parts):
                vectors[row, self.words.index(word) + len(self.words) * (place if self.order else 0)] = 1
        return vectors


@pytest.mark.parametrize("order", [True, False])
def test_a_bag_of_words_reads_the_direction_and_not_the_order(examples, monkeypatch, order):
    tower = Words(examples, order)
    monkeypatch.setattr(order_measures, "embed_texts", lambda _, texts, __: torch.from_numpy(tower.embed(texts)))
    known = [row for number, row in enumerate(examples) if number % 5]
    found = order_measures.probe_texts(None, {"train": known, "test": examples[::5]})
    assert found["probe_direction"] > 0.9
    assert found["probe_order"] > 0.9 if order else found["probe_order"] < 0.6
    assert (found["probe_statement"] > 0.8) == order
