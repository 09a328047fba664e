"""Bundles: written by `export`, loaded elsewhere, pushed to a hub."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import ExifTags, Image
from tiny_models import PROJECTED, bert, bert_text
from tiny_profile import save_photos, save_profile

from clseave import Entailment
from clseave.cards import bundle_card
from clseave.commands import export
from clseave.foundation.errors import UserError
from clseave.foundation.rows.training_record import Origin, TrainingRecord
from clseave.inference import folders, onnx_models, onnx_predict
from clseave.models.student import Student
from clseave.models.tokens import pad
from hub_server import serve

pytestmark = pytest.mark.xdist_group("export")  # which shares what is made once

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


def with_records(place, folder):
    """A copy of the models whose records say that all derive from a CLIP of generated scenes."""
    models = shutil.copytree(place / "models", folder / "models") / "tiny"
    record(models / "clip", [], Origin(corpus="scenes"))
    for one in models.glob("cl*ve/**/seed*"):
        record(one, ["models/tiny/clip"])
    return models


def test_the_licence_is_that_of_what_the_models_derive_from(place, tmp_path, monkeypatch):
    models = with_records(place, tmp_path)
    own = made(tmp_path, tmp_path / "own")
    assert (own / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert ModelCard.load(own / "README.md").data.license == "mit"
    monkeypatch.chdir(models.parent)
    export.main(["--model", "tiny", "--out", str(tmp_path / "short")])
    assert (tmp_path / "short/README.md").read_text() == (own / "README.md").read_text()
    record(models / "clip", [], Origin(corpus="photos", id="openai/clip-vit-base-patch16", revision="0" * 40))
    others = made(tmp_path, tmp_path / "others")
    assert (others / "LICENSE").read_text().startswith("No licence is granted for these weights.")
    data = ModelCard.load(others / "README.md").data
    assert (data.license, data.base_model) == ("other", ["openai/clip-vit-base-patch16"])


def test_a_model_from_elsewhere_has_its_own_licence_and_no_results_of_the_profile(place, tmp_path):
    models = with_records(place, tmp_path)
    shutil.copytree(place / "reports", tmp_path / "reports")
    other = shutil.copytree(models / "clseave/de/seed0", tmp_path / "mine/seed0")
    record(other, ["elsewhere/photos"])
    options = ["--model", str(other), "--language", "de"]
    options += ["--head", str(models / "clip_ve/seed0"), "--clip", str(models / "clip"), "--out"]
    export.main([*options, str(tmp_path / "bundle")])
    data = ModelCard.load(tmp_path / "bundle/README.md").data
    assert (data.license, data.eval_results) == ("unknown", None)
    export.main(["--model", str(models / "clseave/de/seed0"), "--out", str(tmp_path / "profile")])
    data = ModelCard.load(tmp_path / "profile/README.md").data
    assert data.license == "mit" and data.eval_results[0].metric_value == 0.75


def test_a_baseline_with_a_head_of_its_own_does_not_become_the_english_encoder(place, tmp_path):
    models = shutil.copytree(place / "models", tmp_path / "models") / "tiny"
    baseline = shutil.copytree(models / "clseave/de/seed0", models / "translate_train/seed0")
    for name in ("head.json", "head.safetensors"):
        shutil.copy(models / "clip_ve/seed1" / name, baseline)
    bundle = tmp_path / "bundle"
    export.main(["--model", str(baseline), "--language", "de", "--out", str(bundle)])
    loaded = Entailment.from_pretrained(bundle)
    assert loaded.languages == ["de"]
    assert shares(loaded, place) == shares(Entailment.from_pretrained(baseline, languages="de"), place)


def record(folder, bases, origin=None):
    TrainingRecord(
        name="a model", stage="a stage", profile="tiny", seed=0, languages=["de"], parameters={}, inputs={},
        metrics={}, bases=bases, origin=origin,
    ).write(folder)  # fmt: skip


def test_a_profile_at_the_root_of_a_file_system_has_records_and_no_metrics(tmp_path):
    """As in a container: `/bundle/clip` has no folder three above it."""
    found = folders.Folders({"en": Path("/bundle/clip_ve/seed0")}, Path("/bundle/clip_ve/seed0"), Path("/bundle/clip"))
    about = bundle_card.About("bundle", found, bundle_card.read_metrics(tmp_path, found))
    assert (about.records(), about.rows) == ({}, [])


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
model = Entailment.from_pretrained("somebody/tiny", languages="de")
print(model.predict(sys.argv[1], sys.argv[2], "de")[0].probabilities)
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    settings = {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_loopback"}
    with serve({}) as hub:
        hub.writable = tmp_path / "hub"
        for name, value in (settings | {"HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT / "src")}).items():
            monkeypatch.setenv(name, value)
        yield hub


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)


def pushed(folder, *options):
    return run(ROOT / "src/run.py", "export", "--out", folder, "--push", "somebody/tiny", *options)


@pytest.mark.slow
def test_a_bundle_is_pushed_to_a_hub_and_loaded_from_it(place, tmp_path, hub):
    one, two = made(place, tmp_path / "one"), made(place, tmp_path / "two", "--language", "de")
    with pytest.raises(UserError, match="licence unknown: these weights may not be for everybody"):
        export.main(["--out", str(one), "--push", "somebody/tiny"])  # nobody knows where its models come from
    assert not hub.models
    done = pushed(one, "--private")
    assert f"pushed to {hub.url}/somebody/tiny" in done.stderr and hub.private == {"somebody/tiny"}
    assert contents(hub.writable / "somebody/tiny") == contents(one)
    said = run("-c", PREDICT, place / "photos/0.png", TEXTS["de"])
    assert said.stdout.strip() == str(shares(Entailment.from_pretrained(one), place)["de"][0])
    assert not [name for name in hub.requests if "/clseave/ja/" in name]
    # A second push leaves what the new bundle has, and nothing else.
    assert pushed(two, "--private").returncode == 0
    assert contents(hub.writable / "somebody/tiny") == contents(two)


@pytest.mark.slow
def test_a_push_that_would_publish_or_destroy_is_refused(place, tmp_path, hub):
    with_records(place, tmp_path)
    bundle = made(tmp_path, tmp_path / "bundle")
    hub.models["somebody/tiny"] = hub.writable / "somebody/tiny"
    hub.models["somebody/tiny"].mkdir(parents=True)
    assert "exists and is public, --private makes new repositories only private" in pushed(bundle, "--private").stderr
    (hub.models["somebody/tiny"] / "config.json").write_text("{}")
    assert "holds something else than a bundle" in pushed(bundle).stderr
    assert contents(hub.models["somebody/tiny"]) == {"config.json": b"{}"}
    (hub.models["somebody/tiny"] / "config.json").unlink()
    hub.closed = True
    refused = pushed(bundle)
    assert refused.returncode == 2 and "refused somebody/tiny" in refused.stderr
    assert "hf auth login" in refused.stderr and "the same command without --model" in refused.stderr


def test_what_is_no_bundle_is_not_pushed(tmp_path):
    with pytest.raises(UserError, match="is no bundle: give --model to write one"):
        export.main(["--out", str(tmp_path), "--push", "somebody/tiny"])
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(UserError, match="--push tiny: expected OWNER/NAME"):
        export.main(["--out", str(tmp_path), "--push", "tiny"])


@pytest.mark.parametrize("model", ["./nothing/here", "../nothing", "/nothing/here", "~/nothing", "here/tiny", "a/b/c"])
def test_a_path_is_not_looked_for_on_the_hub(tmp_path, monkeypatch, model):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "snapshot", lambda *_: pytest.fail("the hub was asked"))
    with pytest.raises(UserError, match="no such folder"):
        Entailment.from_pretrained(model)


def test_a_hub_that_has_no_such_model_is_named_beside_the_folder(monkeypatch):
    def fail(*_):
        raise UserError("no such model")

    monkeypatch.setattr(folders, "snapshot", fail)
    with pytest.raises(UserError, match="some/body: there is no such folder, and as a model of the hub: no such model"):
        Entailment.from_pretrained("some/body")


def contents(folder):
    """Every file's bytes, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def with_onnx(place, tmp_path_factory):
    return made(place, tmp_path_factory.mktemp("onnx") / "bundle", "--onnx", "--language", "de", "--language", "en")


