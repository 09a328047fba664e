"""What the values need beside themselves is said before any work: remote, languages, local models."""

import json
import logging
import subprocess
import sys

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import save_file
from tiny_models import bert_text, clip_text

from clseave.foundation.errors import UserError
from clseave.foundation.settings import params
from clseave.models.pretrained import KINDS, in_words, names_at_start, weight_names
from clseave.preflight import prerequisites
from clseave.stages import check
from settings import SETTINGS

CLIP = ["text_model.a", "vision_model.a", "text_projection.weight", "visual_projection.weight"]
BERT = ["bert.a", "cls.predictions.bias"]
MODELS = {"clip": ("clip", CLIP), "mbert": ("bert", BERT)}


def place(folder, kind, names, name="model.safetensors", **config):
    """A folder with a configuration, a tokenizer, and weights of these names."""
    folder.mkdir()
    (bert_text() if kind == "bert" else clip_text()).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": kind, "num_hidden_layers": 12} | config))
    tensors = {name: torch.zeros(1) for name in names}
    torch.save(tensors, folder / name) if name.endswith(".bin") else save_file(tensors, folder / name)
    return folder


@pytest.fixture
def thesis(tmp_path, repo_root, monkeypatch):
    """The values of profile thesis with two sound local models, and `check` on them after a change at a dotted key."""
    for name, (kind, names) in MODELS.items():
        place(tmp_path / name, kind, names)
    profile = YAML(typ="safe").load(SETTINGS / "profiles/thesis.yaml")
    for name in MODELS:
        profile["backbones"][name] |= {"id": f"./{name}", "revision": None, "weights": "safetensors"}
    monkeypatch.chdir(tmp_path)

    def run(languages=("de",), **changes):
        values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "thesis", "languages": list(languages)}
        values["evaluations"] = values["evaluations"][:1]
        (tmp_path / "profiles").mkdir(exist_ok=True)
        (tmp_path / "params.yaml").write_text(json.dumps(values))
        (tmp_path / "profiles/thesis.yaml").write_text(json.dumps(profile | changes))
        check.main(["--params", "params.yaml", "--profiles", "profiles", "--out", "checked.txt"])

    return run


def refused(thesis, **changes):
    with pytest.raises(UserError) as caught:
        thesis(**changes)
    return str(caught.value)


def test_what_a_stage_takes_passes(thesis, tmp_path):
    thesis()
    assert (tmp_path / "checked.txt").read_text() == "checked\n"
    for weights in (tmp_path / "clip/model.safetensors", tmp_path / "mbert/model.safetensors"):
        names = weight_names(weights.parent, [weights.name])
        weights.rename(weights.with_name("part-1.safetensors"))
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "part-1.safetensors")}
        weights.with_name("model.safetensors.index.json").write_text(json.dumps(index))
    thesis()
    config = json.loads((tmp_path / "mbert/config.json").read_text())
    config.pop("model_type")  # as in the oldest files
    (tmp_path / "mbert/config.json").write_text(json.dumps(config))
    thesis()


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("mbert", {"kind": "gpt2"}, "found ./mbert, a gpt2 (model_type in config.json), allowed: BERT"),
        ("mbert", {"kind": "distilbert", "n_layers": 6}, "align_words.layer: found 8, allowed with ./mbert: 1 to 6"),
        ("clip", {"kind": "blip"}, "backbones.clip.id: found ./clip, a blip (model_type in config.json), allowed"),
        ("clip", {"kind": "clip_text_model"}, "found ./clip, a clip_text_model"),
        ("clip", {"names": CLIP[:1]}, "./clip has no image tower (no weight is named vision_model.*)"),
        ("clip", {"names": CLIP[:3]}, "./clip has no projection of images (no weight is named visual_projection.*)"),
        ("mbert", {"num_hidden_layers": 6}, "align_words.layer: found 8, allowed with ./mbert: 1 to 6"),
        ("mbert", {"vocab_size": 9}, "mbert: the tokenizer has "),
        ("mbert", {"name": "pytorch_model.bin"}, "holds no model.safetensors: say `weights: convert` to read pytorch"),
    ],
)
def test_a_local_model_that_a_stage_refuses_is_refused_at_once(thesis, tmp_path, name, found, message):
    kind, names = MODELS[name]
    (tmp_path / name).rename(tmp_path / "old")
    place(tmp_path / name, **{"kind": kind, "names": names} | found)
    assert message in refused(thesis)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_local_model_without_one_of_its_files_is_refused_at_once(thesis, tmp_path, name):
    (tmp_path / "mbert" / name).unlink()
    assert refused(thesis).startswith("./mbert holds no ")


