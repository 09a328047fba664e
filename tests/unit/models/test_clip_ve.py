"""CLIP's text tower, the head's files and the blind controls."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import ENGLISH, PROJECTED, clip_text, tower
from torch.nn import functional

from clseave.foundation.errors import UserError
from clseave.models.clip_ve import ClipVE, judge, load_head, save_head
from clseave.models.head import Head
from clseave.models.tokens import encode, pad
from clseave.models.towers import TextTower

IDS, MASK = pad(encode(clip_text(), ENGLISH), clip_text())
H, P = torch.randn(4, PROJECTED, generator=torch.Generator().manual_seed(0)), torch.arange(4.0 * PROJECTED).view(4, -1)


def head(inputs_seed=0):
    torch.manual_seed(inputs_seed)
    made = Head(PROJECTED, 5, 0.2)
    for layer in (made.layers[0], made.layers[6]):
        layer.running_mean.uniform_(-0.1, 0.1)
        layer.running_var.uniform_(0.5, 2)
    return made


def test_a_vector_is_the_projected_state_of_the_first_end_token():
    made = tower()
    states = made.model.text_model.final_layer_norm(made.final_states(IDS, MASK))
    ends = [row.tolist().index(clip_text().eos_token_id) for row in IDS]
    wanted = torch.stack([states[row, end] for row, end in enumerate(ends)]) @ made.model.text_projection.weight.T
    assert min(ends) < max(ends) == IDS.shape[1] - 1  # rows of unlike length, padded with the end token
    assert torch.allclose(made(IDS, MASK), wanted, atol=1e-6)
    projected = made.projected_states(IDS, MASK)
    assert torch.allclose(torch.stack([projected[row, end] for row, end in enumerate(ends)]), wanted, atol=1e-6)
    assert made(IDS, MASK).shape == (3, made.width) == (3, PROJECTED)


def test_final_states_are_those_of_the_last_layer_before_the_norm():
    made, seen = tower(), []
    made.model.text_model.final_layer_norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    states = made.final_states(IDS, MASK)
    assert torch.equal(states, seen[0])
    assert states.shape == (*IDS.shape, 8)
    assert not torch.allclose(states.mean(-1), torch.zeros(IDS.shape), atol=1e-3)  # a normalised state has mean zero


def test_padding_to_a_longer_width_changes_nothing():
    made = tower()
    ids = torch.cat([IDS, torch.full((3, 4), clip_text().pad_token_id)], dim=1)
    mask = torch.cat([MASK, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    assert torch.allclose(made(ids, mask), made(IDS, MASK), atol=1e-6)


def test_a_saved_tower_gives_the_same_bits(tmp_path):
    made = tower(hidden_act="gelu", layer_norm_eps=1e-3)
    made.save(tmp_path)
    again = TextTower.load(tmp_path)
    assert torch.equal(again(IDS, MASK), made(IDS, MASK))
    # The configuration is that of the checkpoint, not transformers' defaults.
    assert (again.model.config.hidden_act, again.model.config.layer_norm_eps) == ("gelu", 1e-3)
    assert encode(again.tokenizer, ENGLISH).tolist() == encode(made.tokenizer, ENGLISH).tolist()
    assert not any(module.training for module in again.eval().modules())


def test_a_tower_that_pools_at_another_token_raises():
    with pytest.raises(UserError, match="pools at id 2, the tokenizer ends sentences with"):
        tower(eos_token_id=2)


def test_a_missing_weight_is_the_users_error(tmp_path):
    tower().save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if "final_layer_norm.weight" in name)
    save_file(
        {name: value for name, value in weights.items() if name != gone},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(UserError, match=r"lacks 1 weights of CLIPTextModelWithProjection.*final_layer_norm\.weight"):
        TextTower.load(tmp_path)


def test_a_folder_without_a_tower_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="holds no CLIPTextModelWithProjection"):
        TextTower.load(tmp_path / "nothing")


@pytest.mark.parametrize("inputs", ["clip_ve", "hypothesis_only", "image_only"])
def test_a_saved_head_gives_the_same_bits(tmp_path, inputs):
    made = head()
    save_head(tmp_path, made, inputs)
    again, loaded = load_head(tmp_path)
    assert loaded == inputs and torch.equal(judge(again, loaded, H, P), judge(made.eval(), inputs, H, P))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in made.state_dict().items())
    assert not any(module.training for module in again.modules())
    assert json.loads((tmp_path / "head.json").read_text()) == {
        "inputs": inputs,
        "width": PROJECTED,
        "hidden": 5,
        "dropout": 0.2,
    }


def test_a_head_that_lacks_a_weight_is_refused(tmp_path):
    save_head(tmp_path, head(), "clip_ve")
    weights = load_file(tmp_path / "head.safetensors")
    weights.pop("layers.6.running_mean")
    save_file(weights, tmp_path / "head.safetensors")
    with pytest.raises((UserError, RuntimeError), match="running_mean"):
        load_head(tmp_path)


def test_a_control_does_not_see_the_other_input():
    made = head().eval()
    assert torch.equal(judge(made, "hypothesis_only", H, P), judge(made, "hypothesis_only", H, P.flip(0) + 3))
    assert torch.equal(judge(made, "image_only", H, P), judge(made, "image_only", H.flip(0) + 3, P))
    assert torch.equal(judge(made, "hypothesis_only", H, P), made(H, torch.zeros_like(P)))
    assert torch.equal(judge(made, "image_only", H, P), made(torch.zeros_like(H), P))
    assert torch.equal(judge(made, "clip_ve", H, P), made(H, P))
    for inputs, changed in (
        ("hypothesis_only", (H.flip(0), P)),
        ("image_only", (H, P.flip(0))),
        ("clip_ve", (H, P.flip(0))),
    ):
        assert not torch.equal(judge(made, inputs, H, P), judge(made, inputs, *changed))


def test_the_image_only_control_never_runs_the_tower():
    model = ClipVE(tower(), head(), "image_only")
    model.tower.model.forward = None  # calling it would fail
    assert torch.equal(model.encode(IDS, MASK), torch.zeros(3, PROJECTED))


def test_clip_ve_joins_tower_and_head():
    model = ClipVE(tower(), head(), "clip_ve").eval()
    assert torch.equal(model.judge(model.encode(IDS, MASK), P[:3]), model.head(model.tower(IDS, MASK), P[:3]))
    assert not any(module.training for module in model.modules())


def test_gradients_reach_tower_and_head():
    model = ClipVE(tower(), head(), "clip_ve").train()
    functional.cross_entropy(model.judge(model.encode(IDS, MASK), P[:3]), torch.tensor([0, 1, 2])).backward()
    for weight in (
        model.tower.model.text_projection.weight,
        model.head.layers[2].weight,
        model.tower.model.text_model.embeddings.token_embedding.weight,
    ):
        assert weight.grad.abs().sum() > 0
