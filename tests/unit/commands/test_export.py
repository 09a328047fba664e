"""Bundles: written by `export`, loaded elsewhere, pushed to a hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from tiny_models import PROJECTED, bert, bert_text
from tiny_profile import save_photos, save_profile

from clseave import Entailment
from clseave.commands import export
from clseave.foundation.errors import UserError
from clseave.foundation.rows.training_record import Origin, TrainingRecord
from clseave.inference import onnx_models
from clseave.models.student import Student
from clseave.models.tokens import pad
from hub_server import serve

ROOT = Path(__file__).resolve().parents[3]
TEXTS = {"en": "A red circle", "de": "Ein roter Kreis ist oben links", "ja": "左上に赤い円があります"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `models/tiny`, metrics of German, and photos."""
    place = tmp_path_factory.mktemp("place")
    save_profile(place / "models/tiny")
    save_photos(place / "photos", 2)
    folder = place / "reports/tiny/metrics/seed0"
    folder.mkdir(parents=True)
    row = {"language": "de", "rows": 8, "accuracy": 0.75, "macro_f1": 0.5, "swap_accuracy": None}
    (folder / "de.json").write_text(json.dumps(row))
    (folder / "ja.json").write_text(json.dumps(row | {"language": "ja", "rows": 0}))
    return place


def made(place, out, *more):
    export.main(["--model", str(place / "models/tiny"), "--out", str(out), *more])
    return out


def shares(model, place):
    """Probabilities of both photos in every language of a model."""
    photos = sorted((place / "photos").iterdir())
    return {
        code: [model.predict(photo, TEXTS[code], code)[0].probabilities for photo in photos] for code in model.languages
    }


def test_a_bundle_predicts_elsewhere_what_the_profile_predicts(place, tmp_path):
    bundle = made(place, tmp_path / "bundle")
    elsewhere = shutil.move(bundle, tmp_path / "elsewhere")
    loaded = Entailment.from_pretrained(elsewhere)
    assert loaded.languages == ["en", "de", "ja"]
    assert shares(loaded, place) == shares(Entailment.from_pretrained(place / "models/tiny"), place)


def test_languages_and_seed_are_chosen(place, tmp_path):
    bundle = made(place, tmp_path / "bundle", "--language", "ja", "--seed", "1")
    assert sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*.safetensors")) == [
        "clip/model.safetensors",
        "clip_ve/seed1/head.safetensors",  # English is not in it, so its text tower is not either
        "clseave/ja/seed1/model.safetensors",
        "clseave/ja/seed1/projection.safetensors",
    ]
    loaded = Entailment.from_pretrained(bundle)
    own = Entailment.from_pretrained(place / "models/tiny/clseave/ja/seed1")
    assert loaded.languages == ["ja"] and shares(loaded, place) == shares(own, place)


def test_a_student_of_english_only_is_a_bundle_too(place, tmp_path):
    bundle = made(place, tmp_path / "bundle", "--language", "en")
    assert not (bundle / "clseave").exists() and Entailment.from_pretrained(bundle).languages == ["en"]


def test_every_file_is_in_the_list_of_hashes(place, tmp_path):
    bundle = made(place, tmp_path / "bundle")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    found = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=True)
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in found.stdout.splitlines()} == files - {"SHA256SUMS"}
    (bundle / "clip/config.json").write_text("{}")
    assert subprocess.run(command, cwd=bundle, capture_output=True, check=False).returncode == 1


def test_the_card_holds_the_test_metrics(place, tmp_path, caplog):
    card = ModelCard.load(made(place, tmp_path / "bundle") / "README.md")
    (accuracy, f1) = card.data.eval_results
    assert (accuracy.dataset_config, accuracy.metric_type, accuracy.metric_value) == ("de", "accuracy", 0.75)
    assert (f1.metric_type, f1.metric_value) == ("f1", 0.5)
    assert card.data.language == ["en", "de", "ja"] and card.data.license == "unknown"  # no record says its origin
    assert "| de | 8 | 75.0 % | 50.0 % | none |" in card.text and "| ja |" not in card.text
    made(place, tmp_path / "bare", "--metrics", str(tmp_path))
    assert "has no metrics of these models" in caplog.text
    bare = ModelCard.load(tmp_path / "bare/README.md")
    assert bare.data.eval_results is None and "None were at hand" in bare.text


