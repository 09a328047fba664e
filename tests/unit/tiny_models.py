"""Random models of a few thousand weights, with the tokenizers of `vocabulary`, for the unit tests."""

import json
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
)

from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.miniature.grammar import LANGUAGES, express
from clseave.miniature.statements import all_facts
from clseave.models.towers import TextTower

WIDE, NARROW, PROJECTED = 16, 8, 6  # mBERT's width, that of CLIP's tower, that of sentence vectors
TEXTS = [express(fact, language, 0).text for fact in all_facts()[::40] for language in LANGUAGES]
SENTENCES = ["Ein roter Kreis ist oben links", "Der Kreis", "左上に赤い円があります", "왼쪽에 빨간 원이 있다"]
ENGLISH = ["A red circle is in the top left", "No shape", "There is a blue square above a yellow diamond"]


@cache
def bert_text():
    """A multilingual WordPiece."""
    return bert_tokenizer(TEXTS, 500, 40)


@cache
def clip_text():
    """An English byte-level BPE."""
    return clip_tokenizer(TEXTS[:: len(LANGUAGES)], 560, 24)


def bert_config(**changes) -> BertConfig:
    settings = {
        "hidden_size": WIDE,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 40,
        "vocab_size": len(bert_text()),
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    return BertConfig(**settings | changes)


def bert(seed: int = 0, **changes) -> BertModel:
    """A BERT without its pooler."""
    torch.manual_seed(seed)
    return BertModel._from_config(bert_config(**changes), attn_implementation="eager", add_pooling_layer=False)


def save_masked_bert(folder: Path, seed: int = 0, **changes) -> Path:
    """A BERT with its language-model head and tokenizer, as the stage `backbones` leaves it."""
    torch.manual_seed(seed)
    model = BertForMaskedLM._from_config(bert_config(**changes), attn_implementation="eager")
    model.save_pretrained(folder)
    bert_text().save_pretrained(folder)
    return folder


@cache
def unigram_text():
    """As multilingual-e5's: SentencePiece pieces, XLM-R's special tokens, which its vocabulary lists as pieces too."""
    words = dict.fromkeys(word for text in TEXTS for word in text.split())
    signs = sorted({sign for text in TEXTS for sign in text} | set("<>/[]▁"))
    pieces = [*((f"▁{word}", -5.0) for word in words), *((sign, -9.0) for sign in signs)]
    specials = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    made = Tokenizer(Unigram([*specials, *pieces], unk_id=3))
    made.pre_tokenizer = Metaspace()
    made.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, **names, unk_token="<unk>", mask_token="<mask>", model_max_length=40
    )


def save_unigram_bert(folder: Path, seed: int = 0) -> Path:
    """As multilingual-e5-small: a BERT without heads, and `unigram_text`."""
    bert(seed, vocab_size=len(unigram_text()), pad_token_id=1).save_pretrained(folder)
    unigram_text().save_pretrained(folder)
    return folder


def save_vocabulary(folder: Path, settings: dict | None) -> Path:
    """`bert_text` as the hub holds old models: vocab.txt, config.json and, unless None, tokenizer_config.json."""
    folder.mkdir(exist_ok=True)
    vocabulary = bert_text().get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    bert_config().save_pretrained(folder)
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def clip_config(**changes) -> CLIPTextConfig:
    tokenizer = clip_text()
    settings = {
        "hidden_size": NARROW,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 24,
        "vocab_size": len(tokenizer),
        "projection_dim": PROJECTED,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_factor": 8.0,
    }
    return CLIPTextConfig(**settings | changes)


def tower(seed: int = 0, **changes) -> TextTower:
    """A CLIP text tower in evaluation mode."""
    torch.manual_seed(seed)
    model = CLIPTextModelWithProjection._from_config(clip_config(**changes), attn_implementation="eager")
    return TextTower(model, clip_text()).eval()
