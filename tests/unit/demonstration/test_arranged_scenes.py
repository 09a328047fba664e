"""Scenes of the demo page: cell codes, pixels, translations, gold labels."""

import numpy as np
import pytest

from clseave.demonstration import scenes
from clseave.miniature.grammar import LANGUAGES
from clseave.miniature.scenes import EMPTY, HIDDEN, PLACES

SCENE = ["red circle", "empty", "hidden", "yellow diamond"]


def test_the_names_of_contents_are_in_the_order_of_cell_codes():
    assert scenes.codes(SCENE).tolist() == [[0, EMPTY, HIDDEN, 15]]
    assert scenes.codes(["green circle", "red square", "blue triangle", "red diamond"]).tolist() == [[4, 1, 10, 3]]


def test_an_arranged_scene_has_the_pixels_of_its_contents_each_time():
    picture = scenes.picture(SCENE, 0)
    assert picture.size == (32, 32) and picture.mode == "RGB"
    assert picture.getpixel((8, 8)) == (214, 48, 42) and picture.getpixel((24, 24)) == (236, 200, 40)
    assert picture.getpixel((24, 8)) == (235, 235, 235) and picture.getpixel((8, 24)) == (110, 110, 110)
    assert scenes.picture(SCENE, 12).tobytes() == scenes.picture(SCENE, 12).tobytes() != picture.tobytes()


def test_a_shuffled_scene_has_one_panel_or_two():
    rng = np.random.default_rng(0)
    drawn = [scenes.shuffled(rng) for _ in range(200)]
    assert all(len(scene) == len(PLACES) and set(scene) <= set(scenes.CONTENTS) for scene in drawn)
    assert {scene.count("hidden") for scene in drawn} == {1, 2}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("There is a red circle at the top left", "entailment"),
        ("There is a blue circle at the top left", "contradiction"),
        ("There is a blue circle at the bottom left", "neutral"),
        ("A blue circle is left of a red square", "contradiction"),
        ("A dog runs", None),
    ],
)
def test_the_gold_label_is_that_of_the_visible_cells(text, label):
    assert scenes.gold_label(text, "en", SCENE) == label


def test_a_sentence_is_translated_from_each_language_and_has_one_label_in_all():
    known = scenes.translations("There is a red circle at the top left", "en")
    assert set(known) == set(LANGUAGES) and known["de"] == "Oben links gibt es einen roten Kreis"
    for language, text in known.items():
        assert scenes.translations(text, language) == known
        assert scenes.gold_label(text, language, SCENE) == "entailment"
    assert scenes.translations(" oben links  gibt es einen roten Kreis.", "de")["en"] == known["en"]
    assert scenes.gold_label("左上に赤い円がある。", "ja", SCENE) == "entailment"
    assert scenes.translations("Ein Hund", "de") == scenes.translations(known["de"], "nl") == {}
    assert scenes.shared_label(known, SCENE) == "entailment"
    assert scenes.shared_label(known | {"nl": ""}, SCENE) == "entailment"
    assert scenes.shared_label(known | {"nl": "een hond"}, SCENE) is None
    assert scenes.shared_label({"de": ""}, SCENE) is None


def test_the_sentences_to_pick_are_distinct_and_all_known():
    texts = scenes.statements()
    assert len(texts) == len(set(texts)) > 1000
    assert all(scenes.gold_label(text, "en", SCENE) for text in texts)


def test_drawn_sentences_have_all_three_labels():
    rng = np.random.default_rng(1)
    labels = [scenes.gold_label(scenes.statement_about(SCENE, rng), "en", SCENE) for _ in range(90)]
    assert min(labels.count(label) for label in ("entailment", "neutral", "contradiction")) > 15
