"""A missing output is looked up in DVC's cache and remote before anybody is told to compute it again."""

import contextlib
import shutil

import pytest
import torch
from dvc.cli import main
from safetensors.torch import save_file

from clseave.foundation.errors import UserError
from clseave.foundation.files import remedies
from clseave.foundation.files.formats import read_json
from clseave.models.loading import load_layers

STAGE = """stages:
  train:
    cmd: python make.py
    outs:
    - models/one:
        remote: shared
    - models/scores.json:
        cache: false
"""
CONFIG = """[core]
    analytics = false
    no_scm = true
['remote "shared"']
    url = ../store
"""


def dvc(root, *command):
    with contextlib.chdir(root):
        assert main([*command, "--quiet"]) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository with a model of two files in the workspace, the cache and the remote."""
    root = tmp_path_factory.mktemp("made") / "root"
    (root / "models/one").mkdir(parents=True)
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text(CONFIG)
    (root / "dvc.yaml").write_text(STAGE)
    save_file({"weight": torch.ones(2, 2), "bias": torch.zeros(2)}, root / "models/one/layer.safetensors")
    (root / "models/one/config.json").write_text("{}")
    (root / "models/scores.json").write_text("{}")
    dvc(root, "commit", "--force")
    dvc(root, "push")
    return root


@pytest.fixture
def root(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "root")
    monkeypatch.chdir(tmp_path / "root")
    return tmp_path / "root"


@pytest.mark.parametrize("gone", ["models/one/layer.safetensors", "models/one"])
def test_a_missing_weight_file_that_the_cache_holds_comes_back_by_checkout(root, gone):
    shutil.rmtree(gone) if gone == "models/one" else (root / gone).unlink()
    with pytest.raises(UserError, match=r"does not exist: run `dvc checkout models/one`, DVC's cache holds it$"):
        load_layers(torch.nn.Linear(2, 2), "models/one/layer.safetensors")
    dvc(root, "checkout", "models/one")
    load_layers(torch.nn.Linear(2, 2), "models/one/layer.safetensors")


def test_one_that_only_the_remote_holds_is_pulled(root):
    shutil.rmtree(".dvc/cache")
    (root / "models/one/config.json").unlink()
    with pytest.raises(UserError, match=r"does not exist: run `dvc pull models/one`, its remote holds it$"):
        read_json(root / "models/one/config.json")
    dvc(root, "pull", "models/one")
    assert read_json("models/one/config.json") == {}


def test_one_of_which_an_object_is_lost_is_computed_again(root):
    weights = root / "models/one/layer.safetensors"
    size = weights.stat().st_size
    for folder in (".dvc/cache", "store"):
        for path in (root / folder).rglob("*"):
            if path.is_file() and path.stat().st_size == size:
                path.unlink()
    weights.unlink()
    assert remedies.restore_command(weights, "compute") == "compute"


def test_what_is_all_there_or_not_cached_or_no_output_is_not_looked_for_in_the_cache(root):
    (root / "models/scores.json").unlink()
    for path in ("models/one", "models/scores.json", "models/two", "models", "/nowhere/at/all"):
        assert remedies.restore_command(path, "compute") == "compute"


def test_a_damaged_dvc_yaml_does_not_hide_what_is_missing(root):
    (root / "models/one/layer.safetensors").unlink()
    (root / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match=r"does not exist: run the stage that writes it"):
        load_layers(torch.nn.Linear(2, 2), "models/one/layer.safetensors")
