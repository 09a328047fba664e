"""Predictions for the rows of a file."""

import json

import pytest
from tiny_profile import save_photos, save_profile

from clseave.foundation.errors import UserError
from clseave.inference import rows
from clseave.inference.entailment import Entailment, Failure, Query


def read(path, language="de"):
    return [row.query for row in rows.read(path, path.parent / "photos", language)]


def test_the_same_rows_from_csv_tsv_and_json_lines(tmp_path):
    given = [("0.png", 'Ein "guter", roter Kreis', "de"), ("1.png", "A circle", "")]
    for name, separator in ((".csv", ","), (".tsv", "\t")):
        lines = [
            f'{image}{separator}"{text.replace(chr(34), 2 * chr(34))}"{separator}{code}' for image, text, code in given
        ]
        header = separator.join(("image", "hypothesis", "language"))
        (tmp_path / f"rows{name}").write_text("\ufeff" + "\r\n".join([header, *lines, ""]), encoding="utf-8")
    content = [{"image": image, "text": text} | ({"language": code} if code else {}) for image, text, code in given]
    (tmp_path / "rows.jsonl").write_text("\n\n".join(map(json.dumps, content)))
    wanted = [Query(tmp_path / "photos" / image, text, code or "nl") for image, text, code in given]
    for name in (".csv", ".tsv", ".jsonl"):
        assert read(tmp_path / f"rows{name}", "nl") == wanted, name


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object with image and text"),
        ('{"text": "Ein Kreis"}', "image: found nothing, expected text"),
        ('{"image": "0.png", "text": 7}', "text: found 7, expected text"),
        ('{"image": "0.png", "text": ""}', "text: found nothing, expected text"),
    ],
)
def test_a_bad_row_of_json_lines_says_why(tmp_path, line, reason):
    (tmp_path / "rows.jsonl").write_text('{"image": "0.png", "text": "a"}\n' + line + "\n")
    good, bad = read(tmp_path / "rows.jsonl")
    assert isinstance(good, Query) and isinstance(bad, Failure) and reason in bad.reason


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.xlsx", "", r"found a file \.xlsx, allowed: \.jsonl, \.csv, \.tsv"),
        ("rows.csv", "photo,text\n", "found columns photo, text; expected image and text"),
        ("rows.csv", "", "found columns none"),
        ("absent.csv", None, "absent.csv does not exist"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_an_unbalanced_quote_is_named_and_swallows_no_rows(tmp_path, name):
    separator = "," if name.endswith("csv") else "\t"
    lines = [["image", "text"], ["0.png", '"oops'], ["1.png", "Ein Kreis"]]
    (tmp_path / name).write_text("\n".join(map(separator.join, lines)) + "\n")
    with pytest.raises(UserError, match=rf"{name}: after line 1: .*are the quotes in pairs"):
        read(tmp_path / name)


@pytest.mark.parametrize("row", [{"image": "a\0.png", "text": "a"}, {"image": "a.png", "text": "a\nb"}])
def test_a_null_character_and_a_line_break_are_bad(tmp_path, row):
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (bad,) = read(tmp_path / "rows.jsonl")
    assert isinstance(bad, Failure) and "holds a line break or a null character" in bad.reason


def test_a_row_with_too_many_fields_is_bad(tmp_path):
    (tmp_path / "rows.csv").write_text("image,text\n0.png,a\n0.png,Oben, links\n")
    good, bad = read(tmp_path / "rows.csv")
    assert isinstance(good, Query) and bad == Failure("more fields than the header names")


def test_groups_of_rows_are_judged_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "GROUP", 3)
    monkeypatch.setattr(rows, "KEPT", 1)
    model = Entailment.from_pretrained(save_profile(tmp_path / "models"), languages=["de"])
    save_photos(tmp_path / "photos", 2)
    lines = [{"image": f"{number % 2}.png", "text": f"Ein Kreis {number}"} for number in range(7)]
    lines[4]["image"] = "absent.png"
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = list(rows.judge(model, rows.read(tmp_path / "rows.jsonl", tmp_path / "photos", "de")))
    assert [row.number for row, _ in found] == list(range(1, 8))
    written = [json.loads(rows.as_json(*pair)) for pair in found]
    assert [row["image"] for row in written] == [line["image"] for line in lines]
    assert [row["text"] for row in written] == [line["text"] for line in lines]
    assert "does not exist" in written[4]["error"] and "label" not in written[4]
    (alone,) = model.judge([Query(tmp_path / "photos/0.png", "Ein Kreis 6", "de")])
    assert written[6]["label"] == alone.label
    assert written[6]["neutral"] == pytest.approx(alone.probabilities["neutral"], abs=1e-6)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"label": "neutral"}, "neutral"),
        ({"label": "wet", "gold_label": " Entailment"}, "entailment"),
        ({"label": "-"}, "-"),
        ({"label": 2}, "2"),
        ({}, None),
    ],
)
def test_the_true_label_of_a_row(given, wanted):
    assert rows.true_label(rows.Row(1, given, Failure("not asked"))) == wanted