@pytest.mark.slow
@pytest.mark.parametrize(("language", "mode"), [("de", "RGB"), ("en", "L"), ("de", "I;16"), ("de", "P")])
def test_onnxruntime_alone_predicts_the_same(place, tmp_path, with_onnx, language, mode):
    """The script runs in another folder, where neither torch nor transformers may be imported."""
    folder = shutil.copytree(with_onnx / "onnx", tmp_path / "onnx")
    photo, drawn = tmp_path / "wide.png", np.random.default_rng(0)
    colours = Image.fromarray(drawn.integers(0, 256, (45, 63, 3), dtype=np.uint8)).convert(mode)
    grey = Image.fromarray(drawn.integers(0, 65536, (63, 45), dtype=np.uint16))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (grey if mode == "I;16" else colours).save(photo, exif=exif)
    guard = "import sys; sys.modules.update(torch=None, transformers=None, clseave=None); import runpy; "
    guard += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    texts = [TEXTS[language], "Ein [SEP] Kreis" if language == "de" else "circle"]
    command = [sys.executable, "-c", guard, folder / "predict.py", "--language", language, photo, *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    model = Entailment.from_pretrained(place / "models/tiny")
    for line, wanted in zip(done.stdout.splitlines(), model.predict(photo, texts, language), strict=True):
        found = json.loads(line)
        assert found.pop("text") == wanted.text
        assert found == pytest.approx(wanted.probabilities, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pooling", ["mean", "highest", *(pytest.param(one, marks=pytest.mark.full) for one in ("sep", "cls"))]
)  # `sep` and `cls` take one vector, as the models of the tests above do
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
def test_a_file_that_differs_from_torch_is_refused(tmp_path, monkeypatch):
    student = Student(bert(3), bert_text(), PROJECTED, "sep").eval()
    real = torch.onnx.export

    def other(model, *args, **settings):
        own = student.projection.weight
        student.projection.weight = torch.nn.Parameter(2 * own)
        made = real(model, *args, **settings)
        student.projection.weight = own
        return made

    monkeypatch.setattr(torch.onnx, "export", other)
    with pytest.raises(UserError, match=r"text.onnx differs from torch by \d.*, allowed 1e-04"):
        onnx_models.save_encoder(tmp_path / "text.onnx", student)


def test_a_sentence_that_cannot_be_judged_ends_the_script(tmp_path):
    tokenizer = bert_text().backend_tokenizer
    assert onnx_predict.tokens(tokenizer, "rot", 9, "stop").shape[0] == 1
    for text, longest, said in ((" ", 9, "has no words"), ("rot " * 9, 5, "tokens, allowed 5")):
        with pytest.raises(SystemExit, match=said):
            onnx_predict.tokens(tokenizer, text, longest, "stop")
    whole, cut = (onnx_predict.tokens(tokenizer, "rot " * 9, longest, "cut")[0].tolist() for longest in (99, 5))
    assert cut == [*whole[:4], whole[-1]]


def test_missing_packages_are_named(place, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_models, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError, match=r"--onnx needs onnxscript: `pip install onnxscript`"):
        made(place, tmp_path / "bundle", "--onnx")
