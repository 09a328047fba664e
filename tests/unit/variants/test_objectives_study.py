"""Which texts a variant of the study of objectives is trained on."""

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Alignment, Example, Translation, write_rows
from clseave.studies.objectives import Texts

ENGLISH = {"k1": "a circle", "k2": "a square", "k3": "a cross"}
OTHERS = {"de": ["ein Kreis", "ein Quadrat", "ein Kreuz"], "nl": ["een cirkel", "een vierkant", "een kruis"]}


@pytest.fixture
def texts(tmp_path):
    """Train has k2 and k1, dev k3."""
    for split, keys in (("train", ["k2", "k1", "k2"]), ("dev", ["k3"])):
        rows = [
            Example(f"{split}{n}", "i", key, ENGLISH[key], "neutral", split, None, None) for n, key in enumerate(keys)
        ]
        write_rows(tmp_path / f"examples/{split}.jsonl", rows)
    for language, sentences in OTHERS.items():
        pairs = zip(ENGLISH.items(), sentences, strict=True)
        rows = [Translation(key, source, language, text, "gold", "1") for (key, source), text in pairs]
        write_rows(tmp_path / f"hypotheses/{language}.jsonl", rows)
        links = [
            Alignment(key, source.split(), text.split(), [[0, 0], [1, 1]])
            for (key, source), text in zip(ENGLISH.items(), sentences, strict=True)
        ]
        write_rows(tmp_path / f"alignments/{language}.jsonl", links)
    return Texts(tmp_path / "examples", tmp_path / "hypotheses", tmp_path / "alignments")


def test_translations_alone_are_the_pipelines_own(texts):
    assert texts.also("own", ["de"], 0) == {}


def test_english_is_trained_on_and_not_validated(texts):
    assert texts.also("own+english", ["de"], 0) == {"train": [("k2", "a square"), ("k1", "a circle")]}


def test_all_other_languages_are_trained_and_validated(texts):
    found = texts.also("all", ["de", "nl"], 0)
    assert found == {"train": [("k2", "een vierkant"), ("k1", "een cirkel")], "dev": [("k3", "een kruis")]}


def test_code_switched_sentences_are_drawn_once_by_the_seed(texts):
    drawn = [texts.also("own+switched", ["de"], seed)["train"] for seed in range(8)]
    assert drawn == [texts.also("own+switched", ["de"], seed)["train"] for seed in range(8)]
    said = {text for rows in drawn for key, text in rows if key == "k1"}
    assert said <= {"a circle", "ein circle", "a Kreis", "ein Kreis"} and len(said) > 1


def test_another_name_is_refused(texts):
    with pytest.raises(UserError, match="found 'french', allowed: own, english, switched, all"):
        texts.also("own+french", ["de"], 0)
