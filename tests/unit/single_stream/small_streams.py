"""A small encoder over words and regions, texts and regions, for the tests of this folder."""

import numpy as np
import torch
from tiny_models import ENGLISH, SENTENCES, bert_config, bert_text
from transformers import BertForMaskedLM

from clseave.models.tokens import encode
from clseave.single_stream.encoder import SingleStream, Texts
from clseave.single_stream.pretraining import Corpus
from clseave.single_stream.regions import Regions, RegionTable, write
from clseave.single_stream.tasks import Step

VISUAL, CLASSES = 5, 3


def stream(seed=0, **changes):
    """An encoder without dropout."""
    torch.manual_seed(seed)
    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} | changes
    model = BertForMaskedLM._from_config(bert_config(**settings), attn_implementation="eager")
    return SingleStream(model, bert_text(), VISUAL).eval()


def image(count, seed):
    """Regions of one image."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    shares = rng.random((count, CLASSES))
    return Regions(
        rng.normal(size=(count, VISUAL)).astype(np.float32),
        corners.reshape(count, 4).astype(np.float32),
        (shares / shares.sum(1, keepdims=True)).astype(np.float32),
    )


def table(folder, counts=(3, 1, 2)):
    """Regions of an image for each count: a, b, c, ..."""
    write(folder, [(chr(97 + row), image(count, row)) for row, count in enumerate(counts)])
    return RegionTable(folder)


def corpus(folder):
    """Three captions, four texts alone, two pairs."""
    tokens = encode(bert_text(), ENGLISH)
    others = encode(bert_text(), SENTENCES)
    return Corpus(tokens, np.array([0, 1, 2]), table(folder), others, encode(bert_text(), ENGLISH[:2]),
                  encode(bert_text(), SENTENCES[:2]))  # fmt: skip


def step(folder) -> Step:
    """All rows of `corpus`."""
    return corpus(folder).step(np.arange(3), np.arange(4), np.arange(2), bert_text())


def texts(*sentences):
    """Sentences as a batch."""
    return Texts.of(encode(bert_text(), list(sentences)), bert_text())
