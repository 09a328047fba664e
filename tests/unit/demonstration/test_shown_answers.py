"""The answers of the demo page: probabilities by language, failures and doubts, the image with its patches."""

import re

import pytest
from PIL import Image
from tiny_profile import save_photos, save_profile

from clseave.demonstration import answers
from clseave.inference.entailment import Entailment, Failure, Prediction


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Entailment.from_pretrained(save_profile(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    with Image.open(save_photos(tmp_path_factory.mktemp("photos"), 1)[0]) as image:
        image.load()
    return image


def test_each_language_with_a_sentence_is_judged_as_predict_does(model, photo):
    found = answers.answer(model, photo, {"en": "a red circle", "de": "", "ja": "円"}, {})
    wanted = model.predict(photo, ["a red circle", "円"], ["en", "ja"])
    assert [(language, one.result) for language, one in found.items()] == list(zip(["en", "ja"], wanted, strict=True))


def test_what_cannot_be_judged_gives_its_reason_and_unknown_words_a_doubt(model, photo):
    found = answers.answer(model, photo, {"en": "\u200b", "de": "ДЖЖ ЩЩ!"}, {})
    assert isinstance(found["en"].result, Failure) and found["de"].doubt == answers.DOUBT
    shown = answers.table(found, None)
    assert "a blank text cannot be encoded" in shown and answers.DOUBT in shown


def test_the_table_has_a_row_for_each_language_and_marks_the_best_label():
    shares = {"contradiction": 0.125, "neutral": 0.75, "entailment": 0.125}
    shown = answers.table(
        {"de": answers.Answer("Ein Kreis", Prediction("Ein Kreis", "de", "neutral", shares))}, "neutral"
    )
    assert re.findall(r"<th scope='row'>(\w+)</th>", shown) == ["German"]
    cells = re.findall(r"<td style='--share:([\d.]+)%' class='([\w ]+)'>([\d.]+%)</td>", shown)
    assert cells == [
        ("12.5", "entailment", "12.5%"),
        ("75.0", "neutral best", "75.0%"),
        ("12.5", "contradiction", "12.5%"),
    ]
    assert "By the rules of the world: <strong>neutral</strong>" in shown


def test_text_of_visitors_cannot_become_markup():
    shown = answers.table({"<b>": answers.Answer("x", Failure("<script>alert(1)</script>"))}, None)
    assert "<script>" not in shown and "<b>" not in shown and "&lt;script&gt;" in shown


def test_the_image_is_shown_with_the_pixels_of_the_model_and_its_patches(model):
    picture = Image.new("RGB", (32, 32), (214, 48, 42))
    shown = answers.seen(model, picture)
    assert shown.size == (answers.SIDE, answers.SIDE)
    assert shown.getpixel((10, 10)) == (214, 48, 42) == shown.getpixel((answers.SIDE - 9, 100))
    half = answers.SIDE // 2
    assert shown.getpixel((half, 10)) == shown.getpixel((10, half)) == (0, 0, 0)
    named = answers.seen(model, picture, ["a", "b", "c", "d"])
    assert named.tobytes() != shown.tobytes() == answers.seen(model, picture, ["a", "b"]).tobytes()
