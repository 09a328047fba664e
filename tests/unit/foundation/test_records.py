"""Rows and vectors by id."""

import hashlib
import json
import logging
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import (
    Alignment,
    Example,
    Prediction,
    Translation,
    distinct_hypotheses,
    examples_with_images,
    hypothesis_id,
    read_rows,
    read_splits,
    read_vectors,
    rows_of,
    write_rows,
    write_skipped,
    write_vectors,
)

EXAMPLE = Example("dev-1", "img", "h1", "A red circle", "neutral", "dev", "count", None)
TRANSLATION = Translation("h1", "A red circle", "de", "Ein roter Kreis über 円", "gold", "1")
ALIGNMENT = Alignment("h1", ["A"], ["Ein"], [[0, 0]])
PREDICTION = Prediction("dev-1", [0.5, -1.25, 3.0])


def test_the_id_is_the_start_of_a_hash_of_the_text():
    assert hypothesis_id("A red circle") == hashlib.sha256(b"A red circle").hexdigest()[:16]
    assert len(hypothesis_id("x")) == 16


def test_the_id_ignores_outer_space_and_composition():
    assert hypothesis_id("  Größe \n") == hypothesis_id("Größe") == hypothesis_id("Gro\u0308ße")
    assert hypothesis_id("größe") != hypothesis_id("Größe")


@pytest.mark.parametrize("row", [EXAMPLE, TRANSLATION, ALIGNMENT, PREDICTION], ids=lambda row: type(row).__name__)
def test_rows_survive_a_round_trip(tmp_path, row):
    other = replace(row, **{fields(row)[0].name: "another"})
    write_rows(tmp_path / "rows.jsonl", [row, other])
    assert read_rows(tmp_path / "rows.jsonl", type(row)) == [row, other]


@pytest.mark.parametrize(
    ("row", "keys"),
    [
        (EXAMPLE, "pair_id image_id hypothesis_id hypothesis label split kind seen statement pair"),
        (TRANSLATION, "hypothesis_id source target text backend version"),
        (ALIGNMENT, "hypothesis_id source_words target_words pairs"),
        (PREDICTION, "pair_id logits"),
    ],
    ids=["Example", "Translation", "Alignment", "Prediction"],
)
def test_the_formats_are_frozen(tmp_path, row, keys):
    write_rows(tmp_path / "rows.jsonl", [row])
    assert list(json.loads((tmp_path / "rows.jsonl").read_text())) == keys.split()


def test_text_is_stored_readably_on_one_line_a_row(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [TRANSLATION] * 2)
    lines = (tmp_path / "rows.jsonl").read_bytes().decode().split("\n")
    assert len(lines) == 3 and lines[2] == "" and "über 円" in lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "rows.jsonl:2: missing or unknown field of Translation: colour"),
        ({"text": None, "drop": "text"}, "rows.jsonl:2: missing or unknown field of Translation: text"),
    ],
)
def test_a_field_too_many_or_too_few_is_named(tmp_path, change, message):
    good = asdict(TRANSLATION)
    bad = {key: value for key, value in (good | change).items() if key not in ("drop", change.get("drop"))}
    (tmp_path / "rows.jsonl").write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / "rows.jsonl", Translation)


@pytest.mark.parametrize(("field", "value"), [("label", "maybe"), ("split", "validation")])
def test_a_label_or_split_that_does_not_exist_is_named(tmp_path, field, value):
    (tmp_path / "rows.jsonl").write_text(json.dumps(asdict(EXAMPLE) | {field: value}) + "\n")
    with pytest.raises(UserError, match=rf"rows\.jsonl:1: {field} '{value}' is not one of"):
        read_rows(tmp_path / "rows.jsonl", Example)


@pytest.mark.parametrize("text", ["{", "[1]", '"a"'])
def test_a_broken_line_is_named(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(json.dumps(asdict(EXAMPLE)) + "\n" + text + "\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:2:"):
        read_rows(tmp_path / "rows.jsonl", Example)


def example(pair, key, text, split="train"):
    return Example(pair, "img", key, text, "neutral", split, None, None)


def test_distinct_hypotheses_come_in_the_order_of_their_first_appearance():
    rows = [example("1", "b", "B"), example("2", "a", "A"), example("3", "b", "B")]
    assert list(distinct_hypotheses(rows).items()) == [("b", "B"), ("a", "A")]


def test_splits_are_read_in_the_order_asked_for(tmp_path):
    for split in ("train", "dev", "test"):
        write_rows(tmp_path / f"{split}.jsonl", [example(split, "a", "A", split)])
    assert [row.pair_id for row in read_splits(tmp_path)] == ["train", "dev", "test"]
    assert [row.pair_id for row in read_splits(tmp_path, ["test", "train"])] == ["test", "train"]


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"dev\.jsonl does not exist.*dvc repro"):
        read_splits(tmp_path, ["dev"])


