"""The record that a training leaves: the same bytes everywhere, nothing of the machine in it, and bad ones refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import write_jsonl
from clseave.foundation.process import fingerprint
from clseave.foundation.rows import training_record
from clseave.foundation.rows.records import write_vectors
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Origins
from settings import ROOT, SETTINGS
from views import view

FIELDS = {
    "name": "clseave",
    "stage": "clseave",
    "profile": "mini",
    "seed": 3,
    "languages": ["de"],
    "parameters": {"lr": 0.0005, "clseave": {"pooling": "sep"}},
    "inputs": {"mbert": "0" * 64},
    "bases": ["models/mini/mbert"],
    "metrics": {"lr": 1.05263e-05, "epoch": 2, "dev_mse": 0.25},
}


def values(profile, *keys):
    return params.load(SETTINGS / "params.yaml", SETTINGS / "profiles" / f"{profile}.yaml", view(*keys))


def test_what_is_written_is_read_again_and_keeps_its_order(tmp_path):
    made = TrainingRecord(**FIELDS)
    made.write(tmp_path)
    again = training_record.read(tmp_path)
    assert again == made and list(again.metrics) == ["lr", "epoch", "dev_mse"]
    again.write(tmp_path / "again")
    assert (tmp_path / "again/training.json").read_bytes() == (tmp_path / "training.json").read_bytes()


def test_the_bytes_are_these(tmp_path):
    TrainingRecord(**FIELDS).write(tmp_path)
    content = json.loads((tmp_path / "training.json").read_bytes())
    assert content == FIELDS | {"origin": None, "validation": "dev"}
    assert (tmp_path / "training.json").read_bytes() == (json.dumps(content, indent=2) + "\n").encode()


def test_a_folder_without_a_record_has_none(tmp_path):
    assert training_record.read(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", r"training\.json is not UTF-8 text"),
        (b"{", r"training\.json is not JSON"),
        (b"[]", r"training\.json: content: Input should be a valid dictionary"),
        (json.dumps(FIELDS | {"seed": "3"}).encode(), r"training\.json: seed: Input should be a valid integer: delete"),
        (json.dumps(FIELDS | {"inputs": {"mbert": 7}}).encode(), r"training\.json: inputs\.mbert: Input should be a"),
        (json.dumps(FIELDS | {"code": "0"}).encode(), r"training\.json: code: Extra inputs are not permitted: delete"),
        (json.dumps({"name": "clip"}).encode(), r"training\.json: stage: Field required: delete the folder, then run"),
    ],
)
def test_a_bad_record_is_the_users_error(tmp_path, content, message):
    (tmp_path / "training.json").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        training_record.read(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("models/mini/clip", "models/mini/clip"),
        ("/somewhere/of/mine/models/mini/clip_ve/seed0", "models/mini/clip_ve/seed0"),
        ("/models/of/mine/models/clip", "models/clip"),
        ("../elsewhere/models/tiny/mbert", "models/tiny/mbert"),
        ("/somewhere/of/mine/clip", "clip"),
    ],
)
def test_no_name_of_a_model_tells_a_folder_of_this_machine(folder, name):
    assert named(Path(folder)) == name


def test_inputs_are_hashed_by_their_roles(tmp_path):
    (tmp_path / "de.jsonl").write_text("a row")
    (tmp_path / "mbert").mkdir()
    (tmp_path / "mbert/config.json").write_text("{}")
    inputs = {"translations": tmp_path / "de.jsonl", "mbert": tmp_path / "mbert"}
    found = digests(inputs)
    assert list(found) == ["mbert", "translations"]
    assert found == {name: fingerprint.digest(inputs[name]) for name in found}


def test_where_it_was_computed_is_no_parameter():
    keys = ("lr", "clseave", "device", "max_resident_gb", "kernels")
    found = plain(values("mini", *keys), model="clip_ve")
    assert list(found) == ["model", "lr", "clseave", "kernels"]
    assert found["clseave"]["pooling"] == "sep" and json.dumps(found)


def backbone(folder, profile, name="clip", **changes):
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "en.txt").write_text("a line\n")
    settings = params.load(SETTINGS / "params.yaml", SETTINGS / "profiles" / f"{profile}.yaml", Origins)
    if changes:
        fetched = getattr(settings.backbones, name).model_copy(update=changes)
        settings = settings.model_copy(update={"backbones": settings.backbones.model_copy(update={name: fetched})})
    curve = [] if profile == "thesis" else [{"epoch": 6, "train_loss": 2.0}, {"epoch": 7, "train_loss": 0.5}]
    return training_record.of_backbone(
        name, profile, ("en", "de"), text=folder / "en.txt", folder=folder, curve=curve, settings=settings
    )


def test_a_trained_backbone_shows_its_own_values_only(tmp_path):
    made = backbone(tmp_path, "mini")
    assert (made.name, made.stage, made.seed, made.languages, made.bases) == ("clip", "backbones", 0, ["en"], [])
    assert list(made.parameters) == ["backbone", "source", "kind", "seed", "clip"]
    assert made.parameters["source"]["kind"] == made.origin.corpus == "scenes" and made.origin.id is None
    assert made.inputs == {"text": fingerprint.digest(tmp_path / "en.txt")}
    assert made.metrics == {"train_loss": 0.5}, "a row of its curve is no epoch"
    assert backbone(tmp_path, "mini", "mbert").languages == ["en", "de"]


def test_a_fetched_backbone_names_its_revision_and_its_weights(tmp_path):
    made = backbone(tmp_path, "thesis")
    assert (made.seed, made.metrics, made.languages) == (None, {}, ["en"])
    assert (made.origin.id, made.origin.corpus) == ("openai/clip-vit-base-patch16", "photos")
    assert made.origin.revision == made.parameters["clip"]["revision"] == "57c216476eefef5ab752ec549e440a49ae4ae5f3"
    assert made.inputs == {"weights as saved here": fingerprint.digest(tmp_path / "model.safetensors")}
    assert "source" not in made.parameters, "the corpus is not in it"
    assert backbone(tmp_path, "thesis", "mbert").languages == ["multilingual"]


@pytest.mark.parametrize("folder", ["/somewhere/of/mine", "./models/local/clip"])
def test_a_backbone_from_a_folder_does_not_tell_which(tmp_path, folder):
    made = backbone(tmp_path, "thesis", id=folder, revision=None)
    assert folder not in made.model_dump_json()
    assert (made.origin.id, made.parameters["clip"]["id"]) == ("a local folder", "a local folder")


ROW = {"pair_id": "1", "image_id": "1", "hypothesis_id": "1", "hypothesis": "Ein Kreis", "label": "neutral"}


def majority(source, folder):
    """The files of a model that the copy of the code in `source` makes of three rows."""
    for split in ("train", "dev", "test"):
        write_jsonl(folder / f"examples/{split}.jsonl", [ROW | {"split": split, "kind": None, "seen": None}])
    write_vectors(folder / "images", ["1"], np.ones((1, 4)))
    for name in ("clip", "mbert"):
        (folder / "models/mini" / name).mkdir(parents=True)
    for name in ("en", "de"):
        (folder / f"{name}.jsonl").write_text("")
    paths = {
        "params": SETTINGS / "params.yaml",
        "profile": SETTINGS / "profiles/mini.yaml",
        "checkpoints": "unfinished",
    }
    paths |= {"examples": "examples", "english": "en.jsonl", "translated": "de.jsonl", "images": "images"}
    paths |= {
        "clip": "models/mini/clip",
        "mbert": "models/mini/mbert",
        "out": "out",
        "curve": "a.csv",
        "metrics": "a.json",
    }
    names = {"kind": "majority", "hypotheses": "english", "seed": "0"}
    options = [part for name, value in (paths | names).items() for part in (f"--{name}", str(value))]
    subprocess.run([sys.executable, str(source / "run.py"), "finetune_baseline", *options], cwd=folder, check=True)
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.mark.slow
def test_a_model_has_the_same_bytes_whatever_the_modules_are_called(tmp_path):
    copy = shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "clseave/models/head.py").rename(copy / "clseave/cuts.py")
    for path in copy.rglob("*.py"):
        path.write_text(path.read_text().replace("clseave.models.head", "clseave.cuts"))
    one, other = (majority(source, tmp_path / name) for source, name in ((ROOT / "src", "usual"), (copy, "renamed")))
    assert set(one) == {"head.json", "training.json"} and one == other
