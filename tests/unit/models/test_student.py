"""The CLSEAVE student: what it computes, keeps and trains."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import PROJECTED, SENTENCES, WIDE, bert, bert_text, save_masked_bert, unigram_text
from torch.nn import functional

from clseave.foundation.errors import UserError
from clseave.models.loading import load_text_encoder
from clseave.models.pooling import position
from clseave.models.student import LAYER_NORM_EPS, Student, last_state
from clseave.models.tokens import encode, pad

IDS, MASK = pad(encode(bert_text(), SENTENCES), bert_text())


def student(pooling="sep", **changes):
    made = Student(bert(**changes), bert_text(), PROJECTED, pooling).eval()
    with torch.no_grad():
        made.norm.weight.uniform_(0.5, 1.5)
        made.norm.bias.uniform_(-0.5, 0.5)
    return made


@pytest.mark.parametrize("pooling", ["sep", "cls", "mean", "highest"])
def test_a_vector_by_hand(pooling):
    made = student(pooling)
    states = made.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
    gap = states - states.mean(-1, keepdim=True)
    normed = gap / (gap.pow(2).mean(-1, keepdim=True) + LAYER_NORM_EPS).sqrt() * made.norm.weight + made.norm.bias
    pooled = []
    for row, length in enumerate(MASK.sum(1)):
        assert IDS[row, length - 1] == bert_text().sep_token_id
        place = {"sep": length - 1, "cls": 0, "highest": int(IDS[row].argmax())}
        pooled.append(normed[row, :length].mean(0) if pooling == "mean" else normed[row, place[pooling]])
    assert torch.allclose(made(IDS, MASK), torch.stack(pooled) @ made.projection.weight.T, atol=1e-5)
    assert made(IDS, MASK).shape == (4, made.width) == (4, PROJECTED)
    assert (made.norm.eps, made.projection.bias) == (1e-12, None)  # mBERT's own value


@pytest.mark.parametrize("pooling", ["sep", "cls"])
def test_the_state_of_one_token_and_its_gradients_are_those_of_all_tokens(pooling):
    made = student(pooling).double()
    every = torch.arange(len(IDS)), position(IDS, made.end, pooling)
    states = [last_state(made.encoder, IDS, MASK, every[1]), made.encoder(IDS, MASK).last_hidden_state[every]]
    weights = list(made.encoder.parameters())
    ours, theirs = (torch.autograd.grad(state.sin().sum(), weights) for state in states)
    assert torch.allclose(*states, rtol=1e-12, atol=1e-12)
    assert all(torch.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("pooling", ["sep", "cls", "mean", "highest"])
def test_padding_to_a_longer_width_changes_nothing(pooling):
    made = student(pooling)
    ids, mask = (torch.cat([value, torch.zeros(4, 8, dtype=torch.long)], dim=1) for value in (IDS, MASK))
    assert torch.allclose(made(ids, mask), made(IDS, MASK), atol=1e-6)


def test_training_and_evaluation_pool_at_the_same_place():
    made = student(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    evaluated = made(IDS, MASK)
    assert torch.equal(made.train()(IDS, MASK), evaluated)


@pytest.mark.parametrize("pooling", ["sep", "mean"])
def test_a_saved_student_gives_the_same_bits(tmp_path, pooling):
    made = student(pooling, layer_norm_eps=1e-3, hidden_act="relu")
    made.save(tmp_path)
    again = Student.load(tmp_path)
    assert torch.equal(again(IDS, MASK), made(IDS, MASK))
    assert again.pooling == pooling
    # The configuration is that of the checkpoint, not transformers' defaults.
    assert (again.encoder.config.layer_norm_eps, again.encoder.config.hidden_act) == (1e-3, "relu")
    assert again.encoder.config.hidden_size == WIDE


def test_evaluation_leaves_no_module_in_training_mode(tmp_path):
    made = student().train()
    assert made.eval() is made and not any(module.training for module in made.modules())
    made.train().save(tmp_path)
    assert not any(module.training for module in Student.load(tmp_path).modules())


def test_dropout_acts_in_training_only():
    made = student(hidden_dropout_prob=0.5)
    assert torch.equal(made(IDS, MASK), made(IDS, MASK))
    assert not torch.equal(made.train()(IDS, MASK), made(IDS, MASK))


def test_gradients_reach_projection_norm_and_embeddings():
    made = student().train()
    functional.mse_loss(made(IDS, MASK), torch.ones(4, PROJECTED)).backward()
    for weight in (
        made.projection.weight,
        made.norm.weight,
        made.encoder.embeddings.word_embeddings.weight,
        *(layer.attention.self.query.weight for layer in made.encoder.encoder.layer),
    ):
        assert weight.grad.abs().sum() > 0
    unused = [name for name, value in made.named_parameters() if value.grad is None]
    assert not unused, unused  # a pooler, say, that would be trained for nothing


def drop(path, name):
    weights = load_file(path)
    weights.pop(name)
    save_file(weights, path, metadata={"format": "pt"})


def test_a_missing_weight_of_mbert_is_the_users_error(tmp_path):
    student().save(tmp_path)
    drop(tmp_path / "model.safetensors", "encoder.layer.1.output.dense.weight")
    with pytest.raises(UserError, match=r"lacks 1 weights of BertModel.*encoder\.layer\.1\.output\.dense\.weight"):
        Student.load(tmp_path)


def test_a_missing_projection_is_refused(tmp_path):
    student().save(tmp_path)
    drop(tmp_path / "projection.safetensors", "norm.weight")
    with pytest.raises((UserError, ValueError), match=r"norm\.weight"):
        Student.load(tmp_path)


def test_a_weight_too_many_is_refused(tmp_path):
    student().save(tmp_path)
    path = tmp_path / "projection.safetensors"
    save_file(load_file(path) | {"projection.bias": torch.zeros(PROJECTED)}, path)
    with pytest.raises((UserError, ValueError), match=r"projection\.bias"):
        Student.load(tmp_path)


def test_mbert_is_read_without_its_language_model_head(tmp_path):
    save_masked_bert(tmp_path, seed=4)
    made = load_text_encoder(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert torch.equal(made.embeddings.word_embeddings.weight, stored["bert.embeddings.word_embeddings.weight"])
    assert made.pooler is None and made.config._attn_implementation == "eager"


@pytest.mark.parametrize(("dropout", "rate"), [(None, 0.1), (0.0, 0.0), (0.3, 0.3)])
def test_dropout_overrides_both_rates_of_mbert(tmp_path, dropout, rate):
    made = load_text_encoder(save_masked_bert(tmp_path), dropout)
    assert {module.p for module in made.modules() if isinstance(module, torch.nn.Dropout)} == {rate}


def test_a_folder_without_mbert_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="holds no BertModel"):
        load_text_encoder(tmp_path)


def test_a_student_with_sentencepieces_pools_at_its_own_end():
    """As multilingual-e5-small: `</s>` of another id, also where a sentence spells it."""
    made = Student(bert(vocab_size=len(unigram_text()), pad_token_id=1), unigram_text(), PROJECTED, "sep").eval()
    ids, mask = pad(encode(unigram_text(), ["Ein </s> Kreis", "Ein"]), unigram_text())
    states = made.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[[0, 1], mask.sum(1) - 1]
    assert made.end == 2 and ids[1, -1] == 1
    assert torch.allclose(made(ids, mask), made.projection(made.norm(states)), atol=1e-5)
