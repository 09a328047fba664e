"""The user's own rows: CSV, TSV and JSON Lines with columns of any names, and every fault of a file in one list."""

import csv
import gzip
import json
import unicodedata

import pytest

from clseave.corpora.own_rows import read_corpus, read_tables
from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import TableRows

COLUMNS = {"image": "photo", "hypothesis": "statement", "label": "answer", "id": None}
LABELS = {"yes": "entailment", "no": "contradiction", "maybe": "neutral", "?": "-"}
ROWS = {
    "train": [("shots/a.jpg", "Ein Hund, der rennt", "yes"), ("b.png", 'Er sagt: "Halt"', "no"), ("b.png", "x y", "?")],
    "dev": [("c.JPG", "Ein Hund, der rennt", "maybe")],
    "test": [("d.jpeg", "Zwei Katzen", "yes")],
}


def place(folder, kind, rows=ROWS, header=("photo", "statement", "answer")):
    """A file for each split; the settings that read them."""
    folder.mkdir(exist_ok=True)
    files = {split: f"{split}.{kind}" for split in rows}
    for split, name in files.items():
        opener = gzip.open if kind.endswith(".gz") else open
        with opener(folder / name, "wt", encoding="utf-8", newline="") as stream:
            if kind.startswith("jsonl"):
                stream.writelines(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows[split])
            else:
                writer = csv.writer(stream, delimiter="\t" if kind.startswith("tsv") else ",")
                writer.writerows([header, *rows[split]])
    return TableRows(format="table", files=files, columns=COLUMNS, labels=LABELS)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "csv.gz", "jsonl.gz"])
def test_each_format_gives_the_same_examples(tmp_path, kind):
    examples, skipped = read_corpus(place(tmp_path, kind), tmp_path, tmp_path)
    found = [(row.pair_id, row.image_id, row.hypothesis, row.label) for split in ROWS for row in examples[split]]
    assert found == [
        ("train-000001", "a", "Ein Hund, der rennt", "entailment"),
        ("train-000002", "b", 'Er sagt: "Halt"', "contradiction"),
        ("dev-000001", "c", "Ein Hund, der rennt", "neutral"),
        ("test-000001", "d", "Zwei Katzen", "entailment"),
    ]
    assert skipped == {"no_gold_label": 1} and [row.seen for row in examples["dev"] + examples["test"]] == [True, False]


def test_ids_of_a_column_are_kept_and_labels_may_be_numbers(tmp_path):
    rows = {split: [(name, text, 2, f"own-{split}")] for split, ((name, text, _), *_) in ROWS.items()}
    settings = place(tmp_path, "jsonl", rows, ("photo", "statement", "answer", "key"))
    settings = TableRows(
        format="table", files=settings.files, columns=COLUMNS | {"id": "key"}, labels={"2": "entailment"}
    )
    examples, _ = read_corpus(settings, tmp_path, tmp_path)
    assert [(row.pair_id, row.label) for row in examples["train"]] == [("own-train", "entailment")]


def test_labels_are_our_own_names_where_none_are_given(tmp_path):
    rows = {split: [(name, text, "neutral")] for split, ((name, text, _), *_) in ROWS.items()}
    settings = TableRows(format="table", files=place(tmp_path, "csv", rows).files, columns=COLUMNS)
    assert read_corpus(settings, tmp_path, tmp_path)[0]["test"][0].label == "neutral"


def test_every_fault_is_in_one_list_with_its_line(tmp_path):
    bad = [("a.jpg", "Ein Hund", "yes"), ("", "Ein Hund", "no"), ("b.jpg", "Ein Hund", "perhaps"), ("../c", "\0", "no")]
    rows = ROWS | {"train": bad[:3], "dev": [("c.jpg", " ", "yes")], "test": [("d/..", "Zwei", "yes")]}
    with pytest.raises(UserError) as caught:
        read_corpus(place(tmp_path, "csv", rows), tmp_path, tmp_path / "problems")
    listed = (tmp_path / "problems/faulty_rows.txt").read_text().splitlines()
    assert listed == [
        "train.csv:3: photo: found nothing, expected text",
        "train.csv:4: answer: found 'perhaps', allowed: yes, no, maybe, ?",
        "dev.csv:2: statement: found ' ', expected text",
        "test.csv:2: photo '..' is no safe file name",
    ]
    assert str(caught.value).startswith(f"4 rows cannot be used: {listed[0]}; {listed[1]}")
    assert str(caught.value).endswith("faulty_rows.txt: correct them")
    read_corpus(place(tmp_path, "csv"), tmp_path, tmp_path / "problems")
    assert not (tmp_path / "problems/faulty_rows.txt").exists()


