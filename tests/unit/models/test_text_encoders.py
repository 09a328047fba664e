"""Students and word aligners that start as another text encoder than BERT, from checkpoints as they are published."""

import json
from types import SimpleNamespace

import pytest
import torch
from tiny_models import PROJECTED, SENTENCES, WIDE, bert_text, save_masked_bert, unigram_text
from tokenizers.processors import TemplateProcessing
from torch.nn import functional
from transformers import (
    AutoModel,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    M2M100Config,
    M2M100ForConditionalGeneration,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import Encoder
from clseave.models.loading import CLASSES, load_text_encoder
from clseave.models.pretrained import TEXT_ENCODERS
from clseave.models.student import Student
from clseave.models.tokens import encode, load_fitting, load_tokenizer, longest_text, pad
from clseave.stages import backbones
from clseave.training.used_embeddings import keep_used_rows, restore_embedding
from clseave.word_alignment.aligner import WordAligner, _Extraction

SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": WIDE, "intermediate_size": 32}
LENGTH = 40  # tokens


def nllb_text():
    """As NLLB's: the token of a language begins a sentence, `</s>` ends it."""
    made = unigram_text().backend_tokenizer.from_str(unigram_text().backend_tokenizer.to_str())
    made.add_special_tokens(["eng_Latn"])
    code = made.token_to_id("eng_Latn")
    made.post_processor = TemplateProcessing(
        single="eng_Latn $A </s>", special_tokens=[("eng_Latn", code), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names, model_max_length=LENGTH)


def xlm_roberta():
    tokenizer = unigram_text()
    config = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=LENGTH + 2, **SHAPE)
    return XLMRobertaForMaskedLM(config), tokenizer


def distilbert():
    sizes = {"n_layers": 2, "n_heads": 2, "dim": WIDE, "hidden_dim": 32}
    config = DistilBertConfig(vocab_size=len(bert_text()), max_position_embeddings=LENGTH, **sizes)
    return DistilBertForMaskedLM(config), bert_text()


def deberta():
    relative = {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"]}
    own = {"type_vocab_size": 0, "position_biased_input": False, "max_position_embeddings": LENGTH}
    config = DebertaV2Config(vocab_size=len(bert_text()), **relative, **own, **SHAPE)
    return DebertaV2ForMaskedLM(config), bert_text()


def modernbert():
    ids = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    config = ModernBertConfig(vocab_size=len(bert_text()), max_position_embeddings=LENGTH, **ids, **SHAPE)
    return ModernBertForMaskedLM(config), bert_text()


def nllb():
    tokenizer = nllb_text()
    layers = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    sizes = {"d_model": WIDE, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": LENGTH}
    config = M2M100Config(vocab_size=len(tokenizer), **layers, **sizes)
    return M2M100ForConditionalGeneration(config), tokenizer


KINDS = {
    "xlm-roberta": xlm_roberta,
    "distilbert": distilbert,
    "deberta-v2": deberta,
    "modernbert": modernbert,
    "m2m_100": nllb,
}


@pytest.fixture(scope="module", params=KINDS)
def published(request, tmp_path_factory):
    """A folder with a checkpoint of random weights, with its pre-training head, and the kind."""
    torch.manual_seed(3)
    model, tokenizer = KINDS[request.param]()
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and "embed" in name:
            torch.nn.init.normal_(weight, std=0.5)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return SimpleNamespace(folder=folder, kind=request.param, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def imported(published, tmp_path_factory):
    """What the stage `backbones` makes of it."""
    made = tmp_path_factory.mktemp("imported")
    backbones.import_mbert(Encoder(id=str(published.folder), revision=None, weights="safetensors"), made)
    return made


def batch(folder):
    tokenizer = load_tokenizer(folder)
    return pad(encode(tokenizer, SENTENCES), tokenizer)


def test_every_kind_is_tested():
    assert {*KINDS, "bert"} == set(TEXT_ENCODERS)


def test_the_stage_keeps_the_encoder_alone_with_its_states(published, imported):
    ids, mask = batch(imported)
    whole = AutoModel.from_pretrained(published.folder, attn_implementation="eager").eval()
    encoder = whole.get_encoder() if published.kind == "m2m_100" else whole
    with torch.no_grad():
        wanted = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        found = load_text_encoder(imported)(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(found, wanted)
    assert json.loads((imported / "config.json").read_text())["architectures"] == [CLASSES[published.kind].__name__]
    assert load_tokenizer(imported).model_max_length == LENGTH


def test_a_student_pools_at_the_end_token_and_does_not_see_padding(imported):
    torch.manual_seed(0)
    student = Student(load_text_encoder(imported), load_tokenizer(imported), PROJECTED, "sep").eval()
    ids, mask = batch(imported)
    with torch.no_grad():
        vectors = student(ids, mask)
        states = student.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[range(len(ids)), mask.sum(1) - 1]
        assert torch.allclose(vectors, student.projection(student.norm(states)), atol=1e-5)
        for row, length in enumerate(mask.sum(1)):
            alone = student(ids[row : row + 1, :length], mask[row : row + 1, :length])
            assert torch.allclose(alone, vectors[row : row + 1], atol=1e-5)


def test_a_saved_student_gives_the_same_vectors(imported, tmp_path):
    student = Student(load_text_encoder(imported), load_tokenizer(imported), PROJECTED, "mean").eval()
    student.save(tmp_path)
    again = Student.load(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(*batch(imported)), student(*batch(imported)))
    assert again.end == student.end


def test_dropout_is_switched_off_by_its_setting(imported):
    model = load_text_encoder(imported, 0.0).train()
    ids, mask = batch(imported)
    first, second = (model(input_ids=ids, attention_mask=mask).last_hidden_state for _ in range(2))
    assert torch.equal(first, second)


def test_training_the_used_words_alone_changes_no_vector(imported):
    student = Student(load_text_encoder(imported, 0.0), load_tokenizer(imported), PROJECTED, "sep").eval()
    rows = encode(student.tokenizer, SENTENCES)
    inputs = pad(rows, student.tokenizer)
    before = student(*inputs)
    words = keep_used_rows(student, [rows], student.tokenizer.pad_token_id)
    assert torch.equal(student(*inputs), before)
    functional.mse_loss(student(*inputs), torch.zeros_like(before)).backward()
    assert words.weight.grad.abs().sum() > 0
    with torch.no_grad():
        words.weight += torch.randn_like(words.weight)
    after = student(*inputs).detach()
    restore_embedding(student)
    assert torch.allclose(student(*inputs), after, atol=1e-6) and not torch.allclose(after, before, atol=1e-3)


def test_words_are_aligned_on_the_states_of_a_layer(imported):
    aligner = WordAligner(imported, 2, 1e-3, 4)
    left, right = ["Ein", "roter", "Kreis"], ["Ein", "roter", "Kreis", "ist"]
    found = aligner.align([left, left[:1]], [right, right])
    assert all(i < 3 and j < 4 for i, j in found[0]) and found[0] == sorted(found[0])
    assert found[1] == aligner.align([left[:1]], [right])[0]  # padding is not seen
    assert all(aligner.align([left], [left])[0].count([word, word]) == 1 for word in range(3))
    with pytest.raises(UserError, match=r"align_words.layer is 3, but .* has 2 layers"):
        WordAligner(imported, 3, 1e-3, 4)


def test_awesome_aligns_own_bert_and_its_extraction_on_other_encoders_agree(tmp_path):
    own = WordAligner(save_masked_bert(tmp_path), 1, 1e-3, 4)
    other = WordAligner(tmp_path, 1, 1e-3, 4)
    other.model = _Extraction(load_text_encoder(tmp_path)).eval()
    sides = [sentence.split() for sentence in SENTENCES], [sentence.split()[::-1] for sentence in SENTENCES]
    assert own.align(*sides) == other.align(*sides)
    assert any(own.align(*sides))


def test_positions_of_xlm_roberta_begin_after_the_padding():
    assert longest_text(XLMRobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert longest_text(DistilBertConfig(max_position_embeddings=512, pad_token_id=0)) == 512


def test_a_tokenizer_that_does_not_end_sentences_is_refused(tmp_path):
    folder = save_masked_bert(tmp_path)
    tokenizer = bert_text().backend_tokenizer.from_str(bert_text().backend_tokenizer.to_str())
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    with pytest.raises(UserError, match=r"its end token is \d+, expected sentences to end with it"):
        load_fitting(folder)