def test_weights_whose_end_is_missing_are_refused_at_once(thesis, tmp_path):
    path = tmp_path / "mbert/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(thesis).startswith("mbert/model.safetensors holds no readable weights (")


def test_a_local_model_that_is_not_there_may_have_been_used_already(thesis, tmp_path, caplog):
    (tmp_path / "mbert").rename(tmp_path / "gone")
    with caplog.at_level(logging.WARNING):
        thesis()
    assert "backbones.mbert.id: ./mbert is no folder: its stage needs one" in caplog.text


@pytest.mark.parametrize("legacy", [False, True])
def test_names_of_pickled_weights_are_read_without_running_anything(tmp_path, legacy):
    path = tmp_path / "pytorch_model.bin"
    torch.save({name: torch.zeros(9) for name in BERT}, path, _use_new_zipfile_serialization=not legacy)
    assert set(BERT) <= weight_names(tmp_path, [path.name]) == names_at_start(path.read_bytes(), "convert")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"pytorch_model.bin holds no readable weights .*: copy it there again"):
        weight_names(tmp_path, [path.name])


def test_names_of_safetensors_are_at_the_start_of_their_file(tmp_path):
    folder = place(tmp_path / "model", "bert", BERT)
    start = (folder / "model.safetensors").read_bytes()[:-1]
    assert names_at_start(start, "safetensors") == set(BERT) == weight_names(folder, ["model.safetensors"])
    with pytest.raises(ValueError, match="Unterminated"):
        names_at_start(start[:20], "safetensors")


def test_a_model_of_translation_is_looked_at_too(thesis, tmp_path):
    place(tmp_path / "t5", "t5", ["encoder.a"])
    nmt = {"backend": "nmt", "beams": 1, "batch_tokens": 9, "max_new_tokens": 9, "corrections": None}
    nmt["model"] = {"id": "./t5", "revision": None, "weights": "safetensors"}
    allowed = in_words(KINDS["translate.model"])
    assert f"translate.model.id: found ./t5, a t5 (model_type in config.json), allowed: {allowed}" in refused(
        thesis, translate=nmt
    )


def test_a_language_that_the_service_does_not_speak_is_named(thesis):
    thesis(languages=["de", "zh", "ceb"])
    message = refused(thesis, languages=["de", "xx"])
    assert message.startswith("languages: found 'xx', allowed with translate.backend google: af, ")


def test_a_profile_without_a_remote_is_named(thesis, tmp_path):
    dvc = tmp_path / ".dvc"
    dvc.mkdir()
    (dvc / "config").write_text("['remote \"mini\"']\n    url = ../store\n['remote \"thesis2\"']\n    url = b\n")
    message = refused(thesis)
    assert message.startswith("profile thesis: found no DVC remote of that name, where its outputs are pushed to, but ")
    assert "mini, thesis2" in message and message.endswith("`dvc remote add thesis stores/thesis`")
    (dvc / "config.local").write_text("['remote \"thesis\"']\n    url = /elsewhere\n")  # which DVC reads as well
    thesis()
    (dvc / "config").write_text("[core\n")
    assert f"{dvc.name}/config cannot be read by DVC: " in refused(thesis)


def test_every_committed_profile_has_its_remote(repo_root):
    for name in params.profile_names(SETTINGS / "profiles"):
        prerequisites.require_remote(name, repo_root / ".dvc")


def test_the_program_says_it_in_one_line_with_exit_code_2(repo_root, tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / "profiles").symlink_to(SETTINGS / "profiles")
    command = [sys.executable, repo_root / "src/run.py", "check", "--params", SETTINGS / "params.yaml"]
    command += ["--profiles", "profiles", "--out", "checked.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: profile mini: found no DVC remote of that name")
    assert "but none: add one" in done.stderr and not (tmp_path / "checked.txt").exists()
