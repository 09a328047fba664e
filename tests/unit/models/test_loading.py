"""Loading models from a folder."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import bert, save_masked_bert
from transformers import BertForMaskedLM, BertModel

from clseave.foundation.errors import UserError
from clseave.models.loading import load_layers, load_model, read_weights


def test_a_model_is_loaded_whole_in_evaluation_mode(tmp_path):
    made = bert(hidden_dropout_prob=0.25, hidden_act="relu")
    made.save_pretrained(tmp_path)
    again = load_model(BertModel, tmp_path, add_pooling_layer=False)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in made.state_dict().items())
    assert not any(module.training for module in again.modules())
    # From the checkpoint, not from the defaults; eager attention, whatever the default is.
    assert (again.config.hidden_dropout_prob, again.config.hidden_act) == (0.25, "relu")
    assert again.config._attn_implementation == "eager"


def test_settings_override_the_checkpoints(tmp_path):
    bert(hidden_dropout_prob=0.25).save_pretrained(tmp_path)
    assert (
        load_model(BertModel, tmp_path, add_pooling_layer=False, hidden_dropout_prob=0.0).config.hidden_dropout_prob
        == 0
    )


def test_a_part_of_a_larger_model_is_found_without_a_list_of_the_rest(tmp_path, capfd):
    load_model(BertModel, save_masked_bert(tmp_path), add_pooling_layer=False)
    assert "cls.predictions" not in "".join(capfd.readouterr())
    load_model(BertForMaskedLM, tmp_path)  # tied weights are not missing


def test_missing_weights_are_counted_and_one_is_named(tmp_path):
    bert().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if ".layer.1." not in name},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    gone = sum(".layer.1." in name for name in weights)
    with pytest.raises(UserError, match=f"lacks {gone} weights of BertModel, the first encoder.layer.1.attention"):
        load_model(BertModel, tmp_path, add_pooling_layer=False)


def test_a_pooler_that_was_never_trained_is_missing(tmp_path):
    bert().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="pooler"):
        load_model(BertModel, tmp_path)


@pytest.mark.parametrize("name", ["nothing", "google-bert/bert-base-multilingual-cased"])
def test_a_folder_without_a_model_is_named_and_the_network_not_asked(tmp_path, monkeypatch, name):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"{name} holds no BertModel: .*dvc repro"):
        load_model(BertModel, name)


def test_a_file_that_is_no_checkpoint_is_the_users_error(tmp_path):
    bert().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="holds no BertModel"):
        load_model(BertModel, tmp_path)


def test_weights_of_other_sizes_than_the_configuration_are_the_users_error(tmp_path):
    bert().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no readable BertModel: weights of other sizes than its"):
        load_model(BertModel, tmp_path, add_pooling_layer=False, intermediate_size=64)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x08" + bytes(15)])
def test_damaged_safetensors_are_the_users_error(tmp_path, content):
    bert().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=f"{tmp_path} holds no readable BertModel: "):
        load_model(BertModel, tmp_path, add_pooling_layer=False)
    with pytest.raises(UserError, match=f"{tmp_path}/model.safetensors holds no readable weights: "):
        read_weights(tmp_path)


def test_weights_are_read_from_either_file_safetensors_first(tmp_path):
    ours, theirs = bert(seed=1).state_dict(), bert(seed=2).state_dict()
    torch.save(theirs, tmp_path / "pytorch_model.bin")
    assert read_weights(tmp_path).keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in read_weights(tmp_path).items())
    save_file(ours, tmp_path / "model.safetensors")
    assert all(torch.equal(value, ours[name]) for name, value in read_weights(tmp_path).items())


def shard(folder, weights="safetensors", parts=2):
    """The weights of a folder in several files and their index, as `save_pretrained` writes large ones."""
    single = folder / "model.safetensors"
    tensors = load_file(single)
    single.unlink()
    stem, suffix = ("model", "safetensors") if weights == "safetensors" else ("pytorch_model", "bin")
    index = {"metadata": {"total_size": 1}, "weight_map": {}}
    for number in range(parts):
        name = f"{stem}-{number + 1:05d}-of-{parts:05d}.{suffix}"
        own = {key: tensors[key] for key in sorted(tensors)[number::parts]}
        index["weight_map"] |= dict.fromkeys(own, name)
        save_file(own, folder / name, metadata={"format": "pt"}) if suffix == "safetensors" else torch.save(
            own, folder / name
        )
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return tensors


@pytest.mark.parametrize("weights", ["safetensors", "convert"])
def test_weights_in_shards_are_read_by_their_index(tmp_path, weights):
    save_masked_bert(tmp_path)
    tensors = shard(tmp_path, weights, 3)
    found = read_weights(tmp_path)
    assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)
    model = load_model(BertForMaskedLM, tmp_path, use_safetensors=weights == "safetensors")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in tensors.items())
    gone = sorted(tmp_path.glob("*-00002-of-*"))[0]
    gone.unlink()
    with pytest.raises(UserError, match=rf"index.json names {gone.name}, which is not there: copy it there too$"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "", "model.bin", 7, "a/b.safetensors"])
def test_an_index_names_files_beside_it_only(tmp_path, name):
    index = {"metadata": {}, "weight_map": {"bert.weight": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"weight_map: found .*, expected the name of a \.safetensors file beside it$"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", [[], {}, {"weight_map": {}}, {"weight_map": {"a": "a.safetensors"}}])
def test_a_file_that_is_no_index_is_named(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"index\.json: expected `metadata` and `weight_map`"):
        read_weights(tmp_path)


def test_a_folder_without_weights_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds neither model.safetensors nor pytorch_model.bin"):
        read_weights(tmp_path)


class Payload:
    """What a hostile checkpoint holds."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile(folder):
    """A BERT whose pickled weights would make a folder."""
    bert().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload(folder / "made")}, folder / "pytorch_model.bin")


