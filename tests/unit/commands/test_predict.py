"""The command `predict`: one photo, or the rows of a file; what is bad, and exit codes."""

import json

import pytest
from tiny_profile import save_photos, save_profile

from clseave.commands import predict
from clseave.foundation.errors import UserError


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return save_profile(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return save_photos(tmp_path_factory.mktemp("photos"), 2)


def run(model, photo, *texts, more=("--json",)):
    options = [part for text in texts for part in ("--text", text)]
    predict.main(["--model", str(model), "--image", str(photo), *options, *more])


@pytest.mark.parametrize("model", ["clip_ve/seed0", "clseave/de/seed1"])
@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u200e\u202e", "\x00\x07", "\u3164\ufe0f"])
def test_a_text_with_nothing_to_see_gets_no_verdict(profile, photos, capsys, model, text):
    with pytest.raises(UserError, match="a blank text cannot be encoded"):
        run(profile / model, photos[0], "Ein Kreis", text)
    assert capsys.readouterr().out == ""


def test_a_text_of_unknown_tokens_gets_a_verdict_with_a_warning(profile, photos, capsys, caplog):
    texts = ["ДЖЖ ЩЩ!", "Ein roter Kreis", "Ein Kreis!!!"]
    run(profile / "clseave/de/seed0", photos[0], *texts)
    assert [row["text"] for row in json.loads(capsys.readouterr().out)] == texts
    (said,) = caplog.messages
    assert said.startswith("'ДЖЖ ЩЩ!': 100 % of the tokens are unknown to the model")


def test_text_and_json_say_the_same(profile, photos, capsys):
    run(profile, photos[0], "Ein Kreis", more=["--language", "de", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row.pop("text") == "Ein Kreis" and row.pop("language") == "de"
    run(profile / "clseave/de/seed0", photos[0], "Ein Kreis", more=[])
    ordered = sorted(row, key=row.__getitem__, reverse=True)
    wanted = "  ".join(f"{name} {row[name]:6.1%}" for name in ordered) + "  Ein Kreis\n"
    assert capsys.readouterr().out == wanted


def test_of_several_languages_one_must_be_named(profile, photos):
    with pytest.raises(UserError, match="say --language, one of en, de, ja"):
        run(profile, photos[0], "Ein Kreis")


@pytest.mark.parametrize("more", [[], ["--image", "a.png"], ["--image", "a.png", "--batch", "b.csv"]])
def test_a_photo_or_a_batch_is_needed_and_not_both(capsys, more):
    with pytest.raises(SystemExit) as caught:
        predict.main(["--model", "models/tiny", *more])
    assert caught.value.code == 2 and "give --image and --text, or --batch" in capsys.readouterr().err


@pytest.fixture
def batch(photos):
    """Rows in three languages beside the photos, the third of them bad."""
    path = photos[0].parent / "rows.csv"
    lines = ["0.png,A circle,en", "1.png,Ein Kreis,de", "2.png,Ein Kreis,de", "0.png,円があります,ja"]
    path.write_text("\n".join(["image,text,language", *lines]), encoding="utf-8")
    return path


def test_a_batch_writes_a_line_a_row_and_says_what_is_bad(profile, batch, tmp_path, caplog):
    with pytest.raises(SystemExit) as caught:
        predict.main(["--model", str(profile), "--batch", str(batch), "--out", str(tmp_path / "made/out.jsonl")])
    assert caught.value.code == 1
    written = [json.loads(line) for line in (tmp_path / "made/out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["row"], row["language"]) for row in written] == [(1, "en"), (2, "de"), (3, "de"), (4, "ja")]
    assert (
        all("label" in row for row in (written[0], written[1], written[3])) and "does not exist" in written[2]["error"]
    )
    assert any(f"{batch}: row 3: " in message for message in caplog.messages)


def test_the_language_of_a_batch_stands_in_for_a_missing_one(profile, photos, capsys):
    path = photos[0].parent / "mixed.csv"
    path.write_text("id,image,text,language\n7,0.png,Ein Kreis,\n8,0.png,A circle,en\n", encoding="utf-8")
    predict.main(["--model", str(profile), "--batch", str(path), "--language", "de"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["language"]) for row in found] == [("7", "de"), ("8", "en")]


def test_strict_stops_and_writes_nothing(profile, batch, tmp_path):
    with pytest.raises(UserError, match=r"rows.csv: row 3: .*2.png does not exist"):
        predict.main(["--model", str(profile), "--batch", str(batch), "--out", str(tmp_path / "out.jsonl"), "--strict"])
    assert not (tmp_path / "out.jsonl").exists()


def test_a_batch_of_one_model_needs_no_language_and_is_printed(profile, photos, capsys):
    path = photos[0].parent / "german.jsonl"
    path.write_text('{"image": "0.png", "text": "Ein Kreis"}\n')
    predict.main(["--model", str(profile / "clseave/de/seed0"), "--batch", str(path)])
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["row"], row["image"], row["language"]) == (1, "0.png", "de")
    run(profile / "clseave/de/seed0", photos[0], "Ein Kreis")
    (alone,) = json.loads(capsys.readouterr().out)
    assert row["neutral"] == pytest.approx(alone["neutral"], abs=1e-6)


def test_a_batch_with_labels_says_how_many_are_right_in_each_language(profile, photos, capsys, caplog):
    path = photos[0].parent / "labelled.csv"
    rows = [("A circle", "en"), ("A square", "en"), ("Ein Kreis", "de"), ("Ein Quadrat", "de")]
    path.write_text("image,sentence,language\n" + "".join(f"0.png,{text},{code}\n" for text, code in rows))
    predict.main(["--model", str(profile), "--batch", str(path)])
    said = [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()]
    wrong = next(name for name in ("neutral", "entailment") if name != said[1])
    labels = [said[0], wrong, said[2], "unclear"]
    lines = [f"0.png,{text},{code},{label}\n" for (text, code), label in zip(rows, labels, strict=True)]
    path.write_text("image,sentence,language,label\n" + "".join(lines))
    caplog.set_level("INFO")
    predict.main(["--model", str(profile), "--batch", str(path)])
    assert "en: accuracy 50.0 % of 2 rows with a label" in caplog.messages
    assert "de: accuracy 100.0 % of 1 rows with a label" in caplog.messages
    assert any("1 rows have other labels than" in line and "'unclear'" in line for line in caplog.messages)
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("gold_label") for row in written] == [said[0], wrong, said[2], None]
