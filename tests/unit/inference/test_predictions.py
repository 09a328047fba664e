"""Predictions from Python."""

import shutil

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from tiny_profile import save_photos, save_profile
from torch.nn import functional

import clseave
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.inference.entailment import Entailment, Failure, Query, read_image
from clseave.models.head import fuse

GERMAN, JAPANESE = "Ein roter Kreis ist oben links", "左上に赤い円があります"


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return save_profile(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return save_photos(tmp_path_factory.mktemp("photos"), 3)


@pytest.fixture(scope="module")
def model(profile):
    return clseave.Entailment.from_pretrained(profile)


@torch.no_grad()
def test_a_prediction_is_the_heads_answer_to_the_two_vectors(model, photos):
    (found,) = model.predict(photos[0], GERMAN, "de")
    pixels = model.processor(Image.open(photos[0]), return_tensors="pt").pixel_values
    image = model.tower(pixels)
    ids = torch.tensor([model.encoders["de"].tokenizer(GERMAN).input_ids])
    text = model.encoders["de"](ids, torch.ones_like(ids))
    features = fuse(*(functional.normalize(one, dim=-1) for one in (text, image)))
    (wanted,) = model.head.layers(features).softmax(1).tolist()
    assert [found.probabilities[name] for name in LABELS] == pytest.approx(wanted, abs=1e-5)
    assert (found.text, found.language, found.label) == (GERMAN, "de", LABELS[wanted.index(max(wanted))])


def test_rows_together_are_as_rows_alone(model, photos):
    texts, languages = [GERMAN, "A red circle", JAPANESE, GERMAN], ["de", "en", "ja", "de"]
    images = [photos[0], photos[1], Image.open(photos[0]), str(photos[2])]
    together = model.predict(images, texts, languages)
    for row, found in enumerate(together):
        (alone,) = model.predict(images[row], texts[row], languages[row])
        assert found.label == alone.label
        assert list(found.probabilities.values()) == pytest.approx(list(alone.probabilities.values()), abs=1e-5)
    assert sum(together[0].probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert together[0].probabilities != together[3].probabilities  # another image


def test_each_image_and_each_sentence_is_encoded_once(model, photos, monkeypatch):
    seen = []
    forward = type(model.tower).forward
    monkeypatch.setattr(
        type(model.tower),
        "forward",
        lambda self, pixels: seen.append(len(pixels)) or forward(self, pixels),
    )
    model.predict([photos[row % 3] for row in range(60)], ["A circle", "A square"] * 30, "en")
    assert seen == [3]


def test_one_language_needs_no_name_and_several_do(profile, photos, model):
    alone = Entailment.from_pretrained(profile / "clseave/de/seed0")
    assert alone.languages == ["de"]
    assert alone.predict(photos[0], GERMAN) == model.predict(photos[0], GERMAN, "de")
    with pytest.raises(ValueError, match="say in which language each text is: one of en, de, ja"):
        model.predict(photos[0], GERMAN)
    with pytest.raises(ValueError, match="2 images, 1 texts, 1 languages: expected as many"):
        model.predict(photos[:2], GERMAN, "de")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": " "}, "a blank text cannot be encoded"),
        ({"image": "absent.png"}, "absent.png does not exist"),
        ({"language": "fr"}, "no text encoder for the language 'fr'; loaded: en, de, ja"),
    ],
)
def test_a_bad_row_is_named_and_does_not_stop_the_others(model, photos, change, message):
    good = Query(photos[0], GERMAN, "de")
    bad = Query(**{"image": photos[1], "text": "Ein Kreis", "language": "de"} | change)
    first, failure, last = model.judge([good, bad, good])
    assert first == last and first.label == model.judge([good])[0].label
    assert isinstance(failure, Failure) and message in failure.reason
    with pytest.raises(UserError, match=message):
        model.predict([photos[0], bad.image], [GERMAN, bad.text], ["de", bad.language])


@pytest.mark.parametrize("kind", ["turned", "grey", "cmyk", "palette"])
def test_an_image_is_read_as_its_file_is(model, photos, tmp_path, kind):
    picture = Image.open(photos[0]).resize((40, 32))
    exif = picture.getexif()
    if kind == "turned":
        exif[ExifTags.Base.Orientation] = 6
    if kind == "grey":
        picture = Image.fromarray((np.arange(32 * 40).reshape(32, 40) * 50).astype(np.uint16))
    if kind in ("cmyk", "palette"):
        picture = picture.convert({"cmyk": "CMYK", "palette": "P"}[kind])
    path = tmp_path / ("photo.tif" if kind == "cmyk" else "photo.png")
    picture.save(path, exif=exif)
    pixels = [read_image(one, model.processor) for one in (path, Image.open(path))]
    assert torch.equal(*pixels)


def test_a_truncated_image_is_named(model, photos, tmp_path):
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:1500])
    with pytest.raises(UserError, match="not a readable image"):
        model.predict(Image.open(tmp_path / "cut.png"), GERMAN, "de")


def test_vectors_of_files_alone_are_kept_for_later_rows(model, photos):
    known = {}
    model.judge([Query(photos[0], GERMAN, "de"), Query(Image.open(photos[1]), GERMAN, "de")], known)
    assert list(known) == [str(photos[0])]


def test_a_model_without_a_record_takes_any_language(profile, photos, tmp_path):
    shutil.copytree(profile / "clseave/de/seed0", tmp_path / "student")
    (tmp_path / "student/training.json").unlink()
    folders = {"head": profile / "clip_ve/seed0", "clip": profile / "clip"}
    model = Entailment.from_pretrained(tmp_path / "student", device="auto", **folders)
    assert model.predict(photos[0], GERMAN, "de")[0].label == model.predict(photos[0], GERMAN)[0].label


def test_an_unreadable_photo_is_named(model, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"photo.png: not a readable image"):
        model.predict(tmp_path / "photo.png", GERMAN, "de")


def test_no_torch_is_loaded_before_the_interface_is_used(repo_root):
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, 'src'); import clseave; assert 'torch' not in sys.modules; clseave.Entailment"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=True)
    with pytest.raises(AttributeError, match="has no attribute 'Entailmnt'"):
        clseave.Entailmnt  # noqa: B018
