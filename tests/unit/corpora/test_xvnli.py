"""XVNLI's rows: the same in every language, joined by pair id, without photos that a model has seen."""

import gzip
import json
import logging
from collections import Counter

import pytest

from clseave.corpora import xvnli
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import hypothesis_id

ENGLISH = [("1.jpg#0r1e", "1", "A dog.", "entailment"), ("2.jpg#0r1n", "2", "A dog.", "neutral")]
FRENCH = [("1.jpg#0r1e", "1", "Un chien.", "entailment"), ("2.jpg#0r1n", "2", "Une chienne.", "neutral")]


def write(path, rows):
    """Rows as XVNLI has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = (
        {"gold_label": label, "sentence1": "x", "sentence2": text, "captionID": "x", "pairID": key, "Flikr30kID": photo}
        for key, photo, text, label in rows
    )
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in named), encoding="utf-8")


def made(folder, **languages):
    for code, rows in ({"en": ENGLISH, "fr": FRENCH} | languages).items():
        write(folder / f"{code}.jsonl", rows)
    return folder


def test_rows_are_joined_by_pair_and_a_sentence_may_have_two_translations(tmp_path):
    examples, texts, left_out = xvnli.read(made(tmp_path, fr=FRENCH[::-1]), {})
    assert [(row.pair_id, row.image_id, row.hypothesis, row.label, row.split) for row in examples] == [
        ("1.jpg#0r1e", "1", "A dog.", "entailment", "test"),
        ("2.jpg#0r1n", "2", "A dog.", "neutral", "test"),
    ]
    assert {(row.kind, row.seen) for row in examples} == {(None, None)}
    keys = [row.hypothesis_id for row in examples]
    assert len({*keys, hypothesis_id("A dog.")}) == 3, "the corpus's own id has its own translation"
    assert {code: [(one.hypothesis_id, one.text) for one in rows] for code, rows in texts.items()} == {
        "en": [(keys[0], "A dog."), (keys[1], "A dog.")],
        "fr": [(keys[0], "Un chien."), (keys[1], "Une chienne.")],
    }
    assert {(one.source, one.target, one.backend) for one in texts["fr"]} == {("A dog.", "fr", "human")}
    assert left_out == {"photo_of_train_or_dev": 0}


@pytest.mark.parametrize(("split", "kept"), [("train", ["2"]), ("dev", ["2"]), ("test", ["1", "2"])])
def test_a_photo_that_a_model_has_seen_is_left_out(tmp_path, split, kept, caplog):
    with caplog.at_level(logging.INFO):
        examples, texts, left_out = xvnli.read(made(tmp_path), {"1": split})
    assert [row.image_id for row in examples] == kept and all(len(rows) == len(kept) for rows in texts.values())
    assert left_out == {"photo_of_train_or_dev": 2 - len(kept)}
    assert f"{len(kept)} rows in en, fr" in caplog.text


def test_when_all_photos_were_seen_it_says_so(tmp_path, caplog):
    examples, texts, _ = xvnli.read(made(tmp_path), {"1": "train", "2": "dev"})
    assert (examples, texts) == ([], {"en": [], "fr": []})
    assert caplog.records[-1].levelname == "WARNING" and "'photo_of_train_or_dev': 2" in caplog.text


def test_without_a_folder_there_is_nothing(tmp_path):
    assert xvnli.read(tmp_path / "none", {}) == ([], {}, {})
    assert xvnli.photos(tmp_path / "none") == frozenset()


def test_the_published_layout_is_a_folder_a_language(tmp_path):
    for code, rows in (("en", ENGLISH), ("fr", FRENCH)):
        write(tmp_path / "nested" / code / "test.jsonl", rows)
        write(tmp_path / "nested" / code / "train_48.jsonl", ENGLISH[:1])  # of its few-shot setting
    assert xvnli.read(tmp_path / "nested", {}) == xvnli.read(made(tmp_path / "flat"), {})


@pytest.mark.parametrize("name", ["{}.jsonl.gz", "{}/test.jsonl.gz"])
def test_files_may_be_compressed(tmp_path, name):
    for code, rows in (("en", ENGLISH), ("fr", FRENCH)):
        write(path := tmp_path / "packed" / name.format(code), rows)
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert xvnli.read(tmp_path / "packed", {}) == xvnli.read(made(tmp_path / "flat"), {})


def test_other_files_are_passed_over(tmp_path):
    made(tmp_path)
    for name in ("test_first600.ru.jsonl", "README.md", "Deutsch.jsonl", "x/test.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no rows")
    assert set(xvnli.read(tmp_path, {}).texts) == {"en", "fr"}


def test_rows_without_a_gold_label_are_left_out_and_counted(tmp_path):
    dash = ("3.jpg#0r1n", "3", "A cat.", "-")
    examples, _, left_out = xvnli.read(made(tmp_path, en=[*ENGLISH, dash], fr=[*FRENCH, dash]), {})
    assert len(examples) == 2 and left_out["no_gold_label"] == 1
    assert xvnli.photos(tmp_path) == {"1", "2"}


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ({"fr": FRENCH[:1]}, r"fr\.jsonl: pair 2\.jpg#0r1n is missing: expected the same rows as in English"),
        ({"fr": [FRENCH[0], ("2.jpg#0r1n", "2", "x", "-")]}, r"fr\.jsonl: pair 2\.jpg#0r1n is missing"),
        (
            {"fr": [FRENCH[0], (*FRENCH[1][:3], "entailment")]},
            r"fr\.jsonl: pair 2\.jpg#0r1n has another photo or label",
        ),
        ({"fr": [FRENCH[0], ("2.jpg#0r1n", "9", "x", "neutral")]}, r"pair 2\.jpg#0r1n has another photo or label"),
        ({"fr": [*FRENCH, FRENCH[0]]}, r"duplicate pair id 1\.jpg#0r1e: .*fr\.jsonl:1 and .*fr\.jsonl:3: keep"),
        ({"en": [*ENGLISH, ENGLISH[1]]}, r"duplicate pair id 2\.jpg#0r1n: .*en\.jsonl:2 and .*en\.jsonl:\d+: keep"),
        ({"fr": [FRENCH[0], (*FRENCH[1][:3], "maybe")]}, r"fr\.jsonl:2: label 'maybe' is not one of"),
    ],
)
def test_rows_that_differ_are_the_user_s_error(tmp_path, languages, message):
    with pytest.raises(UserError, match=message):
        xvnli.read(made(tmp_path, **languages), {})


def test_english_must_be_there(tmp_path):
    write(tmp_path / "fr.jsonl", FRENCH)
    for read in (lambda: xvnli.read(tmp_path, {}), lambda: xvnli.photos(tmp_path)):
        with pytest.raises(UserError, match=r"no en\.jsonl and no en/test\.jsonl: expected XVNLI's test rows"):
            read()


def test_a_language_has_one_file(tmp_path):
    write(made(tmp_path) / "fr" / "test.jsonl", FRENCH)
    with pytest.raises(UserError, match=r"fr/test\.jsonl and fr\.jsonl: keep one of them"):
        xvnli.read(tmp_path, {})


@pytest.mark.needs_data
def test_the_real_rows(tmp_path, test_data):
    for code in ("en", "ar", "es", "fr", "ru"):
        (tmp_path / f"{code}.jsonl").symlink_to(test_data / "xvnli" / f"test_first600.{code}.jsonl")
    examples, texts, left_out = xvnli.read(tmp_path, {})
    assert left_out == {"no_gold_label": 6, "photo_of_train_or_dev": 0}
    assert Counter(row.label for row in examples) == {"neutral": 202, "entailment": 198, "contradiction": 194}
    assert {code: len(rows) for code, rows in texts.items()} == dict.fromkeys(("ar", "en", "es", "fr", "ru"), 594)
    assert len(xvnli.photos(tmp_path)) == len({row.image_id for row in examples}) == 185
    first = {code: rows[0].text for code, rows in texts.items()}
    assert first["fr"] == "Il porte le journal sur sa tête." and first["en"].startswith("He ")
    assert sum(one.text != row.hypothesis for row, one in zip(examples, texts["ru"], strict=True)) == 594


@pytest.mark.needs_data
def test_most_real_photos_are_of_the_official_train_split(tmp_path, test_data):
    """Why rows are left out, and why there is a choice to hold their photos out of train."""
    for code in ("en", "fr"):
        (tmp_path / f"{code}.jsonl").symlink_to(test_data / "xvnli" / f"test_first600.{code}.jsonl")
    lists = {
        name: [line.strip().removesuffix(".jpg") for line in open(test_data / f"snli_ve_real/flickr30k_{name}.lst")]
        for name in ("train_val", "test")
    }
    owner = dict.fromkeys(lists["train_val"][:-1000], "train") | dict.fromkeys(lists["train_val"][-1000:], "dev")
    examples, _, left_out = xvnli.read(tmp_path, owner | dict.fromkeys(lists["test"], "test"))
    assert (len(examples), left_out["photo_of_train_or_dev"]) == (42, 552)