def test_the_licence_is_that_of_what_the_models_derive_from(place, tmp_path):
    shutil.copytree(place / "models", tmp_path / "models")
    models = tmp_path / "models/tiny"
    record(models / "clip", [], Origin(corpus="scenes"))
    for folder in models.glob("cl*ve/**/seed*"):
        record(folder, ["models/tiny/clip"])
    own = made(tmp_path, tmp_path / "own")
    assert (own / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert ModelCard.load(own / "README.md").data.license == "mit"
    record(models / "clip", [], Origin(corpus="photos", id="openai/clip-vit-base-patch16", revision="0" * 40))
    others = made(tmp_path, tmp_path / "others")
    assert (others / "LICENSE").read_text().startswith("No licence is granted for these weights.")
    data = ModelCard.load(others / "README.md").data
    assert (data.license, data.base_model) == ("other", ["openai/clip-vit-base-patch16"])


def record(folder, bases, origin=None):
    TrainingRecord(
        name="a model", stage="a stage", profile="tiny", seed=0, languages=["de"], parameters={}, inputs={},
        metrics={}, bases=bases, origin=origin,
    ).write(folder)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "fr"], "models/tiny: no student for fr; it has en, de, ja"),
        (["--seed", "7"], "models/tiny: no seed 7; it has 0, 1"),
    ],
)
def test_what_a_profile_lacks_is_said(place, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        made(place, tmp_path / "bundle", *options)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_exists_is_kept(place, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists: name a new folder, or remove it"):
        made(place, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_model_of_unknown_language_needs_one(place, tmp_path):
    shutil.copytree(place / "models", tmp_path / "models")
    model = tmp_path / "models/tiny/clseave/de/seed0"
    (model / "training.json").unlink()
    with pytest.raises(UserError, match="its language is not known: say --language"):
        export.main(["--model", str(model), "--out", str(tmp_path / "bundle")])
    export.main(["--model", str(model), "--language", "nl", "--out", str(tmp_path / "bundle")])
    assert Entailment.from_pretrained(tmp_path / "bundle").languages == ["nl"]


PREDICT = """
import sys
from clseave import Entailment
print(Entailment.from_pretrained("somebody/tiny").predict(sys.argv[1], sys.argv[2], "de")[0].probabilities)
"""


@pytest.mark.slow
def test_a_bundle_is_pushed_to_a_hub_and_loaded_from_it(place, tmp_path, monkeypatch):
    settings = {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_loopback"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with serve({}) as hub:
        hub.writable = tmp_path / "hub"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        command = [sys.executable, str(ROOT / "src/run.py"), "export", "--model", str(place / "models/tiny")]
        command += ["--push", "somebody/tiny", "--private", "--out"]
        found = subprocess.run([*command, tmp_path / "one"], capture_output=True, text=True, check=True)
        assert f"pushed to {hub.url}/somebody/tiny" in found.stderr
        assert contents(hub.writable / "somebody/tiny") == contents(tmp_path / "one")
        photo = str(place / "photos/0.png")
        program = [sys.executable, "-c", PREDICT, photo, TEXTS["de"]]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        said = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
        assert said.stdout.strip() == str(shares(Entailment.from_pretrained(tmp_path / "one"), place)["de"][0])
        # A second push leaves what the new bundle has, and nothing else.
        subprocess.run([*command, tmp_path / "two", "--language", "de"], capture_output=True, check=True)
        assert contents(hub.writable / "somebody/tiny") == contents(tmp_path / "two")
        hub.writable = None
        refused = subprocess.run([*command, tmp_path / "three"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "refused somebody/tiny" in refused.stderr and "hf auth login" in refused.stderr


def contents(folder):
    """Every file's bytes, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def with_onnx(place, tmp_path_factory):
    return made(place, tmp_path_factory.mktemp("onnx") / "bundle", "--onnx", "--language", "de", "--language", "en")


@pytest.mark.slow
@pytest.mark.parametrize(("language", "mode"), [("de", "RGB"), ("en", "L")])
def test_onnxruntime_alone_predicts_the_same(place, tmp_path, with_onnx, language, mode):
    """The script runs in another folder, where neither torch nor transformers may be imported."""
    folder = shutil.copytree(with_onnx / "onnx", tmp_path / "onnx")
    photo = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (41, 57, 3), dtype=np.uint8)).convert(mode).save(photo)
    guard = "import sys; sys.modules.update(torch=None, transformers=None, clseave=None); import runpy; "
    guard += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    texts = [TEXTS[language], "Kreis" if language == "de" else "circle"]
    command = [sys.executable, "-c", guard, folder / "predict.py", "--language", language, photo, *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    model = Entailment.from_pretrained(place / "models/tiny")
    for line, wanted in zip(done.stdout.splitlines(), model.predict(photo, texts, language), strict=True):
        found = json.loads(line)
        assert found.pop("text") == wanted.text
        assert found == pytest.approx(wanted.probabilities, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["sep", "cls", "mean", "highest"])
def test_a_student_is_written_with_every_pooling(tmp_path, pooling):
    """Batches and sentences of other sizes than those that were traced give torch's vectors too."""
    student = Student(bert(3), bert_text(), PROJECTED, pooling).eval()
    texts = ["Ein roter Kreis ist oben links", "Kreis", "Kreis links", "rot"]
    ids, mask = pad([student.tokenizer(text).input_ids for text in texts], student.tokenizer)
    onnx_models.save_encoder(tmp_path / "text.onnx", student)
    session = onnxruntime.InferenceSession(str(tmp_path / "text.onnx"))
    (found,) = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
    with torch.no_grad():
        assert found == pytest.approx(student(ids, mask).numpy(), abs=1e-5)


@pytest.mark.slow
def test_a_file_that_differs_from_torch_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_models, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"image.onnx differs from torch by .*, allowed"):
        made(place, tmp_path / "bundle", "--onnx")
    assert not (tmp_path / "bundle").exists()


def test_missing_packages_are_named(place, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_models, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError, match=r"--onnx needs onnxscript: `pip install onnxscript`"):
        made(place, tmp_path / "bundle", "--onnx")
