"""The autoencoder and the three ways in which CLTEAVE makes a sentence vector."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import NARROW, SENTENCES, WIDE, bert, bert_config, bert_text, tower
from torch import nn

from clseave.foundation.errors import UserError
from clseave.models.token_student import Autoencoder, TokenStudent
from clseave.models.tokens import encode, pad

IDS, MASK = pad(encode(bert_text(), SENTENCES), bert_text())


def made(seed=0):
    """An autoencoder 3 -> 2 -> 3 with weights that can be followed by hand."""
    model = Autoencoder(3, 2)
    with torch.no_grad():
        model.encoder[0].weight.copy_(torch.tensor([[1.0, 0, 2], [0, -1, 0]]))
        model.encoder[0].bias.copy_(torch.tensor([0.0, 1]))
        model.decoder[0].weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, 1]]))
        model.decoder[0].bias.copy_(torch.tensor([0.5, 0, 0]))
    return model


STATE = torch.tensor([[1.0, 3, 2], [-1, 0, -1]])


def test_encoder_and_decoder_by_hand():
    # Row 0: [1 + 4, -3 + 1] -> [5, 0]; decoded [5.5, 0, -5] -> [5.5, 0, 0]. Row 1: [-3, 1] -> [0, 1]; [0.5, 1, 1].
    assert made().encoder(STATE).tolist() == [[5, 0], [0, 1]]
    assert made()(STATE).tolist() == [[5.5, 0, 0], [0.5, 1, 1]]


class FakeBert(nn.Module):
    """Gives fixed token states."""

    config = bert_config()

    def forward(self, input_ids, attention_mask):
        states = torch.full((2, 4, 3), 99.0)
        states[0, 2], states[1, 1] = STATE
        return type("Output", (), {"last_hidden_state": states})


class FakeTower(nn.Module):
    """The final norm (width 2, eps 0) and projection (2 -> 2) of a text tower."""

    def __init__(self):
        super().__init__()
        self.model = nn.Module()
        self.model.text_model = nn.Module()
        norm = nn.LayerNorm(2, eps=1e-12)
        projection = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([2.0, 1]))
            norm.bias.copy_(torch.tensor([0.0, 1]))
            projection.weight.copy_(torch.tensor([[1.0, 1], [0, 3]]))
        self.model.text_model.final_layer_norm, self.model.text_projection = norm, projection


# [SEP] = 3 stands at position 2 of row 0 and 1 of row 1, where FakeBert puts the two states.
BY_HAND_IDS = torch.tensor([[2, 9, 3, 0], [2, 3, 0, 0]])


@pytest.mark.parametrize(
    ("assembly", "wanted"),
    [
        ("direct", [[5, 0], [0, 1]]),
        # Norm over three coordinates. Row 0: mean 2, variance 2/3: [-1, 1, 0] * 1.224745;
        # times [2, 1, 0] plus [0, 1, 0]: [-2.449490, 2.224745, 0]; projected [-0.224745, 6.674235].
        # Row 1: mean -2/3, variance 2/9: [-1, 2, -1] / 3 / 0.471405 = [-0.707107, 1.414214, ...];
        # scaled [-1.414214, 2.414214]; projected [1, 7.242641].
        ("padded", [[-0.224745, 6.674235], [1.0, 7.242641]]),
        # The same on the reconstructions. [5.5, 0, 0]: mean 11/6, gaps [2, -1, -1] * 11/6, deviation 11/6 * sqrt(2):
        # [1.414214, -0.707107]; [2.828427, 0.292893]; [3.121320, 0.878680].
        # [0.5, 1, 1]: gaps [-2, 1, 1] / 6, deviation sqrt(2) / 6: [-1.414214, 0.707107]; [-2.828427, 1.707107].
        ("decoder", [[3.121320, 0.878680], [-1.121320, 5.121320]]),
        # The same on the encoder's output, unpadded. [5, 0]: [1, -1]; [2, 0]; [2, 0]. [0, 1]: [-1, 1]; [-2, 2]; [0, 6].
        ("projected", [[2, 0], [0, 6]]),
    ],
)
def test_the_assemblies_by_hand(assembly, wanted):
    student = TokenStudent(FakeBert(), bert_text(), made()).assemble(assembly, FakeTower())
    with torch.no_grad():
        found = student(BY_HAND_IDS, (BY_HAND_IDS > 0).long())
    assert torch.allclose(found, torch.tensor(wanted, dtype=torch.float32), atol=1e-5)


@pytest.mark.parametrize("assembly", ["padded", "decoder", "projected"])
def test_an_assembly_without_a_tower_raises(assembly):
    student = TokenStudent(FakeBert(), bert_text(), made())
    student.assembly = assembly
    with pytest.raises(ValueError, match="text tower"):
        student(BY_HAND_IDS, (BY_HAND_IDS > 0).long())


def token_student():
    torch.manual_seed(5)
    return TokenStudent(bert(layer_norm_eps=1e-3), bert_text(), Autoencoder(WIDE, NARROW)).eval()


@pytest.mark.parametrize("assembly", ["direct", "padded", "decoder", "projected"])
def test_a_saved_student_gives_the_same_bits_and_padding_changes_nothing(tmp_path, assembly):
    student = token_student()
    student.save(tmp_path)
    again = TokenStudent.load(tmp_path)
    assert not any(module.training for module in again.modules())
    assert again.encoder.config.layer_norm_eps == 1e-3
    vectors = student.assemble(assembly, tower())(IDS, MASK)
    assert torch.equal(again.assemble(assembly, tower())(IDS, MASK), vectors)
    ids, mask = (torch.cat([value, torch.zeros(4, 8, dtype=torch.long)], dim=1) for value in (IDS, MASK))
    assert torch.allclose(student(ids, mask), vectors, atol=1e-6)


def test_a_saved_autoencoder_gives_the_same_bits(tmp_path):
    model = Autoencoder(WIDE, NARROW)
    model.save(tmp_path)
    states = torch.randn(5, WIDE)
    assert torch.equal(Autoencoder.load(tmp_path)(states), model(states))


def test_an_encoder_without_its_relu_gives_negative_numbers_and_stays_so_when_saved(tmp_path):
    model = made().without_relu()
    assert model.encoder(STATE).tolist() == [[5, -2], [-3, 1]]
    model.save(tmp_path)
    assert Autoencoder.load(tmp_path).encoder(STATE).tolist() == [[5, -2], [-3, 1]]


def test_a_folder_that_says_nothing_of_the_relu_has_one(tmp_path):
    made().save(tmp_path)
    (tmp_path / "autoencoder.json").write_text('{"wide": 3, "narrow": 2}')
    assert Autoencoder.load(tmp_path).encoder(STATE).tolist() == [[5, 0], [0, 1]]


def test_an_autoencoder_that_lacks_a_weight_is_refused(tmp_path):
    made().save(tmp_path)
    weights = load_file(tmp_path / "autoencoder.safetensors")
    weights.pop("decoder.0.bias")
    save_file(weights, tmp_path / "autoencoder.safetensors")
    with pytest.raises((UserError, RuntimeError), match=r"decoder\.0\.bias"):
        Autoencoder.load(tmp_path)


def test_gradients_of_token_states_reach_mbert_and_encoder_but_not_the_decoder():
    student = token_student().train()
    student.autoencoder.encoder(student.states(IDS, MASK)[:, 1]).sum().backward()
    assert student.encoder.embeddings.word_embeddings.weight.grad.abs().sum() > 0
    assert student.autoencoder.encoder[0].weight.grad.abs().sum() > 0
    assert student.autoencoder.decoder[0].weight.grad is None