def test_lines_of_json_that_are_no_rows_are_in_the_list(tmp_path):
    settings = place(tmp_path, "jsonl")
    lines = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(f'{lines}\n["a"]\n{{"photo": "a.jpg"\n{{"photo": "a.jpg", "statement": 3}}\n')
    with pytest.raises(UserError, match="3 rows cannot be used"):
        read_corpus(settings, tmp_path, tmp_path)
    listed = (tmp_path / "faulty_rows.txt").read_text().splitlines()
    assert listed[0] == "train.jsonl:5: expected an object with the columns' names"
    assert listed[1].startswith("train.jsonl:6: not JSON: ") and listed[2].endswith(
        "answer: found nothing, expected text"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"columns": COLUMNS | {"label": "gold"}},
            "train.csv:1: found columns photo, statement, answer, exp",
        ),
        ({"files": {"train": "train.xlsx", "dev": "dev.csv", "test": "test.csv"}}, "found .xlsx, allowed: .csv, .tsv"),
        ({"files": {"train": "gone.csv", "dev": "dev.csv", "test": "test.csv"}}, "gone.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, change, message):
    settings = place(tmp_path, "csv").model_dump() | change
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        read_corpus(TableRows.model_validate(settings), tmp_path, tmp_path)


def test_a_sentence_with_an_unquoted_separator_is_named(tmp_path):
    settings = place(tmp_path, "csv")
    with open(tmp_path / "train.csv", "a") as stream:
        stream.write("e.jpg,Ein Hund, der rennt,yes,\n")
    with pytest.raises(UserError, match=r"train\.csv:5: 5 cells for 3 columns: is a sentence with a"):
        read_corpus(settings, tmp_path, tmp_path)


def faults(folder, rows, **changes):
    settings = place(folder, "jsonl", ROWS | rows, **changes)
    return read_tables(settings, folder).faults


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a/x.jpg", "Ja", "yes"), ("b/x.jpg", "Nein", "no")], "b/x.jpg and a/x.jpg are two photos of one file name"),
        ([("x.webp", "Ja", "yes")], "photo: found a .webp, allowed: .jpg, .jpeg, .png: convert it"),
        ([("x.jpg", "Ja", "Yes")], "answer: found 'Yes', allowed: yes, no, maybe, ?"),
    ],
)
def test_a_row_that_would_be_misread_is_a_fault(tmp_path, rows, message):
    (found,) = faults(tmp_path, {"train": rows})
    assert found.startswith(f"train.jsonl:{len(rows)}: {message}")


def test_a_windows_path_names_its_file(tmp_path):
    settings = place(tmp_path, "csv", ROWS | {"train": [("C:\\photos\\a.jpg", "Ja", "yes")]})
    assert read_tables(settings, tmp_path).pairs["train"][0].image_id == "a"


def test_labels_by_their_own_names_may_have_capitals(tmp_path):
    rows = {split: [(name, text, "Entailment")] for split, ((name, text, _), *_) in ROWS.items()}
    settings = TableRows(format="table", files=place(tmp_path, "csv", rows).files, columns=COLUMNS)
    assert read_tables(settings, tmp_path).faults == []


def test_ids_are_the_users_own_and_each_is_there_once(tmp_path):
    rows = {split: [(name, text, "yes", "avg_1")] for split, ((name, text, _), *_) in ROWS.items()}
    settings = place(tmp_path, "jsonl", rows, ("photo", "statement", "answer", "key"))
    settings = settings.model_copy(update={"columns": settings.columns.model_copy(update={"id": "key"})})
    found = read_tables(settings, tmp_path)
    assert len(found.pairs["train"]) == 1 and not found.skipped  # `vg_` in an id of SNLI means Visual Genome
    assert found.faults[0].startswith("dev.jsonl:1: id 'avg_1' is also that of train.jsonl:1: give each row of all ")


def test_faults_of_all_files_are_listed_beside_a_file_that_cannot_be_read(tmp_path):
    settings = place(tmp_path, "csv", ROWS | {"train": [("a.jpg", "Ja", "perhaps")]})
    (tmp_path / "dev.csv").write_text("image,text\nc.jpg,Ja\n")
    found = read_tables(settings, tmp_path)
    assert [fault.rpartition("/")[2].partition(": ")[0] for fault in found.faults] == ["train.csv:2", "dev.csv:1"]
    assert [pair.image_id for pair in found.pairs["test"]] == ["d"]


def test_a_column_that_is_named_twice_is_a_fault(tmp_path):
    settings = place(tmp_path, "csv")
    settings = settings.model_copy(update={"columns": settings.columns.model_copy(update={"hypothesis": "photo"})})
    assert "expected another column for each" in read_tables(settings, tmp_path).faults[0]


def test_names_of_photos_and_labels_are_compared_in_one_normal_form(tmp_path):
    rows = ROWS | {"train": [(unicodedata.normalize("NFD", name), "A pan", "yes") for name in ("Küche.jpg", "b.jpg")]}
    rows["train"].append(("Küche.jpg", "A pot", unicodedata.normalize("NFD", "für")))
    settings = place(tmp_path, "csv", rows)
    settings = settings.model_copy(update={"labels": LABELS | {"für": "entailment"}})
    found = read_tables(settings, tmp_path)
    assert not found.faults and [pair.image_id for pair in found.pairs["train"]] == ["K\u00fcche", "b", "K\u00fcche"]