def half(folder):
    bert().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(bert().state_dict(), folder / "pytorch_model.bin")
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("damage", [hostile, half])
def test_a_pickle_that_is_more_or_less_than_weights_is_refused_and_not_run(tmp_path, damage):
    damage(tmp_path)
    with pytest.raises(UserError, match="holds no"):
        load_model(BertModel, tmp_path, add_pooling_layer=False, use_safetensors=False)
    with pytest.raises(UserError, match="bin holds no readable weights: ") as raised:
        read_weights(tmp_path)
    assert damage is half or "holds more than weights and could run code" in str(raised.value)
    assert not (tmp_path / "made").exists()


def two_layers():
    return torch.nn.ModuleDict({"one": torch.nn.Linear(2, 2), "other": torch.nn.Linear(2, 3)})


def test_layers_come_back_from_their_file(tmp_path):
    model = two_layers()
    save_file(model.state_dict(), tmp_path / "layers.safetensors")
    again = two_layers()
    load_layers(again, tmp_path / "layers.safetensors")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_layers_of_another_file_are_left_alone(tmp_path):
    model = two_layers()
    save_file(model["other"].state_dict(prefix="other."), tmp_path / "layers.safetensors")
    load_layers(two_layers(), tmp_path / "layers.safetensors", beside="one")
    with pytest.raises(UserError, match=r"layers\.safetensors is of another model: one\."):
        load_layers(two_layers(), tmp_path / "layers.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 100, "cut"], ids=["absent", "empty", "noise", "cut"])
def test_a_damaged_layer_file_is_named(tmp_path, content):
    path = tmp_path / "layers.safetensors"
    save_file(two_layers().state_dict(), path)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-4] if content == "cut" else content)
    what = "cannot be read into its model: .*: run its stage again"
    if content is None:
        what = "does not exist: run the stage that writes it"
    with pytest.raises(UserError, match=rf"layers\.safetensors {what}"):
        load_layers(two_layers(), path)


def test_layers_of_another_size_are_named(tmp_path):
    save_file(torch.nn.ModuleDict({"one": torch.nn.Linear(5, 2), "other": torch.nn.Linear(2, 3)}).state_dict(),
              tmp_path / "layers.safetensors")  # fmt: skip
    with pytest.raises(UserError, match="cannot be read into its model"):
        load_layers(two_layers(), tmp_path / "layers.safetensors")