def test_vectors_survive_a_round_trip_bit_by_bit(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    write_vectors(tmp_path / "v", ["b", "a", "ü"], vectors)
    index, again = read_vectors(tmp_path / "v")
    assert index == {"b": 0, "a": 1, "ü": 2} and again.dtype == np.float32 and np.array_equal(again, vectors)
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["ids.json", "vectors.safetensors"]
    assert json.loads((tmp_path / "v" / "ids.json").read_text()) == ["b", "a", "ü"]


def test_vectors_have_the_same_bytes_every_time(tmp_path):
    for name in ("one", "two"):
        write_vectors(tmp_path / name, ["a", "b"], np.arange(6.0).reshape(2, 3)[:, ::-1])
    for file in ("ids.json", "vectors.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert read_vectors(tmp_path / "one")[1].tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize("ids", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_ids_must_be_distinct_and_as_many_as_the_vectors(tmp_path, ids):
    with pytest.raises(ValueError, match="distinct ids"):
        write_vectors(tmp_path, ids, np.zeros((2, 3)))


def test_vectors_and_ids_that_disagree_are_named(tmp_path):
    write_vectors(tmp_path, ["a", "b"], np.zeros((2, 3)))
    (tmp_path / "ids.json").write_text('["a"]')
    with pytest.raises(UserError, match="1 ids for 2 vectors"):
        read_vectors(tmp_path)


def test_rows_of_ids():
    assert rows_of(["b", "a", "b"], {"a": 0, "b": 1}, "vector").tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="no teacher vector for id c"):
        rows_of(["a", "c"], {"a": 0}, "teacher vector")


def test_both_lines_of_a_duplicate_are_named(tmp_path):
    write_rows(tmp_path / "dev.jsonl", [EXAMPLE, replace(EXAMPLE, pair_id="dev-2"), EXAMPLE])
    with pytest.raises(UserError, match=r"duplicate pair_id dev-1: .*/dev\.jsonl:1 and .*/dev\.jsonl:3: keep one"):
        read_splits(tmp_path, ["dev"])


def test_both_files_of_a_duplicate_are_named(tmp_path):
    other = replace(EXAMPLE, pair_id="dev-2")
    write_rows(tmp_path / "train.jsonl", [replace(EXAMPLE, pair_id="train-1", split="train")])
    write_rows(tmp_path / "dev.jsonl", [EXAMPLE, other])
    write_rows(tmp_path / "test.jsonl", [replace(other, split="test")])
    with pytest.raises(UserError, match=r"duplicate pair_id dev-2: .*/dev\.jsonl:2 and .*/test\.jsonl:1: keep one"):
        read_splits(tmp_path)


def test_examples_of_skipped_images_are_left_out_and_counted(tmp_path, caplog):
    rows = [Example(str(number), f"img{number % 3}", "h", "A", "neutral", "dev", None, None) for number in range(7)]
    write_vectors(tmp_path, ["img0", "img1", "img2"], np.zeros((3, 2)))
    write_skipped(tmp_path, {})
    with caplog.at_level(logging.WARNING):
        assert examples_with_images(rows, tmp_path) == rows and not caplog.messages
        write_skipped(tmp_path, {"img1": "the file is empty"})
        assert [row.pair_id for row in examples_with_images(rows, tmp_path)] == ["0", "2", "3", "5", "6"]
    assert caplog.messages == [f"2 of 7 examples left out: {tmp_path / 'skipped.json'} lists their images"]


def test_half_a_million_rows_fit_in_memory():
    # Without a dictionary of its own, an example takes no more than its fields.
    assert not hasattr(EXAMPLE, "__dict__") and not hasattr(TRANSLATION, "__dict__")
    with pytest.raises(AttributeError):
        EXAMPLE.label = "entailment"
