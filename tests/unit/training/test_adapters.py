"""LoRA: what is trained, that nothing changes before the first step, and that the merged student is like any other."""

import pytest
import torch
from tiny_models import PROJECTED, SENTENCES, WIDE, bert, bert_text, unigram_text
from torch.nn import functional
from transformers import XLMRobertaConfig, XLMRobertaModel

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import Lora
from clseave.models.student import Student
from clseave.models.tokens import encode, pad
from clseave.training import adapters
from clseave.training.adapters import add_adapters, merge_adapters
from clseave.training.used_embeddings import keep_used_rows, restore_embedding

LORA = Lora(rank=2, alpha=4, dropout=0.0)


def xlm_roberta():
    torch.manual_seed(0)
    shape = {"hidden_size": WIDE, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = XLMRobertaConfig(vocab_size=len(unigram_text()), max_position_embeddings=42, **shape)
    made = XLMRobertaModel._from_config(config, attn_implementation="eager", add_pooling_layer=False)
    return made, unigram_text()


KINDS = pytest.mark.parametrize("make", [lambda: (bert(), bert_text()), xlm_roberta], ids=["bert", "xlm-roberta"])


def student(make):
    encoder, tokenizer = make()
    torch.manual_seed(1)
    return Student(encoder, tokenizer, PROJECTED, "sep").eval()


def batch(made):
    return pad(encode(made.tokenizer, SENTENCES), made.tokenizer)


def trained(made, steps=3):
    """Some steps of AdamW towards fixed vectors, as the training loop takes them."""
    words = keep_used_rows(made, [encode(made.tokenizer, SENTENCES)], made.tokenizer.pad_token_id)
    optimiser = torch.optim.AdamW(made.parameters(), lr=0.05, weight_decay=0.1)
    words.track_weight_decay(optimiser)
    for _ in range(steps):
        optimiser.zero_grad()
        functional.mse_loss(made(*batch(made)), torch.ones(len(SENTENCES), PROJECTED)).backward()
        optimiser.step()
    restore_embedding(made)


@KINDS
def test_before_the_first_step_nothing_changes(make):
    made = student(make)
    with torch.no_grad():
        before = made(*batch(made))
        add_adapters(made.encoder, LORA)
        assert torch.equal(made(*batch(made)), before)
        merge_adapters(made.encoder)
        assert torch.equal(made(*batch(made)), before)


@KINDS
def test_only_adapters_and_the_students_own_layers_are_trained(make):
    made = student(make)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    add_adapters(made.encoder, LORA)
    free = {name for name, weight in made.named_parameters() if weight.requires_grad}
    own = {name for name in free if "lora_" not in name}
    assert own == {"norm.weight", "norm.bias", "projection.weight"}
    # four maps of attention and two of the feed-forward part, in each of two layers, with A and B each
    assert len(free - own) == 2 * 6 * 2
    assert sum(made.get_parameter(name).numel() for name in free - own) == 2 * 2 * (4 * (16 + 16) + 2 * (16 + 32))
    trained(made)
    frozen = {name: value for name, value in made.state_dict().items() if "lora_" not in name}
    for name, value in frozen.items():
        original = name.replace(".base_layer", "")
        assert torch.equal(value, before[original]) == (name not in own), name


@KINDS
def test_merged_adapters_give_the_same_vectors_and_a_plain_model(make, tmp_path):
    made, plain = student(make), student(make)
    add_adapters(made.encoder, LORA)
    trained(made)
    with torch.no_grad():
        before = made(*batch(made))
        merge_adapters(made.encoder)
        assert torch.allclose(made(*batch(made)), before, atol=1e-6)
        assert not torch.allclose(plain(*batch(made)), before, atol=1e-2)
        assert list(made.state_dict()) == list(plain.state_dict())
        assert all(weight.requires_grad for weight in made.parameters())
        made.save(tmp_path)
        assert torch.equal(Student.load(tmp_path)(*batch(made)), made(*batch(made)))
    assert not list(tmp_path.glob("adapter*"))
    name = "encoder.encoder.layer.0.attention.self.query.weight"
    change = made.get_parameter(name) - plain.get_parameter(name)
    assert torch.linalg.matrix_rank(change.detach(), atol=1e-4) == LORA.rank


def test_without_peft_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"clseave.lora needs peft: `pip install peft`"):
        add_adapters(bert(), LORA)
